//! Compression: data written in any pieces is one gzip member (RFC 1952) that decodes to it,
//! and flushed data can be decoded at once.

use lambda_adapter::gzip::{Gzip, LEVEL};
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::bytes::Bytes;

const HEADER: usize = 10;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (size, flushes, times) = (bytes.below(200) + 1, bytes.coin(), bytes.below(30) + 1);
    let body = bytes.0.repeat(times);
    // Limits the number of flushes, because each is decoded from the start.
    let size = size.max(bytes.0.len() / 64);
    let mut out = Vec::new();
    let mut gzip = Gzip::begin(LEVEL.expect("compression is built in"), &mut out);
    let mut written = 0;
    for piece in body.chunks(size * times) {
        gzip.write(piece, &mut out);
        written += piece.len();
        if flushes {
            gzip.flush(&mut out);
            let read = inflate(&out[HEADER..], body.len());
            assert!(read == body[..written], "flushed after {written} bytes");
        }
    }
    gzip.finish(&mut out);
    let (deflated, trailer) = out[HEADER..].split_last_chunk::<8>().expect("a trailer");
    assert!(inflate(deflated, body.len()) == body);
    let mut expected = crc(&body).to_le_bytes().to_vec();
    expected.extend_from_slice(&(body.len() as u32).to_le_bytes());
    assert_eq!(*trailer, *expected);
}

/// Decodes as much as possible of a deflate stream, which may be unfinished.
fn inflate(deflated: &[u8], length: usize) -> Vec<u8> {
    let mut out = vec![0; length + 1];
    let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (_, _, count) = decompress(
        &mut DecompressorOxide::default(),
        deflated,
        &mut out,
        0,
        flags,
    );
    out.truncate(count);
    out
}

/// The CRC-32 of RFC 1952 8, bit by bit.
fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
