//! Time: large events and responses of one repeated part take time in proportion to their size.
//!
//! Clients choose the number of headers, query keys, cookies and options, up to the 6 MB of an
//! event. A lookup that compares each with all others goes unnoticed in small inputs.

use std::time::Duration;

use lambda_adapter::config::Config;
use lambda_adapter::http::headers::Headers;
use lambda_adapter::http::{self, Body, Input, Response};
use lambda_adapter::invocation::Invocation;
use lambda_adapter::translate::event::{self, Kind};
use lambda_adapter::translate::{reply, request};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

use super::bytes::{Bytes, Pieces};

/// Processor time for each input, and for each of its bytes: some five times as long as a debug
/// build takes.
const BASE: Duration = Duration::from_millis(500);
const PER_BYTE: Duration = Duration::from_micros(1);
/// An interrupted attempt may take longer, but not each.
const ATTEMPTS: usize = 5;

type Shape = fn(&str, &str, usize) -> (Vec<u8>, fn(&[u8]));

const SHAPES: [Shape; 9] = [
    headers,
    headers_in_both_maps,
    queries_in_both_maps,
    connection_options,
    cookies,
    long_key,
    response_options,
    small_chunks,
    interim_responses,
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let shape = SHAPES[bytes.below(SHAPES.len())];
    let count = 1 << (4 + bytes.below(11));
    let (part, value) = (bytes.text(), bytes.text());
    let (input, run) = shape(&part, &value, count);
    let limit = BASE + PER_BYTE * u32::try_from(input.len()).expect("a few megabytes");
    let took = |_| {
        let started = processor_time();
        run(&input);
        processor_time() - started
    };
    let in_time = (0..ATTEMPTS).map(took).any(|took| took <= limit);
    assert!(in_time, "{} bytes take over {limit:?}", input.len());
}

/// That of this thread: the clock on the wall also counts what else runs.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// `count` different names, each with the value.
fn map(part: &str, value: &Value, count: usize) -> Value {
    let pair = |number| (format!("{part}{number}"), value.clone());
    Value::Object((0..count).map(pair).collect::<Map<_, _>>())
}

fn rest(members: Value) -> (Vec<u8>, fn(&[u8])) {
    let mut event = json!({"httpMethod": "GET", "path": "/", "requestContext": {}});
    let known = event.as_object_mut().expect("an object");
    known.extend(members.as_object().expect("an object").clone());
    (event.to_string().into_bytes(), build)
}

fn headers(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    rest(json!({"headers": map(part, &json!(value), count)}))
}

fn headers_in_both_maps(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    rest(json!({
        "headers": map(part, &json!(value), count),
        "multiValueHeaders": map(part, &json!([value, value]), count),
    }))
}

fn queries_in_both_maps(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    rest(json!({
        "queryStringParameters": map(part, &json!(value), count),
        "multiValueQueryStringParameters": map(part, &json!([value]), count),
    }))
}

fn connection_options(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    let mut fields = map("x-", &json!(value), count);
    fields["connection"] = json!(format!("{part},").repeat(count));
    rest(json!({"headers": fields}))
}

fn cookies(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    let context = json!({"http": {"method": "GET"}});
    let mut fields = map(part, &json!(value), count);
    fields["cookie"] = json!(vec![value; count]);
    let event = json!({"requestContext": context, "rawPath": "/", "headers": fields,
        "cookies": vec![value; count]});
    (event.to_string().into_bytes(), build)
}

/// Each of many values repeats a key as long as all of them, one of which JSON escapes.
fn long_key(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    let key = part.repeat(count);
    rest(json!({
        "multiValueHeaders": {&key: vec![value; count]},
        "multiValueQueryStringParameters": {key + "\"": vec![value; count]},
    }))
}

fn response_options(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    let fields: String = (0..900).map(|n| format!("x-{n}: a\r\n")).collect();
    let options = format!("{part},{value},").repeat(count);
    let wire = format!("HTTP/1.1 200 OK\r\nConnection: {options}\r\n{fields}\r\n");
    (wire.into_bytes(), respond)
}

fn small_chunks(part: &str, _: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    let chunk = format!("1;{part}\r\na\r\n").repeat(count);
    let wire = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    (wire.into_bytes(), respond)
}

fn interim_responses(part: &str, value: &str, count: usize) -> (Vec<u8>, fn(&[u8])) {
    let interim = format!("HTTP/1.1 103 Early Hints\r\n{part}: {value}\r\n\r\n");
    let wire = interim.repeat(count) + "HTTP/1.1 204 No Content\r\n\r\n";
    (wire.into_bytes(), respond)
}

fn build(payload: &[u8]) {
    let lookup = |name: &str| match name {
        "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
        "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH" => Some("/hook".to_owned()),
        _ => None,
    };
    let config = Config::from_env(&lookup, &mut Vec::new()).expect("valid settings");
    let invocation = Invocation::from_headers(|name| {
        (name == "lambda-runtime-aws-request-id").then_some(&b"req-1"[..])
    });
    let invocation = invocation.expect("an id");
    let event = event::parse(payload).expect("JSON");
    let mut decoded = Vec::new();
    if let Ok(request) = request::build(event, payload, &invocation, &config, &mut decoded) {
        let mut head = Vec::new();
        request.write_head(&mut head);
        assert!(head.len() < 16 << 20, "{} bytes", head.len());
    }
}

fn respond(wire: &[u8]) {
    let (mut input, mut headers) = (Input::new(16), Headers::new());
    let mut from = Pieces {
        bytes: wire,
        size: 100,
    };
    let Ok(head) = http::read_head(&mut input, &mut from, &mut headers, false) else {
        return;
    };
    let mut body = Vec::new();
    let _ = Body::new(head.framing).read_to(&mut input, &mut from, &mut body, 6 << 20);
    let response = Response {
        status: head.status,
        headers: &headers,
        to_head: false,
    };
    let _ = reply::render(&response, &body, Some(Kind::FunctionUrl), &mut Vec::new());
}
