//! An adapter between a Runtime API with one invocation and an app with one response at a time.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The app closes the connection after its response, so no outcome takes long.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub enum Outcome {
    Carried(Reply),
    /// The message posted to `/error`.
    Failed(String),
    /// The process ended, or posted nothing.
    Lost(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u64,
    pub is_base64: bool,
    pub body: Vec<u8>,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.body.get(..100).unwrap_or(&self.body);
        let coding = if self.is_base64 { "base64" } else { "text" };
        write!(f, "{} {coding} `{}`", self.status, start.escape_ascii())
    }
}

/// One adapter, which is started again when it has ended.
pub struct Adapter {
    binary: PathBuf,
    shared: Arc<Shared>,
    posts: Receiver<(String, Vec<u8>)>,
    api: u16,
    app: u16,
    child: Option<Child>,
    number: usize,
}

/// What the two servers hand out.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The invocation that the next `/next` gets.
    event: Option<(String, Vec<u8>)>,
    wire: Vec<u8>,
}

impl Adapter {
    pub fn new(binary: PathBuf) -> Adapter {
        let shared = Arc::new(Shared::default());
        let (sender, posts) = channel();
        let (for_app, for_api) = (shared.clone(), shared.clone());
        let app = serve(move |stream| app(stream, &for_app));
        let api = serve(move |stream| runtime_api(stream, &for_api, &sender));
        Adapter {
            binary,
            shared,
            posts,
            api,
            app,
            child: None,
            number: 0,
        }
    }

    /// Sends a request through the adapter, to which the app sends these bytes and closes.
    pub fn play(&mut self, method: &str, wire: &[u8]) -> Outcome {
        self.number += 1;
        let id = format!("id-{}", self.number);
        {
            let mut state = self.shared.state.lock().expect("the state");
            state.wire = wire.to_vec();
            state.event = Some((id.clone(), event(method)));
        }
        self.shared.changed.notify_all();
        if self.child.is_none() {
            self.child = Some(self.spawn());
        }
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            match self.posts.recv_timeout(Duration::from_millis(50)) {
                Ok((target, body)) if target.contains(&format!("/{id}/")) => {
                    return outcome(&target, &body);
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let ended = self.child.as_mut().map(Child::try_wait);
                    if matches!(ended, Some(Ok(Some(_)))) {
                        self.child = None;
                        return Outcome::Lost("ended");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.stop();
        Outcome::Lost("posted nothing")
    }

    fn spawn(&self) -> Child {
        Command::new(&self.binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", self.api))
            .env("AWS_LAMBDA_FUNCTION_NAME", "fn")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_LWA_PORT", self.app.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the adapter starts")
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A function URL's event.
fn event(method: &str) -> Vec<u8> {
    let domain = "u3.lambda-url.eu-west-1.on.aws";
    let http = json!({"method": method, "path": "/x", "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.7", "userAgent": "curl/8"});
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/x", "rawQueryString": "",
        "headers": {"host": domain}, "isBase64Encoded": false,
        "requestContext": {"accountId": "anonymous", "apiId": "u3", "domainName": domain,
            "domainPrefix": "u3", "http": http, "requestId": "q-3", "routeKey": "$default",
            "stage": "$default", "time": "03/Feb/2026:10:11:12 +0000",
            "timeEpoch": 1770113472000u64}
    })
    .to_string()
    .into_bytes()
}

fn outcome(target: &str, body: &[u8]) -> Outcome {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    if target.ends_with("/error") {
        let message = value["errorMessage"].as_str().unwrap_or_default();
        return Outcome::Failed(message.to_owned());
    }
    let text = value["body"].as_str().unwrap_or_default();
    let is_base64 = value["isBase64Encoded"] == true;
    let mut decoded = Vec::new();
    if is_base64 {
        codec::base64::decode(&mut decoded, text.as_bytes()).expect("base64");
    } else {
        decoded.extend_from_slice(text.as_bytes());
    }
    Outcome::Carried(Reply {
        status: value["statusCode"].as_u64().unwrap_or(0),
        is_base64,
        body: decoded,
    })
}

/// Serves each connection in a thread; returns the port.
fn serve(handle: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = handle.clone();
            thread::spawn(move || drop(handle(stream)));
        }
    });
    port
}

fn app(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((target, _)) = read_message(&mut reader)? {
        if target == "/x" {
            let wire = shared.state.lock().expect("the state").wire.clone();
            return stream.write_all(&wire);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}

fn runtime_api(
    mut stream: TcpStream,
    shared: &Shared,
    posts: &Sender<(String, Vec<u8>)>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((target, body)) = read_message(&mut reader)? {
        let (head, payload) = match &*target {
            "/2020-01-01/extension/register" => {
                let id = "Lambda-Extension-Identifier: e".to_owned();
                (format!("200 OK\r\n{id}"), b"{}".to_vec())
            }
            "/2020-01-01/extension/event/next" => loop {
                thread::park();
            },
            "/2018-06-01/runtime/invocation/next" => {
                let (id, event) = next(shared);
                let arn = "arn:aws:lambda:us-east-1:123456789012:function:fn";
                let head = format!(
                    "200 OK\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n\
                     Lambda-Runtime-Deadline-Ms: 99999999999999\r\n\
                     Lambda-Runtime-Invoked-Function-Arn: {arn}"
                );
                (head, event)
            }
            _ => {
                let _ = posts.send((target, body));
                ("202 Accepted".to_owned(), b"{}".to_vec())
            }
        };
        let length = payload.len();
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(&[head.into_bytes(), payload].concat())?;
    }
    Ok(())
}

/// Waits for an invocation.
fn next(shared: &Shared) -> (String, Vec<u8>) {
    let mut state = shared.state.lock().expect("the state");
    loop {
        match state.event.take() {
            Some(event) => return event,
            None => state = shared.changed.wait(state).expect("the state"),
        }
    }
}

/// The target and the body of the next request; its body has a length or none.
fn read_message(reader: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if target.is_empty() {
            target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((target, body)))
}
