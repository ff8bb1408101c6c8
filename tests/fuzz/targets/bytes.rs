//! Choices derived from the input, and a reader that returns pieces of a chosen size.
//!
//! Choices are taken from the end of the input, so that a plain message is a valid seed.

use std::io::{self, Read};

/// The rest of the input.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// A number below the limit, which is at most 256.
    pub fn below(&mut self, limit: usize) -> usize {
        match self.0.split_last() {
            Some((last, rest)) => {
                self.0 = rest;
                usize::from(*last) % limit
            }
            None => 0,
        }
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    /// The next line, or the rest of the input: a structured input has one value a line.
    pub fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let (line, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        line
    }

    /// The next line as text, in which `\r`, `\n` and `\0` are escapes.
    pub fn text(&mut self) -> String {
        let line = String::from_utf8_lossy(self.line()).into_owned();
        line.replace("\\r", "\r")
            .replace("\\n", "\n")
            .replace("\\0", "\0")
    }
}

/// Reads at most `size` bytes at once.
pub struct Pieces<'a> {
    pub bytes: &'a [u8],
    pub size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.size.min(out.len()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(count);
        out[..count].copy_from_slice(piece);
        self.bytes = rest;
        Ok(count)
    }
}
