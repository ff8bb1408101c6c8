//! Bodies in each framing: the same result at every cut, no byte too many consumed, and
//! chunked encoding decodes to its input.

use lambda_adapter::http::{Body, Error, Framing, Input};

use super::bytes::{Bytes, Pieces};
use super::strict;

const LIMIT: usize = 1 << 16;

/// The body and the number of bytes consumed, or the error.
type Outcome = Result<(Vec<u8>, usize), String>;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let size = bytes.below(20) + 1;
    let framing = match bytes.below(8) {
        0 => Framing::Empty,
        1 => Framing::Sized(bytes.below(256) as u64 * 7),
        2 => Framing::UntilClose,
        _ => Framing::Chunked,
    };
    let wire = bytes.0;
    let at_once = whole(framing, wire, usize::MAX);
    for outcome in [whole(framing, wire, size), pieces(framing, wire, size)] {
        assert_eq!(at_once, outcome, "cut into {size}");
    }
    check_limit(framing, wire, &at_once, size);
    match (framing, at_once) {
        (Framing::Chunked, outcome) => {
            let expected = strict::chunked(wire);
            let expected = expected.map(|(body, rest)| (body, wire.len() - rest.len()));
            assert_eq!(outcome.ok(), expected);
            check_round_trip(wire, size);
        }
        (Framing::Empty, outcome) => assert_eq!(outcome, Ok((Vec::new(), 0))),
        (Framing::UntilClose, outcome) => assert_eq!(outcome, Ok((wire.to_vec(), wire.len()))),
        (Framing::Sized(length), outcome) => match wire.get(..length as usize) {
            Some(body) => assert_eq!(outcome, Ok((body.to_vec(), body.len()))),
            None => assert!(outcome.is_err()),
        },
    }
}

fn whole(framing: Framing, wire: &[u8], size: usize) -> Outcome {
    let (mut input, mut out) = (Input::new(8), Vec::new());
    let (mut body, mut from) = (Body::new(framing), Pieces { bytes: wire, size });
    match body.read_to(&mut input, &mut from, &mut out, LIMIT) {
        Ok(whole) => {
            assert!(whole && body.is_done(), "within the limit");
            let unused = from.bytes.len() + input.pending().len();
            Ok((out, wire.len() - unused))
        }
        Err(error) => Err(without_excerpt(&error)),
    }
}

/// The error without the bytes it quotes, which are those that have arrived.
fn without_excerpt(error: &Error) -> String {
    let text = error.to_string();
    match (text.split_once('`'), text.rsplit_once('`')) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => text,
    }
}

/// Reads like a stream: consumes a part of the pending bytes, then fills again.
fn pieces(framing: Framing, wire: &[u8], size: usize) -> Outcome {
    let (mut input, mut out) = (Input::new(8), Vec::new());
    let (mut body, mut from) = (Body::new(framing), Pieces { bytes: wire, size });
    loop {
        let count = body
            .fill(&mut input, &mut from)
            .map_err(|error| without_excerpt(&error))?;
        if count == 0 {
            assert!(body.is_done());
            let unused = from.bytes.len() + input.pending().len();
            return Ok((out, wire.len() - unused));
        }
        let used = count.min(size);
        out.extend_from_slice(&input.pending()[..used]);
        body.consume(&mut input, used);
    }
}

/// A limit is never exceeded, and has no effect on a smaller body.
fn check_limit(framing: Framing, wire: &[u8], expected: &Outcome, limit: usize) {
    let (mut input, mut out) = (Input::new(8), Vec::new());
    let from = &mut &wire[..];
    let whole = Body::new(framing).read_to(&mut input, from, &mut out, limit);
    assert!(out.len() <= limit);
    if let (Ok((body, _)), Ok(whole)) = (expected, whole) {
        assert_eq!(whole, body.len() <= limit);
        assert!(!whole || *body == out);
    }
}

fn check_round_trip(body: &[u8], size: usize) {
    let mut wire = Vec::new();
    for chunk in body.chunks(size) {
        wire.extend_from_slice(format!("{:X};a=\"b\"\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"00\r\nA: b\r\n\r\n");
    let length = wire.len();
    wire.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    for outcome in [
        whole(Framing::Chunked, &wire, usize::MAX),
        whole(Framing::Chunked, &wire, size),
    ] {
        assert_eq!(outcome, Ok((body.to_vec(), length)));
    }
}
