//! Invocations that the page starts: an HTTP request through a front end, an event, a replay.
//!
//! They have no HTTP client. The front end still reads the reply, so that the page can show the
//! response that a client would have received.

use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::api::PAYLOAD_LIMIT;
use crate::cli::options::{KINDS, Kind, kind_name};
use crate::clock;
use crate::front::{Front, GatewayError, HttpRequest, HttpResponse};
use crate::function::Function;
use crate::http_server::Headers;
use crate::invocation::{InvokeRequest, Reply};
use crate::web::entry::{Message, Origin};
use crate::web::recorder::Recording;

/// Ends the JSON before the body of a streamed response.
const DELIMITER: [u8; 8] = [0; 8];
const PRELUDE_LIMIT: usize = 16 << 10;

/// Why the page cannot start an invocation.
#[derive(Debug)]
pub enum SendError {
    NotJson(serde_json::Error),
    Invalid { field: &'static str },
    UnknownFront(String),
    Refused(GatewayError),
    NotKept(u64),
    Cut { size: u64 },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::NotJson(error) => write!(f, "the event is not JSON: {error}"),
            SendError::Invalid { field } => write!(f, "the {field} is not valid in HTTP"),
            SendError::UnknownFront(name) => write!(f, "there is no front end `{name}`"),
            SendError::Refused(GatewayError::NotInStage) => {
                f.write_str("the path does not start with the stage")
            }
            SendError::Refused(_) => f.write_str("the request is too large for this front end"),
            SendError::NotKept(number) => write!(f, "invocation {number} is not kept any more"),
            SendError::Cut { size } => {
                write!(f, "the event of {size} bytes was not kept as a whole")
            }
        }
    }
}

/// Sends the HTTP request of the form, and returns the number of its invocation.
pub fn request(function: &Arc<Function>, port: u16, form: &[u8]) -> Result<u64, SendError> {
    let form: Value = serde_json::from_slice(form).map_err(SendError::NotJson)?;
    let text = |field: &str| form.get(field).and_then(Value::as_str).unwrap_or_default();
    let front = front(function, text("front"))?;
    let (id, time_ms) = (clock::uuid(), clock::now_ms());
    let mut request = HttpRequest {
        id: id.clone(),
        trace: clock::trace_root(time_ms),
        time_ms,
        method: text("method").to_owned(),
        target: text("target").to_owned(),
        headers: vec![("host".to_owned(), format!("127.0.0.1:{port}"))],
        body: text("body").as_bytes().to_vec(),
        source_ip: Ipv4Addr::LOCALHOST.to_string(),
        port,
    };
    let pairs = form.get("headers").and_then(Value::as_array);
    for pair in pairs.into_iter().flatten() {
        let part = |index| pair.get(index).and_then(Value::as_str).unwrap_or_default();
        let (name, value): (&str, &str) = (part(0), part(1));
        if name.eq_ignore_ascii_case("host") {
            request.headers.clear();
        }
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    check(&request)?;
    let event = front.event(&request).map_err(SendError::Refused)?;
    let origin = Origin {
        request_id: id,
        source: kind_name(front.kind).to_owned(),
        via: "page".to_owned(),
        method: request.method,
        target: request.target,
    };
    Ok(invoke(function, Some(front), origin, event))
}

/// Sends an event.
pub fn event(function: &Arc<Function>, event: Vec<u8>) -> Result<u64, SendError> {
    serde_json::from_slice::<IgnoredAny>(&event).map_err(SendError::NotJson)?;
    if event.len() > PAYLOAD_LIMIT {
        return Err(SendError::Refused(GatewayError::RequestTooLarge));
    }
    let origin = Origin {
        request_id: clock::uuid(),
        source: "invoke".to_owned(),
        via: "page".to_owned(),
        ..Origin::default()
    };
    Ok(invoke(function, None, origin, event))
}

/// Sends the event of an earlier invocation again.
pub fn replay(function: &Arc<Function>, number: u64) -> Result<u64, SendError> {
    let recorder = &function.setup.recorder;
    let missing = || SendError::NotKept(number);
    let mut origin = recorder.origin(number).ok_or_else(missing)?;
    let (event, size) = recorder
        .message(number, Message::Event, 0)
        .ok_or_else(missing)?;
    if event.len() as u64 != size {
        return Err(SendError::Cut { size });
    }
    origin.request_id = clock::uuid();
    origin.via = format!("replay of {number}");
    let front = front(function, &origin.source).ok();
    Ok(invoke(function, front, origin, event))
}

fn front(function: &Function, name: &str) -> Result<Front, SendError> {
    let found = KINDS.iter().find(|(known, _)| *known == name);
    let kind = found.map(|(_, kind)| *kind);
    let kind: Kind = kind.ok_or_else(|| SendError::UnknownFront(name.to_owned()))?;
    let options = &function.setup.options;
    let stage = options.stage.clone().filter(|_| options.kind == kind);
    Ok(Front { kind, stage })
}

/// Refuses a request that no client could send (RFC 9110 5.1, 5.5 and 9.1, RFC 9112 3.2).
fn check(request: &HttpRequest) -> Result<(), SendError> {
    let is_token = |text: &str| {
        let is_separator = |byte: u8| b"\"(),/:;<=>?@[\\]{}".contains(&byte);
        let is_valid = |byte: u8| byte.is_ascii_graphic() && !is_separator(byte);
        !text.is_empty() && text.bytes().all(is_valid)
    };
    let is_target = request.target.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_token(&request.method) {
        return Err(SendError::Invalid { field: "method" });
    }
    if !request.target.starts_with('/') || !is_target {
        return Err(SendError::Invalid { field: "path" });
    }
    let is_line = |value: &str| !value.contains(['\r', '\n', '\0']);
    let mut headers = request.headers.iter();
    if headers.any(|(name, value)| !is_token(name) || !is_line(value)) {
        return Err(SendError::Invalid { field: "header" });
    }
    Ok(())
}

fn invoke(function: &Arc<Function>, front: Option<Front>, origin: Origin, event: Vec<u8>) -> u64 {
    let recording = function.setup.recorder.begin(origin.clone(), &event);
    let number = recording.number().unwrap_or_default();
    let replies = function.invoke(InvokeRequest {
        id: origin.request_id,
        payload: event,
        trace: clock::trace_root(clock::now_ms()),
        client_context: None,
        tenant: function.setup.options.tenant.clone(),
        recording: recording.clone(),
    });
    std::thread::spawn(move || receive(front.as_ref(), &recording, &replies));
    number
}

/// Receives all of the reply, and records the head of the response that it means.
fn receive(front: Option<&Front>, recording: &Recording, replies: &Receiver<Reply>) {
    let (mut stream, mut is_head_known) = (Vec::new(), false);
    for reply in replies {
        let Some(front) = front.filter(|_| !is_head_known) else {
            continue;
        };
        let response = match reply {
            Reply::Buffered(payload) => front.response(&payload).ok(),
            Reply::StreamStart { .. } => continue,
            Reply::Chunk(chunk) => {
                stream.extend_from_slice(&chunk);
                let mut windows = stream.windows(DELIMITER.len());
                let end = windows.position(|window| window == DELIMITER);
                if end.is_none() && stream.len() <= PRELUDE_LIMIT {
                    continue;
                }
                let prelude = stream.get(..end.unwrap_or(0)).unwrap_or_default();
                front.stream_head(prelude).ok()
            }
            Reply::Failed(fault) if fault.is_timeout() => {
                Some(front.error_response(GatewayError::Timeout))
            }
            Reply::StreamEnd(_) | Reply::Failed(_) => None,
        };
        let failed = || front.error_response(GatewayError::FunctionFailed);
        let HttpResponse {
            status, headers, ..
        } = response.unwrap_or_else(failed);
        is_head_known = true;
        recording.sent(Some(status), &Headers::from(headers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(method: &str, target: &str, name: &str, value: &str) -> Option<&'static str> {
        let request = HttpRequest {
            id: String::new(),
            trace: String::new(),
            time_ms: 0,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![(name.to_owned(), value.to_owned())],
            body: Vec::new(),
            source_ip: String::new(),
            port: 0,
        };
        match check(&request) {
            Err(SendError::Invalid { field }) => Some(field),
            _ => None,
        }
    }

    #[test]
    fn a_request_that_no_client_could_send_is_refused() {
        assert_eq!(field("GET", "/a?b=%20", "x-y", "a b"), None);
        assert_eq!(field("GE T", "/", "x", ""), Some("method"));
        assert_eq!(field("", "/", "x", ""), Some("method"));
        assert_eq!(field("GET", "a", "x", ""), Some("path"));
        assert_eq!(field("GET", "/a b", "x", ""), Some("path"));
        assert_eq!(field("GET", "/", "x y", ""), Some("header"));
        assert_eq!(field("GET", "/", "x", "a\r\nb: c"), Some("header"));
    }
}
