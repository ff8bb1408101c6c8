//! An answer of the app to what Lambda gets: JSON for every kind of event, with status, fields and body as they were.

use lambda_adapter::error::Failure;
use lambda_adapter::http::body_reader::Source;
use lambda_adapter::http::headers::Headers;
use lambda_adapter::http::{self, Body, Input};
use lambda_adapter::translate::event::Kind;
use lambda_adapter::translate::reply::{self, Answer};
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
    // A body cut short never gets here; what came of it serves as well.
    let _ = Body::new(head.framing).read_to(&mut input, &mut from, &mut body, 1 << 20);
    let answer = Answer {
        status: head.status,
        headers: &headers,
        body: &body,
        to_head,
    };
    let mut out = b"left over".to_vec();
    reply::render(&answer, kind, &mut out).expect("within the limit");
    match kind {
        Some(kind) => check_proxy(&answer, kind, &out),
        None => check_pass_through(&body, &out),
    }
    if let Some(kind) = kind {
        check_pieces(&answer, kind, &out, bytes.0.len() % 7 + 1);
        let mut prelude = Vec::new();
        reply::write_prelude(&mut prelude, &answer, kind);
        let json = prelude.strip_suffix(&[0; 8]).expect("eight zero bytes");
        assert!(
            !json.iter().any(|byte| *byte < b' '),
            "{}",
            json.escape_ascii()
        );
        let read: Value = serde_json::from_slice(json).expect("JSON");
        assert_eq!(read["statusCode"], head.status);
        check_headers(&answer, kind, &read);
    }
}

/// A body in pieces of this size, as it comes from an app.
struct Pieces<'a>(&'a [u8], usize);

impl Source for Pieces<'_> {
    fn next(&mut self, _: bool) -> Result<Option<&[u8]>, Failure> {
        Ok(Some(self.0.get(..self.1).unwrap_or(self.0)))
    }

    fn consume(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }
}

/// The reply to a body in pieces is that to the whole.
fn check_pieces(answer: &Answer, kind: Kind, whole: &[u8], size: usize) {
    let mut pieces = Pieces(answer.body, size);
    let (mut out, mut read) = (b"left over".to_vec(), Vec::new());
    let headless = Answer {
        body: &[],
        ..*answer
    };
    reply::render_as_it_comes(&headless, kind, &mut pieces, &mut out, &mut read)
        .expect("within the limit");
    assert_eq!(out, whole, "pieces of {size}");
}

fn check_pass_through(body: &[u8], out: &[u8]) {
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

fn check_proxy(answer: &Answer, kind: Kind, out: &[u8]) {
    let reply: Value = serde_json::from_slice(out).expect("JSON");
    assert_eq!(reply["statusCode"], answer.status);
    let text = reply["body"].as_str().expect("a body");
    let body = match reply["isBase64Encoded"].as_bool().expect("a boolean") {
        true => strict::base64(text).expect("base64"),
        false => text.as_bytes().to_vec(),
    };
    assert_eq!(body, answer.body);
    check_headers(answer, kind, &reply);
}

/// Each field that goes on is there with all its values, and no other.
fn check_headers(answer: &Answer, kind: Kind, reply: &Value) {
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
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let mut expected = 0;
    for name in names {
        let framing = name == b"content-length" && !answer.to_head && answer.status != 304;
        let stops = framing || answer.headers.stops_here(name);
        let values: Vec<_> = answer.headers.all(name).map(text).collect();
        let value = &found.get(&text(name));
        if !stops && name == b"set-cookie" && reply.get("cookies").is_some() {
            assert_eq!(reply["cookies"], Value::from(values));
            assert!(value.is_none());
            continue;
        }
        assert_eq!(value.is_none(), stops, "{}", name.escape_ascii());
        expected += usize::from(!stops);
        match value {
            Some(Value::Array(given)) => assert_eq!(*given, values),
            Some(Value::String(given))
                if kind == (Kind::Alb { multi: false }) && name == b"set-cookie" =>
            {
                assert!(values.contains(given));
            }
            // Bytes are joined before they are read as text, which is not the same for a mixture.
            Some(Value::String(given)) => assert!(values.len() > 1 || *given == values[0]),
            _ => assert!(stops),
        }
    }
    assert_eq!(found.len(), expected);
}
