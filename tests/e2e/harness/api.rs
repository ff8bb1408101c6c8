//! A scripted Lambda: Runtime API and Extensions API on one port, as inside an execution
//! environment.
//!
//! It hands out the invocations in order, then leaves `/next` and `event/next` pending, and can
//! misbehave wherever the real one may: reject, stall, read slowly, hang up. Paths and responses
//! are those of the AWS pages "Using the Lambda runtime API for custom runtimes" and "Extensions
//! API".

use super::http::{self, Message};
use super::record::{BodyRecorder, Record, Side};
use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const TRACE: &str =
    "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";
pub const ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:function:fn";
pub const EXTENSION: &str = "0f2b6c1e-5c1d-4a8e-9b7e-3d1c2a4b5e6f";
/// 2100-01-01: far away for all tests that are not about deadlines.
pub const DEADLINE: u64 = 4_102_444_800_000;
const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n\
        {\"status\":\"OK\"}\n";

/// How a post to `/response` or `/error` is treated.
#[derive(Clone)]
pub enum Post {
    Accept,
    /// This response instead of 202, as raw bytes.
    Response(Vec<u8>),
    /// Stops reading after this many bytes of the body until the gate opens.
    Hold(usize, String),
    /// Closes after this many bytes of the body.
    HangUp(usize),
    /// Accepts and closes.
    Close,
}

/// One response to `/next`.
#[derive(Clone)]
pub struct Invocation {
    pub headers: Vec<(String, String)>,
    pub event: Vec<u8>,
    pub chunked: bool,
    /// Raw bytes instead of an invocation, after which the connection closes.
    pub raw: Option<Vec<u8>>,
    /// Held until this gate is open.
    pub after: Option<String>,
    /// The time from handing it out to its deadline.
    pub remaining: Option<Duration>,
    pub post: Post,
}

impl From<Vec<u8>> for Invocation {
    fn from(event: Vec<u8>) -> Invocation {
        let post = Post::Accept;
        Invocation {
            headers: Vec::new(),
            event,
            chunked: false,
            raw: None,
            after: None,
            remaining: None,
            post,
        }
    }
}

impl From<&str> for Invocation {
    fn from(event: &str) -> Invocation {
        event.as_bytes().to_vec().into()
    }
}

impl From<String> for Invocation {
    fn from(event: String) -> Invocation {
        event.into_bytes().into()
    }
}

impl From<serde_json::Value> for Invocation {
    fn from(event: serde_json::Value) -> Invocation {
        event.to_string().into()
    }
}

impl Invocation {
    /// `/next` responds with these bytes, and the connection closes.
    pub fn raw(bytes: impl AsRef<[u8]>) -> Invocation {
        Invocation {
            raw: Some(bytes.as_ref().to_vec()),
            ..Invocation::from("")
        }
    }

    /// Sets a header of `/next`; the value `(absent)` omits it.
    pub fn header(mut self, name: &str, value: &str) -> Invocation {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn after(self, gate: &str) -> Invocation {
        Invocation {
            after: Some(gate.to_owned()),
            ..self
        }
    }

    pub fn remaining(self, milliseconds: u64) -> Invocation {
        Invocation {
            remaining: Some(Duration::from_millis(milliseconds)),
            ..self
        }
    }

    pub fn chunked(self) -> Invocation {
        Invocation {
            chunked: true,
            ..self
        }
    }

    pub fn post(self, post: Post) -> Invocation {
        Invocation { post, ..self }
    }

    fn bytes(&self, id: &str) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let deadline = self.remaining.map_or(DEADLINE, |remaining| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            (now + remaining).as_millis() as u64
        });
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Lambda-Runtime-Aws-Request-Id".to_owned(), id.to_owned()),
            (
                "Lambda-Runtime-Deadline-Ms".to_owned(),
                deadline.to_string(),
            ),
            (
                "Lambda-Runtime-Invoked-Function-Arn".to_owned(),
                ARN.to_owned(),
            ),
            ("Lambda-Runtime-Trace-Id".to_owned(), TRACE.to_owned()),
        ];
        headers.retain(|(name, _)| {
            !self
                .headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case(name))
        });
        headers.extend(
            self.headers
                .iter()
                .filter(|(_, value)| value != "(absent)")
                .cloned(),
        );
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let mut bytes = format!("HTTP/1.1 200 OK\r\n{lines}").into_bytes();
        if self.chunked {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for part in self.event.chunks(7) {
                bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                bytes.extend_from_slice(part);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        } else {
            bytes.extend_from_slice(
                format!("Content-Length: {}\r\n\r\n", self.event.len()).as_bytes(),
            );
            bytes.extend_from_slice(&self.event);
        }
        bytes
    }
}

pub struct Script {
    pub invocations: VecDeque<Invocation>,
    /// Raw responses to `register` that precede the successful one.
    pub register: VecDeque<Vec<u8>>,
    /// The response to `event/next` once the gate `shutdown` is open.
    pub shutdown: Option<Vec<u8>>,
    /// The response to `restore/next` once the gate `restore` is open.
    pub restore: Vec<u8>,
    posts: Vec<Post>,
}

impl Default for Script {
    fn default() -> Script {
        let restore = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
        Script {
            invocations: VecDeque::new(),
            register: VecDeque::new(),
            shutdown: None,
            restore,
            posts: Vec::new(),
        }
    }
}

pub fn start(listener: TcpListener, script: Arc<Mutex<Script>>, record: Arc<Record>) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            if record.is_over() {
                return;
            }
            let Ok(stream) = stream else { continue };
            let (record, script) = (record.clone(), script.clone());
            let connection = record.opened(Side::Api);
            thread::spawn(move || {
                let _ = serve(stream, connection, &script, &record);
                record.closed(Side::Api, connection);
            });
        }
    });
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &Mutex<Script>,
    record: &Record,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(head) = http::read_head(&mut reader)? {
        let request = Message::parse(head);
        let number = record.received(Side::Api, connection, request.clone());
        let post =
            posted(&request.target).and_then(|n| script.lock().unwrap().posts.get(n - 1).cloned());
        let post = post.unwrap_or(Post::Accept);
        let pace = |length| match &post {
            Post::Hold(bytes, gate) if length >= *bytes => record.wait_for(gate),
            Post::HangUp(bytes) => length < *bytes,
            _ => true,
        };
        if !http::read_body(
            &mut reader,
            &request,
            &mut BodyRecorder {
                record,
                number,
                length: 0,
                proceed: pace,
            },
        )? {
            return Ok(());
        }
        record.amend(number, |message| message.complete = true);
        let Some((response, close)) = respond(&request, post, script, record) else {
            return Ok(());
        };
        stream.write_all(&response)?;
        if close
            || request
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        {
            return Ok(());
        }
    }
    Ok(())
}

fn registered() -> String {
    let body = r#"{"functionName":"fn","functionVersion":"$LATEST","handler":"h"}"#;
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: {EXTENSION}\r\nContent-Length: \
            {length}\r\n\r\n{body}"
    )
}

/// The invocation that a path belongs to: `req-1` is 1.
pub fn posted(target: &str) -> Option<usize> {
    let rest = target.strip_prefix("/2018-06-01/runtime/invocation/req-")?;
    rest.split('/')
        .next()?
        .parse()
        .ok()
        .filter(|number| *number > 0)
}

/// The response, and whether the connection closes after it; `None` at the end of the test.
fn respond(
    request: &Message,
    post: Post,
    script: &Mutex<Script>,
    record: &Record,
) -> Option<(Vec<u8>, bool)> {
    let keep = |bytes: &[u8]| Some((bytes.to_vec(), false));
    match (request.method.as_str(), request.target.as_str()) {
        ("POST", "/2020-01-01/extension/register") => {
            match script.lock().unwrap().register.pop_front() {
                Some(refusal) => Some((refusal, true)),
                None => keep(registered().as_bytes()),
            }
        }
        ("GET", "/2020-01-01/extension/event/next") => {
            record.wait_for("shutdown").then_some(())?;
            match script.lock().unwrap().shutdown.clone() {
                Some(event) => keep(&event),
                None => None,
            }
        }
        ("GET", "/2018-06-01/runtime/invocation/next") => next(script, record),
        ("GET", "/2018-06-01/runtime/restore/next") => {
            record.wait_for("restore").then_some(())?;
            keep(&script.lock().unwrap().restore)
        }
        ("POST", target) if target.starts_with("/2018-06-01/runtime/") => match post {
            Post::Response(bytes) => keep(&bytes),
            Post::Close => Some((ACCEPTED.to_vec(), true)),
            _ => keep(ACCEPTED),
        },
        _ => keep(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
    }
}

fn next(script: &Mutex<Script>, record: &Record) -> Option<(Vec<u8>, bool)> {
    let mut found = None;
    let go_on = record.wait(|inner| {
        let mut script = script.lock().unwrap();
        let open = |invocation: &Invocation| {
            invocation
                .after
                .as_ref()
                .is_none_or(|gate| inner.gates.contains(gate))
        };
        if !script.invocations.front().is_some_and(open) {
            return false;
        }
        // Taken and numbered under one lock, or two pollers could swap their numbers.
        let invocation = script.invocations.pop_front();
        script.posts.extend(
            invocation
                .iter()
                .filter(|invocation| invocation.raw.is_none())
                .map(|invocation| invocation.post.clone()),
        );
        found = invocation.map(|invocation| (invocation, script.posts.len()));
        true
    });
    let (invocation, number) = found.filter(|_| go_on)?;
    Some((
        invocation.bytes(&format!("req-{number}")),
        invocation.raw.is_some(),
    ))
}
