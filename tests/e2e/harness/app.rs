//! A scripted web app: for each request the next answer, an answer being raw bytes with pauses, gates and violence.
//!
//! Probes (what readiness sends) are told from invocations by their lack of any `x-amzn-` header, and are answered
//! from a script of their own.

use super::http::{self, Message};
use super::record::{Record, Side, Writer};
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
    Pass(String),
    Open(String),
    /// Closes in good order.
    Close,
    /// Closes with a TCP reset; the request is left unread for that, see `reset`.
    Reset,
    /// Never goes on.
    Hang,
}

#[derive(Clone, Default)]
pub struct Answer(pub Vec<Step>);

impl Answer {
    pub fn then(mut self, step: Step) -> Answer {
        self.0.push(step);
        self
    }

    pub fn send(self, bytes: impl AsRef<[u8]>) -> Answer {
        self.then(Step::Send(bytes.as_ref().to_vec()))
    }

    pub fn flood(self, bytes: impl AsRef<[u8]>, times: usize) -> Answer {
        self.then(Step::Flood(bytes.as_ref().to_vec(), times))
    }

    pub fn pause(self, milliseconds: u64) -> Answer {
        self.then(Step::Pause(Duration::from_millis(milliseconds)))
    }

    pub fn pass(self, gate: &str) -> Answer {
        self.then(Step::Pass(gate.to_owned()))
    }

    pub fn open(self, gate: &str) -> Answer {
        self.then(Step::Open(gate.to_owned()))
    }

    pub fn close(self) -> Answer {
        self.then(Step::Close)
    }

    pub fn reset(self) -> Answer {
        self.then(Step::Reset)
    }

    pub fn hang(self) -> Answer {
        self.then(Step::Hang)
    }
}

/// Exactly these bytes.
pub fn raw(bytes: impl AsRef<[u8]>) -> Answer {
    Answer::default().send(bytes)
}

/// `200 OK` and header lines with plain line ends, and a body; its length is added unless the head frames it.
pub fn answer(head: &str, body: impl AsRef<[u8]>) -> Answer {
    raw([
        response_head(head, Some(body.as_ref().len())).as_slice(),
        body.as_ref(),
    ]
    .concat())
}

/// The head of a response alone, as it goes over the wire.
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
    /// Answers to invocations, in order; the last one goes on being given.
    pub answers: VecDeque<Answer>,
    pub probes: VecDeque<Answer>,
    /// Answers to requests for one target, whatever they are.
    pub targets: Vec<(String, VecDeque<Answer>)>,
}

impl Script {
    fn next(&mut self, request: &Message) -> Answer {
        let target = self
            .targets
            .iter_mut()
            .find(|(target, _)| *target == request.target);
        let (answers, default) = match target {
            Some((_, answers)) => (answers, "text/plain"),
            None if is_probe(request) => (&mut self.probes, "text/x-probe"),
            None => (&mut self.answers, "text/plain"),
        };
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        next.unwrap_or_else(|| answer(&format!("200 OK\nContent-Type: {default}"), "ok"))
    }

    fn resets(&self) -> bool {
        let targets = self.targets.iter().flat_map(|(_, answers)| answers);
        self.answers
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

fn is_reset(answer: &Answer) -> bool {
    answer.0.iter().any(|step| matches!(step, Step::Reset))
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

/// Ends a `start`ed accept loop once the record is over.
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
    let resets = script.lock().unwrap().resets();
    loop {
        if resets && let Some(request) = peek(stream)? {
            let answer = script.lock().unwrap().next(&request);
            let number = record.received(Side::App, connection, request);
            if is_reset(&answer) {
                // Closing a socket that holds unread bytes sends a reset on Linux, which is the only way to one in std.
                return play(stream, answer, record);
            }
            if let Some(head) = http::read_head(&mut reader)? {
                finish(&mut reader, &Message::parse(head), number, record)?;
            }
            play(stream, answer, record)?;
            continue;
        }
        let Some(head) = http::read_head(&mut reader)? else {
            return Ok(());
        };
        let request = Message::parse(head);
        let number = record.received(Side::App, connection, request.clone());
        let answer = script.lock().unwrap().next(&request);
        finish(&mut reader, &request, number, record)?;
        play(stream, answer, record)?;
    }
}

fn finish(
    reader: &mut BufReader<&TcpStream>,
    request: &Message,
    number: usize,
    record: &Record,
) -> std::io::Result<()> {
    let mut writer = Writer {
        record,
        number,
        length: 0,
        pace: |_| true,
    };
    http::read_body(reader, request, &mut writer)?;
    record.amend(number, |message| message.complete = true);
    Ok(())
}

/// The head of the next request, left unread; nothing when the peer has closed.
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

fn play(mut stream: &TcpStream, answer: Answer, record: &Record) -> std::io::Result<()> {
    for step in answer.0 {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes)?,
            Step::Flood(bytes, times) => (0..times).try_for_each(|_| stream.write_all(&bytes))?,
            Step::Pause(duration) => thread::sleep(duration),
            Step::Pass(gate) => drop(record.pass(&gate)),
            Step::Open(gate) => record.open(&gate),
            Step::Close => {
                return stream
                    .shutdown(Shutdown::Both)
                    .and(Err(std::io::ErrorKind::ConnectionAborted.into()));
            }
            Step::Reset => return Err(std::io::ErrorKind::ConnectionReset.into()),
            Step::Hang => drop(record.wait(|_| false)),
        }
    }
    Ok(())
}
