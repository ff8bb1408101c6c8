//! The last step of an invocation: its reply to `/response`, or its failure to `/error`.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use codec::base64;
use log::error;

use crate::config::Config;
use crate::error::Failure;
use crate::http::body_reader::Source;
use crate::http::headers::Headers;
use crate::http::{self, Input};
use crate::invocation::Invocation;
use crate::lambda::{self, ApiError, Runtime, error_body};
use crate::net::connection::{Watch, Wire};
use crate::net::resolve;

/// Posts the reply. A refusal ends this invocation and nothing else; it is told, since the
/// caller gets no more than a generic error.
pub fn reply(runtime: &mut Runtime, invocation: &Invocation, body: &[u8]) {
    let mut posted = runtime.respond(invocation, body);
    // The kept connection may have gone stale. A second post cannot do harm: the API takes
    // one answer for each invocation.
    if let Err(ApiError::Closed(_) | ApiError::Transport(_)) = posted {
        posted = runtime.respond(invocation, body);
    }
    if let Err(refusal) = posted {
        error!("the answer is lost: the Runtime API did not take it: {refusal}");
    }
}

/// Posts the failure.
pub fn failure(runtime: &mut Runtime, invocation: &Invocation, failure: &Failure) {
    error!("invocation failed: {failure}");
    let body = error_body(&failure.error_type, &failure.message);
    let class = failure.class.name();
    let mut posted = runtime.fail(invocation, class, &body);
    if let Err(ApiError::Closed(_) | ApiError::Transport(_)) = posted {
        posted = runtime.fail(invocation, class, &body);
    }
    if let Err(refusal) = posted {
        error!("the failure is lost: the Runtime API did not take it: {refusal}");
    }
}

/// Connections to the Runtime API for streamed answers, one an answer: AWS documents that it
/// ends with the answer. The next one is made before it is needed.
#[derive(Debug, Default)]
pub struct Lines {
    next: Option<Wire>,
}

impl Lines {
    /// Connects ahead, while nobody waits. If that fails now, the need will tell.
    pub fn prepare(&mut self, api: &str) {
        if self.next.is_none() {
            self.next = connect(api).ok();
        }
    }

    fn take(&mut self, api: &str) -> io::Result<Wire> {
        match self.next.take().filter(Wire::is_quiet) {
            Some(wire) => Ok(wire),
            None => connect(api),
        }
    }
}

fn connect(api: &str) -> io::Result<Wire> {
    Wire::new(
        TcpStream::connect(&resolve::endpoint(api)?[..])?,
        Input::new(1024),
    )?
    .watched()
}

/// Posts an answer as it is made ("Response streaming", Runtime API): the prelude, then every
/// piece of the body in a chunk of its own as soon as it is here.
///
/// Whatever goes wrong from here on is told in the trailers, since the answer has begun. If
/// the Runtime API itself hangs up, nobody is left to tell; dropping the body then ends the
/// app's connection too.
pub fn stream(
    config: &Config,
    lines: &mut Lines,
    invocation: &Invocation,
    prelude: &[u8],
    body: &mut dyn Source,
) {
    let what = "the streamed answer";
    let mut watch = Watch::until(what.to_owned(), invocation.deadline_ms, None);
    let posted = lines.take(&config.runtime_api).and_then(|mut wire| {
        let mut out = Vec::with_capacity(prelude.len() + 2048);
        write_head(&mut out, config, invocation);
        write_chunk(&mut out, prelude)?;
        let sent = send_body(&wire, out, body, &mut watch);
        let accepted = accepted(&mut wire, &mut watch);
        accepted.and(sent)
    });
    if let Err(cause) = posted {
        error!("the rest of a streamed answer is lost: {cause}");
    }
}

/// Pieces up to this size are gathered into one write with what is around them.
const SMALL: usize = 16 << 10;

/// Sends the body behind what is in `out`, and whatever ends it.
fn send_body(
    wire: &Wire,
    mut out: Vec<u8>,
    body: &mut dyn Source,
    watch: &mut Watch,
) -> io::Result<()> {
    let out = &mut out;
    let mut wait = false;
    loop {
        let (data, ends) = match body.next(wait) {
            Ok(Some([])) => (&[][..], true),
            Ok(Some(data)) => (data, false),
            Ok(None) => {
                flush(wire, out, &[], watch)?;
                wait = true;
                continue;
            }
            Err(failure) => {
                error!("invocation failed after its answer had begun: {failure}");
                write_error_trailers(out, &failure)?;
                return flush(wire, out, &[], watch);
            }
        };
        wait = false;
        if ends {
            out.extend_from_slice(b"0\r\n\r\n");
            return flush(wire, out, &[], watch);
        }
        let count = data.len();
        if count <= SMALL {
            write_chunk(out, data)?;
            if out.len() >= 2 * SMALL {
                flush(wire, out, &[], watch)?;
            }
        } else {
            write!(out, "{count:x}\r\n")?;
            flush(wire, out, data, watch)?;
        }
        body.consume(count);
    }
}

/// Sends what is in `out`, and the data of a chunk that begins there, with its end.
fn flush(wire: &Wire, out: &mut Vec<u8>, data: &[u8], watch: &mut Watch) -> io::Result<()> {
    let end: &[u8] = if data.is_empty() { b"" } else { b"\r\n" };
    let sent = wire.send(&mut [out, data, end].map(IoSlice::new), watch)?;
    out.clear();
    match sent {
        true => Ok(()),
        false => Err(io::Error::other(
            "the Runtime API does not want the whole of it",
        )),
    }
}

fn write_head(out: &mut Vec<u8>, config: &Config, invocation: &Invocation) {
    let path = lambda::response_path(invocation);
    http::write_request_line(out, b"POST", path.as_bytes());
    for (name, value) in [
        ("host", &*config.runtime_api),
        ("user-agent", lambda::USER_AGENT),
        (
            "content-type",
            "application/vnd.awslambda.http-integration-response",
        ),
        ("lambda-runtime-function-response-mode", "streaming"),
        ("transfer-encoding", "chunked"),
        (
            "trailer",
            "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        ),
    ] {
        http::write_field(out, name.as_bytes(), value.as_bytes());
    }
    if let Some(id) = &invocation.invocation_id {
        http::write_field(out, lambda::INVOCATION_ID.as_bytes(), id.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn write_chunk(out: &mut Vec<u8>, data: &[u8]) -> io::Result<()> {
    write!(out, "{:x}\r\n", data.len())?;
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The end of a body that is not whole (RFC 9112 7.1.2): the same JSON as for `/error`.
fn write_error_trailers(out: &mut Vec<u8>, failure: &Failure) -> io::Result<()> {
    let class = failure.class.name();
    write!(out, "0\r\nLambda-Runtime-Function-Error-Type: {class}\r\n")?;
    out.extend_from_slice(b"Lambda-Runtime-Function-Error-Body: ");
    base64::encode(out, &error_body(&failure.error_type, &failure.message));
    out.extend_from_slice(b"\r\n\r\n");
    Ok(())
}

/// Reads what the Runtime API says to the whole of it. The connection ends here, as AWS
/// documents for streamed answers.
fn accepted(wire: &mut Wire, watch: &mut Watch) -> io::Result<()> {
    let mut headers = Headers::new();
    let (input, mut reader) = wire.reader(watch, true);
    match http::read_head(input, &mut reader, &mut headers, false) {
        Ok(head) if (200..300).contains(&head.status) => Ok(()),
        Ok(head) => Err(io::Error::other(format!(
            "the Runtime API answered with status {}",
            head.status
        ))),
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}
