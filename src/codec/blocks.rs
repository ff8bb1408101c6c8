//! Copies a text block by block, by copies of fixed sizes, which take no call and no branch.
//!
//! What such a copy reads or writes too much lies in the window or the room, and is cut off or
//! overwritten later.

use crate::simd::Block;

/// A block of the text, and the bytes behind it, so that copies of a fixed size end within.
pub type Window = [u8; 2 * Block::SIZE];

/// The text from `at` on, filled up with `padding` after its end.
#[inline(always)]
pub fn window<'a>(text: &'a [u8], at: usize, padding: u8, padded: &'a mut Window) -> &'a Window {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(window) = rest.first_chunk() {
        return window;
    }
    *padded = [padding; 2 * Block::SIZE];
    for (into, byte) in padded.iter_mut().zip(rest) {
        *into = *byte;
    }
    padded
}

/// Room for the longest output of a block: six bytes for each, and what a copy of a fixed size
/// writes behind them.
pub type Room = [u8; 7 * Block::SIZE];

/// The end of the output, from `to` on. The caller cuts off what it did not use.
#[inline(always)]
pub fn room(out: &mut Vec<u8>, to: usize, left: usize) -> Option<&mut Room> {
    const MORE: usize = 4 << 10;
    let least = to + size_of::<Room>();
    if out.len() < least {
        out.resize(least + left.min(MORE), 0);
    }
    out.get_mut(to..)?.first_chunk_mut()
}

/// Copies up to a block. Most parts between two escapes are short, and a copy of a fixed size is
/// fastest for those.
#[inline(always)]
pub fn copy(window: &Window, from: usize, length: usize, out: &mut Room, to: usize) {
    copy_run(window, from, out, to);
    if length > RUN {
        copy_run(window, from + RUN, out, to + RUN);
    }
}

/// The same where most parts are very short: it leaves more registers to the loop.
#[inline(always)]
pub fn copy_short(window: &Window, from: usize, length: usize, out: &mut Room, to: usize) {
    #[inline(never)]
    fn copy_second_run(window: &Window, from: usize, out: &mut Room, to: usize) {
        copy_run(window, from, out, to);
    }
    copy_run(window, from, out, to);
    if length > RUN {
        copy_second_run(window, from + RUN, out, to + RUN);
    }
}

const RUN: usize = Block::SIZE / 2;

#[inline(always)]
fn copy_run(window: &Window, from: usize, out: &mut Room, to: usize) {
    let run = window
        .get(from..)
        .and_then(|rest| rest.first_chunk::<RUN>());
    let into = out.get_mut(to..).and_then(|rest| rest.first_chunk_mut());
    if let (Some(run), Some(into)) = (run, into) {
        *into = *run;
    }
}
