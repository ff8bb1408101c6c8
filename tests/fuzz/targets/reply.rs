//! Responses become JSON for every event kind, with the app's status, headers and body.

use lambda_adapter::error::Failure;
use lambda_adapter::http::Response;
use lambda_adapter::http::body_reader::{BodyReader, Chunk, Wait};
use lambda_adapter::http::headers::Headers;
use lambda_adapter::http::{self, Body, Input};
use lambda_adapter::translate::event::Kind;
use lambda_adapter::translate::reply;
use serde_json::Value;

use super::bytes::Bytes;
use super::strict;

const KINDS: [Option<Kind>; 7] = [
    Some(Kind::Rest),
    Some(Kind::HttpApi),
    Some(Kind::FunctionUrl),
    Some(Kind::Alb { multi: false }),
    Some(Kind::Alb { multi: true }),
    Some(Kind::Lattice),
    None,
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (kind, to_head) = (KINDS[bytes.below(KINDS.len())], bytes.coin());
    let (mut input, mut headers, mut from) = (Input::new(16), Headers::new(), bytes.0);
    let Ok(head) = http::read_head(&mut input, &mut from, &mut headers, to_head) else {
        return;
    };
    let mut body = Vec::new();
    // The part of a truncated body that arrived is as good a test input.
    let _ = Body::new(head.framing).read_to(&mut input, &mut from, &mut body, 1 << 20);
    let response = Response {
        status: head.status,
        headers: &headers,
        to_head,
    };
    let mut out = b"left over".to_vec();
    reply::render(&response, &body, kind, &mut out).expect("within the limit");
    match kind {
        Some(kind) => check_proxy(&response, &body, kind, &out),
        None => check_result(&body, &out),
    }
    if let Some(kind) = kind {
        let pieces = Pieces(&body, bytes.0.len() % 7 + 1);
        check_pieces(&response, pieces, kind, &out);
        let mut prelude = Vec::new();
        reply::write_prelude(&mut prelude, &response, kind);
        let json = prelude.strip_suffix(&[0; 8]).expect("eight zero bytes");
        assert!(
            !json.iter().any(|byte| *byte < b' '),
            "{}",
            json.escape_ascii()
        );
        let read: Value = serde_json::from_slice(json).expect("JSON");
        assert_eq!(read["statusCode"], head.status);
        check_headers(&response, kind, &read);
    }
}

/// A body that is read in pieces of this size.
struct Pieces<'a>(&'a [u8], usize);

impl BodyReader for Pieces<'_> {
    fn fill(&mut self, _: Wait) -> Result<Chunk<'_>, Failure> {
        Ok(Chunk::from_bytes(self.0.get(..self.1).unwrap_or(self.0)))
    }

    fn consume(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }
}

/// A body in pieces is rendered to the same reply as the whole body.
fn check_pieces(response: &Response, mut pieces: Pieces, kind: Kind, expected: &[u8]) {
    let (mut out, mut read) = (b"left over".to_vec(), Vec::new());
    reply::render_while_reading(response, kind, &mut pieces, &mut out, &mut read)
        .expect("within the limit");
    assert_eq!(out, expected, "pieces of {}", pieces.1);
}

fn check_result(body: &[u8], out: &[u8]) {
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    assert!(is_json(out), "{}", out.escape_ascii());
    if std::str::from_utf8(body).is_ok() && is_json(body) {
        assert_eq!(body, out);
    } else if let Ok(text) = std::str::from_utf8(body).map(str::trim_ascii)
        && !text.is_empty()
    {
        let read: String = serde_json::from_slice(out).expect("a string");
        assert_eq!(read.as_bytes(), body);
    }
}

fn check_proxy(response: &Response, expected: &[u8], kind: Kind, out: &[u8]) {
    let reply: Value = serde_json::from_slice(out).expect("JSON");
    assert_eq!(reply["statusCode"], response.status);
    let text = reply["body"].as_str().expect("a body");
    let is_base64 = reply["isBase64Encoded"].as_bool().expect("a boolean");
    let body = if is_base64 {
        strict::base64(text).expect("base64")
    } else {
        text.as_bytes().to_vec()
    };
    assert_eq!(body, expected);
    check_headers(response, kind, &reply);
}

/// The reply holds every forwarded header with all its values, and no other.
fn check_headers(response: &Response, kind: Kind, reply: &Value) {
    let text = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    };
    let multi = reply.get("multiValueHeaders");
    let found = multi
        .or(reply.get("headers"))
        .and_then(Value::as_object)
        .expect("headers");
    assert_eq!(
        multi.is_some(),
        kind == Kind::Rest || kind == Kind::Alb { multi: true } && reply.get("body").is_some()
    );
    let mut names: Vec<_> = response.headers.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let mut expected = 0;
    for name in names {
        let framing = name == b"content-length" && !response.to_head && response.status != 304;
        let is_dropped = framing || response.headers.hop_by_hop().contains(name);
        let values: Vec<_> = response.headers.all(name).map(text).collect();
        let value = &found.get(&text(name));
        if !is_dropped && name == b"set-cookie" && reply.get("cookies").is_some() {
            assert_eq!(reply["cookies"], Value::from(values));
            assert!(value.is_none());
            continue;
        }
        let takes_one = matches!(kind, Kind::Alb { multi: false } | Kind::Lattice);
        if !is_dropped && name == b"set-cookie" && takes_one {
            // One name in different cases.
            let of_cookie = |name: &&String| name.eq_ignore_ascii_case("set-cookie");
            let given = found.keys().filter(of_cookie);
            let mut given: Vec<_> = given.map(|name| found[name].as_str()).collect();
            let mut wanted: Vec<_> = values.iter().map(|value| Some(&**value)).collect();
            given.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(given, wanted);
            expected += given.len();
            continue;
        }
        assert_eq!(value.is_none(), is_dropped, "{}", name.escape_ascii());
        expected += usize::from(!is_dropped);
        match value {
            Some(Value::Array(given)) => assert_eq!(*given, values),
            // The values are joined as bytes: a mixture of UTF-8 and Latin-1 becomes Latin-1.
            Some(Value::String(given)) => assert!(values.len() > 1 || *given == values[0]),
            _ => assert!(is_dropped),
        }
    }
    assert_eq!(found.len(), expected);
}
