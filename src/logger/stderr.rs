//! Writes log lines to stderr without ever waiting long for its reader.
//!
//! stderr is a pipe or a socket, and write(2) blocks while it is full. AWS's log scanner for
//! Managed Instances is a reader that may stop for good. Making the stream itself non-blocking
//! would make it so for every process that shares it. So a pipe is opened once more, as an open
//! file description of our own (open(2), proc(5)), and a socket is written with `MSG_DONTWAIT`.
//! Where the pipe cannot be opened, as when another user owns it, poll(2) says whether it has
//! room for `PIPE_BUF` bytes (pipe(7)).
//!
//! After [`TIMEOUT`] the reader counts as stalled, for all threads: lines are dropped and counted
//! until it reads again.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};

/// How long a reader may take before it counts as stalled.
pub const TIMEOUT: Duration = Duration::from_millis(250);
/// What fits into a pipe that poll(2) calls writable.
const PIPE_BUF: usize = 4096;

static STATE: Mutex<State> = Mutex::new(State {
    stream: None,
    is_taken: false,
    is_stalled: false,
    rest: Vec::new(),
    dropped: 0,
});
static RELEASED: Condvar = Condvar::new();

struct State {
    /// How to write, decided at the first line. None while a thread writes, too.
    stream: Option<Stream>,
    /// Whether a thread writes a line, or output of the app.
    is_taken: bool,
    is_stalled: bool,
    /// The rest of a line that was written in part.
    rest: Vec<u8>,
    dropped: u64,
}

/// How stderr is written.
enum Stream {
    /// A terminal, a file, or a device: they never block for long.
    Plain,
    /// A pipe, by a description of our own that does not block.
    Own(File),
    Socket,
    SharedPipe,
}

/// The right to write to stderr: lines and the app's output do not mix.
pub struct Turn(());

impl Drop for Turn {
    fn drop(&mut self) {
        lock().is_taken = false;
        RELEASED.notify_one();
    }
}

/// Waits for the right to write, for as long as it takes.
pub fn take() -> Turn {
    let state = RELEASED.wait_while(lock(), |state| state.is_taken);
    state.unwrap_or_else(PoisonError::into_inner).is_taken = true;
    Turn(())
}

/// Writes a line. `notice` makes the line that precedes it after dropped ones, from their number.
pub fn write_line(line: &[u8], notice: fn(u64) -> Option<Vec<u8>>) {
    let mut state = lock();
    let timeout = if state.is_stalled {
        Duration::ZERO
    } else {
        TIMEOUT
    };
    let until = Instant::now() + timeout;
    (state, _) = RELEASED
        .wait_timeout_while(state, timeout, |state| state.is_taken)
        .unwrap_or_else(PoisonError::into_inner);
    if state.is_taken {
        state.is_stalled = true;
        state.dropped = state.dropped.saturating_add(1);
        return;
    }
    state.is_taken = true;
    let _turn = Turn(());
    let stream = state.stream.take().unwrap_or_else(Stream::open);
    let mut bytes = std::mem::take(&mut state.rest);
    let notice_start = bytes.len();
    if state.dropped > 0 {
        bytes.extend(notice(state.dropped).unwrap_or_default());
    }
    let line_start = bytes.len();
    bytes.extend_from_slice(line);
    drop(state);
    let written = write_until(&stream, &bytes, until);
    let mut state = lock();
    state.stream = Some(stream);
    state.is_stalled = written < bytes.len();
    // A line that has begun is finished later; one that has not is dropped.
    let end = if written > line_start {
        state.dropped = 0;
        bytes.len()
    } else if written > notice_start {
        state.dropped = 1;
        line_start
    } else {
        state.dropped = state.dropped.saturating_add(1);
        notice_start
    };
    state.rest = bytes.get(written..end).unwrap_or_default().to_vec();
}

impl Stream {
    fn open() -> Stream {
        let stderr = io::stderr();
        let Ok(file) = stderr.as_fd().try_clone_to_owned().map(File::from) else {
            return Stream::Plain;
        };
        match file.metadata() {
            Ok(metadata) if metadata.file_type().is_socket() => Stream::Socket,
            Ok(metadata) if metadata.file_type().is_fifo() => {
                own_description(metadata.ino()).map_or(Stream::SharedPipe, Stream::Own)
            }
            _ => Stream::Plain,
        }
    }

    /// Writes some of the bytes. `WouldBlock`: the reader has left no room.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        match self {
            Stream::Plain => stderr.lock().write(bytes),
            Stream::Own(file) => (&mut &*file).write(bytes),
            Stream::Socket => {
                // The standard library ignores SIGPIPE.
                Ok(send(stderr, bytes, SendFlags::DONTWAIT)?)
            }
            Stream::SharedPipe => {
                wait_for_room(stderr.as_fd(), Duration::ZERO)?;
                let piece = bytes.get(..PIPE_BUF).unwrap_or(bytes);
                stderr.lock().write(piece)
            }
        }
    }
}

/// Opens the pipe at stderr once more, without blocking.
#[cfg(target_os = "linux")]
fn own_description(inode: u64) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    const O_NONBLOCK: i32 = 0o4000;
    let mut options = File::options();
    let file = options.write(true).custom_flags(O_NONBLOCK);
    let file = file.open("/proc/self/fd/2").ok()?;
    (file.metadata().ok()?.ino() == inode).then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn own_description(_: u64) -> Option<File> {
    None
}

/// Returns the number of bytes that were written in time. An error has nowhere to go: the line
/// counts as written.
fn write_until(stream: &Stream, bytes: &[u8], until: Instant) -> usize {
    let mut written = 0;
    while let Some(rest @ [_, ..]) = bytes.get(written..) {
        match stream.write(rest) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() || wait_for_room(io::stderr().as_fd(), left).is_err() {
                    return written;
                }
            }
            Err(_) => return bytes.len(),
        }
    }
    written
}

/// Waits until poll(2) calls the stream writable; `WouldBlock` if it does not in time.
fn wait_for_room(fd: BorrowedFd, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(&fd, PollFlags::OUT)], Some(&timeout)) {
        Ok(0) => Err(ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
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
