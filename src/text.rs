//! Text from outside as a part of a log line, an error or a response: bounded, valid UTF-8,
//! without control characters.
//!
//! An error page may have 6 MB, bytes that are not UTF-8, and line ends that would make two log
//! lines of one. AWS's readers have limits of their own: 64 KiB for a log line, and a size for
//! each post.

use std::ascii;

/// How characters are written that cannot stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Control characters as in Rust: `\n`, `\u{1b}`.
    Plain,
    /// The contents of a JSON string.
    Json,
    /// The same, for a JSON text that becomes a JSON string in turn: the size counts there.
    NestedJson,
}

/// Room for the note that ends a text which was cut.
const NOTE: usize = 48;

/// Appends the text. One that would take more than `limit` bytes is cut, and ends with a note of
/// its full size.
pub fn write(out: &mut Vec<u8>, text: &[u8], limit: usize, form: Form) {
    // As is every usual path.
    if form == Form::Plain && text.len() <= limit && text.iter().all(u8::is_ascii_graphic) {
        return out.extend_from_slice(text);
    }
    let (mut size, mut cut) = (0, out.len());
    for part in text.utf8_chunks() {
        let replaced = (!part.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for character in part.valid().chars().chain(replaced) {
            size += push(out, character, form);
            if size + NOTE <= limit {
                cut = out.len();
            } else if size > limit {
                out.truncate(cut);
                let note = format!("... (cut, {} bytes in all)", text.len());
                return out.extend_from_slice(note.as_bytes());
            }
        }
    }
}

/// The number that the text is. All are read as the widest, which is one function.
pub fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let number: u64 = text.parse().ok()?;
    number.try_into().ok()
}

/// The text with escapes as in Rust's literals. By characters: the standard library's form of a
/// whole text takes five times as much of the binary.
#[inline(never)]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars().flat_map(char::escape_debug) {
        escaped.push(c);
    }
    escaped
}

/// The bytes with escapes, as ASCII.
#[inline(never)]
pub fn escaped_bytes(bytes: &[u8]) -> String {
    let mut escaped = String::new();
    for byte in bytes.iter().flat_map(|byte| ascii::escape_default(*byte)) {
        escaped.push(byte.into());
    }
    escaped
}

/// The text in plain form: see [`write()`].
pub fn plain(text: &[u8], limit: usize) -> String {
    let mut out = Vec::new();
    write(&mut out, text, limit, Form::Plain);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a character and returns its size.
fn push(out: &mut Vec<u8>, character: char, form: Form) -> usize {
    let before = out.len();
    let short = match character {
        '"' | '\\' if form != Form::Plain => Some(character),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    let nested = usize::from(form == Form::NestedJson);
    if let Some(letter) = short {
        out.extend_from_slice(&[b'\\', letter as u8]);
        // Both are escaped again, except for a letter.
        return 2 + nested * (1 + usize::from(letter.is_ascii_punctuation()));
    }
    if character.is_control() {
        let code = u32::from(character);
        let escape = match form {
            Form::Plain => format!("\\u{{{code:x}}}"),
            _ => format!("\\u{code:04x}"),
        };
        out.extend_from_slice(escape.as_bytes());
        return escape.len() + nested;
    }
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    out.len() - before
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [Form; 3] = [Form::Plain, Form::Json, Form::NestedJson];

    fn written(text: &[u8], limit: usize, form: Form) -> String {
        let mut out = Vec::new();
        write(&mut out, text, limit, form);
        String::from_utf8(out).expect("UTF-8")
    }

    /// The size that the limit is about.
    fn size(written: &str, form: Form) -> usize {
        match form {
            Form::NestedJson => serde_json::to_string(written).expect("JSON").len() - 2,
            _ => written.len(),
        }
    }

    #[test]
    fn a_text_within_the_limit_is_complete() {
        let text = "a\"\\\n\r\t\u{1b}\u{7f}\u{85}é😀";
        let plain = "a\"\\\\n\\r\\t\\u{1b}\\u{7f}\\u{85}é😀";
        assert_eq!(written(text.as_bytes(), 100, Form::Plain), plain);
        for form in [Form::Json, Form::NestedJson] {
            let json = format!("\"{}\"", written(text.as_bytes(), 100, form));
            assert_eq!(
                serde_json::from_str::<String>(&json).expect("JSON"),
                text,
                "{json}"
            );
            assert!(!json.contains(char::is_control), "{json}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        for form in FORMS {
            assert_eq!(written(b"a\xffb\xe2\x82", 100, form), "a\u{fffd}b\u{fffd}");
        }
    }

    #[test]
    fn a_longer_text_ends_with_its_size_and_keeps_the_limit() {
        for piece in ["a", "\"", "\\", "\n", "\0", "\u{7f}", "é", "😀", "a\"\0é"] {
            let text = piece.repeat(1000);
            for form in FORMS {
                for limit in [NOTE, 64, 65, 66, 67, 400, 999] {
                    let got = written(text.as_bytes(), limit, form);
                    let note = format!("... (cut, {} bytes in all)", text.len());
                    assert!(got.ends_with(&note), "{got}");
                    let size = size(&got, form);
                    assert!(size <= limit && size + NOTE + 16 > limit, "{size} {limit}");
                }
            }
        }
    }

    #[test]
    fn exactly_the_limit_is_not_cut() {
        let text = "x".repeat(1000);
        for form in FORMS {
            assert_eq!(written(text.as_bytes(), 1000, form), text);
            assert!(written(text.as_bytes(), 999, form).contains("(cut, 1000 bytes"));
        }
    }
}
