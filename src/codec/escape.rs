//! JSON text (RFC 8259): the inside of a string escaped, and back; a value in ASCII.
//!
//! Most bytes of a string go over as they are. Where the others stand is asked for sixty-four
//! at a time: a branch for each byte, or word, is what a processor cannot predict.

use crate::simd::Block;

/// Appends a part of the text. What stands between two escapes is mostly short, and a copy of
/// a fixed size is the quickest then.
#[inline(always)]
fn append(out: &mut Vec<u8>, text: &[u8], from: usize, to: usize) {
    const RUN: usize = 32;
    let length = to.saturating_sub(from);
    match text.get(from..from + RUN) {
        Some(run) if length <= RUN => {
            out.extend_from_slice(run);
            out.truncate(out.len() - (RUN - length));
        }
        _ => out.extend_from_slice(text.get(from..to).unwrap_or_default()),
    }
}

/// Appends the text with what must be escaped, and nothing else, escaped; `None` where the
/// bytes are not UTF-8 (RFC 3629), and so no text: what has been appended then is of no use.
#[inline(never)]
pub fn escape(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    out.reserve(text.len() + Block::SIZE);
    let (mut at, mut from) = (0, 0);
    while at < text.len() {
        let block = Block::at(text, at, b' ');
        let mut marks = block.needs_escape();
        while marks != 0 {
            let mark = at + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            append(out, text, from, mark);
            from = mark + 1;
            let byte = *text.get(mark)?;
            // One look-up instead of a choice: which escape comes next cannot be predicted.
            match ESCAPE_LETTER[usize::from(byte)] {
                0 => escape_unit(out, u16::from(byte)),
                short => out.extend_from_slice(&[b'\\', short]),
            }
        }
        at += whole_characters(&block)?;
    }
    append(out, text, from, text.len());
    Some(())
}

/// Escapes a text that comes in pieces, which may begin and end within a character.
#[derive(Debug, Clone, Copy, Default)]
pub struct Escaper {
    /// A character that is not whole yet, and how much of it is here.
    cut: [u8; 4],
    length: usize,
}

impl Escaper {
    /// As [`escape`] does, but for what is cut off at the end, which waits for the next piece.
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

    /// What has been pushed and not yet appended.
    pub fn held(&self) -> &[u8] {
        self.cut.get(..self.length).unwrap_or_default()
    }
}

/// How many bytes at the end are the beginning of a character that goes on.
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

/// The letter of the two-letter escape of a byte that has one.
const ESCAPE_LETTER: [u8; 256] = table([
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'\n', b'n'),
    (b'\r', b'r'),
    (b'\t', b't'),
]);

/// The byte that a letter stands for behind a backslash.
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

/// How many bytes of the block are whole characters, if it begins with one; `None` where it
/// holds what is not UTF-8.
fn whole_characters(block: &Block) -> Option<usize> {
    let high = block.high();
    if high == 0 {
        return Some(Block::SIZE);
    }
    // The table of RFC 3629 section 4: what each first byte wants behind it.
    let others = high & block.at_most(0xbf);
    let first = high & !others;
    let first_of_three = high & !block.at_most(0xdf);
    let mut wanted = first << 1 | first_of_three << 2;
    let mut wrong = first & block.at_most(0xc1);
    let mut cut = first >> 63 | first_of_three >> 62;
    if first_of_three != 0 {
        let first_of_four = high & !block.at_most(0xef);
        wanted |= first_of_four << 3;
        cut |= first_of_four >> 61;
        wrong |= first_of_four & !block.at_most(0xf4);
        let (low, lowest) = (block.at_most(0x9f), block.at_most(0x8f));
        wrong |= block.equal(0xe0) << 1 & low | block.equal(0xed) << 1 & !low;
        wrong |= block.equal(0xf0) << 1 & lowest | block.equal(0xf4) << 1 & !lowest;
    }
    if wanted != others || wrong != 0 {
        return None;
    }
    // One that the end of the block cuts is for the next block.
    Some(match cut {
        0 => Block::SIZE,
        _ => first.ilog2() as usize,
    })
}

/// Appends a UTF-16 unit as `\uXXXX`.
fn escape_unit(out: &mut Vec<u8>, unit: u16) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[usize::from(unit >> shift & 0xf)]);
    }
}

/// Appends a JSON value as one line of printable ASCII, fit for a header field: blanks between
/// tokens dropped, everything else that is not printable ASCII as `\uXXXX`.
pub fn write_ascii(out: &mut Vec<u8>, json: &str) {
    let bytes = json.as_bytes();
    // What Lambda sends is mostly in that form already.
    if bytes.iter().all(u8::is_ascii_graphic) {
        return out.extend_from_slice(bytes);
    }
    let (mut in_string, mut escaped, mut run, mut at) = (false, false, 0, 0);
    while let Some(byte) = bytes.get(at) {
        let kept = match byte {
            b' ' => in_string,
            b'!'..=b'~' => true,
            _ => false,
        };
        in_string ^= *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        at += 1;
        if kept {
            continue;
        }
        out.extend_from_slice(bytes.get(run..at - 1).unwrap_or_default());
        if in_string {
            let character = json.get(at - 1..).and_then(|rest| rest.chars().next());
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            for unit in character.encode_utf16(&mut [0; 2]) {
                escape_unit(out, *unit);
            }
            at += character.len_utf8() - 1;
        }
        run = at;
    }
    out.extend_from_slice(bytes.get(run..).unwrap_or_default());
}

/// Appends the text that the inside of a JSON string stands for, as UTF-8; `None` where no
/// text can carry it: an escape that is none, or half a surrogate pair.
#[inline(never)]
pub fn unescape(out: &mut Vec<u8>, inside: &str) -> Option<()> {
    let text = inside.as_bytes();
    out.reserve(text.len() + Block::SIZE);
    let mut from = 0;
    let mut in_escape = false;
    for at in (0..text.len()).step_by(Block::SIZE) {
        let backslashes = Block::at(text, at, b' ').equal(b'\\');
        let mut marks = backslashes & !escaped(backslashes, &mut in_escape);
        while marks != 0 {
            let mark = at + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            // The second half of a pair is done with already.
            if mark < from {
                continue;
            }
            append(out, text, from, mark);
            let letter = *text.get(mark + 1)?;
            from = mark + 2;
            match UNESCAPED[usize::from(letter)] {
                0 if letter == b'u' => {
                    let mut rest = text.get(from..)?;
                    let character = character(&mut rest)?;
                    from = text.len() - rest.len();
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0 => return None,
                byte => out.push(byte),
            }
        }
    }
    append(out, text, from, text.len());
    Some(())
}

/// How long the JSON string is that the text begins with, quotes included; `None` where it
/// does not end, holds a control byte, or an escape that is none.
#[inline(never)]
pub fn string_length(text: &[u8]) -> Option<usize> {
    let inside = text.strip_prefix(b"\"")?;
    let mut in_escape = false;
    for at in (0..inside.len()).step_by(Block::SIZE) {
        // A zero byte is an error, unless the string has ended before.
        let block = Block::at(inside, at, 0);
        let (quotes, backslashes) = (block.equal(b'"'), block.equal(b'\\'));
        let escaped = escaped(backslashes, &mut in_escape);
        let end = quotes & !escaped;
        // Up to the end, if it is here.
        let before = end.wrapping_sub(1) & !end;
        if block.at_most(b' ' - 1) & before != 0 {
            return None;
        }
        let mut others = escaped & before & !(quotes | backslashes | block.equal(b'n'));
        while others != 0 {
            check_escape(inside.get(at + others.trailing_zeros() as usize..)?)?;
            others &= others - 1;
        }
        if end != 0 {
            return Some(at + end.trailing_zeros() as usize + 2);
        }
    }
    None
}

/// Which bytes come behind a backslash that is not itself escaped. `carry` says so of the
/// first byte, and then of the one behind the last.
fn escaped(backslashes: u64, carry: &mut bool) -> u64 {
    const EVEN: u64 = 0x5555_5555_5555_5555;
    let escaping = backslashes & !u64::from(*carry);
    let behind = escaping << 1 | u64::from(*carry);
    // Runs of backslashes, by where they begin: adding its first bit to a run carries a bit to
    // the place behind it.
    let odd_starts = escaping & !EVEN & !behind;
    let (sum, overflow) = odd_starts.overflowing_add(escaping);
    *carry = overflow;
    (EVEN ^ sum << 1) & behind
}

/// Whether what comes behind a backslash makes it an escape.
fn check_escape(text: &[u8]) -> Option<()> {
    let (letter, mut rest) = text.split_first()?;
    match UNESCAPED[usize::from(*letter)] {
        0 if *letter == b'u' => unit(&mut rest).map(|_| ()),
        0 => None,
        _ => Some(()),
    }
}

/// The character of the one or two units whose first follows a `\u`.
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
    fn what_was_escaped_is_json_and_comes_back_at_every_offset() {
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

    /// What blocks of 64 bytes could get wrong, they get wrong where they meet.
    const BEFORE: [usize; 6] = [0, 59, 60, 61, 62, 63];

    #[test]
    fn a_string_ends_where_a_library_sees_its_end() {
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
            let text = format!("{string}, \"behind it\"");
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

    /// The bytes at which one row of the table of RFC 3629 ends and another begins.
    const EDGES: [u8; 25] = [
        0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
        0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];

    fn edges(number: usize) -> [u8; 4] {
        [0, 1, 2, 3].map(|place| EDGES[number / EDGES.len().pow(place) % EDGES.len()])
    }

    #[test]
    fn what_is_not_utf_8_is_no_text() {
        for number in 0..EDGES.len().pow(4) {
            let edges = edges(number);
            let mut bytes = vec![b'-'; BEFORE[number % BEFORE.len()]];
            bytes.extend(edges);
            for behind in [&b""[..], b"\0"] {
                bytes.extend(behind);
                let is_text = std::str::from_utf8(&bytes).is_ok();
                let escaped = escape(&mut Vec::new(), &bytes);
                assert_eq!(escaped.is_some(), is_text, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn a_text_may_come_in_pieces() {
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
    fn what_is_not_utf_8_is_no_text_in_pieces_either() {
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
    fn nothing_is_escaped_that_need_not_be() {
        assert_eq!(escaped("a/é\u{7f}😀'"), "a/é\u{7f}😀'");
        assert_eq!(escaped("\"\\\n\r\t\u{8}"), "\\\"\\\\\\n\\r\\t\\u0008");
    }

    #[test]
    fn escapes_are_read_as_a_library_reads_them() {
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
