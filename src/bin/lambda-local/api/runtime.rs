//! The Runtime API (`/2018-06-01`), as the page "Using the Lambda runtime API" of the developer guide gives it, with the answers of the real core.
//!
//! Each request runs on its connection's thread; a poll simply blocks in `Environment::next`. Streamed answers go on to the front piece by
//! piece as they arrive, and the 202 comes only after the last of them, as on Lambda.

use std::io::{self, BufRead};
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::Value;

use crate::base64;
use crate::function::environment::Environment;
use crate::http_server::{self, Body, Head};
use crate::invocation::{Fault, Invocation, Refusal, Reply};
use crate::json::object;

/// 6 MiB and 100 bytes: the largest event and the largest buffered answer.
pub const PAYLOAD_LIMIT: usize = 6_291_556;
const STREAM_LIMIT: usize = 200 << 20;
const ERROR_LIMIT: usize = 1 << 20;
pub const ACCOUNT: &str = "111122223333";

const STATUS_OK: &[u8] = b"{\"status\":\"OK\"}\n";

pub fn function_arn(function_name: &str) -> String {
    let region = std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned());
    format!("arn:aws:lambda:{region}:{ACCOUNT}:function:{function_name}")
}

pub fn handle<R: BufRead>(
    environment: &Environment,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    let path = head.path().strip_prefix("/2018-06-01").unwrap_or_default();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match (head.method.as_str(), segments.as_slice()) {
        ("GET", ["ping"]) => http_server::respond(
            stream,
            head,
            200,
            &[("content-type", "text/plain")],
            b"pong",
        ),
        ("GET", ["runtime", "invocation", "next"]) => next(environment, head, stream),
        ("POST", ["runtime", "invocation", id, "response"]) => {
            response(environment, id, head, body, stream)
        }
        ("POST", ["runtime", "invocation", id, "error"]) => {
            error(environment, id, head, body, stream)
        }
        ("POST", ["runtime", "init" | "restore", "error"]) => {
            let fault = posted_fault(
                head,
                body,
                "lambda-runtime-function-error-type",
                "Runtime.Unknown",
            )?;
            finish(environment.init_error(fault), head, stream)
        }
        ("GET", ["runtime", "restore", "next"]) if environment.snap_start => {
            match environment.restore_next() {
                Ok(true) => http_server::respond(
                    stream,
                    head,
                    200,
                    &[("content-type", "application/json")],
                    b"",
                ),
                Ok(false) => Err(io::ErrorKind::ConnectionAborted.into()),
                Err(refusal) => refuse(&refusal, head, stream),
            }
        }
        _ => http_server::respond(
            stream,
            head,
            404,
            &[("content-type", "text/plain")],
            b"404 page not found\n",
        ),
    }
}

fn next(environment: &Environment, head: &Head, stream: &TcpStream) -> io::Result<()> {
    // Nobody is served any more: the process that asks is about to be ended, and must not take this for an answer.
    let Some(invocation) = environment.next(stream) else {
        return Err(io::ErrorKind::ConnectionAborted.into());
    };
    let (deadline, arn) = (
        invocation.deadline_ms.to_string(),
        function_arn(&environment.function_name),
    );
    let mut headers = vec![
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", invocation.id.as_str()),
        ("lambda-runtime-deadline-ms", deadline.as_str()),
        ("lambda-runtime-invoked-function-arn", arn.as_str()),
        ("lambda-runtime-trace-id", invocation.trace.as_str()),
        ("lambda-runtime-invocation-id", invocation.token.as_str()),
    ];
    let managed = environment.concurrency.is_some();
    if let Some(context) = invocation
        .client_context
        .as_deref()
        .or(managed.then_some(""))
    {
        headers.push(("lambda-runtime-client-context", context));
    }
    if managed {
        headers.push(("lambda-runtime-cognito-identity", ""));
    }
    if let Some(tenant) = invocation.tenant.as_deref().filter(|_| !managed) {
        headers.push(("lambda-runtime-aws-tenant-id", tenant));
    }
    http_server::respond(stream, head, 200, &headers, &invocation.payload)
}

fn response<R: BufRead>(
    environment: &Environment,
    id: &str,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    let streamed = match head.header("lambda-runtime-function-response-mode") {
        None | Some("") => false,
        Some(mode) if mode.eq_ignore_ascii_case("streaming") => true,
        Some(mode) => {
            let message = format!("Invalid function response mode: {mode}");
            return refuse(
                &Refusal {
                    status: 400,
                    kind: "InvalidFunctionResponseMode",
                    message,
                },
                head,
                stream,
            );
        }
    };
    let invocation = match environment.begin_answer(id, head.header("lambda-runtime-invocation-id"))
    {
        Ok(invocation) => invocation,
        Err(refusal) => return refuse(&refusal, head, stream),
    };
    if streamed {
        return streamed_response(environment, &invocation, head, body, stream);
    }
    let (reply, refusal) = match body.all(PAYLOAD_LIMIT) {
        Ok(Some(payload)) => (Reply::Whole(payload), None),
        Ok(None) => {
            let message = format!(
                "Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes)."
            );
            let refused = format!("Exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes).");
            (
                Reply::Failed(Fault::new("Function.ResponseSizeTooLarge", message)),
                Some((413, "RequestEntityTooLarge", refused)),
            )
        }
        Err(_) => (
            Reply::Failed(Fault::new(
                "Runtime.TruncatedResponse",
                "response is truncated",
            )),
            Some((
                400,
                "TruncatedHTTPRequest",
                "HTTP request truncated".to_owned(),
            )),
        ),
    };
    let error = if let Reply::Failed(fault) = &reply {
        Some(fault.kind.clone())
    } else {
        None
    };
    // Nobody may be waiting any more (a client that went away); the function's work is done all the same.
    let _ = invocation.reply.send(reply);
    environment.finish_answer(id, error);
    match refusal {
        None => http_server::respond(
            stream,
            head,
            202,
            &[("content-type", "application/json")],
            STATUS_OK,
        ),
        Some((status, kind, message)) => refuse(
            &Refusal {
                status,
                kind,
                message,
            },
            head,
            stream,
        ),
    }
}

/// Each piece goes on as soon as it is there. A client that has gone does not stop the function: its stream is read to the end.
fn streamed_response<R: BufRead>(
    environment: &Environment,
    invocation: &Arc<Invocation>,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    let content_type = head
        .header("content-type")
        .unwrap_or("application/octet-stream")
        .to_owned();
    let _ = invocation.reply.send(Reply::Stream { content_type });
    let (mut total, mut piece) = (0, vec![0; 64 << 10]);
    let fault = loop {
        match body.piece(&mut piece) {
            Ok(0) => break trailing_fault(&body.trailers),
            Ok(read) => {
                total += read;
                if total > STREAM_LIMIT {
                    break Some(Fault::new(
                        "Function.ResponseSizeTooLarge",
                        "Response payload size exceeded 200 MB",
                    ));
                }
                let _ = invocation
                    .reply
                    .send(Reply::Piece(piece.get(..read).unwrap_or_default().to_vec()));
            }
            Err(_) => {
                break Some(Fault::new(
                    "Runtime.TruncatedResponse",
                    "the streamed response ended without its last chunk",
                ));
            }
        }
    };
    let (truncated, error) = (
        !body.ended(),
        fault.as_ref().map(|fault| fault.kind.clone()),
    );
    let _ = invocation.reply.send(Reply::End(fault));
    environment.finish_answer(&invocation.id, error);
    if truncated {
        return refuse(
            &Refusal {
                status: 400,
                kind: "TruncatedHTTPRequest",
                message: "HTTP request truncated".to_owned(),
            },
            head,
            stream,
        );
    }
    http_server::respond(
        stream,
        head,
        202,
        &[("content-type", "application/json")],
        STATUS_OK,
    )
}

/// The failure that a runtime reports after it has begun to stream: two trailer fields, the second in base64.
fn trailing_fault(trailers: &[(String, String)]) -> Option<Fault> {
    let kind = http_server::header(trailers, "lambda-runtime-function-error-type")?;
    let body = http_server::header(trailers, "lambda-runtime-function-error-body")
        .and_then(base64::decode)
        .unwrap_or_default();
    Some(Fault {
        kind: kind.to_owned(),
        message: message_of(&body),
        body: Some(body),
    })
}

fn error<R: BufRead>(
    environment: &Environment,
    id: &str,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    let fault = posted_fault(
        head,
        body,
        "lambda-runtime-function-error-type",
        "Runtime.Unknown",
    )?;
    let answer = environment
        .begin_answer(id, head.header("lambda-runtime-invocation-id"))
        .map(|invocation| {
            let kind = fault.kind.clone();
            let _ = invocation.reply.send(Reply::Failed(fault));
            environment.finish_answer(id, Some(kind));
        });
    finish(answer, head, stream)
}

/// The error in a request's header and body. Lambda keeps a type of the form `Function.Name` or `Runtime.Name` and renames all others.
pub fn posted_fault<R: BufRead>(
    head: &Head,
    body: &mut Body<'_, R>,
    header: &str,
    unknown: &str,
) -> io::Result<Fault> {
    let body = body.all(ERROR_LIMIT)?.unwrap_or_default();
    let given = head.header(header).unwrap_or_default();
    let kind = if is_known_type(given) {
        given
    } else if given.starts_with("Function.") {
        "Function.Unknown"
    } else {
        unknown
    };
    Ok(Fault {
        kind: kind.to_owned(),
        message: message_of(&body),
        body: Some(body),
    })
}

fn is_known_type(kind: &str) -> bool {
    let name = ["Runtime.", "Function.", "Extension."]
        .iter()
        .find_map(|prefix| kind.strip_prefix(prefix))
        .unwrap_or_default();
    name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && name
            .chars()
            .nth(1)
            .is_some_and(|letter| letter.is_ascii_alphabetic())
}

/// The message inside an error body, for the log.
fn message_of(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed
        .as_ref()
        .and_then(|value| value.get("errorMessage"))
        .and_then(Value::as_str);
    message.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
}

pub fn finish(answer: Result<(), Refusal>, head: &Head, stream: &TcpStream) -> io::Result<()> {
    match answer {
        Ok(()) => http_server::respond(
            stream,
            head,
            202,
            &[("content-type", "application/json")],
            STATUS_OK,
        ),
        Err(refusal) => refuse(&refusal, head, stream),
    }
}

pub fn refuse(refusal: &Refusal, head: &Head, stream: &TcpStream) -> io::Result<()> {
    let body = object([
        ("errorMessage", refusal.message.as_str().into()),
        ("errorType", refusal.kind.into()),
    ])
    .to_string()
        + "\n";
    http_server::respond(
        stream,
        head,
        refusal.status,
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_of_the_documented_form_are_kept() {
        for kind in [
            "Function.AppTimeout",
            "Runtime.ExitError",
            "Extension.Crash",
        ] {
            assert!(is_known_type(kind), "{kind}");
        }
        for kind in [
            "unhandled",
            "Function.",
            "Function.x",
            "Runtime.9",
            "Mine.Error",
            "",
        ] {
            assert!(!is_known_type(kind), "{kind}");
        }
    }

    #[test]
    fn trailers_carry_the_failure_of_a_stream() {
        let body = base64::encode(br#"{"errorType":"Function.X","errorMessage":"gone"}"#);
        let trailers = [
            (
                "Lambda-Runtime-Function-Error-Type".to_owned(),
                "Function.X".to_owned(),
            ),
            ("Lambda-Runtime-Function-Error-Body".to_owned(), body),
        ];
        let fault = trailing_fault(&trailers).expect("a fault");
        assert_eq!(
            (fault.kind.as_str(), fault.message.as_str()),
            ("Function.X", "gone")
        );
        assert!(trailing_fault(&[]).is_none());
    }
}
