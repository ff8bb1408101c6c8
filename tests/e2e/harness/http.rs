//! The server's half of HTTP/1.1 (RFC 9112), as little as the fakes need, independent of the
//! adapter's own.
//!
//! It stores the raw bytes beside the parsed message, and the time of each piece of a body, since
//! some tests are about time.

use std::io::{self, BufRead};
use std::time::Duration;

/// Larger bodies are counted and not stored.
const MAX_STORED: usize = 16 << 20;

#[derive(Clone, Default)]
pub struct Message {
    pub method: String,
    pub target: String,
    pub head: Vec<u8>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub length: usize,
    /// The time and length of each read of the body.
    pub pieces: Vec<(Duration, usize)>,
    /// The chunks of a chunked body, by length.
    pub chunks: Vec<usize>,
    pub trailers: Vec<(String, String)>,
    /// The body was complete; false while it arrives and when it was cut short.
    pub complete: bool,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(named)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    pub fn trailer(&self, name: &str) -> Option<&str> {
        let mut named = self
            .trailers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, v)| v.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The bytes as received, for sized bodies.
    pub fn raw(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.body].concat()
    }

    pub fn push_piece(&mut self, at: Duration, piece: &[u8]) {
        self.pieces.push((at, piece.len()));
        self.length += piece.len();
        if self.body.len() + piece.len() <= MAX_STORED {
            self.body.extend_from_slice(piece);
        }
    }

    pub fn parse(head: Vec<u8>) -> Message {
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let (method, rest) = first.split_once(' ').unwrap_or((first, ""));
        let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
        Message {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: fields(lines),
            head,
            ..Message::default()
        }
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let pairs = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once(':').unwrap_or((line, "")));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// Reads a head with its empty line; `None` when the peer closed between messages.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        if reader.read_until(b'\n', &mut head)? == 0 {
            return if head.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        if matches!(&head[before..], b"\r\n" | b"\n") {
            return Ok(Some(head));
        }
    }
}

/// Receives a body while it is read. `piece` may wait, which makes a slow reader; returning false
/// hangs up.
pub trait BodySink {
    fn piece(&mut self, bytes: &[u8]) -> bool;
    fn chunk(&mut self, length: usize);
    fn trailers(&mut self, fields: Vec<(String, String)>);
}

/// Reads the body that the head announces; false when the sink hung up.
pub fn read_body(
    reader: &mut impl BufRead,
    head: &Message,
    sink: &mut impl BodySink,
) -> io::Result<bool> {
    if head
        .all("transfer-encoding")
        .iter()
        .any(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        return read_chunked(reader, sink);
    }
    let length = head
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    read_sized(reader, length, sink)
}

fn read_sized(
    reader: &mut impl BufRead,
    mut left: usize,
    sink: &mut impl BodySink,
) -> io::Result<bool> {
    while left > 0 {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = available.len().min(left);
        if !sink.piece(&available[..length]) {
            return Ok(false);
        }
        reader.consume(length);
        left -= length;
    }
    Ok(true)
}

fn read_chunked(reader: &mut impl BufRead, sink: &mut impl BodySink) -> io::Result<bool> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("chunk size line {line:?}"),
            )
        })?;
        if length == 0 {
            break;
        }
        sink.chunk(length);
        if !read_sized(reader, length, sink)? {
            return Ok(false);
        }
        let mut end = [0; 2];
        reader.read_exact(&mut end)?;
        if &end != b"\r\n" {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "no CRLF after a chunk",
            ));
        }
    }
    // The trailer section ends with an empty line, as a head does (RFC 9112 7.1.2).
    let trailers = read_head(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let text = String::from_utf8_lossy(&trailers).into_owned();
    sink.trailers(fields(text.split("\r\n")));
    Ok(true)
}
