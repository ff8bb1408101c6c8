//! An ordered, case-insensitive list of header fields (RFC 9110 section 5).
//!
//! One flat buffer instead of a string per field: a list is cleared and filled again for
//! each invocation, and after the first few no field allocates. Names are kept in lower
//! case, the form in which both the app and Lambda see them.

use std::borrow::Cow;

/// The fields of one message, in the order in which they came.
#[derive(Debug, Default, Clone)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// Where in the buffer a field lies: its name, and right behind it its value.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    colon: usize,
    end: usize,
}

impl Headers {
    /// An empty list with room for a usual message.
    pub fn new() -> Headers {
        Headers {
            bytes: Vec::with_capacity(2048),
            fields: Vec::with_capacity(32),
        }
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Appends a field; the name is lower-cased, the value is taken as it is.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend(name.iter().map(u8::to_ascii_lowercase));
        let colon = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.fields.push(Field {
            start,
            colon,
            end: self.bytes.len(),
        });
    }

    /// Takes out every field of the name, which is given in lower case.
    pub fn remove(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.fields
            .retain(|f| bytes.get(f.start..f.colon) != Some(name));
    }

    /// All fields as (lower-case name, value).
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|f| (self.slice(f.start, f.colon), self.slice(f.colon, f.end)))
    }

    /// Every value of the name, which is given in lower case.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(n, _)| *n == name).map(|(_, v)| v)
    }

    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.first(name).is_some()
    }

    /// Whether the field stops at this hop: what RFC 9110 7.6.1 lists and all that a
    /// `Connection` field of this message names.
    pub fn is_hop_by_hop(&self, name: &[u8]) -> bool {
        matches!(
            name,
            b"connection" | b"keep-alive" | b"te" | b"trailer" | b"transfer-encoding" | b"upgrade"
        ) || name.starts_with(b"proxy-")
            || self
                .all(b"connection")
                .any(|value| list(value).any(|option| option.eq_ignore_ascii_case(name)))
    }

    fn slice(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// The bytes without outer blanks. Those are spaces and tabs alone (RFC 9110 5.6.3): whoever
/// takes other white space for nothing sees a `chunked` where others do not.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The non-empty members of a comma-separated field value (RFC 9110 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// Whether the bytes are a token (RFC 9110 5.6.2): a method or a field name.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// The field value with each control byte but the tab replaced by a space, and no blanks
/// outside (RFC 9110 5.5).
pub fn clean(value: &str) -> Cow<'_, str> {
    let control = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    if !value.bytes().any(control) {
        return Cow::Borrowed(value);
    }
    let blanked = value.replace(|c: char| c.is_ascii_control() && c != '\t', " ");
    Cow::Owned(blanked.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_order_is_kept() {
        let mut headers = Headers::new();
        headers.push(b"X-Rep", b"one");
        headers.push(b"Host", b"a");
        headers.push(b"x-rep", b"two");
        assert_eq!(headers.all(b"x-rep").collect::<Vec<_>>(), [b"one", b"two"]);
        assert_eq!(headers.first(b"host"), Some(&b"a"[..]));
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [&b"x-rep"[..], b"host", b"x-rep"]);
    }

    #[test]
    fn what_connection_names_is_hop_by_hop() {
        let mut headers = Headers::new();
        headers.push(b"connection", b"close, X-Hop");
        headers.push(b"x-hop", b"1");
        assert!(headers.is_hop_by_hop(b"x-hop"));
        assert!(headers.is_hop_by_hop(b"connection"));
        assert!(headers.is_hop_by_hop(b"proxy-authorization"));
        assert!(!headers.is_hop_by_hop(b"x-other"));
    }

    #[test]
    fn a_token_holds_neither_space_nor_control_nor_separator() {
        assert!(is_token(b"X-a_b.c!"));
        for bad in [&b""[..], b"a b", b"a:", b"a\n", b"a\0", b"\xc3\xa9", b"(a)"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }
}
