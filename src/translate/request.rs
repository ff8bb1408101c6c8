//! An event as the HTTP/1.1 request to the app.
//!
//! The app receives the bytes that the client sent. Only bytes that a request line or a header
//! cannot hold are changed: they are percent-encoded in the target and replaced by spaces in
//! header values (RFC 3986 2.1, RFC 9110 5.5, RFC 9112 3.2). Hop-by-hop headers are dropped
//! (RFC 9110 7.6.1), as are the client's values of reserved headers: the adapter computes the
//! length, and tenant and context headers identify the caller, so only Lambda may set them.

use std::borrow::Cow;

use crate::logger::line::debug;
use codec::base64;
use codec::escape::unescape;
use codec::simd::find;

use super::context_headers::{
    self, LAMBDA_CONTEXT, PRIME, REQUEST_CONTEXT, TENANT_ID, WEB_FUNCTION,
};
use super::{records, source};
use crate::config::Config;
use crate::http::headers::{self, Headers, HopByHop, is_token};
use crate::http::path_guard;
use crate::http::request::{Request, clean};
use crate::invocation::Invocation;
use crate::text;
use crate::translate::event::{self, Event, Http, MAX_PAIRS, Pairs, Query};
use codec::json::{self, Raw};

/// The start of the names of headers in which the front end describes the client. The client can
/// neither send them in another spelling nor have them dropped by naming them in `Connection`.
const FRONT_END: [&[u8]; 3] = [b"x-forwarded-", b"x-amz", b"cloudfront-"];

/// The response to a request that is not forwarded to the app.
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

/// Builds the request for the event, which is freed then: the app may take its time. The body
/// borrows from `payload` or from the buffer `decoded`.
pub fn build<'a>(
    event: Event<'a>,
    payload: &'a [u8],
    invocation: &Invocation,
    config: &Config,
    decoded: &'a mut Vec<u8>,
) -> Result<Request<'a>, Rejection> {
    match event {
        Event::Http(http) => from_http(http, invocation, config, decoded),
        Event::Other { context } => {
            let target = pass_through_target(payload, config);
            let media_type = "application/json";
            Ok(pass_through(
                target, media_type, payload, context, invocation, config,
            ))
        }
    }
}

fn from_http<'a>(
    mut http: Http<'a>,
    invocation: &Invocation,
    config: &Config,
    decoded: &'a mut Vec<u8>,
) -> Result<Request<'a>, Rejection> {
    let mut method = std::mem::take(&mut http.method);
    if method.is_empty() {
        method = Cow::Borrowed("GET");
    }
    // CONNECT requests a tunnel, which an invocation cannot provide.
    if !is_token(method.as_bytes()) || method == "CONNECT" {
        let method = text::plain(method.as_bytes(), 256);
        return Err(bad_request(format!(
            "the method `{method}` cannot be forwarded"
        )));
    }
    check_size(&http)?;
    let target = target(&http, config);
    if config.hooks().any(|hook| is_for(hook, &target, &http)) {
        return Err(Rejection {
            status: 403,
            message: "the path is reserved for a hook of the app".into(),
        });
    }
    let body = body(&http, decoded)?;
    let mut headers = Headers::new();
    copy_fields(&http, config, &mut headers)?;
    context_headers::add(&mut headers, Some(http.context), invocation, config);
    if !headers.contains(b"host") {
        headers.push(b"host", config.app.to_string().as_bytes());
    }
    // Methods that expect a body send its length even if it is zero (RFC 9110 8.6).
    if !body.is_empty() || matches!(&*method, "POST" | "PUT" | "PATCH") {
        headers.push(b"content-length", body.len().to_string().as_bytes());
    }
    Ok(Request {
        method,
        target,
        headers,
        body,
    })
}

/// Whether a server might route the request to the hook: by its target, or by a header that some
/// frameworks obey instead.
fn is_for(hook: &str, target: &[u8], http: &Http) -> bool {
    for (name, value) in &http.headers {
        if is_route(name.as_bytes()) && path_guard::matches(hook, value.as_bytes()) {
            return true;
        }
    }
    path_guard::matches(hook, target)
}

/// Whether the name, in any spelling that becomes the same variable, is such a header's.
fn is_route(name: &[u8]) -> bool {
    let is_same = |(given, known): (&u8, &u8)| match known {
        b'-' => !given.is_ascii_alphanumeric(),
        _ => given.eq_ignore_ascii_case(known),
    };
    [&b"x-original-url"[..], b"x-rewrite-url"]
        .iter()
        .any(|known| name.len() == known.len() && name.iter().zip(*known).all(is_same))
}

/// Rejects headers and queries that are larger than a front end ever sends.
fn check_size(http: &Http) -> Result<(), Rejection> {
    let message = |part: &str| format!("the {part} of the event has more than {MAX_PAIRS} bytes");
    if event::is_oversized(&http.headers) {
        return Err(Rejection {
            status: 431,
            message: message("header"),
        });
    }
    match &http.query {
        Query::Encoded(pairs) | Query::Decoded(pairs) if event::is_oversized(pairs) => {
            Err(bad_request(message("query")))
        }
        _ => Ok(()),
    }
}

/// The POST of an event, or of a record of one, to the pass-through path.
#[inline(never)]
pub fn pass_through<'a>(
    target: Vec<u8>,
    media_type: &str,
    body: &'a [u8],
    context: Option<Raw>,
    invocation: &Invocation,
    config: &Config,
) -> Request<'a> {
    let mut headers = Headers::new();
    headers.push(b"content-type", media_type.as_bytes());
    context_headers::add(&mut headers, context, invocation, config);
    headers.push(b"host", config.app.to_string().as_bytes());
    headers.push(b"content-length", body.len().to_string().as_bytes());
    Request {
        method: Cow::Borrowed("POST"),
        target,
        headers,
        body,
    }
}

/// The pass-through path, with the source of the event where the setting asks for it.
pub fn pass_through_target(payload: &[u8], config: &Config) -> Vec<u8> {
    let mut target = Vec::new();
    for part in config.pass_through_path.as_bytes().split(|b| *b == b'{') {
        let rest = part.strip_prefix(b"source}");
        let source = rest.map_or("", |_| source::of(payload));
        target.extend_from_slice(source.as_bytes());
        target.extend_from_slice(rest.unwrap_or(part));
    }
    target
}

/// The bytes of the body: a part of the event, or `decoded` if it is escaped or base64.
fn body<'a>(http: &Http<'a>, decoded: &'a mut Vec<u8>) -> Result<&'a [u8], Rejection> {
    let Some(raw) = http.body else {
        return Ok(b"");
    };
    decoded.clear();
    let contents = json::raw_contents(raw);
    if http.is_base64 {
        // Base64 needs no escapes, but some JSON encoders escape the slash.
        if base64::decode(decoded, contents.unwrap_or(raw.get()).as_bytes()).is_some() {
            return Ok(decoded);
        }
        let text = json::text(raw);
        decoded.clear();
        return match text.and_then(|text| base64::decode(decoded, text.as_bytes())) {
            Some(()) => Ok(decoded),
            None => Err(bad_request(
                "the body of the event is not valid base64".into(),
            )),
        };
    }
    match contents {
        Some(escaped) if find(escaped.as_bytes(), b'\\').is_some() => {
            match unescape(decoded, escaped) {
                Some(()) => Ok(decoded),
                None => Err(bad_request(
                    "the body of the event is not valid Unicode".into(),
                )),
            }
        }
        _ => Ok(contents.unwrap_or(raw.get()).as_bytes()),
    }
}

/// Copies the headers of the event, cleaned, except hop-by-hop and reserved ones.
fn copy_fields(http: &Http, config: &Config, headers: &mut Headers) -> Result<(), Rejection> {
    if named(http, "host").count() > 1 {
        return Err(bad_request(
            "the event has more than one Host header".into(),
        ));
    }
    let connection: Vec<_> = named(http, "connection").collect();
    let hop_by_hop = HopByHop::named_by(connection.iter().map(|value| value.as_bytes()));
    let replaced = replaced_authorization(http, config);
    let mut has_cookies = false;
    for (name, value) in &http.headers {
        if !is_token(name.as_bytes()) {
            let name = text::escaped(name);
            debug!("dropped header `{name}` of the event: the name is not valid");
            continue;
        }
        let cleaned = clean(value);
        if matches!(cleaned, Cow::Owned(_)) {
            if name.eq_ignore_ascii_case("host") {
                return Err(bad_request(
                    "the Host header contains a control byte".into(),
                ));
            }
            debug!("replaced control bytes in header `{name}` of the event by spaces");
        }
        // There its name is in lower case.
        headers.push(name.as_bytes(), cleaned.as_bytes());
        let (name, value) = headers.last().unwrap_or_default();
        let is_hop_by_hop = hop_by_hop.contains(name) && !is_end_to_end(name);
        if is_hop_by_hop || is_reserved(name, value) {
            headers.pop();
        } else if name == b"cookie" {
            headers.pop();
            // In the place of the first Cookie header.
            if !has_cookies {
                headers.push(b"cookie", &cookies(http));
                has_cookies = true;
            }
        } else if Some(name) == replaced {
            headers.pop();
            headers.push(b"authorization", cleaned.as_bytes());
        } else if name == b"authorization" && replaced.is_some() {
            headers.pop();
        }
    }
    if !has_cookies && !http.cookies.is_empty() {
        headers.push(b"cookie", &cookies(http));
    }
    Ok(())
}

/// The values of the event's headers of this name, cleaned.
fn named<'a>(http: &'a Http, wanted: &'static str) -> impl Iterator<Item = Cow<'a, str>> {
    let fields = http.headers.iter();
    let fields = fields.filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
    fields.map(|(_, value)| clean(value))
}

/// The header that the settings name to replace Authorization, if the event has it.
fn replaced_authorization<'a>(http: &Http, config: &'a Config) -> Option<&'a [u8]> {
    let source = config.authorization_source.as_deref()?;
    let mut names = http.headers.iter().map(|(name, _)| name);
    if !names.any(|name| name.eq_ignore_ascii_case(source)) {
        debug!("the event has no header `{source}` to replace Authorization");
        return None;
    }
    Some(source.as_bytes())
}

/// Whether the header stays although `Connection` names it: it is for all recipients
/// (RFC 9110 7.6.1), and the app may trust it or miss it.
fn is_end_to_end(name: &[u8]) -> bool {
    [&b"host"[..], b"cookie", b"authorization", b"forwarded"].contains(&name)
        || name.starts_with(b"content-")
        || is_the_front_ends(name)
}

fn is_the_front_ends(name: &[u8]) -> bool {
    FRONT_END.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether the client must not set the header: its name is reserved, or a server may read it as
/// one that is, or as one of the front end.
///
/// Servers that turn headers into variables replace `-` by `_` (RFC 3875 4.1.18), and some
/// replace every byte that is neither letter nor digit, so `x.amz.tenant.id` becomes
/// `HTTP_X_AMZ_TENANT_ID`, too. `Proxy` becomes `HTTP_PROXY`, which many HTTP clients obey.
fn is_reserved(name: &[u8], value: &[u8]) -> bool {
    let folded = headers::fold(name);
    RESERVED.contains(&&*folded)
        || folded.starts_with(WEB_FUNCTION)
        || records::is_reserved(&folded, value)
        || matches!(folded, Cow::Owned(_))
            && (&*folded == b"transfer-encoding" || is_the_front_ends(&folded))
}

/// No pattern, since that is compared byte by byte, in ten times as much code.
const RESERVED: [&[u8]; 10] = [
    b"content-length",
    b"expect",
    b"proxy",
    REQUEST_CONTEXT,
    LAMBDA_CONTEXT,
    PRIME,
    TENANT_ID,
    records::SOURCE,
    records::ID,
    records::ATTRIBUTES,
];

/// The cookies of the event as one header value, joined by `; ` (RFC 6265 4.2.1): a client may
/// split them in HTTP/2, but not in HTTP/1.1 (RFC 9113 8.2.3).
fn cookies(http: &Http) -> Vec<u8> {
    if http.cookies.is_empty() {
        let values: Vec<_> = named(http, "cookie").collect();
        return values.join("; ").into_bytes();
    }
    clean(&http.cookies.join("; ")).into_owned().into_bytes()
}

fn target(http: &Http, config: &Config) -> Vec<u8> {
    let mut target = Vec::with_capacity(http.path.len() + 64);
    let mut path = &*http.path;
    let bases = config.base_path.iter();
    let mut rests = bases.filter_map(|base| path.strip_prefix(base.as_str()));
    if let Some(rest) = rests.find(|rest| rest.is_empty() || rest.starts_with('/')) {
        path = rest;
    }
    if !path.starts_with('/') {
        target.push(b'/');
    }
    encode(&mut target, path, &|rest| match rest {
        [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => false,
        [b'%', ..] => http.path_is_decoded,
        _ => b"\"<>`{}?#\\".contains(rest.first().unwrap_or(&0)),
    });
    let pairs = |target: &mut Vec<u8>, pairs: &Pairs, reserved: &[u8]| {
        for (index, (key, value)) in pairs.iter().enumerate() {
            target.push(if index == 0 { b'?' } else { b'&' });
            encode(target, key, &|rest| {
                rest.first()
                    .is_some_and(|byte| *byte == b'=' || reserved.contains(byte))
            });
            target.push(b'=');
            encode(target, value, &|rest| {
                rest.first().is_some_and(|byte| reserved.contains(byte))
            });
        }
    };
    match &http.query {
        Query::Whole(query) if query.is_empty() => {}
        Query::Whole(query) => {
            target.push(b'?');
            encode(&mut target, query, &|rest| {
                rest.first().is_some_and(|byte| b"\"<>`#".contains(byte))
            });
        }
        Query::Encoded(list) => pairs(&mut target, list, b"\"<>`#&"),
        Query::Decoded(list) => pairs(&mut target, list, b"\"<>`#&=+%\\^|{}[]"),
    }
    target
}

/// Appends the text percent-encoded: spaces, control bytes, non-ASCII bytes, and each byte for
/// which `reserved`, called with the text from that byte on, returns true.
fn encode(out: &mut Vec<u8>, text: &str, reserved: &dyn Fn(&[u8]) -> bool) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        // No letter or digit is reserved.
        if byte.is_ascii_alphanumeric() || byte.is_ascii_graphic() && !reserved(rest) {
            out.push(*byte);
        } else {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
        rest = after;
    }
}
