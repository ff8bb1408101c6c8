//! An ordered, case-insensitive list of header fields (RFC 9110 5).
//!
//! All fields share one buffer, which is reused for each invocation, so that adding a field
//! does not allocate. Names are stored in lower case, the form that the app and Lambda receive.

use std::borrow::Cow;
use std::cmp::Ordering;

/// The fields of one message, in their order.
#[derive(Debug, Default, Clone)]
pub struct Headers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// The position of a field in the buffer, which holds it as a line of a message: `name: value`
/// and CRLF.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    colon: usize,
    /// The end of the value.
    end: usize,
}

const COLON: &[u8] = b": ";
const LINE_END: &[u8] = b"\r\n";

impl Headers {
    /// Returns an empty list with the capacity for a usual message.
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

    /// Appends a field. The name is lower-cased, the value is unchanged.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        if let Some(name) = self.bytes.get_mut(start..) {
            name.make_ascii_lowercase();
        }
        let colon = self.bytes.len();
        self.bytes.extend_from_slice(COLON);
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        self.bytes.extend_from_slice(LINE_END);
        self.fields.push(Field { start, colon, end });
    }

    /// Removes the last field.
    pub fn pop(&mut self) {
        if let Some(field) = self.fields.pop() {
            self.bytes.truncate(field.start);
        }
    }

    /// Appends the fields as lines of a message.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // Lines that are next to each other are copied at once.
        let (mut start, mut end) = (0, 0);
        for field in &self.fields {
            if field.start != end {
                out.extend_from_slice(self.slice(start, end));
                start = field.start;
            }
            end = field.end + LINE_END.len();
        }
        out.extend_from_slice(self.slice(start, end));
    }

    /// Removes every field of this name, given in lower case.
    pub fn remove(&mut self, name: &[u8]) {
        let bytes = &self.bytes;
        self.fields
            .retain(|f| bytes.get(f.start..f.colon) != Some(name));
    }

    /// All fields as (lower-case name, value).
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| self.pair(field))
    }

    /// The field that was appended last.
    pub fn last(&self) -> Option<(&[u8], &[u8])> {
        self.fields.last().map(|field| self.pair(field))
    }

    /// Every value of this name, given in lower case.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter();
        let named = fields.filter(move |field| self.is_named(field, name));
        named.map(|field| self.pair(field).1)
    }

    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        let field = self.fields.iter().find(|field| self.is_named(field, name));
        field.map(|field| self.pair(field).1)
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.first(name).is_some()
    }

    /// The headers of this message that must not be forwarded.
    pub fn hop_by_hop(&self) -> HopByHop<'_> {
        HopByHop::named_by(self.all(b"connection"))
    }

    fn is_named(&self, field: &Field, name: &[u8]) -> bool {
        // The length first: most names differ in it.
        field.colon - field.start == name.len() && self.slice(field.start, field.colon) == name
    }

    fn pair(&self, field: &Field) -> (&[u8], &[u8]) {
        let name = self.slice(field.start, field.colon);
        (name, self.slice(field.colon + COLON.len(), field.end))
    }

    fn slice(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }
}

/// The hop-by-hop headers of a message (RFC 9110 7.6.1).
#[derive(Debug)]
pub struct HopByHop<'a> {
    /// Those that its `Connection` headers name.
    options: Names<'a>,
}

impl<'a> HopByHop<'a> {
    /// Those of a message with these `Connection` headers.
    pub fn named_by(connection: impl Iterator<Item = &'a [u8]>) -> HopByHop<'a> {
        HopByHop {
            options: Names::new(connection.flat_map(list)),
        }
    }

    /// Whether a header of this name, given in lower case, is one.
    pub fn contains(&self, name: &[u8]) -> bool {
        matches!(
            name,
            b"connection" | b"keep-alive" | b"te" | b"trailer" | b"transfer-encoding" | b"upgrade"
        ) || name.starts_with(b"proxy-")
            || self.options.contains(name)
    }
}

/// A set of names in any case. It is sorted, since clients choose how many names there are: to
/// compare each of them with all others takes minutes for an event of 6 MB.
#[derive(Debug)]
pub struct Names<'a>(Vec<&'a [u8]>);

impl<'a> Names<'a> {
    pub fn new(names: impl Iterator<Item = &'a [u8]>) -> Names<'a> {
        let mut names: Vec<_> = names.collect();
        names.sort_unstable_by(|a, b| compare(a, b));
        Names(names)
    }

    pub fn contains(&self, name: &[u8]) -> bool {
        self.0
            .binary_search_by(|known| compare(known, name))
            .is_ok()
    }
}

/// By length first, which is fast, then by the letters regardless of case.
fn compare<'n>(a: &'n [u8], b: &'n [u8]) -> Ordering {
    let letters = |name: &'n [u8]| name.iter().map(u8::to_ascii_lowercase);
    a.len()
        .cmp(&b.len())
        .then_with(|| letters(a).cmp(letters(b)))
}

/// Trims spaces and tabs, the only whitespace of RFC 9110 5.6.3. Trimming more would turn
/// a value into `chunked` that other parsers reject.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The non-empty members of a comma-separated value (RFC 9110 5.6.1).
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// Whether the bytes are a token (RFC 9110 5.6.2): a method or a field name.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| IS_TOKEN[usize::from(*byte)])
}

const IS_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let (marks, mut index) = (b"!#$%&'*+-.^_`|~", 0);
    while index < marks.len() {
        table[marks[index] as usize] = true;
        index += 1;
    }
    let mut byte = 0;
    while byte < 128 {
        table[byte] |= (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

/// The name with `-` for every byte that is neither a letter nor a digit.
pub fn fold(name: &[u8]) -> Cow<'_, [u8]> {
    let is_kept = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if name.iter().all(is_kept) {
        return Cow::Borrowed(name);
    }
    let fold = |byte: &u8| if is_kept(byte) { *byte } else { b'-' };
    Cow::Owned(name.iter().map(fold).collect())
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
    fn lines_are_those_of_the_fields_that_are_left() {
        let mut headers = Headers::new();
        let written = |headers: &Headers| {
            let mut out = Vec::new();
            headers.write_to(&mut out);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(written(&headers), "");
        for (name, value) in [("A", "1"), ("b", ""), ("C", "3"), ("d", "4"), ("e", "5")] {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        assert_eq!(written(&headers), "a: 1\r\nb: \r\nc: 3\r\nd: 4\r\ne: 5\r\n");
        headers.pop();
        headers.remove(b"a");
        headers.remove(b"c");
        assert_eq!(written(&headers), "b: \r\nd: 4\r\n");
        headers.push(b"f", b"6");
        assert_eq!(headers.last(), Some((&b"f"[..], &b"6"[..])));
        assert_eq!(written(&headers), "b: \r\nd: 4\r\nf: 6\r\n");
        headers.remove(b"f");
        assert_eq!(written(&headers), "b: \r\nd: 4\r\n");
    }

    #[test]
    fn headers_that_connection_names_are_hop_by_hop() {
        let mut headers = Headers::new();
        headers.push(b"connection", b"close, X-Hop");
        headers.push(b"x-hop", b"1");
        let hop_by_hop = headers.hop_by_hop();
        for name in ["x-hop", "connection", "proxy-authorization"] {
            assert!(hop_by_hop.contains(name.as_bytes()), "{name}");
        }
        assert!(!hop_by_hop.contains(b"x-other"));
    }

    #[test]
    fn a_set_of_names_ignores_their_case() {
        let names = ["B", "content-TYPE", "a", "b", "x-y"].map(str::as_bytes);
        let names = Names::new(names.into_iter());
        assert!(
            ["a", "A", "b", "Content-Type", "X-Y"].map(|name| names.contains(name.as_bytes()))
                == [true; 5]
        );
        assert!(
            ["", "c", "x_y", "x-", "x-y2"].map(|name| names.contains(name.as_bytes()))
                == [false; 5]
        );
    }

    #[test]
    fn a_token_contains_neither_space_nor_control_nor_separator() {
        assert!(is_token(b"X-a_b.c!"));
        for bad in [&b""[..], b"a b", b"a:", b"a\n", b"a\0", b"\xc3\xa9", b"(a)"] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }
}
