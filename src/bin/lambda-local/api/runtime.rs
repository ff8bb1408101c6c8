//! The Runtime API (`/2018-06-01`): "Using the Lambda runtime API" in the developer guide, with the
//! status codes and messages that Lambda itself returns.
//!
//! A streamed response is passed on chunk by chunk as it arrives; the 202 follows the last chunk,
//! as on Lambda.

use std::io;
use std::sync::Arc;

use crate::api::{
    PAYLOAD_LIMIT, STREAM_LIMIT, posted_fault, read_fault, respond_accepted, respond_error,
    respond_not_found, respond_result, respond_text,
};
use crate::function::environment::Environment;
use crate::function::exit;
use crate::function::state::Compute;
use crate::function::variables::Ports;
use crate::http_server::{self, Exchange, Headers};
use crate::invocation::{
    ApiError, Fault, Invocation, RESPONSE_TOO_LARGE, Reply, TRUNCATED_RESPONSE,
};
use crate::web::mark::Mark;

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";
const UNKNOWN_TYPE: &str = "Runtime.Unknown";

pub fn handle(environment: &Environment, exchange: &mut Exchange<'_>) -> io::Result<()> {
    let method = exchange.head.method.clone();
    let path = exchange.head.path().strip_prefix("/2018-06-01/");
    let path = path.unwrap_or_default().to_owned();
    let segments: Vec<&str> = path.split('/').collect();
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["ping"]) => respond_text(exchange, 200, "pong"),
        ("GET", ["runtime", "invocation", "next"]) => next(environment, exchange),
        ("POST", ["runtime", "invocation", id, "response"]) => response(environment, id, exchange),
        ("POST", ["runtime", "invocation", id, "error"]) => error(environment, id, exchange),
        ("POST", ["runtime", "init" | "restore", "error"]) => {
            let fault = read_fault(
                environment.profile.ports,
                exchange,
                ERROR_TYPE,
                UNKNOWN_TYPE,
            )?;
            respond_result(exchange, environment.init_error(fault))
        }
        ("GET", ["runtime", "restore", "next"]) if environment.profile.snap_start => {
            match environment.restore_next() {
                Ok(Some(())) => exchange.respond(200, &[("content-type", "application/json")], b""),
                Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
                Err(error) => respond_error(exchange, &error),
            }
        }
        _ => respond_not_found(exchange),
    }
}

fn next(environment: &Environment, exchange: &Exchange<'_>) -> io::Result<()> {
    // The environment is shutting down: close the connection, because the runtime would take any
    // response for an event.
    let Some(invocation) = environment.next(exchange.stream) else {
        return Err(io::ErrorKind::ConnectionAborted.into());
    };
    invocation.recording.mark(Mark::Delivered);
    let deadline = invocation.deadline_ms.to_string();
    let arn = environment.function_arn();
    let mut headers = vec![
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", invocation.id.as_str()),
        ("lambda-runtime-deadline-ms", deadline.as_str()),
        ("lambda-runtime-invoked-function-arn", arn.as_str()),
        ("lambda-runtime-trace-id", invocation.trace.as_str()),
        ("lambda-runtime-invocation-id", invocation.token.as_str()),
    ];
    let is_managed = environment.profile.compute == Compute::Managed;
    let context = invocation.client_context.as_deref();
    if let Some(context) = context.or(is_managed.then_some("")) {
        headers.push(("lambda-runtime-client-context", context));
    }
    if is_managed {
        headers.push(("lambda-runtime-cognito-identity", ""));
    }
    if let Some(tenant) = invocation.tenant.as_deref().filter(|_| !is_managed) {
        headers.push(("lambda-runtime-aws-tenant-id", tenant));
    }
    exchange.respond(200, &headers, &invocation.payload)
}

fn response(environment: &Environment, id: &str, exchange: &mut Exchange<'_>) -> io::Result<()> {
    let mode = exchange
        .head
        .header("lambda-runtime-function-response-mode")
        .filter(|mode| !mode.is_empty());
    if let Some(mode) = mode.filter(|mode| !mode.eq_ignore_ascii_case("streaming")) {
        return respond_error(exchange, &ApiError::InvalidResponseMode(mode.to_owned()));
    }
    let is_streamed = mode.is_some();
    match environment.begin_response(id, exchange.head.header("lambda-runtime-invocation-id")) {
        Ok(invocation) if is_streamed => streamed_response(environment, &invocation, exchange),
        Ok(invocation) => buffered_response(environment, &invocation, exchange),
        Err(error) => respond_error(exchange, &error),
    }
}

fn buffered_response(
    environment: &Environment,
    invocation: &Invocation,
    exchange: &mut Exchange<'_>,
) -> io::Result<()> {
    let (reply, error) = match exchange.body.read_all(PAYLOAD_LIMIT) {
        Ok(Some(payload)) => (Ok(payload), None),
        Ok(None) => {
            let message = format!(
                "Response payload size exceeded maximum allowed payload size \
                 ({PAYLOAD_LIMIT} bytes)."
            );
            (
                Err(Fault::new(RESPONSE_TOO_LARGE, message)),
                Some(ApiError::ResponseTooLarge {
                    limit: PAYLOAD_LIMIT,
                }),
            )
        }
        Err(_) => (
            Err(Fault::new(TRUNCATED_RESPONSE, "response is truncated")),
            Some(ApiError::TruncatedRequest),
        ),
    };
    let error_type = reply.as_ref().err().map(|fault| fault.error_type.clone());
    let reply = reply.map_or_else(Reply::Failed, Reply::Buffered);
    environment.reply(invocation, reply);
    environment.finish_response(&invocation.id, error_type);
    respond_result(exchange, error.map_or(Ok(()), Err))
}

/// Passes each chunk on at once. The stream is read to its end even if the client has disconnected:
/// that does not stop a function on Lambda either.
fn streamed_response(
    environment: &Environment,
    invocation: &Arc<Invocation>,
    exchange: &mut Exchange<'_>,
) -> io::Result<()> {
    let content_type = exchange.head.header("content-type");
    let content_type = content_type
        .unwrap_or("application/octet-stream")
        .to_owned();
    invocation.send(Reply::StreamStart { content_type });
    let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
    let fault = loop {
        match exchange.body.read(&mut buffer) {
            Ok(0) => break trailing_fault(environment.profile.ports, &exchange.body.trailers),
            Ok(read) => {
                total += read;
                if total > STREAM_LIMIT {
                    break Some(Fault::new(
                        RESPONSE_TOO_LARGE,
                        "Response payload size exceeded 200 MB",
                    ));
                }
                let chunk = buffer.get(..read).unwrap_or_default().to_vec();
                invocation.send(Reply::Chunk(chunk));
            }
            Err(_) => {
                break Some(Fault::new(
                    TRUNCATED_RESPONSE,
                    "the streamed response ended without its last chunk",
                ));
            }
        }
    };
    let error_type = fault.as_ref().map(|fault| fault.error_type.clone());
    environment.reply(invocation, Reply::StreamEnd(fault));
    environment.finish_response(&invocation.id, error_type);
    if !exchange.body.is_complete() {
        return respond_error(exchange, &ApiError::TruncatedRequest);
    }
    respond_accepted(exchange)
}

/// Returns the error that a runtime reports after the start of a stream: two trailers, the second
/// of them in base64.
fn trailing_fault(ports: Ports, trailers: &Headers) -> Option<Fault> {
    let error_type = http_server::header(trailers, ERROR_TYPE)?;
    let encoded = http_server::header(trailers, ERROR_BODY).unwrap_or_default();
    let mut body = Vec::new();
    if codec::base64::decode(&mut body, encoded.as_bytes()).is_none() {
        body.clear();
    }
    Some(posted_fault(ports, error_type, body))
}

fn error(environment: &Environment, id: &str, exchange: &mut Exchange<'_>) -> io::Result<()> {
    let mut fault = read_fault(
        environment.profile.ports,
        exchange,
        ERROR_TYPE,
        UNKNOWN_TYPE,
    )?;
    if let Some(exit) = exit::wait_for_end(environment) {
        // For the log and the page: the invoker gets the body.
        fault.message = format!("{}; {}", exit.message, fault.message);
    }
    let token = exchange.head.header("lambda-runtime-invocation-id");
    let begun = environment.begin_response(id, token);
    let result = begun.map(|invocation| {
        let error_type = fault.error_type.clone();
        environment.reply(&invocation, Reply::Failed(fault));
        environment.finish_response(id, Some(error_type));
    });
    respond_result(exchange, result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_carry_the_failure_of_a_stream() {
        let mut body = Vec::new();
        codec::base64::encode(
            &mut body,
            br#"{"errorType":"Function.X","errorMessage":"gone"}"#,
        );
        let trailers = vec![
            (
                "Lambda-Runtime-Function-Error-Type".to_owned(),
                "Function.X".to_owned(),
            ),
            (
                "Lambda-Runtime-Function-Error-Body".to_owned(),
                String::from_utf8(body).expect("ASCII"),
            ),
        ];
        let ports = Ports {
            app: 1,
            relay: None,
        };
        let fault = trailing_fault(ports, &trailers).expect("a fault");
        assert_eq!(
            (fault.error_type.as_str(), fault.message.as_str()),
            ("Function.X", "gone")
        );
        assert!(trailing_fault(ports, &Headers::new()).is_none());
    }
}
