//! What a thread of the loop reads into and writes from, kept from invocation to invocation.
//!
//! Taking the memory of a large invocation anew each time costs more than the work with it, and
//! keeping it for ever is waste, so it goes back once large ones seem to be over.

/// What is kept for good.
const KEEP: usize = 64 << 10;
/// So many invocations in a row have to be content with that.
const SMALL_TURNS: u32 = 16;

#[derive(Debug, Default)]
pub struct Buffers {
    /// The event.
    pub payload: Vec<u8>,
    /// The request's body where the event holds it escaped or in base64.
    pub decoded: Vec<u8>,
    /// The answer's body.
    pub body: Vec<u8>,
    /// The same, compressed.
    pub compressed: Vec<u8>,
    /// The reply.
    pub reply: Vec<u8>,
    small_turns: u32,
}

impl Buffers {
    /// Empties all; to be called after each invocation.
    pub fn clear(&mut self) {
        let buffers = [
            &mut self.payload,
            &mut self.decoded,
            &mut self.body,
            &mut self.compressed,
            &mut self.reply,
        ];
        self.small_turns = match buffers.iter().all(|buffer| buffer.len() <= KEEP) {
            true => self.small_turns.saturating_add(1),
            false => 0,
        };
        for buffer in buffers {
            buffer.clear();
            if self.small_turns == SMALL_TURNS {
                buffer.shrink_to(KEEP);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_large_invocation_took_goes_back_after_some_small_ones() {
        let mut buffers = Buffers::default();
        let turn = |buffers: &mut Buffers, size| {
            buffers.body.resize(size, 0);
            buffers.clear();
            (buffers.body.len(), buffers.body.capacity())
        };
        turn(&mut buffers, 1 << 20);
        for _ in 1..SMALL_TURNS {
            assert_eq!(turn(&mut buffers, 10), (0, 1 << 20));
        }
        assert_eq!(turn(&mut buffers, 1 << 20), (0, 1 << 20));
        for _ in 1..SMALL_TURNS {
            assert_eq!(turn(&mut buffers, 10), (0, 1 << 20));
        }
        assert_eq!(turn(&mut buffers, 10), (0, KEEP));
    }
}
