//! Base64 with the standard alphabet and padding (RFC 4648 section 4), the form in which
//! events and replies carry bytes that are no text.

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What [`VALUES`] holds for a byte outside the alphabet.
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

/// How long `length` bytes are in base64.
pub fn encoded_len(length: usize) -> usize {
    length.div_ceil(3) * 4
}

pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(encoded_len(bytes.len()));
    let symbol = |bits: u32| ALPHABET[(bits & 63) as usize];
    let mut triples = bytes.chunks_exact(3);
    for triple in &mut triples {
        let [a, b, c] = triple.try_into().unwrap_or([0; 3]);
        let bits = u32::from_be_bytes([0, a, b, c]);
        out.extend_from_slice(&[
            symbol(bits >> 18),
            symbol(bits >> 12),
            symbol(bits >> 6),
            symbol(bits),
        ]);
    }
    match *triples.remainder() {
        [a] => {
            let bits = u32::from(a) << 16;
            out.extend_from_slice(&[symbol(bits >> 18), symbol(bits >> 12), b'=', b'=']);
        }
        [a, b] => {
            let bits = u32::from(a) << 16 | u32::from(b) << 8;
            let last = symbol(bits >> 6);
            out.extend_from_slice(&[symbol(bits >> 18), symbol(bits >> 12), last, b'=']);
        }
        _ => {}
    }
}

/// Appends what the text stands for; `None` when it is not base64, padding included.
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
    let mut quads = symbols.chunks_exact(4);
    // Checked once at the end: an invalid value has bits that no valid one has.
    let mut seen = 0;
    for quad in &mut quads {
        let [a, b, c, d] = quad.try_into().map(|quad: [u8; 4]| quad.map(value)).ok()?;
        seen |= a | b | c | d;
        let bits = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
        let [_, x, y, z] = bits.to_be_bytes();
        out.extend_from_slice(&[x, y, z]);
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
    fn the_rfc_vectors_hold_both_ways() {
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
    fn what_is_not_base64_is_refused() {
        for text in [
            "Z", "Zg", "Zg=", "Zg===", "====", "Z===", "Zm9v=", "Z=9v", "Zm 9", "Zm9\n", "Zm-_",
            "é==", "AA\u{ff}",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}
