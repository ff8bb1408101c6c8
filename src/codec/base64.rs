//! Base64 with the standard alphabet and padding (RFC 4648 4), for the binary bodies of events
//! and replies.
//!
//! Sixteen symbols are decoded together, with instructions that every processor has: the value of
//! a symbol is its distance from the first of its range. Tables take half as long again. To encode,
//! a table is faster by an eighth.

use std::array;
use std::sync::OnceLock;

use wide::bytemuck::cast;
use wide::{i8x16, i16x8, u8x16, u16x8};

const ALPHABET: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The number of plain bytes that are converted before they are appended to the output.
const BLOCK: usize = 3 << 10;
/// The same of decoded bytes, in blocks of sixteen symbols.
const BLOCKS: usize = 64;

/// The length of `length` bytes in base64.
pub fn encoded_len(length: usize) -> usize {
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

/// Base64 of bytes that come in pieces.
#[derive(Debug, Default)]
pub struct Encoder {
    /// The bytes of an incomplete group of three.
    held: Vec<u8>,
}

impl Encoder {
    /// Appends the base64 of all whole groups so far.
    pub fn push(&mut self, out: &mut Vec<u8>, piece: &[u8]) {
        let missing = (3 - self.held.len()) % 3;
        let (first, rest) = piece.split_at_checked(missing).unwrap_or((piece, b""));
        self.held.extend_from_slice(first);
        if !self.held.len().is_multiple_of(3) {
            return;
        }
        encode(out, &self.held);
        let (whole, cut) = rest.split_at(rest.len() - rest.len() % 3);
        encode(out, whole);
        self.held.clear();
        self.held.extend_from_slice(cut);
    }

    /// Appends the rest, with its padding.
    pub fn finish(&self, out: &mut Vec<u8>) {
        encode(out, &self.held);
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
    let (blocks, rest) = text.get(..text.len() - padding)?.as_chunks::<16>();
    out.reserve(blocks.len() * 12 + 12);
    let mut buffer = [[0; 12]; BLOCKS];
    // Checked once at the end.
    let mut valid = i8x16::splat(-1);
    for blocks in blocks.chunks(BLOCKS) {
        for (bytes, symbols) in buffer.iter_mut().zip(blocks) {
            *bytes = bytes_of(symbols, &mut valid);
        }
        out.extend_from_slice(buffer.get(..blocks.len())?.as_flattened());
    }
    let bytes = bytes_of(&padded(rest, b'A'), &mut valid);
    out.extend_from_slice(bytes.get(..rest.len() * 3 / 4)?);
    valid.all().then_some(())
}

/// Less than a block, filled up.
fn padded(part: &[u8], padding: u8) -> [u8; 16] {
    let mut block = [padding; 16];
    for (into, byte) in block.iter_mut().zip(part) {
        *into = *byte;
    }
    block
}

/// The bytes of sixteen symbols. Clears lanes of `valid` where one is not in the alphabet.
#[inline(always)]
fn bytes_of(symbols: &[u8; 16], valid: &mut i8x16) -> [u8; 12] {
    let symbols: i8x16 = cast(u8x16::new(*symbols));
    let splat = i8x16::splat;
    let within = |lanes: i8x16, first: i8, last: i8| {
        lanes.simd_gt(splat(first - 1)) & splat(last + 1).simd_gt(lanes)
    };
    let letter = within(symbols | splat(0x20), 97, 122);
    let (lower, slash) = (symbols.simd_gt(splat(96)), symbols.simd_eq(splat(47)));
    // The slash comes before the zero.
    let digit = within(symbols, 47, 57);
    let plus = symbols.simd_eq(splat(43));
    *valid &= letter | digit | plus;
    let values = symbols
        + (letter & splat(-65))
        + (letter & lower & splat(-6))
        + (digit & splat(4))
        + (slash & splat(12))
        + (plus & splat(19));
    // Pairs of twelve bits, then groups of twenty-four.
    let values: u16x8 = cast(values);
    let pairs: i16x8 = cast((values & u16x8::splat(0xff)) << 6 | values >> 8);
    let groups = pairs.dot(i16x8::new([1 << 12, 1, 1 << 12, 1, 1 << 12, 1, 1 << 12, 1]));
    let [a, b, c, d] = groups.to_array().map(|group| group as u64);
    let mut bytes = [0; 12];
    if let Some((first, rest)) = bytes.split_first_chunk_mut()
        && let Some(last) = rest.first_chunk_mut()
    {
        *first = (a << 40 | b << 16 | c >> 8).to_be_bytes();
        *last = ((c << 24 | d) as u32).to_be_bytes();
    }
    bytes
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
    fn bytes_in_pieces_are_encoded_like_the_whole() {
        let all: Vec<u8> = (0..=255).collect();
        for (length, size) in
            (0..all.len()).flat_map(|length| [1, 2, 3, 5, 40].map(|size| (length, size)))
        {
            let (mut encoder, mut out) = (Encoder::default(), Vec::new());
            for piece in all[..length].chunks(size) {
                encoder.push(&mut out, piece);
                encoder.push(&mut out, b"");
            }
            encoder.finish(&mut out);
            assert_eq!(
                String::from_utf8(out).expect("ASCII"),
                encoded(&all[..length])
            );
        }
    }

    #[test]
    fn each_byte_is_a_symbol_or_invalid_at_every_place() {
        for byte in 0..=255 {
            for place in 0..40 {
                let mut text = vec![b'A'; 40];
                text[place] = byte;
                let value = ALPHABET.iter().position(|symbol| *symbol == byte);
                let expected = value.map(|value| {
                    let mut bytes = vec![0; 30];
                    let bits = (value << (18 - place % 4 * 6)) as u32;
                    bytes[place / 4 * 3..][..3].copy_from_slice(&bits.to_be_bytes()[1..]);
                    bytes
                });
                let mut out = Vec::new();
                let found = decode(&mut out, &text).map(|()| out);
                // Padding ends the text.
                if byte != b'=' || place != 39 {
                    assert_eq!(found, expected, "{byte} {place}");
                }
            }
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
