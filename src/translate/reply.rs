//! The app's answer as the reply that Lambda carries to the caller.
//!
//! Each kind of event wants its own form ("Working with AWS Lambda proxy integrations" of API
//! Gateway, "Using Lambda with an Application Load Balancer", "Invoking Lambda function
//! URLs"), with one thing in common: a JSON object cannot hold bytes. A body goes as text
//! exactly when it is valid UTF-8 and its type says text or nothing, and as base64 otherwise,
//! so that what the app sent is what the caller gets.

use std::borrow::Cow;

use codec::base64;
use codec::escape::{Escaper, escape, unescape};
use log::warn;

use crate::config::Config;
use crate::error::{Class, Failure};
use crate::http::body_reader::Source;
use crate::http::headers::Headers;
use crate::http::reason::reason;
use crate::translate::event::Kind;
use codec::json;

/// What Lambda takes as a result: 6 MiB and 100 bytes.
pub const MAX_REPLY: usize = (6 << 20) + 100;
/// How much of a body that is no text fits there, as base64.
pub const MAX_BYTES: usize = MAX_REPLY / 4 * 3;

/// A whole answer of the app, or of ours in its place.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    pub status: u16,
    pub headers: &'a Headers,
    pub body: &'a [u8],
    /// HEAD asks for the length of a body that is not sent.
    pub to_head: bool,
}

/// Fails what the settings call an error, and for events that are no requests every status
/// from 400: whoever sent them sees no status, only success or failure.
pub fn check_status(answer: &Answer, kind: Option<Kind>, config: &Config) -> Result<(), Failure> {
    let status = answer.status;
    if !config.error_statuses.contains(status) && (kind.is_some() || status < 400) {
        return Ok(());
    }
    let body = String::from_utf8_lossy(answer.body);
    let named = json::Object::parse(&body)
        .ok()
        .and_then(|object| object.string("errorType").map(Cow::into_owned));
    let mut message = format!("{{\"statusCode\":{status},\"body\":").into_bytes();
    json::write_string(&mut message, &body);
    message.push(b'}');
    Err(Failure {
        class: Class::HttpStatus,
        error_type: named.unwrap_or_else(|| format!("HTTP.{status}")).into(),
        message: String::from_utf8(message).unwrap_or_default(),
        cut_off: false,
    })
}

/// Writes the reply into `out`.
pub fn render(answer: &Answer, kind: Option<Kind>, out: &mut Vec<u8>) -> Result<(), Failure> {
    out.clear();
    match kind {
        Some(kind) => {
            begin(answer, kind, out);
            let start = out.len();
            let is_text = may_be_text(answer) && escape(out, answer.body).is_some();
            if !is_text {
                out.truncate(start);
                base64::encode(out, answer.body);
            }
            end(is_text, out);
        }
        None => pass_through(answer.body, out),
    }
    check_size(answer.body.len(), out)
}

/// Writes the reply into `out` while its body comes, which spares text a copy. What turns out
/// not to be text is taken back into `read`, where the bytes gather that go as base64.
pub fn render_as_it_comes(
    answer: &Answer,
    kind: Kind,
    body: &mut dyn Source,
    out: &mut Vec<u8>,
    read: &mut Vec<u8>,
) -> Result<(), Failure> {
    out.clear();
    begin(answer, kind, out);
    let start = out.len();
    let mut text = may_be_text(answer).then(Escaper::default);
    let mut count = 0;
    loop {
        let piece = body.next(true)?.unwrap_or_default();
        let length = piece.len();
        count += length;
        if count > MAX_REPLY {
            return Err(too_large(MAX_REPLY as u64 + 1, None));
        }
        if let Some(escaper) = &mut text {
            let (whole, before) = (out.len(), *escaper);
            let is_text = match length {
                0 => before.held().is_empty(),
                _ => escaper.push(out, piece).is_some(),
            };
            if !is_text {
                text = None;
                let escaped = out.get(start..whole).unwrap_or_default();
                // It is what has been escaped, and so can be read.
                let _ = std::str::from_utf8(escaped).map(|escaped| unescape(read, escaped));
                read.extend_from_slice(before.held());
                out.truncate(start);
            }
        }
        if text.is_none() {
            read.extend_from_slice(piece);
        }
        if length == 0 {
            break;
        }
        body.consume(length);
    }
    if text.is_none() {
        base64::encode(out, read);
    }
    end(text.is_some(), out);
    check_size(count, out)
}

fn check_size(body: usize, out: &[u8]) -> Result<(), Failure> {
    match out.len() {
        0..=MAX_REPLY => Ok(()),
        size => Err(too_large(body as u64, Some(size))),
    }
}

/// A body that cannot fit, of so many bytes as they come from the app.
pub fn too_large(body: u64, reply: Option<usize>) -> Failure {
    let reply = reply.map_or(String::new(), |size| format!(", as a reply {size}"));
    Failure::new(
        Class::ResponseTooLarge,
        format!(
            "the app's answer has {body} bytes{reply}, and Lambda takes {MAX_REPLY}: \
             set AWS_LWA_INVOKE_MODE=response_stream and let the front end stream, or answer with less"
        ),
    )
}

/// Of an event that is no request only the body goes back: JSON as it is, other text as a
/// JSON string.
fn pass_through(body: &[u8], out: &mut Vec<u8>) {
    if body.trim_ascii().is_empty() {
        out.extend_from_slice(b"null");
    } else if json::is_valid(body) {
        out.extend_from_slice(body);
    } else if let Ok(text) = std::str::from_utf8(body) {
        json::write_string(out, text);
    } else {
        warn!("the app's answer is neither JSON nor text: passed on as base64");
        out.push(b'"');
        base64::encode(out, body);
        out.push(b'"');
    }
}

/// Writes all that comes before the body.
fn begin(answer: &Answer, kind: Kind, out: &mut Vec<u8>) {
    let Answer { status, .. } = *answer;
    // Room for a body that needs no escape, and for its head.
    out.reserve(answer.body.len() + 1024);
    out.extend_from_slice(format!("{{\"statusCode\":{status}").as_bytes());
    if matches!(kind, Kind::Alb { .. } | Kind::Lattice) {
        let reason = reason(status);
        out.extend_from_slice(format!(",\"statusDescription\":\"{status} {reason}\"").as_bytes());
    }
    match kind {
        Kind::Rest | Kind::Alb { multi: true } => write_multi_value(out, answer),
        Kind::HttpApi | Kind::FunctionUrl => {
            write_joined(out, answer, Cookies::Apart);
            write_cookies(out, answer);
        }
        Kind::Lattice | Kind::Alb { multi: false } => {
            if answer.headers.all(b"set-cookie").count() > 1 {
                let remedy = match kind {
                    Kind::Lattice => "VPC Lattice takes one value of each header",
                    _ => "set lambda.multi_value_headers.enabled on the target group",
                };
                warn!("only the first Set-Cookie reaches the client: {remedy}");
            }
            write_joined(out, answer, Cookies::First);
        }
    }
    out.extend_from_slice(b",\"body\":\"");
}

fn end(is_text: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(match is_text {
        true => b"\",\"isBase64Encoded\":false}",
        false => b"\",\"isBase64Encoded\":true}",
    });
}

/// What comes before a streamed body: status, headers and cookies as one JSON object
/// ("Response streaming for Lambda functions").
///
/// Eight zero bytes end it, whether or not a body follows: without them the front end waits.
pub fn write_prelude(out: &mut Vec<u8>, answer: &Answer, kind: Kind) {
    out.extend_from_slice(format!("{{\"statusCode\":{}", answer.status).as_bytes());
    match kind {
        // Only API Gateway documents the form that keeps repeated fields apart.
        Kind::Rest => write_multi_value(out, answer),
        _ => {
            write_joined(out, answer, Cookies::Apart);
            write_cookies(out, answer);
        }
    }
    out.extend_from_slice(b"}\0\0\0\0\0\0\0\0");
}

/// The fields that go on to the caller, each name once, in the order of their first coming.
fn names<'a>(answer: &Answer<'a>) -> Vec<&'a [u8]> {
    // RFC 9110 8.6: in these answers the length is not that of a body we carry.
    let keeps_length = answer.to_head || answer.status == 304;
    let mut names = Vec::with_capacity(answer.headers.len());
    for (name, _) in answer.headers.iter() {
        let dropped = answer.headers.stops_here(name) || name == b"content-length" && !keeps_length;
        if !dropped && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn write_multi_value(out: &mut Vec<u8>, answer: &Answer) {
    out.extend_from_slice(b",\"multiValueHeaders\":{");
    for (index, name) in names(answer).into_iter().enumerate() {
        separate(out, index);
        write_latin1(out, name);
        out.extend_from_slice(b":[");
        for (index, value) in answer.headers.all(name).enumerate() {
            separate(out, index);
            write_latin1(out, value);
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// What becomes of Set-Cookie, the one field that must never be joined (RFC 6265 section 3),
/// where a name can have one value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cookies {
    Apart,
    First,
}

fn write_joined(out: &mut Vec<u8>, answer: &Answer, cookies: Cookies) {
    out.extend_from_slice(b",\"headers\":{");
    let apart = |name: &&[u8]| cookies == Cookies::Apart && *name == b"set-cookie";
    for (index, name) in names(answer)
        .into_iter()
        .filter(|name| !apart(name))
        .enumerate()
    {
        separate(out, index);
        write_latin1(out, name);
        out.push(b':');
        let mut values = answer.headers.all(name);
        let first = values.next().unwrap_or_default();
        if name == b"set-cookie" && cookies == Cookies::First {
            write_latin1(out, first);
            continue;
        }
        let mut joined = Cow::Borrowed(first);
        for value in values {
            joined.to_mut().extend_from_slice(b", ");
            joined.to_mut().extend_from_slice(value);
        }
        write_latin1(out, &joined);
    }
    out.push(b'}');
}

fn write_cookies(out: &mut Vec<u8>, answer: &Answer) {
    for (index, cookie) in answer.headers.all(b"set-cookie").enumerate() {
        out.extend_from_slice(if index == 0 { b",\"cookies\":[" } else { b"," });
        write_latin1(out, cookie);
    }
    if answer.headers.contains(b"set-cookie") {
        out.push(b']');
    }
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// Field values are bytes: UTF-8 where they are that, else Latin-1, as HTTP once had it.
fn write_latin1(out: &mut Vec<u8>, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(text) => json::write_string(out, text),
        Err(_) => {
            let text: String = value.iter().map(|byte| char::from(*byte)).collect();
            json::write_string(out, &text);
        }
    }
}

/// Whether the body goes as text, if it is text.
fn may_be_text(answer: &Answer) -> bool {
    let encoded = answer
        .headers
        .all(b"content-encoding")
        .flat_map(crate::http::headers::list)
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    !encoded && answer.headers.first(b"content-type").is_none_or(is_textual)
}

/// Whether a media type (RFC 9110 8.3.1) says text, in UTF-8 if it says a charset.
fn is_textual(content_type: &[u8]) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media_type = parts.next().unwrap_or_default();
    let utf8 = parts
        .filter_map(|parameter| parameter.strip_prefix(b"charset="))
        .all(|charset| {
            matches!(
                charset,
                b"utf-8" | b"\"utf-8\"" | b"utf8" | b"us-ascii" | b"\"us-ascii\""
            )
        });
    let textual = media_type.is_empty()
        || media_type.starts_with(b"text/")
        || [&b"+json"[..], b"+xml", b"+yaml"]
            .iter()
            .any(|suffix| media_type.ends_with(suffix))
        || TEXTUAL.contains(&media_type);
    utf8 && textual
}

/// Types that are text and do not look it.
const TEXTUAL: [&[u8]; 13] = [
    b"application/json",
    b"application/javascript",
    b"application/x-javascript",
    b"application/ecmascript",
    b"application/xml",
    b"application/xml-dtd",
    b"application/yaml",
    b"application/x-yaml",
    b"application/toml",
    b"application/graphql",
    b"application/x-ndjson",
    b"application/jsonl",
    b"application/x-www-form-urlencoded",
];
