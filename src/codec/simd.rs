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

    /// The bytes outside ASCII.
    pub fn high(&self) -> u64 {
        self.bits(|lanes| lanes)
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
