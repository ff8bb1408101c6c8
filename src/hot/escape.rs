//! JSON text (RFC 8259): the inside of a string escaped, and back; a value in ASCII.
//!
//! Of a string most bytes go over as they are, so eight are looked at and copied at a time.

/// One bit, the highest, in each byte of a word, and the lowest.
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
const ONES: u64 = u64::from_ne_bytes([0x01; 8]);

/// Marks the first byte of the word that is below `limit`; marks behind it say nothing.
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGH
}

/// Marks the first byte of the word that is `byte`; marks behind it say nothing.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// Appends the bytes up to the first that is marked, and gives what comes from there on.
fn copy_plain<'a>(
    out: &mut Vec<u8>,
    mut rest: &'a [u8],
    mark: impl Fn(u64) -> u64,
    is_marked: impl Fn(u8) -> bool,
) -> &'a [u8] {
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let marks = mark(u64::from_le_bytes(*word));
        out.extend_from_slice(word);
        if marks != 0 {
            let plain = (marks.trailing_zeros() / 8) as usize;
            out.truncate(out.len() - (8 - plain));
            return rest.get(plain..).unwrap_or_default();
        }
        rest = after;
    }
    while let Some((byte, after)) = rest.split_first().filter(|(byte, _)| !is_marked(**byte)) {
        out.push(*byte);
        rest = after;
    }
    rest
}

/// Appends the text with what must be escaped, and nothing else, escaped; `None` where the
/// bytes are not UTF-8 (RFC 3629), and so no text: what has been appended then is of no use.
#[inline(never)]
pub fn escape(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    out.reserve(text.len() + 8);
    let mut rest = text;
    loop {
        rest = copy_plain(
            out,
            rest,
            |word| word & HIGH | below(word, b' ') | equal(word, b'"') | equal(word, b'\\'),
            |byte| !matches!(byte, b' '..=0x7f) || matches!(byte, b'"' | b'\\'),
        );
        let Some((byte, after)) = rest.split_first() else {
            return Some(());
        };
        if *byte >= 0x80 {
            rest = copy_characters(out, rest)?;
            continue;
        }
        // One look-up instead of a choice: which escape comes next cannot be predicted.
        match SHORT[usize::from(*byte)] {
            0 => escape_unit(out, u16::from(*byte)),
            short => out.extend_from_slice(&[b'\\', short]),
        }
        rest = after;
    }
}

/// The letter of the two-letter escape of a byte that has one.
const SHORT: [u8; 256] = table([
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'\n', b'n'),
    (b'\r', b'r'),
    (b'\t', b't'),
]);

/// The byte that a letter stands for behind a backslash.
const MEANING: [u8; 256] = table([
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

/// Appends the characters up to the first in ASCII, and gives what comes from there on.
fn copy_characters<'a>(out: &mut Vec<u8>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    loop {
        // The table of RFC 3629 section 4.
        let length = match rest {
            [0xc2..=0xdf, 0x80..=0xbf, ..] => 2,
            [0xe0, 0xa0..=0xbf, 0x80..=0xbf, ..]
            | [0xe1..=0xec | 0xee | 0xef, 0x80..=0xbf, 0x80..=0xbf, ..]
            | [0xed, 0x80..=0x9f, 0x80..=0xbf, ..] => 3,
            [0xf0, 0x90..=0xbf, 0x80..=0xbf, 0x80..=0xbf, ..]
            | [0xf1..=0xf3, 0x80..=0xbf, 0x80..=0xbf, 0x80..=0xbf, ..]
            | [0xf4, 0x80..=0x8f, 0x80..=0xbf, 0x80..=0xbf, ..] => 4,
            [0x80..=0xff, ..] => return None,
            _ => return Some(rest),
        };
        let (character, after) = rest.split_at_checked(length)?;
        out.extend_from_slice(character);
        rest = after;
    }
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
    out.reserve(inside.len() + 8);
    let mut rest = inside.as_bytes();
    loop {
        rest = copy_plain(out, rest, |word| equal(word, b'\\'), |byte| byte == b'\\');
        let Some((_, escape)) = rest.split_first() else {
            return Some(());
        };
        let (letter, after) = escape.split_first()?;
        rest = after;
        match MEANING[usize::from(*letter)] {
            0 if *letter == b'u' => {
                let mut utf8 = [0; 4];
                let character = character(&mut rest)?;
                out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            }
            0 => return None,
            byte => out.push(byte),
        }
    }
}

/// How long the JSON string is that the text begins with, quotes included; `None` where it
/// does not end, holds a control byte, or an escape that is none.
#[inline(never)]
pub fn string_length(text: &[u8]) -> Option<usize> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let marks = below(word, b' ') | equal(word, b'"') | equal(word, b'\\');
            if marks != 0 {
                let plain = (marks.trailing_zeros() / 8) as usize;
                rest = rest.get(plain..).unwrap_or_default();
                break;
            }
            rest = after;
        }
        let (byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some(text.len() - rest.len()),
            b'\\' => {
                let (letter, after) = rest.split_first()?;
                rest = after;
                match MEANING[usize::from(*letter)] {
                    0 if *letter == b'u' => _ = unit(&mut rest)?,
                    0 => return None,
                    _ => {}
                }
            }
            0..b' ' => return None,
            _ => {}
        }
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

    #[test]
    fn a_string_ends_where_a_library_sees_its_end() {
        let pieces = [
            "", "a", "0123456", "\\\"", "\\\\", "\\u00e9", "\\u00g9", "\\x", "\\ud83d", "é", "\n",
            "\u{7f}",
        ];
        for number in 0..pieces.len().pow(4) {
            let piece = |place| pieces[number / pieces.len().pow(place) % pieces.len()];
            let string = format!("\"{}{}{}{}\"", piece(0), piece(1), piece(2), piece(3));
            let raw: Result<&serde_json::value::RawValue, _> = serde_json::from_str(&string);
            let expected = raw.ok().map(|_| string.len());
            let text = format!("{string}, \"behind it\"");
            assert_eq!(string_length(text.as_bytes()), expected, "{string}");
            assert_eq!(string_length(&string.as_bytes()[..string.len() - 1]), None);
        }
    }

    #[test]
    fn what_is_not_utf_8_is_no_text() {
        let edges = [
            0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ];
        let mut bytes = vec![0; 5];
        for number in 0..edges.len().pow(4) {
            for (place, byte) in bytes.iter_mut().enumerate().take(4) {
                *byte = edges[number / edges.len().pow(place as u32) % edges.len()];
            }
            let is_text = std::str::from_utf8(&bytes).is_ok();
            assert_eq!(
                escape(&mut Vec::new(), &bytes).is_some(),
                is_text,
                "{bytes:x?}"
            );
            let ends = &bytes[..4];
            let is_text = std::str::from_utf8(ends).is_ok();
            assert_eq!(
                escape(&mut Vec::new(), ends).is_some(),
                is_text,
                "{ends:x?}"
            );
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
