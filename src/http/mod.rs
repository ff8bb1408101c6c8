//! HTTP/1.1 messages on any `Read`: parses response heads and bodies, writes request heads.
//!
//! This module knows neither Lambda nor sockets nor time. It is strict where two readers could
//! disagree about a message (RFC 9112 5, 6.3, 7.1 and 11): a field name is a token directly
//! followed by its colon, there is no bare CR, a length consists of digits, and lengths that
//! differ are an error. Deviations of real servers with one meaning are accepted, but a
//! connection is not reused after them: the adapter is the only reader of the response, and
//! nothing follows it. Harmless ones, such as a missing reason phrase, end no connection.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use crate::text;

mod body;
pub mod body_reader;
mod head;
pub mod path_guard;
pub mod reason;
pub mod request;
mod response;

pub use body::Body;
pub use codec::headers;
use codec::simd;
pub use head::{Framing, Head, parse_head, read_head};
pub use response::Response;

/// The `User-Agent` of every request the adapter makes itself.
pub const USER_AGENT: &str = concat!("lambda-adapter/", env!("CARGO_PKG_VERSION"));

/// Why a response could not be read.
#[derive(Debug)]
pub enum Error {
    Io(io::Error),
    /// The connection was closed after this many bytes of an incomplete head.
    ClosedInHead(usize),
    /// The connection was closed within the body.
    ClosedInBody {
        received: u64,
        /// The length that the head declares.
        declared: Option<u64>,
        /// The error, unless the connection was closed regularly.
        cause: Option<io::Error>,
    },
    /// The response violates RFC 9112.
    Malformed(Cow<'static, str>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => write!(f, "{error}"),
            Error::ClosedInHead(0) => write!(f, "connection closed without a response"),
            Error::ClosedInHead(n) => write!(f, "connection closed after {n} bytes of the head"),
            Error::ClosedInBody {
                received,
                declared,
                cause,
            } => {
                match cause {
                    Some(cause) => write!(f, "{cause}")?,
                    None => write!(f, "connection closed")?,
                }
                match declared {
                    Some(length) => write!(f, " after {received} of {length} bytes of the body"),
                    None => write!(f, " after {received} bytes of an unfinished body"),
                }
            }
            Error::Malformed(cause) => write!(f, "not a valid HTTP/1.1 response: {cause}"),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

fn malformed<T>(cause: impl Into<Cow<'static, str>>) -> Result<T, Error> {
    Err(Error::Malformed(cause.into()))
}

/// The size of a connection's first read: a usual message with its head.
const FIRST_READ: usize = 4 << 10;
/// Reads grow up to this size while they fill the buffer.
const LARGE_READ: usize = 64 << 10;

/// The read buffer of a connection: bytes that were received and not consumed yet.
#[derive(Debug)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The size of the buffer, once there is one.
    size: usize,
}

impl Default for Input {
    fn default() -> Input {
        Input::new(FIRST_READ)
    }
}

impl Input {
    /// `first_read` is the size of the first read.
    pub fn new(first_read: usize) -> Input {
        Input {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            size: first_read,
        }
    }

    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Reads once and appends; 0 is the end of the stream. A full buffer is compacted, or
    /// grows if there is nothing to compact, so callers limit how much they leave pending.
    pub fn fill(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        if self.buffer.len() < self.size {
            self.grow();
        } else if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.size = self.buffer.len() * 2;
                self.grow();
            }
        }
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let room = free.len();
        let count = from.read(free)?;
        self.end += count;
        if count == room && self.size < LARGE_READ {
            self.size = (self.size * 4).min(LARGE_READ);
        }
        Ok(count)
    }

    /// Moves what is pending into a buffer of the wanted size. Compiled for size, writing the
    /// zeros into a buffer that is there takes six instructions for each.
    fn grow(&mut self) {
        let mut buffer = vec![0; self.size];
        let pending = self.pending();
        let count = pending.len();
        if let Some(front) = buffer.get_mut(..count) {
            front.copy_from_slice(pending);
        }
        self.buffer = buffer;
        (self.start, self.end) = (0, count);
    }
}

/// Appends `METHOD target HTTP/1.1` and CRLF.
pub fn write_request_line(out: &mut Vec<u8>, method: &[u8], target: &[u8]) {
    for part in [method, b" ", target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends one header line. The caller has validated the name and the value.
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The index of the next such byte at or after `from`.
fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    let offset = simd::find(bytes.get(from..)?, wanted)?;
    Some(from + offset)
}

/// Parses digits only: no sign, no blanks. `None` also if 64 bits are too few.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    number(digits, 10)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    number(digits, 16)
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let value = digits.iter().try_fold(0u64, |value, byte| {
        let digit = (*byte as char).to_digit(radix)?;
        value
            .checked_mul(radix.into())?
            .checked_add(u64::from(digit))
    })?;
    (!digits.is_empty()).then_some(value)
}

/// The start of the first line, escaped for a log line.
fn excerpt(bytes: &[u8]) -> String {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let start = line.get(..40).unwrap_or(line);
    text::escaped_bytes(start)
}
