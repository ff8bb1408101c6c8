//! The Invoke API, which `aws lambda invoke` and the SDKs use to send raw events.
//!
//! "Invoke" and "InvokeWithResponseStream" in the Lambda API reference: the invocation type, the
//! client context and the log type are in headers. The response for a failed function has status
//! 200 and `X-Amz-Function-Error`, or a last message with the error.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use serde::de::IgnoredAny;

use super::common::{decode_base64, encode_base64};
use super::{describe, event_stream};
use crate::api::PAYLOAD_LIMIT;
use crate::clock;
use crate::function::{Function, async_invoke};
use crate::http_server::{Exchange, Head, Headers};
use crate::invocation::{Fault, InvokeRequest, Reply, THROTTLED, collect_stream};
use crate::json::object;
use crate::web::entry::Origin;
use crate::web::recorder::Recording;

const INVALID_CONTENT: &str = "InvalidRequestContentException";

/// A call of the Lambda API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Invoke,
    InvokeWithResponseStream,
    GetFunction,
    GetFunctionConfiguration,
    ListFunctions,
    /// Any other, which is not here.
    Other,
}

impl Call {
    /// Returns `None` for a request that is not one of the Lambda API. SDKs sign those.
    pub fn of(head: &Head) -> Option<Call> {
        let segments: Vec<&str> = head.path().split('/').skip(1).collect();
        let (version, rest) = segments.split_first()?;
        let call = match (head.method.as_str(), *version, rest) {
            ("POST", "2015-03-31", ["functions", name, "invocations"]) if !name.is_empty() => {
                Call::Invoke
            }
            ("POST", "2021-11-15", ["functions", _, "response-streaming-invocations"]) => {
                Call::InvokeWithResponseStream
            }
            ("GET", "2015-03-31", ["functions"] | ["functions", ""]) => Call::ListFunctions,
            ("GET", "2015-03-31", ["functions", _]) => Call::GetFunction,
            ("GET", "2015-03-31", ["functions", _, "configuration"]) => {
                Call::GetFunctionConfiguration
            }
            (_, "2015-03-31", ["functions", ..]) => Call::Other,
            _ => {
                let signature = head.header("authorization").unwrap_or_default();
                return signature
                    .contains("/lambda/aws4_request")
                    .then_some(Call::Other);
            }
        };
        Some(call)
    }
}

/// An error response of the Invoke API.
#[derive(Debug)]
struct InvokeError {
    status: u16,
    error_type: &'static str,
    message: String,
}

pub fn handle(
    function: &Arc<Function>,
    call: Call,
    exchange: &mut Exchange<'_>,
    invocation: &mut Option<Receiver<Reply>>,
) -> io::Result<()> {
    match call {
        Call::Invoke | Call::InvokeWithResponseStream => {}
        Call::Other => return not_here(exchange),
        _ => return describe::respond(&function.setup, call, exchange),
    }
    let id = clock::uuid();
    let body = exchange.body.read_all(PAYLOAD_LIMIT)?;
    let mut request = match parse_request(&exchange.head, body, &id) {
        Ok(request) => request,
        Err(error) => return respond_error(exchange, &error),
    };
    let origin = Origin {
        request_id: id.clone(),
        source: "invoke".to_owned(),
        ..Origin::default()
    };
    let is_dry_run = exchange.head.header("x-amz-invocation-type") == Some("DryRun");
    if !is_dry_run {
        let recorder = &function.setup.recorder;
        request.recording = recorder.begin(origin, &request.payload);
    }
    if request.tenant.is_none() {
        request.tenant.clone_from(&function.setup.options.tenant);
    }
    let id_header = [("x-amzn-requestid", &id)];
    match exchange.head.header("x-amz-invocation-type") {
        Some("DryRun") => exchange.respond(204, &id_header, b""),
        Some("Event") => {
            async_invoke::start(function.clone(), request);
            exchange.respond(202, &id_header, b"")
        }
        _ => {
            let replies = invocation.insert(function.invoke(request));
            if call == Call::InvokeWithResponseStream {
                stream(function, exchange, &id, replies)
            } else {
                respond(function, exchange, id, replies)
            }
        }
    }
}

fn parse_request(
    head: &Head,
    body: Option<Vec<u8>>,
    id: &str,
) -> Result<InvokeRequest, InvokeError> {
    let invalid_content = |message: String| InvokeError {
        status: 400,
        error_type: INVALID_CONTENT,
        message,
    };
    let mut payload = body.ok_or_else(|| InvokeError {
        status: 413,
        error_type: "RequestTooLargeException",
        message: format!(
            "Request must be smaller than {PAYLOAD_LIMIT} bytes for the InvokeFunction operation"
        ),
    })?;
    if payload.is_empty() {
        payload = b"{}".to_vec();
    }
    serde_json::from_slice::<IgnoredAny>(&payload).map_err(|error| {
        invalid_content(format!("Could not parse request body into json: {error}"))
    })?;
    let client_context = match head.header("x-amz-client-context") {
        None => None,
        Some(context) => {
            let message = "Client context must be a valid Base64-encoded JSON object";
            let context = decode_base64(context);
            let context = context.ok_or_else(|| invalid_content(message.to_owned()))?;
            Some(String::from_utf8_lossy(&context).into_owned())
        }
    };
    let trace = head.header("x-amzn-trace-id").and_then(parse_root);
    Ok(InvokeRequest {
        id: id.to_owned(),
        payload,
        trace: trace.unwrap_or_else(|| clock::trace_root(clock::now_ms())),
        client_context,
        tenant: head.header("x-amz-tenant-id").map(str::to_owned),
        recording: Recording::default(),
    })
}

fn parse_root(trace: &str) -> Option<String> {
    let mut fields = trace.split(';');
    let root = fields.find_map(|field| field.trim().strip_prefix("Root="));
    root.map(str::to_owned)
}

/// Responds with the reply of the function.
fn respond(
    function: &Function,
    exchange: &Exchange<'_>,
    id: String,
    replies: &Receiver<Reply>,
) -> io::Result<()> {
    let result: Result<Vec<u8>, Fault> = match replies.recv() {
        Ok(Reply::Buffered(payload)) => Ok(payload),
        Ok(Reply::StreamStart { .. }) => Ok(collect_stream(replies)),
        Ok(Reply::Failed(fault)) if fault.error_type == THROTTLED => {
            return respond_throttled(exchange);
        }
        Ok(Reply::Failed(fault) | Reply::StreamEnd(Some(fault))) => Err(fault),
        Ok(_) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let mut headers: Headers = Vec::new();
    let mut push = |name: &str, value: String| headers.push((name.to_owned(), value));
    push("content-type", "application/json".to_owned());
    push("x-amz-executed-version", "$LATEST".to_owned());
    let payload = result.unwrap_or_else(|fault| {
        function.log_fault(&fault);
        push("x-amz-function-error", "Unhandled".to_owned());
        fault.payload(&id)
    });
    push("x-amzn-requestid", id);
    if let Some(tail) = log_tail(function, &exchange.head, replies) {
        push("x-amz-log-result", tail);
    }
    exchange.respond(200, &headers, &payload)
}

/// Returns the end of the log in base64, if the client asks for it. The REPORT line is a part of
/// it: waits until the invocation has been reported, when the channel closes.
fn log_tail(function: &Function, head: &Head, replies: &Receiver<Reply>) -> Option<String> {
    let log_type = head.header("x-amz-log-type")?;
    if !log_type.eq_ignore_ascii_case("tail") {
        return None;
    }
    replies.iter().for_each(drop);
    Some(encode_base64(function.setup.logger.tail().as_bytes()))
}

/// Responds with each chunk as the function writes it; a result that is not streamed is one chunk.
fn stream(
    function: &Function,
    exchange: &Exchange<'_>,
    id: &str,
    replies: &Receiver<Reply>,
) -> io::Result<()> {
    let headers = [
        ("content-type", event_stream::CONTENT_TYPE),
        ("x-amz-executed-version", "$LATEST"),
        ("x-amzn-requestid", id),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut response = exchange.begin_stream(200, &headers)?;
    let fault = loop {
        match replies.recv() {
            Ok(Reply::StreamStart { .. }) => {}
            Ok(Reply::Chunk(chunk)) => response.send(&event_stream::payload_chunk(&chunk))?,
            Ok(Reply::Buffered(payload)) => {
                response.send(&event_stream::payload_chunk(&payload))?;
                break None;
            }
            Ok(Reply::StreamEnd(fault)) => break fault,
            Ok(Reply::Failed(fault)) => break Some(fault),
            Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    };
    let mut complete = object([]);
    if let Some(fault) = fault {
        function.log_fault(&fault);
        let details = String::from_utf8_lossy(&fault.payload(id)).into_owned();
        complete.push("ErrorCode", fault.error_type.into());
        complete.push("ErrorDetails", details.into());
    }
    if let Some(tail) = log_tail(function, &exchange.head, replies) {
        complete.push("LogResult", tail.into());
    }
    response.send(&event_stream::invoke_complete(&complete.bytes()))?;
    response.end()
}

fn not_here(exchange: &mut Exchange<'_>) -> io::Result<()> {
    exchange.body.read_all(PAYLOAD_LIMIT)?;
    let message = format!(
        "lambda-local has no {} {}: it has Invoke, InvokeWithResponseStream, GetFunction, \
         GetFunctionConfiguration and ListFunctions",
        exchange.head.method, exchange.head.target
    );
    let error = InvokeError {
        status: 404,
        error_type: "ResourceNotFoundException",
        message,
    };
    respond_error(exchange, &error)
}

fn respond_throttled(exchange: &Exchange<'_>) -> io::Result<()> {
    let body = object([
        ("Reason", "ConcurrentInvocationLimitExceeded".into()),
        ("Type", "User".into()),
        ("message", "Rate Exceeded.".into()),
    ]);
    let headers = [
        ("content-type", "application/json"),
        ("x-amzn-errortype", THROTTLED),
    ];
    exchange.respond(429, &headers, &body.bytes())
}

fn respond_error(exchange: &Exchange<'_>, error: &InvokeError) -> io::Result<()> {
    let body = object([
        ("Type", "User".into()),
        ("Message", error.message.as_str().into()),
    ]);
    let headers = [
        ("content-type", "application/json"),
        ("x-amzn-errortype", error.error_type),
    ];
    exchange.respond(error.status, &headers, &body.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &str, path: &str, headers: &str) -> Option<Call> {
        let head = format!("{method} {path} HTTP/1.1\r\n{headers}\r\n");
        let head = Head::read(&mut head.as_bytes()).expect("a head");
        Call::of(&head.expect("a head"))
    }

    #[test]
    fn any_function_name_can_be_invoked() {
        for name in ["function", "my-app:live", "arn%3Aaws%3Alambda"] {
            let path = format!("/2015-03-31/functions/{name}/invocations");
            assert_eq!(call("POST", &path, ""), Some(Call::Invoke));
        }
        let stream = "/2021-11-15/functions/f/response-streaming-invocations";
        assert_eq!(
            call("POST", stream, ""),
            Some(Call::InvokeWithResponseStream)
        );
        let list = "/2015-03-31/functions/";
        assert_eq!(call("GET", list, ""), Some(Call::ListFunctions));
        assert_eq!(
            call("GET", "/2015-03-31/functions/f", ""),
            Some(Call::GetFunction)
        );
    }

    #[test]
    fn only_signed_requests_are_taken_from_the_app() {
        for path in ["/", "/functions/a/invocations", "/2020-01-01/a"] {
            assert_eq!(call("GET", path, ""), None, "{path}");
            assert_eq!(call("POST", path, "authorization: Bearer x\r\n"), None);
        }
        let signed = "authorization: AWS4-HMAC-SHA256 \
            Credential=x/20260101/eu-west-1/lambda/aws4_request\r\n";
        assert_eq!(call("GET", "/2018-10-31/layers", signed), Some(Call::Other));
        let create = "/2015-03-31/functions";
        assert_eq!(call("POST", create, ""), Some(Call::Other));
    }

    #[test]
    fn the_root_of_a_trace_is_one_of_its_fields() {
        assert_eq!(
            parse_root("Self=1-a; Root=1-b;Parent=c").as_deref(),
            Some("1-b")
        );
        assert_eq!(parse_root("Parent=c"), None);
    }
}
