//! Raw events: the Invoke API that `aws lambda invoke` and the SDKs speak, and the `invoke` and `events` commands.
//!
//! "Invoke" in the Lambda API reference: `POST /2015-03-31/functions/NAME/invocations`, with the invocation type, the client context and the
//! wish for a log tail in headers. A failed function is a 200 with `X-Amz-Function-Error`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::api::runtime::PAYLOAD_LIMIT;
use crate::base64;
use crate::cli::options::{EventSource, Send};
use crate::cli::samples;
use crate::clock;
use crate::front::gateway::collect;
use crate::function::Function;
use crate::http_server::{self, Body, Head, Headers};
use crate::invocation::{Reply, Request};
use crate::json::object;

pub fn is_invocation(path: &str) -> bool {
    path.strip_prefix("/2015-03-31/functions/")
        .and_then(|rest| rest.strip_suffix("/invocations"))
        .is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

pub fn serve<R: BufRead>(
    function: &Arc<Function>,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    let id = clock::uuid();
    let Some(mut payload) = body.all(PAYLOAD_LIMIT)? else {
        let message = format!(
            "Request must be smaller than {PAYLOAD_LIMIT} bytes for the InvokeFunction operation"
        );
        return refuse(413, "RequestTooLargeException", &message, head, stream);
    };
    if payload.is_empty() {
        payload = b"{}".to_vec();
    }
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
        return refuse(
            400,
            "InvalidRequestContentException",
            &format!("Could not parse request body into json: {error}"),
            head,
            stream,
        );
    }
    let client_context = match head.header("x-amz-client-context").map(base64::decode) {
        None => None,
        Some(Some(context)) => Some(String::from_utf8_lossy(&context).into_owned()),
        Some(None) => {
            return refuse(
                400,
                "InvalidRequestContentException",
                "Client context must be a valid Base64-encoded JSON object",
                head,
                stream,
            );
        }
    };
    let invocation_type = head
        .header("x-amz-invocation-type")
        .unwrap_or("RequestResponse");
    if invocation_type == "DryRun" {
        return http_server::respond(stream, head, 204, &[("x-amzn-requestid", &id)], b"");
    }
    let tenant = head
        .header("x-amz-tenant-id")
        .map(str::to_owned)
        .or_else(|| function.setup.options.tenant.clone());
    let trace = head
        .header("x-amzn-trace-id")
        .and_then(root_of)
        .unwrap_or_else(|| clock::trace_root(clock::now_ms()));
    let replies = function.invoke(Request {
        id: id.clone(),
        payload,
        trace,
        client_context,
        tenant,
    });
    if invocation_type == "Event" {
        // Asynchronous: nobody waits for the answer, but somebody has to take it.
        std::thread::spawn(move || replies.iter().for_each(drop));
        return http_server::respond(stream, head, 202, &[("x-amzn-requestid", &id)], b"");
    }
    let mut failed = false;
    let payload = match replies.recv() {
        Ok(Reply::Whole(payload)) => payload,
        Ok(Reply::Stream { .. }) => collect(&replies),
        Ok(Reply::Failed(fault) | Reply::End(Some(fault))) => {
            failed = true;
            function.setup.output.warn(&format!(
                "the invocation failed: {}: {}",
                fault.kind, fault.message
            ));
            fault.payload(&id)
        }
        Ok(_) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let mut headers: Headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("x-amzn-requestid".to_owned(), id),
        ("x-amz-executed-version".to_owned(), "$LATEST".to_owned()),
    ];
    if failed {
        headers.push(("x-amz-function-error".to_owned(), "Unhandled".to_owned()));
    }
    if head
        .header("x-amz-log-type")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("tail"))
    {
        // The channel closes when the invocation has been reported: the REPORT line belongs to the tail.
        replies.iter().for_each(drop);
        headers.push((
            "x-amz-log-result".to_owned(),
            base64::encode(function.setup.output.tail().as_bytes()),
        ));
    }
    http_server::respond(stream, head, 200, &headers, &payload)
}

fn root_of(trace: &str) -> Option<String> {
    trace
        .split(';')
        .find_map(|part| part.trim().strip_prefix("Root="))
        .map(str::to_owned)
}

fn refuse(
    status: u16,
    kind: &str,
    message: &str,
    head: &Head,
    stream: &TcpStream,
) -> io::Result<()> {
    let body = object([("Type", "User".into()), ("Message", message.into())]).bytes();
    http_server::respond(
        stream,
        head,
        status,
        &[
            ("content-type", "application/json"),
            ("x-amzn-errortype", kind),
        ],
        &body,
    )
}

/// `lambda-local invoke`: sends one event and prints what comes back. False when the function failed.
pub fn send(send: &Send) -> Result<bool, String> {
    let event = match &send.event {
        EventSource::Sample(name) => samples::find(name)?.as_bytes().to_vec(),
        EventSource::File(path) if path.as_os_str() == "-" => {
            let mut event = Vec::new();
            io::stdin()
                .read_to_end(&mut event)
                .map_err(|error| format!("failed to read standard input: {error}"))?;
            event
        }
        EventSource::File(path) => std::fs::read(path)
            .map_err(|error| format!("failed to read `{}`: {error}", path.display()))?,
    };
    let address = format!("{}:{}", send.host, send.port);
    let stream = TcpStream::connect((send.host.as_str(), send.port)).map_err(|error| {
        format!("failed to connect to `{address}`: {error} (is lambda-local running there?)")
    })?;
    let (head, body) = post(&stream, &address, send.tenant.as_deref(), &event)
        .map_err(|error| format!("failed to invoke at `{address}`: {error}"))?;
    let mut out = io::stdout().lock();
    out.write_all(&body)
        .and_then(|()| out.write_all(b"\n"))
        .map_err(|error| format!("failed to write to standard output: {error}"))?;
    if let Some(kind) = http_server::header(&head.headers, "x-amz-function-error") {
        eprintln!("lambda-local: the function failed ({kind})");
        return Ok(false);
    }
    Ok(head.status.starts_with('2'))
}

struct AnswerHead {
    status: String,
    headers: Headers,
}

fn post(
    mut stream: &TcpStream,
    address: &str,
    tenant: Option<&str>,
    event: &[u8],
) -> io::Result<(AnswerHead, Vec<u8>)> {
    let tenant = tenant
        .map(|tenant| format!("x-amz-tenant-id: {tenant}\r\n"))
        .unwrap_or_default();
    let head = format!(
        "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{tenant}content-length: {}\r\n\r\n",
        event.len()
    );
    stream.write_all(&[head.as_bytes(), event].concat())?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Headers::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok((AnswerHead { status, headers }, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_function_name_may_be_invoked() {
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
    fn the_root_of_a_trace_is_found_among_its_parts() {
        assert_eq!(
            root_of("Self=1-a; Root=1-b;Parent=c").as_deref(),
            Some("1-b")
        );
        assert_eq!(root_of("Parent=c"), None);
    }
}
