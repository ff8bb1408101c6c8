//! JSON as Lambda carries it: fields of an object without a model of it, strings in and out.
//!
//! Events are walked, not deserialised: [`Raw`] is a value's own bytes, already checked to be
//! JSON, and only what the mapping needs is looked into. So a field of an odd type is never
//! an error, unknown keys survive, and depth costs nothing. Parsing is serde_json's; writing
//! is here, since a body is escaped straight into the outgoing message.

use std::borrow::Cow;
use std::fmt;

pub use hot::escape::write_ascii;
use hot::escape::{escape, unescape};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value as the bytes it came in.
pub type Raw<'a> = &'a RawValue;

/// The members of an object in their order; of a repeated key the last counts.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Key<'a>, Raw<'a>)>);

impl<'a> Object<'a> {
    /// The object that the value is; empty for any other value.
    pub fn of(raw: Raw<'a>) -> Object<'a> {
        serde_json::from_str(raw.get()).unwrap_or_default()
    }

    /// The member, unless it is missing or null.
    pub fn member(&self, key: &str) -> Option<Raw<'a>> {
        let mut members = self.0.iter().rev();
        let (_, raw) = members.find(|(name, _)| name.0 == key)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// The member as an object; empty when it is anything else.
    pub fn object(&self, key: &str) -> Object<'a> {
        self.member(key).map(Object::of).unwrap_or_default()
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
        self.0.into_iter().map(|(key, raw)| (key.0, raw))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}

/// An object's key, borrowed where it holds no escape.
#[derive(Debug)]
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}

/// The elements of an array; any other value is the one element.
pub fn elements(raw: Raw<'_>) -> Vec<Raw<'_>> {
    match raw.get().starts_with('[') {
        true => serde_json::from_str(raw.get()).map_or_else(|_| vec![raw], |list: Elements| list.0),
        false => vec![raw],
    }
}

struct Elements<'a>(Vec<Raw<'a>>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Elements<'de>, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Elements<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Elements(elements))
    }
}

/// A string's text, or the JSON text of any other value but null. `None` also for a string
/// that holds half a surrogate pair, which no text can carry.
pub fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match inside(raw) {
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
pub fn inside(raw: Raw<'_>) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

/// Whether the bytes are exactly one JSON value in UTF-8.
pub fn is_valid(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<Raw>(text).is_ok())
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
        serde_json::from_str(json).expect("JSON")
    }

    #[test]
    fn members_keep_order_and_the_last_of_a_key_counts() {
        let object = Object::of(raw(r#"{"b":1,"a\u0062":"x","b":2,"n":null}"#));
        assert_eq!(object.text("b").as_deref(), Some("2"));
        assert_eq!(object.text("ab").as_deref(), Some("x"));
        assert!(object.member("n").is_none());
        let keys: Vec<_> = object.into_members().map(|(key, _)| key).collect();
        assert_eq!(keys, ["b", "ab", "b", "n"]);
        assert!(Object::of(raw("[1]")).is_empty());
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
        assert_eq!(Object::of(raw(&deep)).text("b").as_deref(), Some("1"));
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
