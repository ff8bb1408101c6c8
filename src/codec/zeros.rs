//! Zeros to read into. Compiled for size, each takes six instructions.

/// Appends zeros until the bytes have this length.
#[inline(never)]
pub fn extend_to(out: &mut Vec<u8>, length: usize) {
    if length > out.len() {
        out.resize(length, 0);
    }
}
