//! HTTP/1.1 messages on a blocking socket: just enough for well-behaved peers.
//!
//! The fake Runtime API, the app and the floor all read through this one type, so that none of them
//! is faster than another. It parses only the framing of a message (RFC 9112 section 6), reads in
//! large pieces, and passes a body on in the slices it arrived in: a 64 MB stream is never stored.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;

/// Large enough that a 4 MB message is a few reads; untouched pages cost nothing.
const BUFFER: usize = 128 * 1024;

pub struct Conn {
    stream: TcpStream,
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

/// A message's head. `line` is the length of its first line: the bytes stay in the connection's
/// buffer until the body is read.
pub struct Head {
    at: usize,
    line: usize,
    length: Option<usize>,
    pub chunked: bool,
    pub close: bool,
}

impl Conn {
    pub fn new(stream: TcpStream, nodelay: bool) -> Result<Conn> {
        stream.set_nodelay(nodelay)?;
        Ok(Conn {
            stream,
            buf: vec![0; BUFFER],
            start: 0,
            end: 0,
        })
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.stream.write_all(message)
    }

    /// The next message's head, or `None` when the peer closed between messages.
    pub fn head(&mut self) -> Result<Option<Head>> {
        let mut seen: usize = 0;
        loop {
            // Counted from `start`, which moves when the buffer is filled.
            let from = self.start + seen.saturating_sub(3);
            if let Some(at) = end_of_head(&self.buf[from..self.end]) {
                let head = parse(&self.buf[self.start..from + at], self.start);
                self.start = from + at + 4;
                return Ok(Some(head));
            }
            seen = self.end - self.start;
            if self.end == self.buf.len() {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    "a head larger than the buffer",
                ));
            }
            if self.fill()? == 0 {
                if self.start == self.end {
                    return Ok(None);
                }
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The first line of a head whose body has not been read yet.
    pub fn line(&self, head: &Head) -> &[u8] {
        &self.buf[head.at..head.at + head.line]
    }

    /// The whole of such a head.
    pub fn fields(&self, head: &Head) -> &[u8] {
        &self.buf[head.at..self.start]
    }

    /// Reads the body to its end, giving each piece to `sink`; returns its length.
    pub fn body(&mut self, head: &Head, mut sink: impl FnMut(&[u8])) -> Result<usize> {
        if !head.chunked {
            let length = head.length.unwrap_or(0);
            self.take(length, &mut sink)?;
            return Ok(length);
        }
        let mut total = 0;
        loop {
            let size = self.short_line()?;
            let digits = size.split(|b| *b == b';').next().unwrap_or_default();
            let text = std::str::from_utf8(digits).unwrap_or("").trim();
            let size = usize::from_str_radix(text, 16)
                .map_err(|_| Error::new(ErrorKind::InvalidData, format!("chunk size `{text}`")))?;
            if size == 0 {
                break;
            }
            self.take(size, &mut sink)?;
            self.take(2, &mut |_: &[u8]| ())?;
            total += size;
        }
        loop {
            let trailer = self.short_line()?;
            if trailer.is_empty() {
                return Ok(total);
            }
            // An adapter that ends a stream early reports it here (AWS: custom runtimes, response
            // streaming): such a response must not pass for a fast one.
            if trailer
                .to_ascii_lowercase()
                .starts_with(b"lambda-runtime-function-error-type")
            {
                let text = String::from_utf8_lossy(&trailer).into_owned();
                return Err(Error::new(ErrorKind::InvalidData, text));
            }
        }
    }

    /// Waits until the peer closes: the pending `event/next`.
    pub fn park(&mut self) {
        while matches!(self.fill(), Ok(n) if n > 0) {
            (self.start, self.end) = (0, 0);
        }
    }

    pub fn take(&mut self, mut left: usize, mut sink: impl FnMut(&[u8])) -> Result<()> {
        while left > 0 {
            if self.start == self.end && self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let n = left.min(self.end - self.start);
            sink(&self.buf[self.start..self.start + n]);
            self.start += n;
            left -= n;
        }
        Ok(())
    }

    fn short_line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            self.take(1, &mut |byte: &[u8]| line.extend_from_slice(byte))?;
        }
        line.truncate(line.len() - 2);
        Ok(line)
    }

    fn fill(&mut self) -> Result<usize> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buf.len() {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let n = self.stream.read(&mut self.buf[self.end..])?;
        self.end += n;
        Ok(n)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n")
}

fn parse(bytes: &[u8], at: usize) -> Head {
    let mut lines = bytes.split(|b| *b == b'\n');
    let line = lines.next().unwrap_or_default().trim_ascii_end().len();
    let mut head = Head {
        at,
        line,
        length: None,
        chunked: false,
        close: false,
    };
    for field in lines {
        let value = |name: &[u8]| {
            let (start, rest) = field.split_at_checked(name.len())?;
            start.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
        };
        if let Some(text) = value(b"content-length:") {
            head.length = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
        } else if let Some(text) = value(b"transfer-encoding:") {
            head.chunked = text.eq_ignore_ascii_case(b"chunked");
        } else if let Some(text) = value(b"connection:") {
            head.close = text.eq_ignore_ascii_case(b"close");
        }
    }
    head
}
