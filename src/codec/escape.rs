//! The contents of JSON strings (RFC 8259 7), escaped and unescaped; a value as ASCII.
//!
//! Most bytes are copied unchanged. The others are located in blocks of 64 bytes, because the
//! processor cannot predict a branch for each byte.

use std::mem;

use crate::blocks::{Room, Window, copy, copy_short, room, window};
use crate::simd::{Block, find_near_quote, find_not_plain, find_not_verbatim};

/// Appends the text with the escapes that JSON requires and no others. `None` if the bytes are
/// not UTF-8 (RFC 3629); the output is incomplete then.
#[inline(never)]
pub fn escape(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    // As are most values of headers.
    if text.len() < Block::SIZE && find_not_verbatim(text).is_none() {
        out.extend_from_slice(text);
        return Some(());
    }
    out.reserve(text.len() + size_of::<Room>());
    let mut end = out.len();
    let escaped = escape_blocks(out, &mut end, text);
    out.truncate(end);
    escaped
}

#[inline(always)]
fn escape_blocks(out: &mut Vec<u8>, end: &mut usize, text: &[u8]) -> Option<()> {
    let padded: &mut Window = &mut [0; _];
    let mut at = 0;
    while at < text.len() {
        let left = text.len() - at;
        let window = window(text, at, b' ', padded);
        let block = Block::at(window, 0, b' ');
        let room = room(out, *end, left)?;
        let (mut from, mut to) = (0, 0);
        let mut marks = block.needs_escape();
        while marks != 0 {
            let mark = marks.trailing_zeros() as usize;
            marks &= marks - 1;
            copy(window, from, mark - from, room, to);
            to += mark - from;
            from = mark + 1;
            let byte = *window.get(mark)?;
            // A look-up, because the processor cannot predict a branch on the kind of escape.
            let letter = ESCAPE_LETTER[usize::from(byte)];
            let pair = if letter == 0 {
                *b"\\u"
            } else {
                [b'\\', letter]
            };
            *room.get_mut(to..)?.first_chunk_mut()? = pair;
            to += 2;
            if letter == 0 {
                *room.get_mut(to..)?.first_chunk_mut()? = hex(u16::from(byte));
                to += 4;
            }
        }
        let whole = whole_characters(&block)?.min(left);
        copy(window, from, whole - from, room, to);
        *end += to + whole - from;
        at += whole;
    }
    Some(())
}

/// Escapes a text in pieces, which may start and end within a character.
#[derive(Debug, Clone, Copy, Default)]
pub struct Escaper {
    /// The first bytes of an incomplete character.
    cut: [u8; 4],
    length: usize,
}

impl Escaper {
    /// Like [`escape`], except that an incomplete character at the end is held until the next
    /// piece.
    pub fn push(&mut self, out: &mut Vec<u8>, mut piece: &[u8]) -> Option<()> {
        while self.length > 0 {
            let Some((byte, rest)) = piece.split_first() else {
                return Some(());
            };
            *self.cut.get_mut(self.length)? = *byte;
            self.length += 1;
            piece = rest;
            if cut_off(self.held()) == 0 {
                escape(out, self.held())?;
                self.length = 0;
            }
        }
        let (whole, cut) = piece.split_at_checked(piece.len() - cut_off(piece))?;
        for (into, byte) in self.cut.iter_mut().zip(cut) {
            *into = *byte;
        }
        self.length = cut.len();
        escape(out, whole)
    }

    /// The bytes that were pushed and not appended yet.
    pub fn held(&self) -> &[u8] {
        self.cut.get(..self.length).unwrap_or_default()
    }
}

/// The number of bytes at the end that belong to an incomplete character.
fn cut_off(text: &[u8]) -> usize {
    let mut back = 0;
    for byte in text.iter().rev().take(3) {
        back += 1;
        let wanted = match byte {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
            0x80..=0xbf => continue,
            _ => 0,
        };
        return if wanted > back { back } else { 0 };
    }
    0
}

/// The second character of the two-character escapes, by byte; 0 if the byte has none.
const ESCAPE_LETTER: [u8; 256] = table([
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'\n', b'n'),
    (b'\r', b'r'),
    (b'\t', b't'),
]);

/// The byte of the two-character escapes, by second character; 0 if it is not one.
const UNESCAPED: [u8; 256] = table([
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'/', b'/'),
    (b'n', b'\n'),
    (b'r', b'\r'),
    (b't', b'\t'),
    (b'b', 8),
    (b'f', 12),
]);

const fn table<const N: usize>(pairs: [(u8, u8); N]) -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < N {
        table[pairs[index].0 as usize] = pairs[index].1;
        index += 1;
    }
    table
}

/// The number of bytes of complete characters in a block that starts with a character; `None`
/// if it contains invalid UTF-8.
fn whole_characters(block: &Block) -> Option<usize> {
    if block.is_ascii() {
        return Some(Block::SIZE);
    }
    // The table of RFC 3629 4: the continuation bytes that each first byte requires.
    let (high, second, third) = (block.bit(7), block.bit(6), block.bit(5));
    let others = high & !second;
    let first = high & second;
    let first_of_three = first & third;
    let mut wanted = first << 1 | first_of_three << 2;
    let mut wrong = 0;
    let mut cut = first >> 63 | first_of_three >> 62;
    if first_of_three != 0 {
        let first_of_four = first_of_three & block.bit(4);
        wanted |= first_of_four << 3;
        cut |= first_of_four >> 61;
        wrong |= first_of_four & !block.at_most(0xf4);
        let (low, lowest) = (block.at_most(0x9f), block.at_most(0x8f));
        wrong |= block.equal(0xe0) << 1 & low | block.equal(0xed) << 1 & !low;
        wrong |= block.equal(0xf0) << 1 & lowest | block.equal(0xf4) << 1 & !lowest;
    }
    if wanted != others || wrong != 0 || block.has_overlong_pair() {
        return None;
    }
    // A character cut by the end of the block belongs to the next block.
    Some(match cut {
        0 => Block::SIZE,
        _ => first.ilog2() as usize,
    })
}

/// Appends a UTF-16 code unit as `\uXXXX`.
fn escape_unit(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    out.extend_from_slice(&hex(unit));
}

fn hex(unit: u16) -> [u8; 4] {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    [12, 8, 4, 0].map(|shift| HEX[usize::from(unit >> shift & 0xf)])
}

/// Appends a JSON value as one line of printable ASCII, valid as a header value: whitespace
/// between tokens is dropped, other bytes that are not printable ASCII become `\uXXXX`.
pub fn write_ascii(out: &mut Vec<u8>, json: &str) {
    let bytes = json.as_bytes();
    let (mut in_string, mut run, mut at) = (false, 0, 0);
    while let Some(found) = bytes.get(at..).and_then(find_not_plain) {
        let from = at + found;
        at = from + 1;
        match bytes.get(from) {
            Some(b'"') => in_string = !in_string,
            // An escape: its letter may be a quote.
            Some(b'\\') => at += usize::from(bytes.get(at).is_some_and(u8::is_ascii_graphic)),
            Some(b' ') if in_string => {}
            _ => {
                out.extend_from_slice(bytes.get(run..from).unwrap_or_default());
                if in_string {
                    let character = json.get(from..).and_then(|rest| rest.chars().next());
                    let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        escape_unit(out, *unit);
                    }
                    at = from + character.len_utf8();
                }
                run = at;
            }
        }
    }
    out.extend_from_slice(bytes.get(run..).unwrap_or_default());
}

/// Appends the text of the contents of a JSON string, as UTF-8. `None` if it has an invalid
/// escape or an unpaired surrogate.
#[inline(never)]
pub fn unescape(out: &mut Vec<u8>, contents: &str) -> Option<()> {
    out.reserve(contents.len() + size_of::<Room>());
    let mut end = out.len();
    let unescaped = unescape_blocks(out, &mut end, contents.as_bytes());
    out.truncate(end);
    unescaped
}

#[inline(always)]
fn unescape_blocks(out: &mut Vec<u8>, end: &mut usize, text: &[u8]) -> Option<()> {
    let padded: &mut Window = &mut [0; _];
    let mut in_escape = false;
    // The first byte of the block that is not a part of an escape before it.
    let mut from = 0;
    for at in (0..text.len()).step_by(Block::SIZE) {
        let left = text.len() - at;
        // The padding 0 is no part of an escape.
        let window = window(text, at, 0, padded);
        let room = room(out, *end, left)?;
        let mut to = 0;
        let backslashes = Block::at(window, 0, 0).equal(b'\\');
        let mut marks = backslashes & !escaped(backslashes, &mut in_escape);
        while marks != 0 {
            let mark = marks.trailing_zeros() as usize;
            marks &= marks - 1;
            // The second half of a surrogate pair was read with the first.
            if mark < from {
                continue;
            }
            copy_short(window, from, mark - from, room, to);
            to += mark - from;
            from = mark + 2;
            let letter = *window.get(mark + 1)?;
            match UNESCAPED[usize::from(letter)] {
                0 if letter == b'u' => {
                    let (character, length) = character_at(window.get(from..)?)?;
                    from += length;
                    to += character.encode_utf8(room.get_mut(to..)?).len();
                }
                0 => return None,
                byte => {
                    *room.get_mut(to)? = byte;
                    to += 1;
                }
            }
        }
        let whole = left.min(Block::SIZE);
        let length = whole.saturating_sub(from);
        copy_short(window, from, length, room, to);
        *end += to + length;
        from = from.saturating_sub(Block::SIZE);
    }
    Some(())
}

/// The length of the JSON string at the start of the text, with its quotes. `None` if it does
/// not end, or has a control byte or an invalid escape.
#[inline(never)]
pub fn string_length(text: &[u8]) -> Option<usize> {
    let contents = text.strip_prefix(b"\"")?;
    // Most are short, and few have an escape.
    let quote = find_near_quote(contents).or_else(|| find_quote(contents))?;
    Some(quote + 2)
}

/// The index of the closing quote, by the rules of [`string_length`].
#[inline(never)]
fn find_quote(contents: &[u8]) -> Option<usize> {
    let mut in_escape = false;
    for at in (0..contents.len()).step_by(Block::SIZE) {
        // The padding 0 is an error, unless the string ends before it.
        let block = Block::at(contents, at, 0);
        let (quotes, backslashes) = (block.equal(b'"'), block.equal(b'\\'));
        let escaped = escaped(backslashes, &mut in_escape);
        let end = quotes & !escaped;
        // The bytes before the closing quote, or all.
        let before = end.wrapping_sub(1) & !end;
        if block.has_control() && block.at_most(b' ' - 1) & before != 0 {
            return None;
        }
        let mut others = escaped & before & !(quotes | backslashes);
        if others != 0 {
            others &= !block.equal(b'n');
        }
        while others != 0 {
            check_escape(contents.get(at + others.trailing_zeros() as usize..)?)?;
            others &= others - 1;
        }
        if end != 0 {
            return Some(at + end.trailing_zeros() as usize);
        }
    }
    None
}

/// The bytes that follow a backslash which is not itself escaped. `carry` is whether that is
/// true of the first byte, and is set for the first byte of the next block.
fn escaped(backslashes: u64, carry: &mut bool) -> u64 {
    if backslashes == 0 {
        return u64::from(mem::take(carry));
    }
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let escaping = backslashes & !u64::from(*carry);
    let following = escaping << 1 | u64::from(*carry);
    // In a run of backslashes every second byte is escaped: the odd positions if the run starts
    // at an even one, and vice versa. Adding its first bit to a run that starts at an odd
    // position clears it in `sum`, which then selects the even positions after it.
    let odd_starts = escaping & !EVEN & !following;
    let (sum, overflow) = odd_starts.overflowing_add(escaping);
    *carry = overflow;
    (EVEN ^ sum << 1) & following
}

/// Checks the part of an escape after the backslash.
fn check_escape(text: &[u8]) -> Option<()> {
    let (letter, mut rest) = text.split_first()?;
    match UNESCAPED[usize::from(*letter)] {
        0 if *letter == b'u' => unit(&mut rest).map(|_| ()),
        0 => None,
        _ => Some(()),
    }
}

/// The character whose digits the text begins with, and the length of its escape after `\u`.
#[cold]
#[inline(never)]
fn character_at(text: &[u8]) -> Option<(char, usize)> {
    let mut rest = text;
    let character = character(&mut rest)?;
    Some((character, text.len() - rest.len()))
}

/// The character of one code unit, or of a surrogate pair; `rest` starts after the first `\u`.
fn character(rest: &mut &[u8]) -> Option<char> {
    let first = u32::from(unit(rest)?);
    let code = match first {
        0xd800..0xdc00 => {
            *rest = rest.strip_prefix(b"\\u")?;
            let second = u32::from(unit(rest)?).checked_sub(0xdc00)?;
            if second >= 0x400 {
                return None;
            }
            0x10000 + (first - 0xd800) * 0x400 + second
        }
        code => code,
    };
    char::from_u32(code)
}

fn unit(rest: &mut &[u8]) -> Option<u16> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    digits.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | value as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        escape(&mut out, text.as_bytes()).expect("text");
        String::from_utf8(out).expect("UTF-8")
    }

    fn unescaped(inside: &str) -> Option<String> {
        let mut out = b"before".to_vec();
        unescape(&mut out, inside)?;
        Some(String::from_utf8(out).expect("UTF-8")[6..].to_owned())
    }

    #[test]
    fn escaped_text_is_json_and_is_unescaped_at_every_offset() {
        let mut all: String = (0..0x250).filter_map(char::from_u32).collect();
        all.push_str("\u{2028}😀");
        for start in (0..all.len()).filter(|at| all.is_char_boundary(*at)) {
            let text = &all[start..];
            let escaped = escaped(text);
            let read: String = serde_json::from_str(&format!("\"{escaped}\"")).expect("JSON");
            assert_eq!(read, text);
            assert_eq!(unescaped(&escaped).as_deref(), Some(text));
        }
    }

    /// Lengths that move the tested bytes across the boundary of two blocks of 64 bytes.
    const BEFORE: [usize; 6] = [0, 59, 60, 61, 62, 63];

    #[test]
    fn the_end_of_a_string_is_that_of_serde_json() {
        let pieces = [
            "", "a", "0123456", "\\\"", "\\\\", "\\u00e9", "\\u00g9", "\\x", "\\ud83d", "é", "\n",
            "\u{7f}",
        ];
        for number in 0..pieces.len().pow(4) * BEFORE.len() {
            let before = "-".repeat(BEFORE[number % BEFORE.len()]);
            let piece =
                |place| pieces[number / BEFORE.len() / pieces.len().pow(place) % pieces.len()];
            let string = format!(
                "\"{before}{}{}{}{}\"",
                piece(0),
                piece(1),
                piece(2),
                piece(3)
            );
            let raw: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&string);
            let expected = raw.ok().map(|_| string.len());
            let text = format!("{string}, \"more\"");
            assert_eq!(string_length(text.as_bytes()), expected, "{string}");
            assert_eq!(string_length(&string.as_bytes()[..string.len() - 1]), None);
        }
    }

    #[test]
    fn a_run_of_backslashes_is_read_in_pairs() {
        for count in 0..=200 {
            for before in BEFORE {
                let inside = format!("{}{}", "-".repeat(before), "\\".repeat(count));
                let text = format!("\"{inside}\", \"");
                let length = inside.len() + if count % 2 == 0 { 2 } else { 5 };
                assert_eq!(string_length(text.as_bytes()), Some(length), "{text}");
                let plain = format!("{}{}", "-".repeat(before), "\\".repeat(count / 2));
                let expected = (count % 2 == 0).then_some(plain);
                assert_eq!(unescaped(&inside), expected, "{inside}");
            }
        }
    }

    /// The first and last bytes of each row of the table of RFC 3629 4.
    const EDGES: [u8; 25] = [
        0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
        0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];

    fn edges(number: usize) -> [u8; 4] {
        [0, 1, 2, 3].map(|place| EDGES[number / EDGES.len().pow(place) % EDGES.len()])
    }

    #[test]
    fn invalid_utf_8_is_rejected() {
        for number in 0..EDGES.len().pow(4) {
            let edges = edges(number);
            let mut bytes = vec![b'-'; BEFORE[number % BEFORE.len()]];
            bytes.extend(edges);
            for suffix in [&b""[..], b"\0"] {
                bytes.extend(suffix);
                let is_text = std::str::from_utf8(&bytes).is_ok();
                let escaped = escape(&mut Vec::new(), &bytes);
                assert_eq!(escaped.is_some(), is_text, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn a_text_in_pieces_is_escaped_like_the_whole() {
        let text = "a\"é€😀\u{7ff}\n😀😀b".as_bytes();
        let mut expected = Vec::new();
        escape(&mut expected, text).expect("text");
        for first in 0..text.len() {
            for second in first..text.len() {
                let (mut escaper, mut out) = (Escaper::default(), Vec::new());
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    escaper.push(&mut out, piece).expect("text");
                }
                assert_eq!((&out, escaper.held()), (&expected, &[][..]));
            }
        }
    }

    #[test]
    fn invalid_utf_8_in_pieces_is_rejected() {
        for number in 0..EDGES.len().pow(4) {
            let bytes = edges(number);
            for at in 1..4 {
                let (mut escaper, mut out) = (Escaper::default(), Vec::new());
                let pushed = escaper
                    .push(&mut out, &bytes[..at])
                    .and_then(|()| escaper.push(&mut out, &bytes[at..]));
                let is_text = pushed.is_some() && escaper.held().is_empty();
                assert_eq!(is_text, std::str::from_utf8(&bytes).is_ok(), "{bytes:x?}");
            }
        }
    }

    #[test]
    fn only_the_required_bytes_are_escaped() {
        assert_eq!(escaped("a/é\u{7f}😀'"), "a/é\u{7f}😀'");
        assert_eq!(escaped("\"\\\n\r\t\u{8}"), "\\\"\\\\\\n\\r\\t\\u0008");
    }

    #[test]
    fn escapes_are_read_as_serde_json_reads_them() {
        for inside in [
            "\\\"\\\\\\/\\b\\f\\n\\r\\t",
            "\\u0041\\u00e9\\u20aC\\ud83d\\ude00",
            "\\ud83d",
            "\\ude00",
            "\\ud83d\\u0041",
            "\\ud83d\\n",
            "\\ud83d\\ud83d",
            "\\udbff\\udfff",
            "\\u12",
            "\\u+123",
            "\\x",
            "plain and long enough for words\\",
        ] {
            let read: Result<String, _> = serde_json::from_str(&format!("\"{inside}\""));
            assert_eq!(unescaped(inside), read.ok(), "{inside}");
        }
    }
}
