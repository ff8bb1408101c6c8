//! The buffers of one thread of the loop, reused from invocation to invocation.
//!
//! Allocating the memory of a large invocation each time costs more than the work with it, and
//! keeping it for ever is waste. So it is freed after a number of small invocations in a row.

/// The capacity that is never freed.
const KEEP: usize = 64 << 10;
/// After so many small invocations in a row the rest is freed.
const SMALL_TURNS: u32 = 16;

#[derive(Debug, Default)]
pub struct Buffers {
    /// The event.
    pub payload: Vec<u8>,
    /// The request's body, where the event has it escaped or in base64.
    pub decoded: Vec<u8>,
    /// The response's body.
    pub body: Vec<u8>,
    /// The same, compressed.
    pub compressed: Vec<u8>,
    /// The reply.
    pub reply: Vec<u8>,
    small_turns: u32,
}

impl Buffers {
    /// Empties all after an invocation.
    pub fn clear(&mut self) {
        let buffers = [
            &mut self.payload,
            &mut self.decoded,
            &mut self.body,
            &mut self.compressed,
            &mut self.reply,
        ];
        self.small_turns = if buffers.iter().all(|buffer| buffer.len() <= KEEP) {
            self.small_turns.saturating_add(1)
        } else {
            0
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
    fn a_large_buffer_is_freed_after_some_small_invocations() {
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
