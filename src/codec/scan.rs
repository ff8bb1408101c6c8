//! Finds the end of a JSON value and checks it on the way (RFC 8259 2 to 7).
//!
//! Strings are most of an event, and [`string_length`] reads them sixty-four bytes at a time; what
//! is between them is read byte by byte. Nested lists need no stack of calls.

use std::fmt;

use crate::escape::string_length;

/// The place of the first byte that no JSON has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid(pub usize);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid at byte {}", self.0)
    }
}

/// The index after the value at `at`; there is no whitespace before it. What follows the value is
/// not checked.
pub fn value_end(text: &[u8], mut at: usize) -> Result<usize, Invalid> {
    // The closing brackets of the lists that are open.
    let mut open = Vec::new();
    loop {
        at = match text.get(at) {
            Some(b'"') => string_end(text, at)?,
            Some(bracket @ (b'{' | b'[')) => {
                let close = bracket + 2;
                at = skip_whitespace(text, at + 1);
                if text.get(at) != Some(&close) {
                    open.push(close);
                    at = item(text, at, close)?;
                    continue;
                }
                at + 1
            }
            Some(b'-' | b'0'..=b'9') => number_end(text, at)?,
            _ => literal_end(text, at)?,
        };
        while let Some(close) = open.last() {
            at = skip_whitespace(text, at);
            match text.get(at) {
                Some(b',') => {
                    at = item(text, skip_whitespace(text, at + 1), *close)?;
                    break;
                }
                Some(byte) if byte == close => {
                    open.pop();
                    at += 1;
                }
                _ => return Err(Invalid(at)),
            }
        }
        if open.is_empty() {
            return Ok(at);
        }
    }
}

/// The start of the value of an item: in an object, behind its key and colon.
fn item(text: &[u8], at: usize, close: u8) -> Result<usize, Invalid> {
    if close != b'}' {
        return Ok(at);
    }
    let colon = skip_whitespace(text, string_end(text, at)?);
    match text.get(colon) {
        Some(b':') => Ok(skip_whitespace(text, colon + 1)),
        _ => Err(Invalid(colon)),
    }
}

fn string_end(text: &[u8], at: usize) -> Result<usize, Invalid> {
    let length = text.get(at..).and_then(string_length).ok_or(Invalid(at))?;
    Ok(at + length)
}

/// `-? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?`
fn number_end(text: &[u8], start: usize) -> Result<usize, Invalid> {
    let is = |at: usize, bytes: &[u8]| text.get(at).is_some_and(|byte| bytes.contains(byte));
    let digits = |at: usize| match skip(text, at, u8::is_ascii_digit) {
        end if end > at => Ok(end),
        _ => Err(Invalid(at)),
    };
    let mut at = start + usize::from(is(start, b"-"));
    at = if is(at, b"0") { at + 1 } else { digits(at)? };
    if is(at, b".") {
        at = digits(at + 1)?;
    }
    if is(at, b"eE") {
        at += 1;
        at = digits(at + usize::from(is(at, b"+-")))?;
    }
    Ok(at)
}

fn literal_end(text: &[u8], at: usize) -> Result<usize, Invalid> {
    let rest = text.get(at..).unwrap_or_default();
    let literal = [&b"null"[..], b"true", b"false"]
        .into_iter()
        .find(|literal| rest.starts_with(literal));
    literal.map(|literal| at + literal.len()).ok_or(Invalid(at))
}

/// The index of the first byte that is not whitespace, at or after `at`.
pub fn skip_whitespace(text: &[u8], at: usize) -> usize {
    skip(text, at, |byte| {
        matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    })
}

/// The index of the first other byte, at or after `at`.
fn skip(text: &[u8], at: usize, skipped: impl Fn(&u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let count = rest.iter().position(|byte| !skipped(byte));
    at + count.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    /// Whether the text is one value, with whitespace around it.
    fn is_valid(text: &str) -> bool {
        let bytes = text.as_bytes();
        value_end(bytes, skip_whitespace(bytes, 0))
            .is_ok_and(|end| skip_whitespace(bytes, end) == bytes.len())
    }

    /// Every text of up to `length` of the pieces.
    fn assert_agrees(pieces: &[&str], length: u32) {
        for number in 0..pieces.len().pow(length) {
            let piece = |place| pieces[number / pieces.len().pow(place) % pieces.len()];
            let text: String = (0..length).map(piece).collect();
            let expected = serde_json::from_str::<&RawValue>(&text).is_ok();
            assert_eq!(is_valid(&text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_those_of_serde_json() {
        assert_agrees(
            &["", "{", "}", "[", "]", ",", ":", "\"a\"", "1", " ", "null"],
            5,
        );
        assert_agrees(&["", "-", "+", "0", "1", ".", "e", "E"], 6);
        assert_agrees(
            &[
                "", "tru", "true", "false", "null", "nul", "l", "e", "\t", "\n", "\r", "\u{b}",
            ],
            4,
        );
    }

    #[test]
    fn the_place_of_the_error_is_that_of_the_byte() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("{\"a\":}", 5),
            ("{\"a\" 1}", 5),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[1}", 2),
            ("1.", 2),
            ("-", 1),
            ("nul", 0),
            ("{\"a\":\"\n\"}", 5),
        ] {
            assert_eq!(value_end(text.as_bytes(), 0), Err(Invalid(at)), "{text}");
        }
    }
}
