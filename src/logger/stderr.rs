//! Writes log lines to stderr in a thread of its own, so that no reader can hold an invocation.
//!
//! stderr is a pipe or a socket, and write(2) blocks while it is full. AWS's scanner for Managed
//! Instances is a reader that may stop for good. To make the stream non-blocking would make it so
//! for the app as well, and after poll(2) another process may fill it first. So a thread hands its
//! line over and waits until it is written. After [`TIMEOUT`] the reader counts as stalled, for
//! all threads: lines are dropped and counted until it reads again.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

/// How long a reader may take before it counts as stalled.
pub const TIMEOUT: Duration = Duration::from_millis(250);

static STATE: Mutex<State> = Mutex::new(State {
    thread: false,
    line: None,
    is_writing: false,
    written: 0,
    is_stalled: false,
    dropped: 0,
});
static CHANGED: Condvar = Condvar::new();

struct State {
    /// Whether the thread has been started.
    thread: bool,
    /// Handed over, and not taken by the thread yet.
    line: Option<Vec<u8>>,
    /// A line is handed over and not written.
    is_writing: bool,
    /// The number of lines that were written.
    written: u64,
    is_stalled: bool,
    dropped: u64,
}

/// Writes a line. `notice` makes the line that follows dropped ones, from their number.
pub fn write_line(line: Vec<u8>, notice: fn(u64) -> Option<Vec<u8>>) {
    let started = Instant::now();
    let mut state = lock();
    if !state.thread {
        let spawned = thread::Builder::new()
            .stack_size(64 << 10)
            .spawn(move || run(notice));
        if spawned.is_err() {
            drop(state);
            // An error has nowhere to go.
            let _ = io::stderr().write_all(&line);
            return;
        }
        state.thread = true;
    }
    state = wait_while(state, started, |state| state.is_writing);
    if state.is_writing {
        state.dropped += 1;
        return;
    }
    state.line = Some(line);
    state.is_writing = true;
    let written = state.written;
    CHANGED.notify_all();
    drop(wait_while(state, started, |state| state.written == written));
}

/// Waits at most until [`TIMEOUT`] after `started`, and no longer than the reader counts as alive.
fn wait_while(
    state: MutexGuard<'static, State>,
    started: Instant,
    condition: impl Fn(&State) -> bool,
) -> MutexGuard<'static, State> {
    let left = TIMEOUT.saturating_sub(started.elapsed());
    let (mut state, _) = CHANGED
        .wait_timeout_while(state, left, |state| condition(state) && !state.is_stalled)
        .unwrap_or_else(PoisonError::into_inner);
    if condition(&state) && !state.is_stalled {
        state.is_stalled = true;
        CHANGED.notify_all();
    }
    state
}

/// The thread that writes.
fn run(notice: fn(u64) -> Option<Vec<u8>>) -> ! {
    loop {
        let mut state = CHANGED
            .wait_while(lock(), |state| state.line.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let line = state.line.take().unwrap_or_default();
        drop(state);
        write(&line);
        loop {
            let mut state = lock();
            let dropped = std::mem::take(&mut state.dropped);
            state.is_stalled = false;
            if dropped == 0 {
                state.is_writing = false;
                state.written += 1;
                break;
            }
            drop(state);
            write(&notice(dropped).unwrap_or_default());
        }
        CHANGED.notify_all();
    }
}

fn write(line: &[u8]) {
    let stderr = io::stderr();
    // The lock keeps lines and the output of the app apart. An error has nowhere to go.
    let _ = write_whole(&mut stderr.lock(), stderr.as_fd(), line);
}

/// Writes all of it, however long that takes.
pub fn write_whole(to: &mut dyn Write, fd: BorrowedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the stream may have made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
