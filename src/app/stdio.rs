//! Relays the app's stdout and stderr to ours; keeps the last lines for the init error.
//!
//! When an app exits before it is ready, the cause is in its last lines rather than in its exit
//! status. To read them, the app writes to pipes, and every byte is relayed unchanged, in order
//! and at once. This is done only where our own stream is a pipe or a socket, as on Lambda: an
//! app that is started from a terminal keeps the terminal, and a file is written directly.
//!
//! Lambda freezes the environment between invocations, and output that is still in a pipe then
//! appears late or never: the loop calls [`StdioRelay::flush`] before it gets the next one.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use log::{debug, warn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::ioctl_fionbio;

/// The capacity of a pipe (pipe(7)), so that one read empties it.
const PIPE_CAPACITY: usize = 64 << 10;
/// Limits of the output in an init error.
const MAX_LINES: usize = 10;
const MAX_BYTES: usize = 2 << 10;

/// The pipes between the app's standard streams and ours.
#[derive(Debug, Default)]
pub struct StdioRelay {
    streams: Mutex<Streams>,
    /// The app's stdout and stderr; `None` where it inherits ours.
    writers: [Option<PipeWriter>; 2],
}

#[derive(Debug, Default)]
struct Streams {
    open: Vec<Stream>,
    buffer: Vec<u8>,
    /// The last bytes of both, during init.
    recorded: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Stream {
    from: Arc<PipeReader>,
    to: File,
}

impl StdioRelay {
    /// Starts to relay where it applies. If that fails, the app inherits our streams.
    pub fn start() -> Arc<StdioRelay> {
        let start = || -> io::Result<Arc<StdioRelay>> {
            let relay = Arc::new(StdioRelay::open()?);
            let relaying = Arc::clone(&relay);
            if !relay.lock().open.is_empty() {
                thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(move || relaying.run())?;
            }
            Ok(relay)
        };
        start().unwrap_or_else(|cause| {
            debug!("failed to relay the output of the app: {cause}");
            Arc::default()
        })
    }

    fn open() -> io::Result<StdioRelay> {
        let ours = [
            File::from(io::stdout().as_fd().try_clone_to_owned()?),
            File::from(io::stderr().as_fd().try_clone_to_owned()?),
        ];
        let mut open = Vec::new();
        let mut writers = [None, None];
        let mut first = None;
        for (to, slot) in ours.into_iter().zip(&mut writers) {
            let metadata = to.metadata()?;
            let kind = metadata.file_type();
            if !kind.is_fifo() && !kind.is_socket() {
                continue;
            }
            // Where both are the same stream, one pipe keeps their order.
            let identity = (metadata.dev(), metadata.ino());
            if let Some((_, writer)) = first.as_ref().filter(|(known, _)| *known == identity) {
                *slot = Some(PipeWriter::try_clone(writer)?);
                continue;
            }
            let (from, writer) = io::pipe()?;
            ioctl_fionbio(&from, true)?;
            *slot = Some(writer.try_clone()?);
            first = Some((identity, writer));
            let from = Arc::new(from);
            open.push(Stream { from, to });
        }
        let streams = Mutex::new(Streams {
            open,
            buffer: vec![0; PIPE_CAPACITY],
            recorded: Some(Vec::new()),
        });
        Ok(StdioRelay { streams, writers })
    }

    /// Connects the standard streams of a command to the relay.
    pub fn attach<'a>(&self, command: &'a mut Command) -> io::Result<&'a mut Command> {
        let [stdout, stderr] = &self.writers;
        if let Some(writer) = stdout {
            command.stdout(writer.try_clone()?);
        }
        if let Some(writer) = stderr {
            command.stderr(writer.try_clone()?);
        }
        Ok(command)
    }

    /// Relays everything that has been written so far.
    pub fn flush(&self) {
        self.lock().relay_pending();
    }

    /// Stops keeping the last lines.
    pub fn stop_recording(&self) {
        self.lock().recorded = None;
    }

    /// The last lines, as text.
    pub fn last_lines(&self) -> String {
        let streams = self.lock();
        let recorded = streams.recorded.as_deref().unwrap_or_default();
        let recorded = recorded.trim_ascii_end();
        let lines = recorded.rsplitn(MAX_LINES + 1, |byte| *byte == b'\n');
        let length: usize = lines.take(MAX_LINES).map(|line| line.len() + 1).sum();
        let lines = recorded.get((recorded.len() + 1).saturating_sub(length)..);
        String::from_utf8_lossy(lines.unwrap_or_default()).into_owned()
    }

    /// Relays until the readers of both our streams are gone.
    fn run(&self) {
        loop {
            let open: Vec<_> = self.lock().readers().collect();
            if open.is_empty() {
                return;
            }
            let mut events: Vec<_> = open
                .iter()
                .map(|from| PollFd::new(&**from, PollFlags::IN))
                .collect();
            // After an error, such as EINTR, the flush finds nothing to read.
            let _ = poll(&mut events, None);
            self.flush();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn readers(&self) -> impl Iterator<Item = Arc<PipeReader>> {
        self.open.iter().map(|stream| Arc::clone(&stream.from))
    }

    /// Reads each pipe once: an app that never stops printing must not block the caller.
    fn relay_pending(&mut self) {
        let Streams {
            open,
            buffer,
            recorded,
        } = self;
        open.retain(|stream| {
            let Ok(count) = (&*stream.from).read(buffer) else {
                return true;
            };
            let printed = buffer.get(..count).unwrap_or_default();
            if let Some(recorded) = recorded {
                recorded.extend_from_slice(printed);
                recorded.drain(..recorded.len().saturating_sub(MAX_BYTES));
            }
            let written = write_all(&stream.to, printed);
            if let Err(cause) = &written {
                // The pipe is closed, and the app gets the error that it would get without us.
                warn!("failed to relay the output of the app: {cause}");
            }
            written.is_ok()
        });
    }
}

/// Writes all of it, with no log line of ours in between.
fn write_all(mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
    let _no_log_lines = io::stderr().lock();
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the stream may have made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The app's end of a stream, and a relay from there to `to`.
    fn relay(to: impl Into<std::os::fd::OwnedFd>) -> (PipeWriter, StdioRelay) {
        let (from, app) = io::pipe().expect("a pipe");
        ioctl_fionbio(&from, true).expect("a non-blocking pipe");
        let stream = Stream {
            from: Arc::new(from),
            to: File::from(to.into()),
        };
        let streams = Streams {
            open: vec![stream],
            buffer: vec![0; PIPE_CAPACITY],
            recorded: Some(Vec::new()),
        };
        let relay = StdioRelay {
            streams: Mutex::new(streams),
            writers: [None, None],
        };
        (app, relay)
    }

    #[test]
    fn a_flush_relays_everything_and_never_waits() {
        let (mut reader, ours) = io::pipe().expect("a pipe");
        let (mut app, relay) = relay(ours);
        let printed: Vec<u8> = (0..PIPE_CAPACITY).map(|n| n as u8).collect();
        app.write_all(&printed).expect("room in the pipe");
        relay.flush();
        let mut got = vec![0; PIPE_CAPACITY];
        reader.read_exact(&mut got).expect("the output");
        assert_eq!(got, printed);
        // Nothing is pending now.
        relay.flush();
    }

    #[test]
    fn the_last_lines_are_kept_until_recording_stops() {
        let (_reader, ours) = io::pipe().expect("a pipe");
        let (mut app, relay) = relay(ours);
        let mut print = |text: &str| {
            app.write_all(text.as_bytes()).expect("room in the pipe");
            relay.flush();
            relay.last_lines()
        };
        assert_eq!(print(""), "");
        assert_eq!(print("a\nb"), "a\nb");
        assert_eq!(print("c\n\n"), "a\nbc");
        let lines: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let last: Vec<_> = lines.lines().skip(40).collect();
        assert_eq!(print(&lines), last.join("\n"));
        assert_eq!(print(&"x".repeat(3 * MAX_BYTES)), "x".repeat(MAX_BYTES));
        relay.stop_recording();
        assert_eq!(print("more"), "");
    }

    #[test]
    fn an_app_whose_reader_is_gone_gets_a_broken_pipe() {
        let (reader, ours) = io::pipe().expect("a pipe");
        let (mut app, relay) = relay(ours);
        drop(reader);
        app.write_all(b"lost").expect("room in the pipe");
        relay.flush();
        let error = app.write_all(b"refused").expect_err("a closed pipe");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
