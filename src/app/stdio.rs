//! Relays the app's stdout and stderr to ours; keeps the last lines for the init error.
//!
//! When an app exits before it is ready, the cause is in its last lines rather than in its exit
//! status. To read them, the app writes to pipes, and every byte is relayed unchanged, in order
//! and at once. This is done only where our own stream is a pipe or a socket, as on Lambda: an
//! app that is started from a terminal keeps the terminal, and a file is written directly.
//!
//! Lambda freezes the environment between invocations, and output that is still in a pipe then
//! appears late or never: the loop calls [`StdioRelay::flush`] before it gets the next one. Only
//! the relay's own thread writes, since a reader may stop reading: a flush waits for it, but not
//! for long, and not again before the reader has read on.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::logger::line::{debug, warn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{ioctl_fionbio, ioctl_fionread};

use crate::logger::stderr::{self, TIMEOUT, write_whole};
use crate::platform::start_thread;

/// The capacity of a pipe (pipe(7)), so that one read empties it.
const PIPE_CAPACITY: usize = 64 << 10;
/// Limits of the output in an init error.
const MAX_LINES: usize = 10;
const MAX_BYTES: usize = 2 << 10;

/// The pipes between the app's standard streams and ours.
#[derive(Debug, Default)]
pub struct StdioRelay {
    streams: Mutex<Streams>,
    progress: Condvar,
    /// The app's stdout and stderr; `None` where it inherits ours.
    writers: [Option<PipeWriter>; 2],
}

#[derive(Debug, Default)]
struct Streams {
    all: Vec<Stream>,
    /// The last bytes of both, during init.
    recorded: Option<Vec<u8>>,
    /// A flush has timed out, and nothing was written since.
    is_stalled: bool,
    /// The app has printed since [`StdioRelay::wait_for_output`] last returned.
    has_printed: bool,
}

#[derive(Debug)]
struct Stream {
    /// `None` once the reader of ours is gone: the app gets the error that it would get without
    /// us.
    from: Option<Arc<PipeReader>>,
    to: Arc<File>,
    /// Whether our log lines go there as well.
    is_shared: bool,
    /// The bytes that were read from the app, and those of them that were written.
    read: u64,
    written: u64,
}

impl StdioRelay {
    /// Starts to relay where it applies. If that fails, the app inherits our streams.
    pub fn start() -> Arc<StdioRelay> {
        let start = || -> io::Result<Arc<StdioRelay>> {
            let relay = Arc::new(StdioRelay::open()?);
            let relaying = Arc::clone(&relay);
            if !relay.lock().all.is_empty() {
                start_thread(64 << 10, Box::new(move || relaying.run()))?;
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
        let identity = |file: &File| {
            let metadata = file.metadata()?;
            io::Result::Ok((metadata.dev(), metadata.ino()))
        };
        let [_, stderr] = &ours;
        let stderr = identity(stderr)?;
        let mut all = Vec::new();
        let mut writers = [None, None];
        let mut first = None;
        for (to, slot) in ours.into_iter().zip(&mut writers) {
            let kind = to.metadata()?.file_type();
            if !kind.is_fifo() && !kind.is_socket() {
                continue;
            }
            // Where both are the same stream, one pipe keeps their order.
            let identity = identity(&to)?;
            if let Some((_, writer)) = first.as_ref().filter(|(known, _)| *known == identity) {
                *slot = Some(PipeWriter::try_clone(writer)?);
                continue;
            }
            let (from, writer) = io::pipe()?;
            ioctl_fionbio(&from, true)?;
            *slot = Some(writer.try_clone()?);
            first = Some((identity, writer));
            all.push(Stream::new(from, to, identity == stderr));
        }
        Ok(StdioRelay::new(all, writers))
    }

    fn new(all: Vec<Stream>, writers: [Option<PipeWriter>; 2]) -> StdioRelay {
        let streams = Mutex::new(Streams {
            all,
            recorded: Some(Vec::new()),
            is_stalled: false,
            has_printed: false,
        });
        StdioRelay {
            streams,
            progress: Condvar::new(),
            writers,
        }
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

    /// Waits until everything that the app has printed so far is written, or until [`TIMEOUT`].
    pub fn flush(&self) {
        let streams = self.lock();
        let ends: Vec<u64> = streams.all.iter().map(Stream::printed).collect();
        let is_pending = |streams: &mut Streams| {
            let mut each = streams.all.iter().zip(&ends);
            !streams.is_stalled && each.any(|(stream, end)| stream.is_open_before(*end))
        };
        let (mut streams, waited) = self
            .progress
            .wait_timeout_while(streams, TIMEOUT, is_pending)
            .unwrap_or_else(PoisonError::into_inner);
        streams.is_stalled |= waited.timed_out();
    }

    /// Waits until the app has printed since the last call (true), or for `timeout`.
    pub fn wait_for_output(&self, timeout: Duration) -> bool {
        let is_silent = |streams: &mut Streams| !streams.has_printed;
        let waited = self
            .progress
            .wait_timeout_while(self.lock(), timeout, is_silent);
        let (mut streams, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut streams.has_printed)
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
        let mut buffer = vec![0; PIPE_CAPACITY];
        loop {
            let open: Vec<_> = self.lock().open().collect();
            if open.is_empty() {
                return;
            }
            let mut events: Vec<_> = open
                .iter()
                .map(|(_, from)| PollFd::new(&**from, PollFlags::IN))
                .collect();
            // After an error, such as EINTR, there is nothing to read.
            let _ = poll(&mut events, None);
            for (index, _) in open {
                self.relay(index, &mut buffer);
            }
        }
    }

    /// Reads once from a stream and writes that.
    fn relay(&self, index: usize, buffer: &mut [u8]) {
        let Some((printed, to, is_shared)) = self.lock().read(index, buffer) else {
            return;
        };
        // No log line in between.
        let turn = is_shared.then(stderr::take);
        let written = write_whole(&mut &*to, to.as_fd(), printed);
        drop(turn);
        if let Err(cause) = &written {
            warn!("failed to relay the output of the app: {cause}");
        }
        let mut streams = self.lock();
        streams.is_stalled = false;
        streams.has_printed = true;
        if let Some(stream) = streams.all.get_mut(index) {
            stream.written = stream.read;
            if written.is_err() {
                stream.from = None;
            }
        }
        self.progress.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams {
    fn open(&self) -> impl Iterator<Item = (usize, Arc<PipeReader>)> {
        let all = self.all.iter().enumerate();
        all.filter_map(|(index, stream)| Some((index, Arc::clone(stream.from.as_ref()?))))
    }

    /// Reads once: an app that never stops printing must not hold the other stream.
    fn read<'b>(
        &mut self,
        index: usize,
        buffer: &'b mut [u8],
    ) -> Option<(&'b [u8], Arc<File>, bool)> {
        let stream = self.all.get_mut(index)?;
        let mut from = stream.from.as_deref()?;
        let count = from.read(buffer).ok()?;
        let printed = buffer.get(..count)?;
        stream.read += count as u64;
        if let Some(recorded) = &mut self.recorded {
            recorded.extend_from_slice(printed);
            recorded.drain(..recorded.len().saturating_sub(MAX_BYTES));
        }
        Some((printed, Arc::clone(&stream.to), stream.is_shared))
    }
}

impl Stream {
    fn new(from: PipeReader, to: File, is_shared: bool) -> Stream {
        Stream {
            from: Some(Arc::new(from)),
            to: Arc::new(to),
            is_shared,
            read: 0,
            written: 0,
        }
    }

    /// The number of bytes that the app has printed.
    fn printed(&self) -> u64 {
        let pending = self
            .from
            .as_ref()
            .and_then(|from| ioctl_fionread(from).ok());
        self.read + pending.unwrap_or_default()
    }

    /// Whether there is a reader, and fewer than so many bytes are written.
    fn is_open_before(&self, end: u64) -> bool {
        self.from.is_some() && self.written < end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Write};
    use std::thread;
    use std::time::Instant;

    /// The app's end of a stream, and a relay from there to `to`.
    fn relay(to: impl Into<std::os::fd::OwnedFd>) -> (PipeWriter, Arc<StdioRelay>) {
        let (from, app) = io::pipe().expect("a pipe");
        ioctl_fionbio(&from, true).expect("a non-blocking pipe");
        let stream = Stream::new(from, File::from(to.into()), false);
        let relay = Arc::new(StdioRelay::new(vec![stream], [None, None]));
        let relaying = Arc::clone(&relay);
        thread::spawn(move || relaying.run());
        (app, relay)
    }

    #[test]
    fn a_flush_relays_everything() {
        let (mut reader, ours) = io::pipe().expect("a pipe");
        let (mut app, relay) = relay(ours);
        let printed: Vec<u8> = (0..PIPE_CAPACITY).map(|n| n as u8).collect();
        app.write_all(&printed).expect("room in the pipe");
        relay.flush();
        assert_eq!(ioctl_fionread(&reader), Ok(PIPE_CAPACITY as u64));
        let mut got = vec![0; PIPE_CAPACITY];
        reader.read_exact(&mut got).expect("the output");
        assert_eq!(got, printed);
    }

    #[test]
    fn output_ends_the_wait_for_it_once() {
        let (_reader, ours) = io::pipe().expect("a pipe");
        let (mut app, relay) = relay(ours);
        assert!(!relay.wait_for_output(Duration::ZERO));
        app.write_all(b"listening").expect("room in the pipe");
        assert!(relay.wait_for_output(Duration::from_secs(60)));
        assert!(!relay.wait_for_output(Duration::ZERO));
    }

    #[test]
    fn a_reader_that_reads_nothing_delays_one_flush_and_loses_nothing() {
        for is_socket in [false, true] {
            let (mut reader, ours): (Box<dyn Read>, std::os::fd::OwnedFd) = if is_socket {
                let (reader, ours) = std::os::unix::net::UnixStream::pair().expect("a pair");
                (Box::new(reader), ours.into())
            } else {
                let (reader, ours) = io::pipe().expect("a pipe");
                (Box::new(reader), ours.into())
            };
            let (mut app, relay) = relay(ours);
            let printed: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
            let copy = printed.clone();
            let printing = thread::spawn(move || app.write_all(&copy));
            // Until the pipes of both sides are full.
            let started = Instant::now();
            while !relay.lock().is_stalled {
                assert!(started.elapsed() < Duration::from_secs(20), "never full");
                relay.flush();
            }
            let started = Instant::now();
            (0..1000).for_each(|_| relay.flush());
            assert!(started.elapsed() < TIMEOUT, "{:?}", started.elapsed());
            let mut got = vec![0; printed.len()];
            reader.read_exact(&mut got).expect("the output");
            assert!(got == printed, "the output differs");
            printing.join().expect("a thread").expect("all printed");
        }
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
        // The relay closes its end a moment later, when its poll has returned.
        let error = loop {
            if let Err(error) = app.write_all(b"refused") {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
