//! Base64 with the standard alphabet and padding (RFC 4648 4), for the binary bodies of events
//! and replies.

use std::array;
use std::sync::OnceLock;

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The number of plain bytes that are converted before they are appended to the output.
const BLOCK: usize = 3 << 10;

/// The entry of [`VALUES`] for a byte outside the alphabet.
const INVALID: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [INVALID; 256];
    let mut index = 0;
    while index < 64 {
        values[ALPHABET[index] as usize] = index as u8;
        index += 1;
    }
    values
};

/// The length of `length` bytes in base64.
fn encoded_len(length: usize) -> usize {
    length.div_ceil(3) * 4
}

/// Both symbols for every twelve bits, which halves the number of look-ups. Made at first use:
/// a table of 8 kB is a thirtieth of the binary. In a box, since a static one takes as much.
static PAIRS: OnceLock<Box<[[u8; 2]; 4096]>> = OnceLock::new();

fn pairs() -> Box<[[u8; 2]; 4096]> {
    Box::new(array::from_fn(|bits| {
        [ALPHABET[bits >> 6 & 63], ALPHABET[bits & 63]]
    }))
}

/// Appends the bytes in base64.
#[inline(never)]
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(encoded_len(bytes.len()));
    let pairs = PAIRS.get_or_init(pairs);
    let pair = |bits: u32| pairs[(bits & 4095) as usize];
    let mut buffer = [[0; 4]; BLOCK / 3];
    let mut triples = bytes.chunks_exact(3);
    loop {
        let mut count = 0;
        for (quad, triple) in buffer.iter_mut().zip(&mut triples) {
            if let [a, b, c] = triple {
                let bits = u32::from_be_bytes([0, *a, *b, *c]);
                let ([w, x], [y, z]) = (pair(bits >> 12), pair(bits));
                *quad = [w, x, y, z];
            }
            count += 1;
        }
        out.extend_from_slice(buffer.get(..count).unwrap_or_default().as_flattened());
        if count < buffer.len() {
            break;
        }
    }
    match *triples.remainder() {
        [a] => {
            let [w, x] = pair(u32::from(a) << 4);
            out.extend_from_slice(&[w, x, b'=', b'=']);
        }
        [a, b] => {
            let bits = u32::from(a) << 16 | u32::from(b) << 8;
            let ([w, x], [y, _]) = (pair(bits >> 12), pair(bits));
            out.extend_from_slice(&[w, x, y, b'=']);
        }
        _ => {}
    }
}

/// Appends the decoded bytes; `None` if the text is not base64 with its padding.
#[inline(never)]
pub fn decode(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text
        .iter()
        .rev()
        .take(2)
        .take_while(|byte| **byte == b'=')
        .count();
    let symbols = text.get(..text.len() - padding)?;
    out.reserve(symbols.len() / 4 * 3 + 2);
    let value = |byte: u8| VALUES[byte as usize];
    let mut buffer = [[0; 3]; BLOCK / 3];
    let mut quads = symbols.chunks_exact(4);
    // Checked once at the end: an invalid value has bits that no valid one has.
    let mut seen = 0;
    loop {
        let mut count = 0;
        for (triple, quad) in buffer.iter_mut().zip(&mut quads) {
            if let [a, b, c, d] = quad {
                let (a, b, c, d) = (value(*a), value(*b), value(*c), value(*d));
                seen |= a | b | c | d;
                *triple = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
            }
            count += 1;
        }
        out.extend_from_slice(buffer.get(..count).unwrap_or_default().as_flattened());
        if count < buffer.len() {
            break;
        }
    }
    match *quads.remainder() {
        [] => {}
        [a, b] => {
            let (a, b) = (value(a), value(b));
            seen |= a | b;
            out.push(a << 2 | b >> 4);
        }
        [a, b, c] => {
            let (a, b, c) = (value(a), value(b), value(c));
            seen |= a | b | c;
            out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2]);
        }
        _ => return None,
    }
    (seen < 64).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        encode(&mut out, bytes);
        String::from_utf8(out).expect("ASCII")
    }

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(&mut out, text.as_bytes()).map(|()| out)
    }

    #[test]
    fn the_rfc_vectors_are_encoded_and_decoded() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encoded(plain.as_bytes()), text);
            assert_eq!(decoded(text).as_deref(), Some(plain.as_bytes()));
        }
    }

    #[test]
    fn every_byte_survives_the_round_trip_at_every_length() {
        let all: Vec<u8> = (0..=255).collect();
        for start in 0..all.len() {
            let text = encoded(&all[start..]);
            assert_eq!(text.len(), encoded_len(all.len() - start));
            assert_eq!(decoded(&text).as_deref(), Some(&all[start..]));
        }
    }

    #[test]
    fn invalid_base64_is_rejected() {
        for text in [
            "Z", "Zg", "Zg=", "Zg===", "====", "Z===", "Zm9v=", "Z=9v", "Zm 9", "Zm9\n", "Zm-_",
            "é==", "AA\u{ff}",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
