//! An event as the HTTP/1.1 request that the app gets.
//!
//! The rule is to carry bytes: what the client sent arrives as it was sent, only what cannot
//! stand in a request line or a field is percent-encoded or blanked (RFC 3986 2.1, RFC 9110
//! 5.5, RFC 9112 3.2). Fields that stop at a hop are dropped (RFC 9110 7.6.1), the length is
//! our own, and what vouches for the caller (tenant, contexts) can only come from Lambda.

use std::borrow::Cow;

use log::debug;

use crate::base64;
use crate::config::Config;
use crate::event::{Event, Http, Kind, Pairs, Query};
use crate::guard;
use crate::headers::{Headers, is_token};
use crate::http1;
use crate::invocation::{Invocation, clean_value};
use crate::json::{self, Object, Raw};
use crate::trace;

const TRACE_ID: &[u8] = b"x-amzn-trace-id";
const REQUEST_CONTEXT: &[u8] = b"x-amzn-request-context";
const LAMBDA_CONTEXT: &[u8] = b"x-amzn-lambda-context";
const TENANT_ID: &[u8] = b"x-amz-tenant-id";

#[derive(Debug)]
pub struct Request<'a> {
    pub method: Cow<'a, str>,
    pub target: Vec<u8>,
    pub headers: Headers,
    pub body: Cow<'a, [u8]>,
}

/// Why the app never sees a request: what the client gets instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejection {
    pub status: u16,
    pub message: String,
}

fn bad_request(message: String) -> Rejection {
    Rejection {
        status: 400,
        message,
    }
}

impl Request<'_> {
    /// Whether sending it twice is the same as once (RFC 9110 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            &*self.method,
            "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
        )
    }

    /// Appends the head as it goes over the wire.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        http1::write_request_line(out, self.method.as_bytes(), &self.target);
        for (name, value) in self.headers.iter() {
            http1::write_field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The request for the event; `payload` is the event's own bytes.
pub fn build<'a>(
    event: &'a Event,
    payload: &'a [u8],
    invocation: &Invocation,
    config: &Config,
) -> Result<Request<'a>, Rejection> {
    match event {
        Event::Http(http) => from_http(http, invocation, config),
        Event::Other { context } => Ok(pass_through(*context, payload, invocation, config)),
    }
}

fn from_http<'a>(
    http: &'a Http,
    invocation: &Invocation,
    config: &Config,
) -> Result<Request<'a>, Rejection> {
    let method = match &*http.method {
        "" => "GET",
        method => method,
    };
    // CONNECT asks for a tunnel, which no event can carry.
    if !is_token(method.as_bytes()) || method == "CONNECT" {
        let method = method.escape_debug();
        return Err(bad_request(format!(
            "`{method}` is not a method that can be forwarded"
        )));
    }
    let target = target(http, config);
    let mut hooks = config.snapstart.hooks();
    if hooks.any(|hook| guard::refuses(hook, &target)) {
        return Err(Rejection {
            status: 403,
            message: "this path is not open to requests from outside".into(),
        });
    }
    let body = body(http)?;
    let mut headers = Headers::new();
    copy_fields(http, config, &mut headers)?;
    add_contexts(&mut headers, Some(http.context), invocation, config);
    if !headers.contains(b"host") {
        headers.push(b"host", host(config).as_bytes());
    }
    // RFC 9110 8.6: a method that expects a body says its length even when it is zero.
    if !body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        headers.push(b"content-length", body.len().to_string().as_bytes());
    }
    Ok(Request {
        method: Cow::Borrowed(method),
        target,
        headers,
        body,
    })
}

fn pass_through<'a>(
    context: Option<Raw>,
    payload: &'a [u8],
    invocation: &Invocation,
    config: &Config,
) -> Request<'a> {
    let mut headers = Headers::new();
    headers.push(b"content-type", b"application/json");
    add_contexts(&mut headers, context, invocation, config);
    headers.push(b"host", host(config).as_bytes());
    headers.push(b"content-length", payload.len().to_string().as_bytes());
    Request {
        method: Cow::Borrowed("POST"),
        target: config.pass_through_path.as_bytes().to_vec(),
        headers,
        body: Cow::Borrowed(payload),
    }
}

/// The app's own name for itself, for requests that bring none.
pub fn host(config: &Config) -> String {
    let port = config.app.port;
    match config.app.host.as_deref() {
        None => format!("127.0.0.1:{port}"),
        Some(host) if host.contains(':') => format!("[{host}]:{port}"),
        Some(host) => format!("{host}:{port}"),
    }
}

fn body<'a>(http: &Http<'a>) -> Result<Cow<'a, [u8]>, Rejection> {
    let Some(raw) = http.body else {
        return Ok(Cow::Borrowed(b""));
    };
    let Some(text) = json::text(raw) else {
        return Err(bad_request(
            "the body of the event is not valid Unicode".into(),
        ));
    };
    if http.is_base64 {
        let mut bytes = Vec::new();
        return match base64::decode(&mut bytes, text.as_bytes()) {
            Some(()) => Ok(Cow::Owned(bytes)),
            None => Err(bad_request(
                "the body of the event is marked as base64 and is not".into(),
            )),
        };
    }
    Ok(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

/// The event's own fields, cleaned, less those that are not the client's to send.
fn copy_fields(http: &Http, config: &Config, headers: &mut Headers) -> Result<(), Rejection> {
    let mut given = Headers::new();
    for (name, value) in &http.headers {
        if !is_token(name.as_bytes()) {
            debug!(
                "header `{}` of the event dropped: not a header name",
                name.escape_debug()
            );
            continue;
        }
        let cleaned = clean_value(value);
        if matches!(cleaned, Cow::Owned(_)) {
            if name.eq_ignore_ascii_case("host") {
                return Err(bad_request("the host header holds a control byte".into()));
            }
            debug!("header `{name}` of the event cleaned: it held a control byte");
        }
        given.push(name.as_bytes(), cleaned.as_bytes());
    }
    let authorization = config.authorization_source.as_deref().map(str::as_bytes);
    let replaced = authorization.filter(|source| given.contains(source));
    if let (Some(source), None) = (&config.authorization_source, replaced) {
        debug!("no header `{source}` to take the authorization from");
    }
    for (name, value) in given.iter() {
        let ours = matches!(
            name,
            b"content-length" | b"expect" | REQUEST_CONTEXT | LAMBDA_CONTEXT | TENANT_ID
        );
        if ours || given.stops_here(name) {
            continue;
        }
        if name == b"cookie" && !http.cookies.is_empty() {
            if !headers.contains(name) {
                headers.push(name, &cookies(http));
            }
        } else if Some(name) == replaced {
            headers.push(b"authorization", value);
        } else if name != b"authorization" || replaced.is_none() {
            headers.push(name, value);
        }
    }
    if !http.cookies.is_empty() && !headers.contains(b"cookie") {
        headers.push(b"cookie", &cookies(http));
    }
    Ok(())
}

/// The event's cookies as one field, its pairs parted by `; ` (RFC 6265 4.2.1).
fn cookies(http: &Http) -> Vec<u8> {
    clean_value(&http.cookies.join("; "))
        .into_owned()
        .into_bytes()
}

/// What Lambda says of this invocation.
fn add_contexts(
    headers: &mut Headers,
    context: Option<Raw>,
    invocation: &Invocation,
    config: &Config,
) {
    if let Some(trace_id) = &invocation.trace_id {
        headers.remove(TRACE_ID);
        headers.push(TRACE_ID, trace_id.as_bytes());
        if config.traceparent {
            trace::add_parent(headers, trace_id);
        }
    }
    if config.context_headers {
        let mut value = Vec::with_capacity(1024);
        json::write_ascii(&mut value, context.map_or("null", |raw| raw.get()));
        headers.push(REQUEST_CONTEXT, &value);
        value.clear();
        write_lambda_context(&mut value, invocation, config);
        headers.push(LAMBDA_CONTEXT, &value);
    }
    if let Some(tenant_id) = &invocation.tenant_id {
        headers.push(TENANT_ID, tenant_id.as_bytes());
    }
}

fn write_lambda_context(out: &mut Vec<u8>, invocation: &Invocation, config: &Config) {
    let function = &config.function;
    let string = |out: &mut Vec<u8>, key: &str, value: Option<&str>| {
        out.extend_from_slice(key.as_bytes());
        match value {
            Some(text) => json::write_ascii_string(out, text),
            None => out.extend_from_slice(b"null"),
        }
    };
    let number = |out: &mut Vec<u8>, key: &str, value: u64| {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.to_string().as_bytes());
    };
    string(out, "{\"request_id\":", Some(&invocation.id));
    number(out, ",\"deadline\":", invocation.deadline_ms.unwrap_or(0));
    string(
        out,
        ",\"invoked_function_arn\":",
        Some(&invocation.function_arn),
    );
    string(out, ",\"xray_trace_id\":", invocation.trace_id.as_deref());
    out.extend_from_slice(b",\"client_context\":");
    let client = invocation.client_context.as_deref();
    json::write_ascii(
        out,
        client
            .filter(|text| json::is_valid(text.as_bytes()))
            .unwrap_or("null"),
    );
    out.extend_from_slice(b",\"identity\":");
    write_identity(out, invocation);
    string(out, ",\"tenant_id\":", invocation.tenant_id.as_deref());
    string(
        out,
        ",\"env_config\":{\"function_name\":",
        Some(&function.name),
    );
    number(out, ",\"memory\":", function.memory);
    string(out, ",\"version\":", Some(&function.version));
    string(out, ",\"log_stream\":", Some(&function.log_stream));
    string(out, ",\"log_group\":", Some(&function.log_group));
    out.extend_from_slice(b"}}");
}

/// Cognito's identity under the names that apps behind such adapters know.
fn write_identity(out: &mut Vec<u8>, invocation: &Invocation) {
    let json = invocation.cognito_identity.as_deref().unwrap_or("null");
    let identity: Object = serde_json::from_str(json).unwrap_or_default();
    let named = |keys: [&str; 3]| {
        keys.iter()
            .find_map(|key| identity.text(key))
            .unwrap_or_default()
    };
    if identity.is_empty() {
        return out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b"{\"identityId\":");
    json::write_ascii_string(
        out,
        &named(["cognitoIdentityId", "identityId", "identity_id"]),
    );
    out.extend_from_slice(b",\"identityPoolId\":");
    let pool = [
        "cognitoIdentityPoolId",
        "identityPoolId",
        "identity_pool_id",
    ];
    json::write_ascii_string(out, &named(pool));
    out.push(b'}');
}

fn target(http: &Http, config: &Config) -> Vec<u8> {
    let mut target = Vec::with_capacity(http.path.len() + 64);
    let mut path = &*http.path;
    if let Some(base) = &config.base_path
        && let Some(rest) = path.strip_prefix(base.as_str())
        && (rest.is_empty() || rest.starts_with('/'))
    {
        path = rest;
    }
    if !path.starts_with('/') {
        target.push(b'/');
    }
    // Only that front decodes the path, so that a `%` there may stand for itself.
    let lone_percent = http.kind == Kind::HttpApi;
    encode(&mut target, path, |rest| match rest {
        [b'%', digits @ ..] => lone_percent && !starts_with_two_hex_digits(digits),
        [byte, ..] => b"\"<>`{}?#\\".contains(byte),
        [] => false,
    });
    let pairs = |target: &mut Vec<u8>, pairs: &Pairs, reserved: &[u8]| {
        for (index, (key, value)) in pairs.iter().enumerate() {
            target.push(if index == 0 { b'?' } else { b'&' });
            encode(target, key, |rest| {
                rest.first()
                    .is_some_and(|byte| *byte == b'=' || reserved.contains(byte))
            });
            target.push(b'=');
            encode(target, value, |rest| {
                rest.first().is_some_and(|byte| reserved.contains(byte))
            });
        }
    };
    match &http.query {
        Query::Whole(query) if query.is_empty() => {}
        Query::Whole(query) => {
            target.push(b'?');
            encode(&mut target, query, |rest| {
                rest.first().is_some_and(|byte| b"\"<>`#".contains(byte))
            });
        }
        Query::Encoded(list) => pairs(&mut target, list, b"\"<>`#&"),
        Query::Decoded(list) => pairs(&mut target, list, b"\"<>`#&=+%\\^|{}[]"),
    }
    target
}

/// Appends the text, percent-encoding spaces, control bytes, everything beyond ASCII, and each
/// byte for which `reserved` says so of the rest that begins with it.
fn encode(out: &mut Vec<u8>, text: &str, reserved: impl Fn(&[u8]) -> bool) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if byte.is_ascii_graphic() && !reserved(rest) {
            out.push(*byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
        rest = after;
    }
}

fn starts_with_two_hex_digits(bytes: &[u8]) -> bool {
    matches!(bytes, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
}
