//! Events become exactly one request for a strict parser, with the body unchanged and without
//! client values of the headers that only Lambda may set.

use lambda_adapter::config::Config;
use lambda_adapter::invocation::Invocation;
use lambda_adapter::translate::event;
use lambda_adapter::translate::records::Batch;
use lambda_adapter::translate::request;
use serde_json::{Value, json};

use super::bytes::Bytes;
use super::strict::{self, Request};

/// The settings of each variant.
const VARIANTS: [&[(&str, &str)]; 4] = [
    &[],
    &[
        ("AWS_LWA_REMOVE_BASE_PATH", "/api"),
        ("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH", "/hook"),
        ("AWS_LWA_TRACEPARENT", "true"),
        ("AWS_LWA_PASS_THROUGH_PATH", "/e/{source}?a=b"),
    ],
    &[
        ("AWS_LWA_AUTHORIZATION_SOURCE", "x-auth"),
        ("AWS_LWA_PASS_THROUGH_PATH", "/p?a=b"),
        ("AWS_LWA_AFTER_RESPONSE_PATH", "/after"),
    ],
    &[("AWS_LWA_CONTEXT_HEADERS", "off"), ("AWS_LWA_HOST", "::1")],
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let variant = VARIANTS[bytes.below(VARIANTS.len())];
    let is_structured = bytes.coin();
    let lookup = |name: &str| {
        let mut variant = variant.iter();
        let found = variant.find(|(given, _)| *given == name);
        match name {
            "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
            _ => found.map(|(_, value)| (*value).to_owned()),
        }
    };
    let config = Config::from_env(&lookup, &mut Vec::new()).expect("valid settings");
    if !is_structured {
        let invocation = invocation("", "", "");
        return drop(build(bytes.0, &invocation, &config));
    }
    let (kind, is_base64) = (bytes.below(7), bytes.coin());
    let invocation = invocation(&bytes.text(), &bytes.text(), &bytes.text());
    let (event, method, body) = event(&mut bytes, kind, is_base64);
    let payload = event.to_string();
    let Some(request) = build(payload.as_bytes(), &invocation, &config) else {
        let given = event["headers"].to_string() + &event["multiValueHeaders"].to_string();
        let hosts = given.to_ascii_lowercase().matches("host\"").count();
        assert!(
            config.hooks().next().is_some()
                || !strict::is_token(method.as_bytes())
                || method == "CONNECT"
                || is_base64
                || hosts > 0,
            "rejected: {event}"
        );
        return;
    };
    assert_eq!(
        request.method,
        if method.is_empty() { "GET" } else { &method }
    );
    let body = if is_base64 {
        strict::base64(&body).expect("base64")
    } else {
        body.into_bytes()
    };
    assert_eq!(request.body, body);
    if event.get("multiValueHeaders").is_none() {
        assert_eq!(request.all("host"), [b"h"], "{event}");
    }
    let tenants = request.all("x-amz-tenant-id");
    let tenant = invocation
        .tenant_id
        .as_deref()
        .map(|id| strict::bare(id.as_bytes()));
    assert_eq!(tenants, Vec::from_iter(tenant));
}

/// Builds the request and parses it again; `None` for a failure or a rejection.
fn build(payload: &[u8], invocation: &Invocation, config: &Config) -> Option<Request> {
    let event = match event::parse(payload) {
        Ok(event) => event,
        Err(failure) => {
            let read: Result<Value, _> = serde_json::from_slice(payload);
            assert!(read.is_err(), "{failure}");
            return None;
        }
    };
    if let Some(batch) = Batch::parse(payload) {
        check_records(&batch, invocation, config);
    }
    let is_request = event.kind().is_some();
    let mut decoded = Vec::new();
    let request = match request::build(event, payload, invocation, config, &mut decoded) {
        Ok(request) => request,
        Err(rejection) => {
            let plain = |c: char| !c.is_control();
            assert!(!rejection.message.is_empty() && rejection.message.chars().all(plain));
            return None;
        }
    };
    let mut wire = Vec::new();
    request.write_head(&mut wire);
    wire.extend_from_slice(request.body);
    let request =
        strict::request(&wire).unwrap_or_else(|error| panic!("{error} in {}", wire.escape_ascii()));
    check_fields(&request, config);
    if !is_request {
        assert_eq!(&*request.method, "POST");
        let parts: Vec<&str> = config.pass_through_path.split("{source}").collect();
        let (before, after) = match parts[..] {
            [path] => (path, None),
            [before, after] => (before, Some(after)),
            _ => panic!("{parts:?}"),
        };
        let source = request.target.strip_prefix(before);
        let source = source.and_then(|rest| rest.strip_suffix(after.unwrap_or_default()));
        let source = source.expect("the pass-through path");
        assert_eq!(source.is_empty(), after.is_none());
        assert!(
            source
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b"-3".contains(&b)),
            "{source}"
        );
        assert_eq!(request.body, payload);
    }
    Some(request)
}

/// Each record is one request, or has a message that cannot be decoded.
fn check_records(batch: &Batch, invocation: &Invocation, config: &Config) {
    let mut body = Vec::new();
    for index in 0..batch.len() {
        if batch.read_message(index, &mut body).is_none() {
            continue;
        }
        let request = batch.request(index, b"/events", invocation, config, &body);
        let mut wire = Vec::new();
        request.write_head(&mut wire);
        wire.extend_from_slice(request.body);
        let request = strict::request(&wire)
            .unwrap_or_else(|error| panic!("{error} in {}", wire.escape_ascii()));
        check_fields(&request, config);
        assert_eq!(request.all("x-amzn-event-id").len(), 1);
    }
}

/// The path for a server that decodes it once.
fn decoded(target: &str) -> Vec<u8> {
    let path = target.split('?').next().unwrap_or_default();
    let mut rest = path.as_bytes();
    let mut out = Vec::new();
    while let [first, after @ ..] = rest {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

fn check_fields(request: &Request, config: &Config) {
    for hook in config.hooks() {
        let path = decoded(&request.target).to_ascii_lowercase();
        assert!(path != hook.as_bytes(), "a hook was requested");
    }
    assert_eq!(request.all("host").len(), 1);
    // Servers that turn headers into variables replace `-`, and some all but letters and digits.
    let variable = |name: &str| {
        name.to_ascii_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    };
    let named = |name: &str| {
        let fields = request.fields.iter();
        fields
            .filter(|(given, _)| variable(given) == variable(name))
            .count()
    };
    for name in [
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    ] {
        assert_eq!(request.all(name).len(), 0, "{name} was forwarded");
    }
    for name in ["x-amzn-request-context", "x-amzn-lambda-context"] {
        assert_eq!(named(name), usize::from(config.context_headers), "{name}");
        for value in request.all(name) {
            let read: Result<Value, _> = serde_json::from_slice(value);
            let deep = read
                .as_ref()
                .is_err_and(|error| error.to_string().contains("recursion"));
            assert!(
                read.is_ok() || deep || is_unrepresentable(value),
                "{}",
                value.escape_ascii()
            );
            assert!(value.is_ascii());
        }
    }
    assert!(named("x-amz-tenant-id") <= 1 && named("content-length") <= 1);
    let names = request.fields.iter().map(|(name, _)| variable(name));
    let of_web_functions = names.filter(|name| name.starts_with("lambda_web_"));
    assert_eq!(Vec::from_iter(of_web_functions), ["lambda_web_request_id"]);
    assert_eq!(request.all("lambda-web-request-id"), [b"req-1"]);
}

/// Whether the value is valid JSON with a number or an escape that `Value` cannot represent.
fn is_unrepresentable(json: &[u8]) -> bool {
    let ignored: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(json);
    ignored.is_ok()
}

fn invocation(trace: &str, tenant: &str, client: &str) -> Invocation {
    Invocation::from_headers(|name| match name {
        "lambda-runtime-aws-request-id" => Some(b"req-1"),
        "lambda-runtime-trace-id" => Some(trace.as_bytes()),
        "lambda-runtime-aws-tenant-id" => Some(tenant.as_bytes()),
        "lambda-runtime-client-context" => Some(client.as_bytes()),
        "lambda-runtime-cognito-identity" => Some(client.as_bytes()),
        _ => None,
    })
    .expect("an id")
}

/// Builds an event of the kind from the next lines; returns its method and its body, too.
fn event(bytes: &mut Bytes, kind: usize, is_base64: bool) -> (Value, String, String) {
    let (method, path, query) = (bytes.text(), bytes.text(), bytes.text());
    let (name, value, cookie, odd) = (bytes.text(), bytes.text(), bytes.text(), bytes.text());
    let body = String::from_utf8_lossy(bytes.0).into_owned();
    let body = if is_base64 {
        let mut encoded = Vec::new();
        codec::base64::encode(&mut encoded, body.as_bytes());
        strict::text(&encoded)
    } else {
        body
    };
    let domain = if kind == 0 { "a.lambda-url.b" } else { "a" };
    let context = match kind {
        0 | 1 => json!({"http": {"method": method}, "domainName": domain, "stage": odd}),
        2 | 3 => json!({"stage": odd, "identity": null}),
        4 | 5 => json!({"elb": {"targetGroupArn": odd}}),
        _ => json!({"serviceArn": odd}),
    };
    let single = json!({
        "Connection": "X-Hop, Host", &name: value, "x-auth": odd, "Host": "h",
    });
    let multi = json!({&name: [value, odd], "x-auth": [odd]});
    let mut event = json!({
        "requestContext": context, "body": body, "isBase64Encoded": is_base64,
        "path": path, "rawPath": path,
        "httpMethod": method, "cookies": [cookie, odd], "version": "2.0", "rawQueryString": query,
        "queryStringParameters": {&query: cookie}, "headers": single,
    });
    if kind == 3 || kind == 5 {
        event["multiValueHeaders"] = multi;
        event["multiValueQueryStringParameters"] = json!({&query: [cookie, odd]});
    }
    if kind == 6 {
        event["method"] = json!(method);
    }
    (event, method, body)
}
