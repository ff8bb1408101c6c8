//! A gzip member (RFC 1952), written piece by piece.
//!
//! The deflate stream (RFC 1951) comes from a library, the header of ten bytes and the trailer
//! of CRC-32 and length from here. In a build without the feature `compression`, [`Level`] has
//! no value, so the type system excludes every call.

use std::fmt;
use std::sync::OnceLock;

use deflate::{Deflate, Flush};
pub use deflate::{LEVEL, Level};

/// No file name, no time and an unknown system, so that equal bodies give equal members.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A member that is being written.
pub struct Gzip {
    deflate: Deflate,
    crc: u32,
    /// The number of bytes written, modulo 2^32.
    size: u32,
}

impl fmt::Debug for Gzip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzip")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Gzip {
    /// Writes the header. Every call appends the bytes that are complete to `out`.
    pub fn begin(level: Level, out: &mut Vec<u8>) -> Gzip {
        out.extend_from_slice(&HEADER);
        Gzip {
            deflate: Deflate::new(level),
            crc: 0,
            size: 0,
        }
    }

    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) {
        self.crc = crc32(self.crc, data);
        self.size = self.size.wrapping_add(data.len() as u32);
        self.deflate.push(data, Flush::None, out);
    }

    /// Completes the output for everything written so far, so that it can be decoded. Adds
    /// about five bytes, even if nothing is pending.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.deflate.push(&[], Flush::Sync, out);
    }

    pub fn finish(mut self, out: &mut Vec<u8>) {
        self.deflate.push(&[], Flush::Finish, out);
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
    }
}

#[cfg(feature = "compression")]
mod deflate {
    pub use miniz_oxide::deflate::core::TDEFLFlush as Flush;
    use miniz_oxide::deflate::core::{
        CompressorOxide, compress_to_output, create_comp_flags_from_zip_params,
    };

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Level(i32);

    /// On pages and JSON within 4 % of the size at level 6, in less than half the time.
    pub const LEVEL: Option<Level> = Some(Level(4));

    pub struct Deflate(Box<CompressorOxide>);

    impl Deflate {
        pub fn new(level: Level) -> Deflate {
            // Window bits of 0 omit the zlib header.
            let flags = create_comp_flags_from_zip_params(level.0, 0, 0);
            Deflate(Box::new(CompressorOxide::new(flags)))
        }

        /// Consumes all data, because the output callback never stops it.
        pub fn push(&mut self, data: &[u8], flush: Flush, out: &mut Vec<u8>) {
            compress_to_output(&mut self.0, data, flush, |ready| {
                out.extend_from_slice(ready);
                true
            });
        }
    }
}

#[cfg(not(feature = "compression"))]
mod deflate {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Level {}

    pub const LEVEL: Option<Level> = None;

    pub struct Deflate(Level);

    pub enum Flush {
        None,
        Sync,
        Finish,
    }

    impl Deflate {
        pub fn new(level: Level) -> Deflate {
            Deflate(level)
        }

        pub fn push(&mut self, _: &[u8], _: Flush, _: &mut Vec<u8>) {
            match self.0 {}
        }
    }
}

/// Slicing-by-4: one table for each of the four bytes of a step. Made at first use: 4 KiB.
static TABLES: OnceLock<Box<[[u32; 256]; 4]>> = OnceLock::new();

/// Continues a CRC-32 (RFC 1952 8) with more data.
fn crc32(crc: u32, data: &[u8]) -> u32 {
    let [last, third, second, first] = &**TABLES.get_or_init(|| Box::new(tables()));
    let entry = |table: &[u32; 256], byte: u32| table[usize::from(byte as u8)];
    let (steps, rest) = data.as_chunks();
    let mut crc = !crc;
    for step in steps {
        crc ^= u32::from_le_bytes(*step);
        crc = entry(first, crc)
            ^ entry(second, crc >> 8)
            ^ entry(third, crc >> 16)
            ^ entry(last, crc >> 24);
    }
    for byte in rest {
        crc = entry(last, crc ^ u32::from(*byte)) ^ crc >> 8;
    }
    !crc
}

fn tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut slice = 0;
        while slice < 4 {
            let mut bit = 0;
            while bit < 8 {
                crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
                bit += 1;
            }
            tables[slice][byte] = crc;
            slice += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
#[cfg(feature = "compression")]
pub mod tests {
    use miniz_oxide::inflate::core::decompress;
    use miniz_oxide::inflate::core::inflate_flags::{
        TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
    };
    use miniz_oxide::inflate::decompress_to_vec;

    use super::*;

    /// Decodes a complete member and checks its header and trailer.
    pub fn gunzip(member: &[u8]) -> Vec<u8> {
        let inner = member.strip_prefix(&HEADER).expect("a header");
        let (deflated, trailer) = inner.split_last_chunk::<8>().expect("a trailer");
        let data = decompress_to_vec(deflated).expect("a whole deflate stream");
        let mut expected = crc32(0, &data).to_le_bytes().to_vec();
        expected.extend_from_slice(&(data.len() as u32).to_le_bytes());
        assert_eq!(trailer[..], expected);
        data
    }

    /// Decodes as much as possible of an unfinished member.
    pub fn gunzip_so_far(member: &[u8]) -> Vec<u8> {
        let inner = member.strip_prefix(&HEADER).expect("a header");
        let mut data = vec![0; 2000 * member.len()];
        let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        let (_, _, count) = decompress(&mut Default::default(), inner, &mut data, 0, flags);
        data.truncate(count);
        data
    }

    #[test]
    fn the_checksum_matches_the_standard_at_every_cut() {
        assert_eq!(crc32(0, b""), 0);
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        let data: Vec<u8> = (0..1000u32).map(|n| ((n * n) >> 3) as u8).collect();
        let bit_by_bit = !data.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        });
        for cut in 0..data.len() {
            assert_eq!(
                crc32(crc32(0, &data[..cut]), &data[cut..]),
                bit_by_bit,
                "{cut}"
            );
        }
    }

    #[test]
    fn data_written_in_pieces_is_decoded_whole() {
        let noise: Vec<u8> = (0..200_000u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let text = b"It was a bright cold day in April. ".repeat(9000);
        for data in [&b""[..], b"a", &noise, &text] {
            for piece in [1usize, 1000, 1 << 20] {
                let mut out = Vec::new();
                let mut gzip = Gzip::begin(LEVEL.expect("compression is built in"), &mut out);
                for part in data.chunks(piece) {
                    gzip.write(part, &mut out);
                }
                gzip.finish(&mut out);
                assert_eq!(gunzip(&out), data);
                assert!(out.len() < data.len() + data.len() / 1000 + 64);
            }
        }
    }

    #[test]
    fn everything_before_a_flush_can_be_decoded() {
        let (mut out, mut all) = (Vec::new(), Vec::new());
        let mut gzip = Gzip::begin(LEVEL.expect("compression is built in"), &mut out);
        for number in 0..50 {
            let part = format!("event {number} of many; ").repeat(1 + number % 7 * 400);
            gzip.write(part.as_bytes(), &mut out);
            gzip.flush(&mut out);
            all.extend_from_slice(part.as_bytes());
            assert_eq!(gunzip_so_far(&out), all);
        }
        gzip.finish(&mut out);
        assert_eq!(gunzip(&out), all);
    }
}
