//! JSON as Lambda carries it: fields of an object without a model of it, strings in and out.
//!
//! Events are walked, not deserialised: [`Raw`] is a value's own text, already checked to be
//! JSON, and only what the mapping needs is looked into. So a field of an odd type is never
//! an error, unknown keys survive, and depth costs nothing. Values are serde_json's to check,
//! but for strings: a body is one, and most of an event.

use std::borrow::Cow;

pub use crate::escape::write_ascii;
use crate::escape::{escape, string_length, unescape};
use serde_json::value::RawValue;

/// A JSON value as the text it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The text, if it is one value and nothing else.
    pub fn parse(text: &'a str) -> Result<Raw<'a>, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(|raw| Raw(raw.get()))
    }

    pub fn get(self) -> &'a str {
        self.0
    }
}

/// The members of an object in their order; of a repeated key the last counts.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Object<'a> {
    /// The members of the object that the text is; none of any other value.
    pub fn parse(text: &'a str) -> Result<Object<'a>, serde_json::Error> {
        match members(text) {
            Some(members) => Ok(Object(members)),
            // It knows where it went wrong, if it did.
            None => Raw::parse(text).map(|_| Object::default()),
        }
    }

    /// The object that the value is; empty for any other value.
    pub fn from_raw(raw: Raw<'a>) -> Object<'a> {
        Object(members(raw.get()).unwrap_or_default())
    }

    /// The member, unless it is missing or null.
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        let mut members = self.0.iter().rev();
        let (_, raw) = members.find(|(name, _)| name == key)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// The member as an object; empty when it is anything else.
    pub fn object(&self, key: &str) -> Object<'a> {
        self.member(key).map(Object::from_raw).unwrap_or_default()
    }

    /// The member's text: see [`text`].
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.member(key).and_then(text)
    }

    /// The member's text if it is a string.
    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        let raw = self.member(key)?;
        raw.get().starts_with('"').then(|| text(raw)).flatten()
    }

    /// The members in their order.
    pub fn into_members(self) -> impl Iterator<Item = (Cow<'a, str>, Raw<'a>)> {
        self.0.into_iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn members(text: &str) -> Option<Vec<(Cow<'_, str>, Raw<'_>)>> {
    let mut members = Vec::with_capacity(16);
    items(text, '{', '}', |rest| {
        let (key, rest) = value(rest).filter(|(key, _)| key.get().starts_with('"'))?;
        let (member, rest) = value(skip_whitespace(skip_whitespace(rest).strip_prefix(':')?))?;
        // A key that no text can carry is none that anyone asks for.
        let key = self::text(key).or(raw_contents(key).map(Cow::Borrowed))?;
        members.push((key, member));
        Some(rest)
    })?;
    Some(members)
}

/// The elements of an array; any other value is the one element.
pub fn elements(raw: Raw<'_>) -> Vec<Raw<'_>> {
    let mut elements = Vec::new();
    let read = items(raw.get(), '[', ']', |rest| {
        let (element, rest) = value(rest)?;
        elements.push(element);
        Some(rest)
    });
    match read {
        Some(()) => elements,
        None => vec![raw],
    }
}

/// Goes through what stands between the brackets, which are all there is; `item` reads one
/// and gives what comes behind it.
fn items<'a>(
    text: &'a str,
    open: char,
    close: char,
    mut item: impl FnMut(&'a str) -> Option<&'a str>,
) -> Option<()> {
    let mut rest = skip_whitespace(skip_whitespace(text).strip_prefix(open)?);
    if !rest.starts_with(close) {
        rest = skip_whitespace(item(rest)?);
        while let Some(next) = rest.strip_prefix(',') {
            rest = skip_whitespace(item(skip_whitespace(next))?);
        }
    }
    skip_whitespace(rest.strip_prefix(close)?)
        .is_empty()
        .then_some(())
}

/// The value that the text begins with, and what comes behind it.
fn value(text: &str) -> Option<(Raw<'_>, &str)> {
    if text.starts_with('"') {
        let (string, rest) = text.split_at_checked(string_length(text.as_bytes())?)?;
        return Some((Raw(string), rest));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let raw = values.next()?.ok()?;
    Some((Raw(raw.get()), text.get(values.byte_offset()..)?))
}

/// The text without the blanks before it (RFC 8259 section 2).
fn skip_whitespace(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// A string's text, or the JSON text of any other value but null. `None` also for a string
/// that holds half a surrogate pair, which no text can carry.
pub fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match raw_contents(raw) {
        Some(plain) if !plain.as_bytes().contains(&b'\\') => Some(Cow::Borrowed(plain)),
        Some(escaped) => {
            let mut text = Vec::new();
            unescape(&mut text, escaped)?;
            String::from_utf8(text).ok().map(Cow::Owned)
        }
        None if json == "null" => None,
        None => Some(Cow::Borrowed(json)),
    }
}

/// What a string holds, with its escapes.
pub fn raw_contents(raw: Raw<'_>) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

/// Whether the bytes are exactly one JSON value in UTF-8.
pub fn is_valid(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Raw::parse(text).is_ok())
}

/// Appends the text as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // A `str` is UTF-8, and nothing else can fail.
    let _ = escape(out, text.as_bytes());
    out.push(b'"');
}

/// Appends the text as a JSON string of printable ASCII.
pub fn write_ascii_string(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return write_string(out, text);
    }
    let mut string = Vec::with_capacity(text.len() + 2);
    write_string(&mut string, text);
    write_ascii(out, std::str::from_utf8(&string).unwrap_or("\"\""));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw<'_> {
        Raw::parse(json).expect("JSON")
    }

    #[test]
    fn members_keep_order_and_the_last_of_a_key_counts() {
        let object = Object::from_raw(raw(r#"{"b":1,"a\u0062":"x","b":2,"n":null}"#));
        assert_eq!(object.text("b").as_deref(), Some("2"));
        assert_eq!(object.text("ab").as_deref(), Some("x"));
        assert!(object.member("n").is_none());
        let keys: Vec<_> = object.into_members().map(|(key, _)| key).collect();
        assert_eq!(keys, ["b", "ab", "b", "n"]);
        assert!(Object::from_raw(raw("[1]")).is_empty());
    }

    #[test]
    fn text_borrows_what_holds_no_escape() {
        assert!(matches!(
            text(raw("\"plain é\"")),
            Some(Cow::Borrowed("plain é"))
        ));
        assert_eq!(
            text(raw(r#""a\n\u00e9\ud83d\ude00""#)).as_deref(),
            Some("a\né😀")
        );
        assert_eq!(text(raw(r#""\ud83d""#)), None);
        assert_eq!(text(raw("1.50")).as_deref(), Some("1.50"));
        assert_eq!(text(raw("null")), None);
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!(
            "{{\"a\":{}{},\"b\":1}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(Object::from_raw(raw(&deep)).text("b").as_deref(), Some("1"));
    }

    #[test]
    fn written_strings_parse_to_what_they_were() {
        let mut all: String = (0..0x250).filter_map(char::from_u32).collect();
        all.push_str("\u{2028}😀");
        for start in (0..all.len()).filter(|at| all.is_char_boundary(*at)) {
            let text = &all[start..];
            let (mut utf8, mut ascii) = (Vec::new(), Vec::new());
            write_string(&mut utf8, text);
            write_ascii_string(&mut ascii, text);
            assert!(ascii.iter().all(|byte| (b' '..=b'~').contains(byte)));
            for written in [utf8, ascii] {
                assert_eq!(
                    serde_json::from_slice::<String>(&written).expect("JSON"),
                    text
                );
            }
        }
    }

    #[test]
    fn a_value_becomes_one_ascii_line_with_the_same_meaning() {
        let json = "{ \"a b\\\\\" :\n\t[1, \"x \\\" y\u{e9}\u{7f}😀\\n\"] }";
        let mut line = Vec::new();
        write_ascii(&mut line, json);
        let expected = r#"{"a b\\":[1,"x \" y\u00e9\u007f\ud83d\ude00\n"]}"#;
        assert_eq!(String::from_utf8(line).expect("ASCII"), expected);
    }

    #[test]
    fn validity_is_one_value_in_utf8() {
        for (bytes, valid) in [
            (&b" {\"a\":1} "[..], true),
            (b"1 2", false),
            (b"", false),
            (b"\"\xff\"", false),
            (b"{\"a\":}", false),
        ] {
            assert_eq!(is_valid(bytes), valid, "{bytes:?}");
        }
    }
}
