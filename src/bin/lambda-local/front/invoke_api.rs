//! The Invoke API, which `aws lambda invoke` and the SDKs use to send raw events.
//!
//! "Invoke" in the Lambda API reference: `POST /2015-03-31/functions/NAME/invocations`, with the
//! invocation type, the client context and the log type in headers. The response for a failed
//! function has status 200 and `X-Amz-Function-Error`.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use serde::de::IgnoredAny;

use super::common::{decode_base64, encode_base64};
use crate::api::PAYLOAD_LIMIT;
use crate::clock;
use crate::function::Function;
use crate::http_server::{Exchange, Head, Headers};
use crate::invocation::{Fault, InvokeRequest, Reply, collect_stream};
use crate::json::object;
use crate::web::entry::Origin;
use crate::web::recorder::Recording;

const INVALID_CONTENT: &str = "InvalidRequestContentException";

pub fn is_invocation(path: &str) -> bool {
    path.strip_prefix("/2015-03-31/functions/")
        .and_then(|rest| rest.strip_suffix("/invocations"))
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
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
    exchange: &mut Exchange<'_>,
    invocation: &mut Option<Receiver<Reply>>,
) -> io::Result<()> {
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
            let replies = function.invoke(request);
            // The invocation blocks when the channel is full, so the reply must be received.
            std::thread::spawn(move || replies.iter().for_each(drop));
            exchange.respond(202, &id_header, b"")
        }
        _ => {
            let replies = invocation.insert(function.invoke(request));
            respond(function, exchange, id, replies)
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
        Ok(Reply::Failed(fault) | Reply::StreamEnd(Some(fault))) => Err(fault),
        Ok(_) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let logger = &function.setup.logger;
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
    let log_type = exchange.head.header("x-amz-log-type");
    if log_type.is_some_and(|log_type| log_type.eq_ignore_ascii_case("tail")) {
        // The REPORT line is a part of the tail: wait until the invocation has been reported, when
        // the channel closes.
        replies.iter().for_each(drop);
        push("x-amz-log-result", encode_base64(logger.tail().as_bytes()));
    }
    exchange.respond(200, &headers, &payload)
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

    #[test]
    fn any_function_name_can_be_invoked() {
        assert!(is_invocation("/2015-03-31/functions/function/invocations"));
        assert!(is_invocation(
            "/2015-03-31/functions/my-app:live/invocations"
        ));
        for path in [
            "/2015-03-31/functions//invocations",
            "/2015-03-31/functions/a/b/invocations",
            "/functions/a/invocations",
        ] {
            assert!(!is_invocation(path), "{path}");
        }
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
