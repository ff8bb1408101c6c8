//! 64-byte SIMD blocks; each query returns a bit mask with one bit a byte.
//!
//! Uses only instructions that every x86_64 (SSE2) and every arm64 (NEON) processor has.

use wide::u8x16;

/// 64 bytes in vector registers.
#[derive(Debug, Clone, Copy)]
pub struct Block([u8x16; 4]);

impl Block {
    pub const SIZE: usize = 64;

    /// The bytes of the text from `at` on, filled up with `padding` after its end.
    pub fn at(text: &[u8], at: usize, padding: u8) -> Block {
        let rest = text.get(at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(bytes) => Block::new(bytes),
            None => {
                let mut bytes = [padding; Block::SIZE];
                for (into, byte) in bytes.iter_mut().zip(rest) {
                    *into = *byte;
                }
                Block::new(&bytes)
            }
        }
    }

    fn new(bytes: &[u8; Block::SIZE]) -> Block {
        let (parts, _) = bytes.as_chunks::<16>();
        Block(std::array::from_fn(|index| u8x16::new(parts[index])))
    }

    /// The bytes equal to `byte`.
    pub fn equal(&self, byte: u8) -> u64 {
        self.bits(|lanes| equal(lanes, byte))
    }

    /// The bytes up to and including `byte`.
    pub fn at_most(&self, byte: u8) -> u64 {
        self.bits(|lanes| at_most(lanes, byte))
    }

    /// The bytes that a JSON string must escape (RFC 8259 7).
    pub fn needs_escape(&self) -> u64 {
        self.bits(|lanes| equal(lanes, b'"') | equal(lanes, b'\\') | at_most(lanes, b' ' - 1))
    }

    /// The bytes in which the bit with this number, from 4 to 7, is set.
    pub fn bit(&self, number: u32) -> u64 {
        self.bits(|lanes| (number..7).fold(lanes, |lanes, _| lanes + lanes))
    }

    pub fn is_ascii(&self) -> bool {
        !self.any(|lanes| lanes)
    }

    /// Whether there is a control byte of JSON.
    pub fn has_control(&self) -> bool {
        self.any(|lanes| at_most(lanes, b' ' - 1))
    }

    /// Whether there is a first byte of two that encode ASCII, which no UTF-8 has (RFC 3629 4).
    pub fn has_overlong_pair(&self) -> bool {
        self.any(|lanes| equal(lanes & u8x16::splat(0xfe), 0xc0))
    }

    fn any(&self, compare: impl Fn(u8x16) -> u8x16) -> bool {
        let [a, b, c, d] = self.0.map(compare);
        (a | b | c | d).to_bitmask() != 0
    }

    fn bits(&self, compare: impl Fn(u8x16) -> u8x16) -> u64 {
        let [a, b, c, d] = self.0.map(|lanes| u64::from(compare(lanes).to_bitmask()));
        a | b << 16 | c << 32 | d << 48
    }
}

fn equal(lanes: u8x16, byte: u8) -> u8x16 {
    lanes.simd_eq(u8x16::splat(byte))
}

fn at_most(lanes: u8x16, byte: u8) -> u8x16 {
    lanes.simd_eq(lanes.min(u8x16::splat(byte)))
}

/// The index of the first such byte.
#[inline(never)]
pub fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    position(bytes, |lanes| equal(lanes, wanted), |byte| byte == wanted)
}

/// The index of the first control byte except the tab.
#[inline(never)]
pub fn find_control(bytes: &[u8]) -> Option<usize> {
    position(
        bytes,
        |lanes| (at_most(lanes, b' ' - 1) & !equal(lanes, b'\t')) | equal(lanes, 0x7f),
        |byte| byte.is_ascii_control() && byte != b'\t',
    )
}

/// The index of the first byte that a JSON string must escape (RFC 8259 7), or that is not ASCII.
#[inline(never)]
pub fn find_not_verbatim(bytes: &[u8]) -> Option<usize> {
    position(
        bytes,
        |lanes| {
            let marks = equal(lanes, b'"') | equal(lanes, b'\\');
            marks | at_most(lanes, b' ' - 1) | !at_most(lanes, 0x7f)
        },
        |byte| matches!(byte, b'"' | b'\\' | 0..b' ' | 0x80..),
    )
}

/// The index of the first quote, backslash, or byte that is not printable ASCII; a space counts.
#[inline(never)]
pub fn find_not_plain(bytes: &[u8]) -> Option<usize> {
    position(
        bytes,
        |lanes| {
            let marks = equal(lanes, b'"') | equal(lanes, b'\\');
            marks | at_most(lanes, b' ') | !at_most(lanes, b'~')
        },
        |byte| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'\\'),
    )
}

/// The index of the first quote, if it is among the first sixty-four bytes, and none of those
/// before it is a backslash or a control byte. Also `None` near the end of the bytes.
pub fn find_near_quote(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<16>();
    for (index, block) in blocks.iter().take(4).enumerate() {
        let lanes = u8x16::new(*block);
        let marks = equal(lanes, b'"') | equal(lanes, b'\\') | at_most(lanes, b' ' - 1);
        let marks = marks.to_bitmask();
        if marks != 0 {
            let first = index * 16 + marks.trailing_zeros() as usize;
            return (bytes.get(first) == Some(&b'"')).then_some(first);
        }
    }
    None
}

/// The first byte for which both functions, which must agree, return true; sixteen at a time.
#[inline(always)]
fn position(
    bytes: &[u8],
    lanes: impl Fn(u8x16) -> u8x16,
    byte: impl Fn(u8) -> bool,
) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<16>();
    for (index, block) in blocks.iter().enumerate() {
        let found = lanes(u8x16::new(*block)).to_bitmask();
        if found != 0 {
            return Some(index * 16 + found.trailing_zeros() as usize);
        }
    }
    if rest.is_empty() {
        return None;
    }
    // The bytes before the rest, which are looked at again, are known to be others.
    if let Some(last) = bytes.last_chunk::<16>() {
        let found = lanes(u8x16::new(*last)).to_bitmask();
        return (found != 0).then(|| bytes.len() - 16 + found.trailing_zeros() as usize);
    }
    rest.iter().position(|given| byte(*given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_by_the_same_rule_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..40 {
                let mut text = [b'a'; 40];
                text[place] = byte;
                let is_control = byte.is_ascii_control() && byte != b'\t';
                let is_plain = byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
                let is_verbatim = matches!(byte, b' '..=0x7f) && !matches!(byte, b'"' | b'\\');
                let expected = |found: bool| found.then_some(place);
                for length in [place + 1, 40] {
                    let found = find_not_verbatim(&text[..length]);
                    assert_eq!(found, expected(!is_verbatim), "{byte} {place}");
                }
                assert_eq!(find_control(&text), expected(is_control), "{byte} {place}");
                assert_eq!(find_not_plain(&text), expected(!is_plain), "{byte} {place}");
                let first = if byte == b'a' { 0 } else { place };
                assert_eq!(find(&text, byte), Some(first), "{byte} {place}");
            }
        }
        assert_eq!(find(b"", 0), None);
    }
}
