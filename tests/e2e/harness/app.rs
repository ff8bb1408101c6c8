//! A scripted web app: each request gets the next response, which is a list of steps: raw bytes,
//! pauses, gates, resets.
//!
//! Readiness probes have no `x-amzn-` header, unlike requests of invocations, and a script of their
//! own.

use super::http::{self, Message};
use super::record::{BodyRecorder, Record, Side};
use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// The gate that ends the listener and every connection.
pub const DOWN: &str = "the app goes down";

#[derive(Clone)]
pub enum Step {
    Send(Vec<u8>),
    /// The same bytes this many times.
    Flood(Vec<u8>, usize),
    Pause(Duration),
    /// Waits until the gate is open.
    WaitFor(String),
    Open(String),
    /// Closes in good order.
    Close,
    /// Closes with a TCP reset, for which the request is left unread.
    Reset,
    /// Never continues.
    Hang,
}

#[derive(Clone, Default)]
pub struct Response(pub Vec<Step>);

impl Response {
    pub fn then(mut self, step: Step) -> Response {
        self.0.push(step);
        self
    }

    pub fn send(self, bytes: impl AsRef<[u8]>) -> Response {
        self.then(Step::Send(bytes.as_ref().to_vec()))
    }

    pub fn flood(self, bytes: impl AsRef<[u8]>, times: usize) -> Response {
        self.then(Step::Flood(bytes.as_ref().to_vec(), times))
    }

    pub fn pause(self, milliseconds: u64) -> Response {
        self.then(Step::Pause(Duration::from_millis(milliseconds)))
    }

    pub fn wait_for(self, gate: &str) -> Response {
        self.then(Step::WaitFor(gate.to_owned()))
    }

    pub fn open(self, gate: &str) -> Response {
        self.then(Step::Open(gate.to_owned()))
    }

    pub fn close(self) -> Response {
        self.then(Step::Close)
    }

    pub fn reset(self) -> Response {
        self.then(Step::Reset)
    }

    pub fn hang(self) -> Response {
        self.then(Step::Hang)
    }
}

/// Exactly these bytes.
pub fn raw(bytes: impl AsRef<[u8]>) -> Response {
    Response::default().send(bytes)
}

/// A response of a status with header lines, which end with LF here, and a body; its length is
/// added unless the head frames it.
pub fn response(head: &str, body: impl AsRef<[u8]>) -> Response {
    raw([
        response_head(head, Some(body.as_ref().len())).as_slice(),
        body.as_ref(),
    ]
    .concat())
}

/// The head of such a response, with CRLF.
pub fn response_head(head: &str, length: Option<usize>) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {}\r\n", head.trim().replace('\n', "\r\n"));
    let lower = text.to_ascii_lowercase();
    if let (Some(length), false) = (
        length,
        lower.contains("content-length:") || lower.contains("transfer-encoding:"),
    ) {
        text += &format!("Content-Length: {length}\r\n");
    }
    (text + "\r\n").into_bytes()
}

/// One chunk of a chunked body.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[derive(Default)]
pub struct Script {
    /// Responses to invocations, in order; the last one repeats.
    pub responses: VecDeque<Response>,
    pub probes: VecDeque<Response>,
    /// Responses to all requests for one target.
    pub targets: Vec<(String, VecDeque<Response>)>,
}

impl Script {
    fn next(&mut self, request: &Message) -> Response {
        let target = self
            .targets
            .iter_mut()
            .find(|(target, _)| *target == request.target);
        let (responses, default) = match target {
            Some((_, responses)) => (responses, "text/plain"),
            None if is_probe(request) => (&mut self.probes, "text/x-probe"),
            None => (&mut self.responses, "text/plain"),
        };
        let next = if responses.len() > 1 {
            responses.pop_front()
        } else {
            responses.front().cloned()
        };
        next.unwrap_or_else(|| response(&format!("200 OK\nContent-Type: {default}"), "ok"))
    }

    fn has_reset(&self) -> bool {
        let targets = self.targets.iter().flat_map(|(_, responses)| responses);
        self.responses
            .iter()
            .chain(&self.probes)
            .chain(targets)
            .any(is_reset)
    }
}

pub fn is_probe(request: &Message) -> bool {
    request.method == "GET"
        && !request
            .headers
            .iter()
            .any(|(name, _)| name.to_ascii_lowercase().starts_with("x-amzn-"))
}

fn is_reset(response: &Response) -> bool {
    response.0.iter().any(|step| matches!(step, Step::Reset))
}

/// A listener that accepts no connection, with a full queue of them.
pub struct FullQueue {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl FullQueue {
    pub fn new() -> FullQueue {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        rustix::net::listen(&listener, 0).expect("a shorter queue");
        let address = listener.local_addr().expect("an address");
        let wait = Duration::from_millis(200);
        let next = || TcpStream::connect_timeout(&address, wait).ok();
        let queue: Vec<_> = std::iter::from_fn(next).collect();
        assert!(!queue.is_empty());
        FullQueue {
            listener,
            _queue: queue,
        }
    }

    pub fn port(&self) -> String {
        let address = self.listener.local_addr();
        address.expect("an address").port().to_string()
    }
}

pub fn start(listener: TcpListener, script: Script, record: Arc<Record>) {
    let script = Arc::new(Mutex::new(script));
    thread::spawn(move || {
        let mut streams: Vec<Weak<TcpStream>> = Vec::new();
        for stream in listener.incoming() {
            if record.is_over() || record.lock().gates.contains(DOWN) {
                let open = streams.iter().filter_map(Weak::upgrade);
                open.for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
                return;
            }
            let Ok(stream) = stream else { continue };
            let stream = Arc::new(stream);
            streams.push(Arc::downgrade(&stream));
            let (record, script) = (record.clone(), script.clone());
            let connection = record.opened(Side::App);
            thread::spawn(move || {
                let _ = serve(&stream, connection, &script, &record);
                drop(stream);
                record.closed(Side::App, connection);
            });
        }
    });
}

/// Ends a `start`ed accept loop once the test is over.
pub fn stop(address: SocketAddr) {
    let _ = TcpStream::connect(address);
}

fn serve(
    stream: &TcpStream,
    connection: usize,
    script: &Mutex<Script>,
    record: &Record,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let has_reset = script.lock().unwrap().has_reset();
    loop {
        if has_reset && let Some(request) = peek(stream)? {
            let response = script.lock().unwrap().next(&request);
            let number = record.received(Side::App, connection, request);
            if is_reset(&response) {
                // Closing a socket that holds unread bytes sends a reset on Linux; std has no other
                // way.
                return play(stream, response, record);
            }
            if let Some(head) = http::read_head(&mut reader)? {
                read_body(&mut reader, &Message::parse(head), number, record)?;
            }
            play(stream, response, record)?;
            continue;
        }
        let Some(head) = http::read_head(&mut reader)? else {
            return Ok(());
        };
        let request = Message::parse(head);
        let number = record.received(Side::App, connection, request.clone());
        let response = script.lock().unwrap().next(&request);
        read_body(&mut reader, &request, number, record)?;
        play(stream, response, record)?;
    }
}

fn read_body(
    reader: &mut BufReader<&TcpStream>,
    request: &Message,
    number: usize,
    record: &Record,
) -> std::io::Result<()> {
    let mut writer = BodyRecorder {
        record,
        number,
        length: 0,
        proceed: |_| true,
    };
    http::read_body(reader, request, &mut writer)?;
    record.amend(number, |message| message.complete = true);
    Ok(())
}

/// The head of the next request, left unread; `None` when the peer has closed.
fn peek(stream: &TcpStream) -> std::io::Result<Option<Message>> {
    let mut buffer = vec![0; 1 << 20];
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let length = stream.peek(&mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        if let Some(end) = buffer[..length]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            return Ok(Some(Message::parse(buffer[..end + 4].to_vec())));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(None)
}

fn play(mut stream: &TcpStream, response: Response, record: &Record) -> std::io::Result<()> {
    let mut ended = Ok(());
    for step in response.0 {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes)?,
            Step::Flood(bytes, times) => (0..times).try_for_each(|_| stream.write_all(&bytes))?,
            Step::Pause(duration) => thread::sleep(duration),
            Step::WaitFor(gate) => drop(record.wait_for(&gate)),
            Step::Open(gate) => record.open(&gate),
            Step::Close => {
                stream.shutdown(Shutdown::Both)?;
                ended = Err(std::io::ErrorKind::ConnectionAborted.into());
            }
            Step::Reset => return Err(std::io::ErrorKind::ConnectionReset.into()),
            Step::Hang => drop(record.wait(|_| false)),
        }
    }
    ended
}
