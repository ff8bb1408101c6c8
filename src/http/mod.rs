//! HTTP/1.1 messages on any `Read`: reading heads and bodies, writing heads and chunks.
//!
//! Knows nothing of Lambda, sockets or time. Strict where leniency is dangerous (RFC 9112
//! sections 2.2, 5, 6.3, 7.1 and 11): a line ends with CRLF, a name is a token with its colon
//! right behind it, a length is digits, and two lengths that differ are no length. What is
//! merely ugly (a missing reason phrase, an unknown status) is let through.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

mod body;
pub mod body_reader;
mod head;
pub mod path_guard;
pub mod reason;
pub mod request;
mod response;

pub use body::Body;
pub use codec::headers;
pub use head::{Framing, Head, parse_head, read_head};
pub use response::Response;

/// The `User-Agent` of every request the adapter makes itself.
pub const USER_AGENT: &str = concat!("lambda-adapter/", env!("CARGO_PKG_VERSION"));

/// Why a message could not be read.
#[derive(Debug)]
pub enum Error {
    Io(io::Error),
    /// The connection ended before the head was whole, after so many bytes.
    ClosedInHead(usize),
    /// The connection ended within the body, after `got` bytes `of` so many, if that was said.
    ClosedInBody {
        got: u64,
        of: Option<u64>,
        /// How, unless it was simply closed.
        cause: Option<io::Error>,
    },
    Malformed(Cow<'static, str>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => write!(f, "{error}"),
            Error::ClosedInHead(0) => write!(f, "connection closed without a response"),
            Error::ClosedInHead(n) => write!(f, "connection closed after {n} bytes of the head"),
            Error::ClosedInBody { got, of, cause } => {
                match cause {
                    Some(cause) => write!(f, "{cause}")?,
                    None => write!(f, "connection closed")?,
                }
                match of {
                    Some(of) => write!(f, " after {got} of {of} bytes of the body"),
                    None => write!(f, " after {got} bytes of an unfinished body"),
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

fn malformed<T>(what: impl Into<Cow<'static, str>>) -> Result<T, Error> {
    Err(Error::Malformed(what.into()))
}

/// Bytes received and not yet used: one buffer a connection, kept between messages.
#[derive(Debug)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub fn new(capacity: usize) -> Input {
        Input {
            buffer: vec![0; capacity],
            start: 0,
            end: 0,
        }
    }

    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Reads once and appends; 0 is the end of the stream. Makes room first, by moving what
    /// is pending to the front, then by growing (callers bound what they let pend).
    pub fn fill(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize(self.buffer.len().max(512) * 2, 0);
            }
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let count = from.read(room)?;
        self.end += count;
        Ok(count)
    }
}

/// Appends `METHOD target HTTP/1.1`.
pub fn write_request_line(out: &mut Vec<u8>, method: &[u8], target: &[u8]) {
    for part in [method, b" ", target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Appends one header line. The caller vouches for name and value: see `request.rs`.
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    let at = bytes.get(from..)?.iter().position(|byte| *byte == wanted)?;
    Some(from + at)
}

/// Digits only; `None` for anything else and for what 64 bits do not hold.
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

/// The beginning of what came, made safe for a log line.
fn excerpt(bytes: &[u8]) -> String {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let start = line.get(..40).unwrap_or(line);
    start.escape_ascii().to_string()
}
