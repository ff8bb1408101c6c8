//! A response as the reply that is posted to `/response`, in the form of each event kind.
//!
//! The forms are those of AWS's pages "Working with AWS Lambda proxy integrations", "Using
//! Lambda with an Application Load Balancer", "Invoking Lambda function URLs" and "Lambda
//! functions as targets in VPC Lattice". All are JSON, which cannot hold arbitrary bytes: a
//! body is sent as text if it is valid UTF-8 and its type is a text type or missing, else as
//! base64, so that the client receives the bytes that the app sent. Text is the safer of the
//! two: a REST API without binary media types does not decode base64.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::logger::line::warn;
use codec::base64;
use codec::escape::{Escaper, escape, unescape};
use codec::json;

use crate::config::Config;
use crate::error::{Class, Failure, MAX_MESSAGE};
use crate::http::Response;
use crate::http::body_reader::{BodyReader, Chunk, Wait};
use crate::http::headers::list;
use crate::http::reason::reason;
use crate::http::request::Request;
use crate::text::{self, Form};
use crate::translate::event::Kind;
use crate::translate::media_type;
use crate::translate::{result, set_cookie};

/// Lambda's limit for a buffered reply: 6 MiB and 100 bytes.
pub const MAX_REPLY: usize = (6 << 20) + 100;
/// The largest body that fits into a reply as base64.
pub const MAX_BYTES: usize = MAX_REPLY / 4 * 3;

/// Fails responses whose status the settings count as an error. For events that are not HTTP
/// requests every status from 400 is one, since their senders see success or failure, and so are
/// the redirects that ask for the same POST elsewhere (RFC 9110 15.4): it was not processed here.
pub fn check_status(
    request: &Request,
    response: &Response,
    body: &[u8],
    kind: Option<Kind>,
    config: &Config,
) -> Result<(), Failure> {
    let status = response.status;
    let is_processed = kind.is_some() || !matches!(status, 301 | 307 | 308 | 400..);
    if is_processed && !config.error_statuses.contains(status) {
        if kind.is_none() && status == 302 {
            warn!("an event got a redirect (302), which counts as processed and is not followed");
        }
        return Ok(());
    }
    let event_path = kind.is_none().then_some(&request.target[..]);
    Err(status_failure(status, body, event_path))
}

/// The failure for a status that counts as an error; with `event_path`, that of a response to an
/// event that is not an HTTP request.
pub fn status_failure(status: u16, body: &[u8], event_path: Option<&[u8]>) -> Failure {
    let error_type = str::from_utf8(body)
        .ok()
        .and_then(|text| json::Object::parse(text).ok())
        .and_then(|object| object.string("errorType").map(Cow::into_owned));
    let mut message = format!("{{\"statusCode\":{status},").into_bytes();
    if let Some(path) = event_path.filter(|_| matches!(status, 300..400 | 404 | 405)) {
        let missing = match status {
            300..400 => "no redirect is followed, so ",
            _ => "",
        };
        let hint = format!(
            "events that are not HTTP requests are sent as POST {}: {missing}the app needs that \
             route, or one that AWS_LWA_PASS_THROUGH_PATH names",
            text::escaped_bytes(path)
        );
        message.extend_from_slice(b"\"hint\":");
        json::write_string(&mut message, &hint);
        message.push(b',');
    }
    message.extend_from_slice(b"\"body\":\"");
    let limit = MAX_MESSAGE.saturating_sub(2 * message.len());
    text::write(&mut message, body, limit, Form::NestedJson);
    message.extend_from_slice(b"\"}");
    Failure {
        class: Class::HttpStatus,
        error_type: error_type
            .unwrap_or_else(|| format!("HTTP.{status}"))
            .into(),
        message: String::from_utf8(message).unwrap_or_default(),
        connection_lost: false,
    }
}

/// Writes the reply for a response whose body has been read.
pub fn render(
    response: &Response,
    body: &[u8],
    kind: Option<Kind>,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    out.clear();
    match kind {
        Some(kind) => {
            // Enough for a body without escapes.
            out.reserve(body.len() + ENVELOPE);
            write_start(response, kind, out);
            let start = out.len();
            let is_text = may_be_text(response) && escape(out, body).is_some();
            if !is_text {
                warn_about_base64(response, kind);
                out.truncate(start);
                base64::encode(out, body);
            }
            write_end(is_text, out);
        }
        None => result::write(body, out),
    }
    check_size(body.len(), out)
}

/// Writes the reply while its body is read, which saves a copy. Once the body turns out not to be
/// text, its beginning is taken back and written again as base64.
pub fn render_while_reading(
    response: &Response,
    kind: Kind,
    body: &mut dyn BodyReader,
    out: &mut Vec<u8>,
    read: &mut Vec<u8>,
) -> Result<(), Failure> {
    out.clear();
    let mut text = may_be_text(response).then(Escaper::default);
    write_start(response, kind, out);
    let start = out.len();
    let (mut bytes, mut total) = (base64::Encoder::default(), 0);
    while let Chunk::Data(data) = body.fill(Wait::Block)? {
        let count = data.len();
        total += count;
        if total > MAX_REPLY {
            return Err(too_large(MAX_REPLY as u64 + 1, None));
        }
        if let Some(escaper) = &mut text {
            let (written, before) = (out.len(), *escaper);
            if escaper.push(out, data).is_none() {
                text = None;
                out.truncate(written);
                take_back(out, start, before, read);
                bytes.push(out, read);
            }
        }
        if text.is_none() {
            bytes.push(out, data);
        }
        body.consume(count);
    }
    // A character that the end of the body cuts off is not text either.
    if let Some(escaper) = text.filter(|escaper| !escaper.held().is_empty()) {
        text = None;
        take_back(out, start, escaper, read);
        bytes.push(out, read);
    }
    if text.is_none() {
        warn_about_base64(response, kind);
        bytes.finish(out);
    }
    write_end(text.is_some(), out);
    check_size(total, out)
}

/// Warns, once a process, that a text in another charset than UTF-8 may reach the client as
/// base64.
fn warn_about_base64(response: &Response, kind: Kind) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let content_type = response.headers.first(b"content-type");
    if let Some(content_type) = content_type.filter(|_| kind == Kind::Rest)
        && may_be_text(response)
        && !WARNED.swap(true, Ordering::Relaxed)
    {
        warn!(
            "a `{}` that is not UTF-8 is sent as base64, and a REST API decodes that only for \
             its binary media types: send UTF-8, or set its binary media types to */*",
            text::escaped_bytes(content_type)
        );
    }
}

/// Moves the text written since `start`, unescaped, and the bytes that the escaper holds from
/// `out` to `read`.
fn take_back(out: &mut Vec<u8>, start: usize, escaper: Escaper, read: &mut Vec<u8>) {
    let escaped = out.get(start..).unwrap_or_default();
    // Neither can fail: `escape` has written it.
    let _ = std::str::from_utf8(escaped).map(|escaped| unescape(read, escaped));
    read.extend_from_slice(escaper.held());
    out.truncate(start);
}

fn check_size(body: usize, out: &[u8]) -> Result<(), Failure> {
    match out.len() {
        0..=MAX_REPLY => Ok(()),
        size => Err(too_large(body as u64, Some(size))),
    }
}

/// The failure for a body of this many bytes; `reply` is the size of the rendered reply. A body
/// of unknown length is not read beyond the first byte that is too much.
pub fn too_large(body: u64, reply: Option<usize>) -> Failure {
    let is_cut = reply.is_none() && body == MAX_REPLY as u64 + 1;
    let least = if is_cut { "at least " } else { "" };
    let reply = reply.map_or(String::new(), |size| format!(" ({size} bytes as a reply)"));
    Failure::new(
        Class::ResponseTooLarge,
        format!(
            "the response of the app has {least}{body} bytes{reply}, more than Lambda's limit of \
             {MAX_REPLY}: stream it with AWS_LWA_INVOKE_MODE=response_stream, or send a \
             smaller response"
        ),
    )
}

/// Room for everything in a usual reply but its body.
pub const ENVELOPE: usize = 1024;

/// Writes everything before the body.
fn write_start(response: &Response, kind: Kind, out: &mut Vec<u8>) {
    let status = response.status;
    write_status(out, status);
    if matches!(kind, Kind::Alb { .. } | Kind::Lattice) {
        let reason = reason(status);
        out.extend_from_slice(format!(",\"statusDescription\":\"{status} {reason}\"").as_bytes());
    }
    match kind {
        Kind::Rest | Kind::Alb { multi: true } => write_multi_value(out, response),
        Kind::HttpApi | Kind::FunctionUrl => {
            write_single_value(out, response, SetCookie::Omit);
            write_cookies(out, response);
        }
        Kind::Lattice | Kind::Alb { multi: false } => {
            let has_several = response.headers.all(b"set-cookie").count() > 1;
            static WARNED: AtomicBool = AtomicBool::new(false);
            if has_several && !WARNED.swap(true, Ordering::Relaxed) {
                let hint = match kind {
                    Kind::Lattice => HINT_OF_LATTICE,
                    _ => HINT_OF_ALB,
                };
                warn!("several Set-Cookie are sent under names that differ in case: {hint}");
            }
            write_single_value(out, response, SetCookie::EachInItsCase);
        }
    }
    out.extend_from_slice(b",\"body\":\"");
}

const HINT_OF_ALB: &str = "set lambda.multi_value_headers.enabled on the target group, which takes \
    several values";
const HINT_OF_LATTICE: &str = "VPC Lattice takes one value of each name";

fn write_end(is_text: bool, out: &mut Vec<u8>) {
    let end: &[u8] = if is_text {
        b"\",\"isBase64Encoded\":false}"
    } else {
        b"\",\"isBase64Encoded\":true}"
    };
    out.extend_from_slice(end);
}

fn write_status(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"{\"statusCode\":");
    out.extend_from_slice(status.to_string().as_bytes());
}

/// Writes the prelude of a streamed reply: status, headers and cookies as one JSON object
/// ("Response streaming for Lambda functions").
///
/// Eight zero bytes end it, whether or not a body follows: without them the front end waits.
pub fn write_prelude(out: &mut Vec<u8>, response: &Response, kind: Kind) {
    write_status(out, response.status);
    match kind {
        // Only API Gateway documents multi-value headers in a prelude.
        Kind::Rest => write_multi_value(out, response),
        _ => {
            write_single_value(out, response, SetCookie::Omit);
            write_cookies(out, response);
        }
    }
    out.extend_from_slice(b"}\0\0\0\0\0\0\0\0");
}

/// The names of the headers that are sent to the client, each once, in order of first use.
fn names<'a>(response: &Response<'a>) -> Vec<&'a [u8]> {
    // There the length is not that of the body in this reply (RFC 9110 8.6).
    let keeps_length = response.to_head || response.status == 304;
    let headers = response.headers;
    let hop_by_hop = headers.hop_by_hop();
    let mut names = Vec::with_capacity(headers.len());
    for (name, _) in headers.iter() {
        let is_dropped = hop_by_hop.contains(name) || name == b"content-length" && !keeps_length;
        if !is_dropped && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn write_multi_value(out: &mut Vec<u8>, response: &Response) {
    out.extend_from_slice(b",\"multiValueHeaders\":{");
    for (index, name) in names(response).into_iter().enumerate() {
        write_comma(out, index);
        write_value(out, name);
        out.extend_from_slice(b":[");
        for (index, value) in response.headers.all(name).enumerate() {
            write_comma(out, index);
            write_value(out, value);
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// The values of Set-Cookie that go into a map with one value a name. They must not be joined
/// as those of other headers are (RFC 6265 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetCookie {
    Omit,
    /// Each under a name in a case of its own, which are different names in JSON and the same
    /// one to the client (RFC 9110 5.1).
    EachInItsCase,
}

fn write_single_value(out: &mut Vec<u8>, response: &Response, set_cookie: SetCookie) {
    out.extend_from_slice(b",\"headers\":{");
    let is_omitted = |name: &[u8]| set_cookie == SetCookie::Omit && name == b"set-cookie";
    let names = names(response).into_iter();
    let names = names.filter(|name| !is_omitted(name));
    let mut index = 0;
    for name in names {
        let mut values = response.headers.all(name);
        if name == b"set-cookie" {
            let names = set_cookie::names(response.headers.all(name).count());
            for (name, value) in names.zip(values) {
                write_pair(out, &mut index, &name, value);
            }
            continue;
        }
        let first = values.next().unwrap_or_default();
        let mut joined = Cow::Borrowed(first);
        for value in values {
            joined.to_mut().extend_from_slice(b", ");
            joined.to_mut().extend_from_slice(value);
        }
        write_pair(out, &mut index, name, &joined);
    }
    out.push(b'}');
}

fn write_pair(out: &mut Vec<u8>, index: &mut usize, name: &[u8], value: &[u8]) {
    write_comma(out, *index);
    *index += 1;
    write_value(out, name);
    out.push(b':');
    write_value(out, value);
}

fn write_cookies(out: &mut Vec<u8>, response: &Response) {
    for (index, cookie) in response.headers.all(b"set-cookie").enumerate() {
        out.extend_from_slice(if index == 0 { b",\"cookies\":[" } else { b"," });
        write_value(out, cookie);
    }
    if response.headers.contains(b"set-cookie") {
        out.push(b']');
    }
}

fn write_comma(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// Writes a header name or value, which is bytes, as a JSON string: read as UTF-8 if it is
/// valid, else as Latin-1 (RFC 9110 5.5).
fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(text) => json::write_string(out, text),
        Err(_) => {
            let text: String = value.iter().map(|byte| char::from(*byte)).collect();
            json::write_string(out, &text);
        }
    }
}

/// Whether the headers allow the body to be sent as text; its bytes decide then.
fn may_be_text(response: &Response) -> bool {
    let headers = response.headers;
    let is_coded = headers
        .all(b"content-encoding")
        .flat_map(list)
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let content_type = headers.first(b"content-type");
    !is_coded && content_type.is_none_or(media_type::is_text)
}
