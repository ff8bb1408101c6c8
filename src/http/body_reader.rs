//! A body piece by piece, whoever makes it: the app, the adapter itself, or what compresses.

use crate::error::Failure;

pub trait Source {
    /// The next bytes; empty is the end, `None` that there are none without waiting.
    fn next(&mut self, wait: bool) -> Result<Option<&[u8]>, Failure>;
    fn consume(&mut self, count: usize);
}

impl Source for &[u8] {
    fn next(&mut self, _: bool) -> Result<Option<&[u8]>, Failure> {
        Ok(Some(self))
    }

    fn consume(&mut self, count: usize) {
        *self = self.get(count..).unwrap_or_default();
    }
}
