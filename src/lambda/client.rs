//! The HTTP client for the Runtime and Extensions API: whole posts and streamed ones.
//!
//! A streamed post ends with trailers where its body fails (RFC 9112 7.1.2), which is how the
//! Runtime API learns of a failure after the response has begun ("Response streaming", Runtime
//! API).

use std::io::{self, ErrorKind, IoSlice, Write};
use std::time::Duration;

use crate::logger::line::error;
use codec::base64;

use super::{ApiError, MAX_TRAILER_MESSAGE, error_body};
use crate::error::Failure;
use crate::http::body_reader::{BodyReader, Chunk, Wait};
use crate::http::headers::Headers;
use crate::http::{self, Body, Error, USER_AGENT};
use crate::net::connect::{Addresses, Connector};
use crate::net::connection::{AttemptError, Connection};
use crate::net::deadline::Deadline;
use crate::net::resolve;

/// A response of the API with more bytes is refused: events end at 6 MB.
const MAX_RESPONSE: usize = 64 << 20;
/// As long as Linux itself tries to connect, by default: the API answers no one else's calls.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(130);
/// Pieces of a streamed body up to this size are gathered into one write.
const GATHER: usize = 16 << 10;

/// One call of the API.
pub struct Call<'a> {
    pub path: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    pub payload: Payload<'a>,
    /// The deadline of the invocation that the call is about. A call without one never times
    /// out: `/next` may take hours.
    pub deadline_ms: Option<u64>,
}

/// What a call posts.
pub enum Payload<'a> {
    /// Nothing: the call is a GET.
    None,
    Whole(&'a [u8]),
    Stream {
        prelude: &'a [u8],
        body: &'a mut (dyn BodyReader + 'a),
    },
}

/// One caller's connection to the API, kept between calls.
#[derive(Debug)]
pub struct Client {
    address: String,
    idle: Option<Connection>,
    head: Vec<u8>,
}

impl Client {
    /// `address` is `host:port`.
    pub fn new(address: &str) -> Client {
        Client {
            address: address.to_owned(),
            idle: None,
            head: Vec::new(),
        }
    }

    /// Connects ahead of the first call. If that fails, the call reports it.
    pub fn connect_ahead(&mut self) {
        if self.idle.is_none() {
            self.idle = self.connect().ok();
        }
    }

    /// Makes the call and returns the status; the response's fields and body replace `headers`
    /// and `into`.
    pub fn call(
        &mut self,
        call: Call,
        headers: &mut Headers,
        into: &mut Vec<u8>,
    ) -> Result<u16, ApiError> {
        headers.clear();
        into.clear();
        let is_stream = matches!(call.payload, Payload::Stream { .. });
        let is_post = !matches!(call.payload, Payload::None);
        let mut deadline = match call.deadline_ms {
            Some(_) if is_stream => {
                Deadline::at("the streamed response".into(), call.deadline_ms, None)
            }
            Some(_) => Deadline::at(["POST ", call.path].concat(), call.deadline_ms, None),
            None => Deadline::none(),
        };
        self.write_head(&call);
        let mut connection = match self.idle.take() {
            Some(connection) => connection,
            None => self
                .connect()
                .map_err(|cause| ApiError::Unconnected(cause.to_string()))?,
        };
        let (head, sent) = match call.payload {
            Payload::Stream { prelude, body } => {
                let sent = self.stream(&connection, prelude, body, &mut deadline);
                // The API's status says more than a write that failed.
                let head = connection.exchange(&[], &[], headers, false, &mut deadline);
                (head, sent)
            }
            Payload::Whole(body) => {
                let head = connection.exchange(&self.head, body, headers, false, &mut deadline);
                (head, Ok(()))
            }
            Payload::None => {
                let head = connection.exchange(&self.head, &[], headers, false, &mut deadline);
                (head, Ok(()))
            }
        };
        let head = match head {
            Ok(head) => head,
            Err(attempt) => return Err(without_response(&attempt)),
        };
        let mut body = Body::new(head.framing);
        match read(&mut body, &mut connection, &mut deadline, into) {
            // What was posted is accepted, whatever else the API wanted to say.
            Err(_) if is_post && sent.is_ok() && (200..=299).contains(&head.status) => {
                return Ok(head.status);
            }
            read => read?,
        }
        // AWS documents that a runtime closes the connection after a streamed response; AWS's own
        // client for Node.js keeps it. Where the API closes it, `/next` is sent again.
        let is_regular = head.reusable && sent.is_ok() && !body.is_odd();
        if is_regular && connection.input.pending().is_empty() {
            self.idle = Some(connection);
        }
        match (head.status, sent) {
            (200..=299, Err(cause)) => Err(transport(&cause)),
            (status, _) => Ok(status),
        }
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connector = Connector::to(resolve::endpoint(&self.address)?);
        let stream = connector.connect(Addresses::All, CONNECT_TIMEOUT)?;
        Ok(Connection::new(stream))
    }

    fn write_head(&mut self, call: &Call) {
        let out = &mut self.head;
        out.clear();
        let method: &[u8] = match call.payload {
            Payload::None => b"GET",
            _ => b"POST",
        };
        http::write_request_line(out, method, call.path.as_bytes());
        http::write_field(out, b"host", self.address.as_bytes());
        http::write_field(out, b"user-agent", USER_AGENT.as_bytes());
        for (name, value) in call.fields {
            http::write_field(out, name.as_bytes(), value.as_bytes());
        }
        match call.payload {
            Payload::None => {}
            Payload::Whole(body) => {
                let length = body.len().to_string();
                http::write_field(out, b"content-length", length.as_bytes());
            }
            Payload::Stream { .. } => {
                http::write_field(out, b"transfer-encoding", b"chunked");
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Sends the head, the prelude, and each piece of the body in a chunk of its own as soon as
    /// it is there. A body that fails ends with the error trailers.
    fn stream(
        &mut self,
        connection: &Connection,
        prelude: &[u8],
        body: &mut dyn BodyReader,
        deadline: &mut Deadline,
    ) -> io::Result<()> {
        let out = &mut self.head;
        write_chunk(out, prelude)?;
        let mut wait = Wait::NoBlock;
        loop {
            let data = match body.fill(wait) {
                Ok(Chunk::Data(data)) => data,
                Ok(Chunk::Pending) => {
                    flush(connection, out, &[], deadline)?;
                    wait = Wait::Block;
                    continue;
                }
                Ok(Chunk::End) => {
                    out.extend_from_slice(b"0\r\n\r\n");
                    return flush(connection, out, &[], deadline);
                }
                Err(failure) => {
                    error!("invocation failed after its response had begun: {failure}");
                    write_error_trailers(out, &failure)?;
                    return flush(connection, out, &[], deadline);
                }
            };
            wait = Wait::NoBlock;
            let count = data.len();
            if count <= GATHER {
                write_chunk(out, data)?;
                if out.len() >= 2 * GATHER {
                    flush(connection, out, &[], deadline)?;
                }
            } else {
                write!(out, "{count:x}\r\n")?;
                flush(connection, out, data, deadline)?;
            }
            body.consume(count);
        }
    }
}

fn read(
    body: &mut Body,
    connection: &mut Connection,
    deadline: &mut Deadline,
    into: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let (input, mut reader) = connection.reader(deadline, true);
    match body.read_to(input, &mut reader, into, MAX_RESPONSE) {
        Ok(true) => Ok(()),
        Ok(false) => Err(transport(&format_args!(
            "the response has more than {MAX_RESPONSE} bytes"
        ))),
        Err(cause) => Err(transport(&format_args!("the response broke off: {cause}"))),
    }
}

fn without_response(attempt: &AttemptError) -> ApiError {
    let cause = attempt.error.to_string();
    match &attempt.error {
        _ if attempt.response_started => ApiError::Transport(cause),
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => ApiError::TimedOut(cause),
        _ => ApiError::Closed(cause),
    }
}

fn transport(cause: &dyn std::fmt::Display) -> ApiError {
    ApiError::Transport(cause.to_string())
}

/// Sends `out`, and the data of a chunk whose size line ends it, with the line end after it.
fn flush(
    connection: &Connection,
    out: &mut Vec<u8>,
    data: &[u8],
    deadline: &mut Deadline,
) -> io::Result<()> {
    let end: &[u8] = if data.is_empty() { b"" } else { b"\r\n" };
    let whole = connection.send(&mut [out, data, end].map(IoSlice::new), deadline)?;
    out.clear();
    if whole {
        Ok(())
    } else {
        Err(io::Error::other("the Runtime API responded before the end"))
    }
}

fn write_chunk(out: &mut Vec<u8>, data: &[u8]) -> io::Result<()> {
    write!(out, "{:x}\r\n", data.len())?;
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The end of a body that failed: the same JSON as for `/error`, in base64.
fn write_error_trailers(out: &mut Vec<u8>, failure: &Failure) -> io::Result<()> {
    let class = failure.class.name();
    write!(out, "0\r\nLambda-Runtime-Function-Error-Type: {class}\r\n")?;
    out.extend_from_slice(b"Lambda-Runtime-Function-Error-Body: ");
    let (error_type, message) = (&failure.error_type, &failure.message);
    let body = error_body(error_type, message, MAX_TRAILER_MESSAGE);
    base64::encode(out, &body);
    out.extend_from_slice(b"\r\n\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn error_trailers_fit_into_4_kib() {
        for piece in ["x", "\"", "\n", "\u{1}", "é"] {
            let failure = Failure::new(Class::ResponseTooLarge, piece.repeat(10_000));
            let mut out = Vec::new();
            write_error_trailers(&mut out, &failure).expect("a vector");
            assert!((2048..4096).contains(&out.len()), "{}", out.len());
        }
    }
}
