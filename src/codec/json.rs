//! JSON values as text: the members of an object, and strings in both directions.
//!
//! Events are not deserialized. [`Raw`] is the text of a value that was checked to be JSON, and
//! only the members that the mapping needs are parsed further. Members of an unexpected type
//! are therefore never an error, unknown members are kept, and deep nesting needs no stack.

use std::borrow::Cow;
use std::iter;

pub use crate::escape::write_ascii;
use crate::escape::{escape, string_length, unescape};
pub use crate::scan::Invalid;
use crate::scan::{self, value_end};
use crate::simd::{find, find_not_verbatim};

/// The text of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Checks that the text is exactly one value.
    pub fn parse(text: &'a str) -> Result<Raw<'a>, Invalid> {
        let bytes = text.as_bytes();
        let start = scan::skip_whitespace(bytes, 0);
        let end = value_end(bytes, start)?;
        match scan::skip_whitespace(bytes, end) {
            after if after < bytes.len() => Err(Invalid(after)),
            _ => text.get(start..end).map(Raw).ok_or(Invalid(start)),
        }
    }

    pub fn get(self) -> &'a str {
        self.0
    }
}

/// The members of an object, in order. The last member of a repeated key counts.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Raw<'a>)>);

impl<'a> Object<'a> {
    /// Parses an object; any other value has no members.
    pub fn parse(text: &'a str) -> Result<Object<'a>, Invalid> {
        match members(text) {
            Some(members) => Ok(Object(members)),
            // Another value, or an error.
            None => Raw::parse(text).map(|_| Object::default()),
        }
    }

    /// The members of an object; none of any other value.
    pub fn from_raw(raw: Raw<'a>) -> Object<'a> {
        Object(members(raw.get()).unwrap_or_default())
    }

    /// The member, unless it is missing or null.
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        let mut members = self.0.iter().rev();
        let (_, raw) = members.find(|(name, _)| name == key)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// The member as an object; empty if it is missing or another value.
    pub fn object(&self, key: &str) -> Object<'a> {
        self.member(key).map(Object::from_raw).unwrap_or_default()
    }

    /// The text of the member: see [`text`].
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.member(key).and_then(text)
    }

    /// The text of the first of these members that has one.
    #[inline(never)]
    pub fn first_text(&self, keys: &[&str]) -> Option<Cow<'a, str>> {
        keys.iter().find_map(|key| self.text(key))
    }

    /// The text of the member, if it is a string.
    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        let raw = self.member(key)?;
        raw.get().starts_with('"').then(|| text(raw)).flatten()
    }

    /// The members in their order.
    pub fn into_members(self) -> Vec<(Cow<'a, str>, Raw<'a>)> {
        self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn members(text: &str) -> Option<Vec<(Cow<'_, str>, Raw<'_>)>> {
    // As many as most objects of an event have: each thread that is busy takes this several times.
    let mut members = Vec::with_capacity(12);
    let mut rest = skip_whitespace(skip_whitespace(text).strip_prefix('{')?);
    let mut has_more = !rest.starts_with('}');
    while has_more {
        let (key, after) = value(rest).filter(|(key, _)| key.get().starts_with('"'))?;
        let (member, after) = value(skip_whitespace(skip_whitespace(after).strip_prefix(':')?))?;
        members.push((self::text(key)?, member));
        rest = skip_whitespace(after);
        has_more = rest.starts_with(',');
        if has_more {
            rest = skip_whitespace(rest.get(1..)?);
        }
    }
    let rest = skip_whitespace(rest.strip_prefix('}')?);
    rest.is_empty().then_some(members)
}

/// The elements of an array; any other value is a single element.
pub fn elements(raw: Raw<'_>) -> impl Iterator<Item = Raw<'_>> {
    let list = raw.get().strip_prefix('[');
    let mut single = list.is_none().then_some(raw);
    let mut rest = list.map_or("", skip_whitespace);
    iter::from_fn(move || {
        if single.is_some() {
            return single.take();
        }
        // No value begins with the closing bracket.
        let (element, after) = value(rest)?;
        let after = skip_whitespace(after);
        rest = skip_whitespace(after.strip_prefix(',').unwrap_or(after));
        Some(element)
    })
}

/// The value at the start of the text, and the rest.
fn value(text: &str) -> Option<(Raw<'_>, &str)> {
    let bytes = text.as_bytes();
    let end = match bytes.first()? {
        b'"' => string_length(bytes)?,
        _ => value_end(bytes, 0).ok()?,
    };
    text.split_at_checked(end)
        .map(|(value, rest)| (Raw(value), rest))
}

/// Removes leading whitespace (RFC 8259 2).
fn skip_whitespace(text: &str) -> &str {
    let start = scan::skip_whitespace(text.as_bytes(), 0);
    text.get(start..).unwrap_or_default()
}

/// The unescaped text of a string, or the JSON of another value. `None` for null. A string with an
/// unpaired surrogate, which UTF-8 cannot represent, is left as it is written.
pub fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match raw_contents(raw) {
        Some(contents) if find(contents.as_bytes(), b'\\').is_none() => {
            Some(Cow::Borrowed(contents))
        }
        Some(escaped) => {
            let mut text = Vec::new();
            if unescape(&mut text, escaped).is_none() {
                return Some(Cow::Borrowed(escaped));
            }
            String::from_utf8(text).ok().map(Cow::Owned)
        }
        None if json == "null" => None,
        None => Some(Cow::Borrowed(json)),
    }
}

/// The contents of a string between its quotes, still escaped.
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
    // Fails only for invalid UTF-8.
    let _ = escape(out, text.as_bytes());
    out.push(b'"');
}

/// Appends the text as a JSON string of printable ASCII.
pub fn write_ascii_string(out: &mut Vec<u8>, text: &str) {
    if find_not_verbatim(text.as_bytes()).is_none() && find(text.as_bytes(), 0x7f).is_none() {
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
        let keys: Vec<_> = object
            .into_members()
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, ["b", "ab", "b", "n"]);
        assert!(Object::from_raw(raw("[1]")).is_empty());
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(
            text(raw("\"plain é\"")),
            Some(Cow::Borrowed("plain é"))
        ));
        assert_eq!(
            text(raw(r#""a\n\u00e9\ud83d\ude00""#)).as_deref(),
            Some("a\né😀")
        );
        assert_eq!(text(raw(r#""\n\ud83d""#)).as_deref(), Some(r"\n\ud83d"));
        assert_eq!(text(raw("1.50")).as_deref(), Some("1.50"));
        assert_eq!(text(raw("null")), None);
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = format!(
            "{{\"a\":{}{},\"b\":1}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert_eq!(Object::from_raw(raw(&deep)).text("b").as_deref(), Some("1"));
    }

    #[test]
    fn written_strings_parse_to_the_same_text() {
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
    fn another_value_is_its_own_only_element() {
        for (json, expected) in [
            ("[]", &[][..]),
            ("[ ]", &[]),
            (
                " [ 1 ,\"a,]\",[2,3] , {\"b\":[4]}]",
                &["1", "\"a,]\"", "[2,3]", "{\"b\":[4]}"],
            ),
            ("\"[\"", &["\"[\""]),
            ("{\"a\":1}", &["{\"a\":1}"]),
            ("null", &["null"]),
        ] {
            let found: Vec<_> = elements(raw(json)).map(Raw::get).collect();
            assert_eq!(found, expected, "{json}");
        }
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
