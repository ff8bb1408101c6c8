//! A body that is read piece by piece: from the app, from memory, or through the compressor.

use crate::error::Failure;

/// A body of which the unread bytes are borrowed from the reader's own buffer.
pub trait BodyReader {
    /// Returns the next bytes. Those that are not consumed are returned again.
    fn fill(&mut self, wait: Wait) -> Result<Chunk<'_>, Failure>;

    /// Marks the first `count` bytes of the last chunk as used.
    fn consume(&mut self, count: usize);
}

/// Whether [`BodyReader::fill`] may block until there are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Block,
    NoBlock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Never empty.
    Data(&'a [u8]),
    /// There are no bytes yet. Returned only for [`Wait::NoBlock`].
    Pending,
    End,
}

impl<'a> Chunk<'a> {
    /// The bytes as data, or the end of the body if there are none.
    pub fn from_bytes(bytes: &'a [u8]) -> Chunk<'a> {
        match bytes {
            [] => Chunk::End,
            data => Chunk::Data(data),
        }
    }
}

impl BodyReader for &[u8] {
    fn fill(&mut self, _: Wait) -> Result<Chunk<'_>, Failure> {
        Ok(Chunk::from_bytes(self))
    }

    fn consume(&mut self, count: usize) {
        *self = self.get(count..).unwrap_or_default();
    }
}
