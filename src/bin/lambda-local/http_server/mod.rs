//! HTTP/1.1 on the server's side (RFC 9112): request heads, bodies with trailers, and responses
//! that are written whole or in chunks.
//!
//! The front end, the Runtime API and the Extensions API need more than a server library offers:
//! the trailers of a streamed response, each chunk as soon as it arrives or is sent, and a
//! connection that can be aborted so that the client detects a truncated response. The HTTP code of
//! the adapter is not used, because it is under test here.

mod body;
mod head;

use std::cell::Cell;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use lambda_adapter::http::reason::reason;

pub use body::Body;
use head::Expectation;
pub use head::Head;

pub type Headers = Vec<(String, String)>;

/// Returns the first value of a header; names are case-insensitive.
pub fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Serves each connection on a thread of its own. `is_stopped` is checked whenever a connection is
/// accepted, so one more connection ends the loop.
pub fn serve(
    listener: TcpListener,
    is_stopped: impl Fn() -> bool,
    handle: impl Fn(&mut Exchange<'_>) -> io::Result<()> + Clone + Send + 'static,
) {
    for stream in listener.incoming() {
        if is_stopped() {
            return;
        }
        // The client closed the connection before it was accepted.
        let Ok(stream) = stream else { continue };
        let handle = handle.clone();
        std::thread::spawn(move || {
            // A client that disconnects or violates the protocol loses only its own connection.
            let _ = serve_connection(&stream, &handle);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn serve_connection(
    stream: &TcpStream,
    handle: &impl Fn(&mut Exchange<'_>) -> io::Result<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    loop {
        let head = match Head::read(&mut reader) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(error) => return reject(stream, error),
        };
        let expectation = match head.expectation() {
            Ok(expectation) => expectation,
            Err(error) => return reject(stream, error),
        };
        let mut body = match Body::new(&head, &mut reader) {
            Ok(body) => body,
            Err(error) => return reject(stream, error),
        };
        body.waiting_client = (expectation == Expectation::Continue).then_some(stream);
        let keep_alive = head.keep_alive;
        let mut exchange = Exchange {
            head,
            body,
            stream,
            sent: Cell::default(),
        };
        handle(&mut exchange)?;
        if !exchange.body.is_complete() || !keep_alive {
            return Ok(());
        }
    }
}

/// Responds to a request that cannot be understood; any other error is returned.
fn reject(mut stream: &TcpStream, error: io::Error) -> io::Result<()> {
    let status = match error.kind() {
        io::ErrorKind::InvalidData => 400,
        io::ErrorKind::Unsupported => 501,
        io::ErrorKind::InvalidInput => 505,
        _ => return Err(error),
    };
    let body = format!("{error}\n");
    let head = format!("HTTP/1.1 {status} {}\r\nconnection: close", reason(status));
    let length = body.len();
    write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// The part of a response that was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// 0: nothing yet.
    pub status: u16,
    pub body_len: u64,
}

/// One request, and the connection for its response.
#[derive(Debug)]
pub struct Exchange<'c> {
    pub head: Head,
    pub body: Body<'c, BufReader<TcpStream>>,
    pub stream: &'c TcpStream,
    sent: Cell<Sent>,
}

impl Exchange<'_> {
    /// Sends a whole response in one write, with `content-length`.
    pub fn respond<K: AsRef<str>, V: AsRef<str>>(
        &self,
        status: u16,
        headers: &[(K, V)],
        body: &[u8],
    ) -> io::Result<()> {
        let is_head = self.head.method == "HEAD";
        let mut names = headers.iter().map(|(name, _)| name.as_ref());
        let has_length = names.any(|name| name.eq_ignore_ascii_case("content-length"));
        let mut response = Vec::with_capacity(512 + body.len());
        push_head(&mut response, status, headers);
        // RFC 9110 8.6: no length with 204 and 304. The response to HEAD has the length that GET
        // would have, or none if it is not known.
        let is_unsized = matches!(status, 204 | 304) || (is_head && body.is_empty());
        if !has_length && !is_unsized {
            write!(response, "content-length: {}\r\n", body.len())?;
        }
        response.extend_from_slice(self.connection_header());
        response.extend_from_slice(b"\r\n");
        let mut body_len = 0;
        if !is_head && !matches!(status, 100..=199 | 204 | 304) {
            response.extend_from_slice(body);
            body_len = body.len() as u64;
        }
        self.sent.set(Sent { status, body_len });
        let mut stream = self.stream;
        stream.write_all(&response)
    }

    /// Sends the head of a response whose body follows in parts. Without `content-length`, these
    /// are chunks.
    pub fn begin_stream(
        &self,
        status: u16,
        headers: &[(String, String)],
    ) -> io::Result<ResponseStream<'_>> {
        let mut head = Vec::with_capacity(512);
        push_head(&mut head, status, headers);
        let framing = if header(headers, "content-length").is_some() {
            StreamFraming::Length
        } else if self.head.is_http_1_0 {
            // HTTP/1.0 clients do not know chunks.
            StreamFraming::UntilClose
        } else {
            StreamFraming::Chunks
        };
        head.extend_from_slice(match framing {
            StreamFraming::UntilClose => b"connection: close\r\n",
            _ => self.connection_header(),
        });
        if framing == StreamFraming::Chunks {
            head.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        head.extend_from_slice(b"\r\n");
        self.sent.set(Sent {
            status,
            body_len: 0,
        });
        let mut connection = self.stream;
        connection.write_all(&head)?;
        Ok(ResponseStream {
            connection,
            framing,
            sent: &self.sent,
        })
    }

    pub fn sent(&self) -> Sent {
        self.sent.get()
    }

    /// RFC 9112 9.3: HTTP/1.1 connections persist unless one side says otherwise, HTTP/1.0
    /// connections only if both sides agree.
    fn connection_header(&self) -> &'static [u8] {
        let persists = self.head.keep_alive && self.body.is_complete();
        match (persists, self.head.is_http_1_0) {
            (true, true) => b"connection: keep-alive\r\n",
            (true, false) => b"",
            (false, _) => b"connection: close\r\n",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamFraming {
    Chunks,
    /// The caller sends as many bytes as `content-length` says.
    Length,
    /// The end of the connection ends the body.
    UntilClose,
}

/// The body of a response that is sent in parts.
#[derive(Debug)]
pub struct ResponseStream<'s> {
    connection: &'s TcpStream,
    framing: StreamFraming,
    sent: &'s Cell<Sent>,
}

impl ResponseStream<'_> {
    /// Sends data at once. Empty data is not sent: an empty chunk would end the body.
    pub fn send(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let mut sent = self.sent.get();
        sent.body_len += data.len() as u64;
        self.sent.set(sent);
        if self.framing != StreamFraming::Chunks {
            return self.connection.write_all(data);
        }
        let size = format!("{:x}\r\n", data.len());
        self.connection
            .write_all(&[size.as_bytes(), data, b"\r\n"].concat())
    }

    /// Ends the body. The error for an HTTP/1.0 client makes the caller close the connection.
    pub fn end(mut self) -> io::Result<()> {
        match self.framing {
            StreamFraming::Chunks => self.connection.write_all(b"0\r\n\r\n"),
            StreamFraming::Length => Ok(()),
            StreamFraming::UntilClose => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

fn push_head<K: AsRef<str>, V: AsRef<str>>(out: &mut Vec<u8>, status: u16, headers: &[(K, V)]) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        // Against header injection: a name or value that could end the line is dropped.
        if !name.is_empty()
            && !name.contains(['\r', '\n', '\0', ':', ' '])
            && !value.contains(['\r', '\n', '\0'])
        {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
}
