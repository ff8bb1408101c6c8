//! What the app prints, on its way to whoever reads ours.
//!
//! Of an app that ends before it is ready, the exit status says little and its last lines say
//! why, so where we start the app, these belong in the init error. To have them we stand
//! between: each byte goes on as it is, in its order, as soon as it is here. Only streams that
//! are pipes or sockets, as Lambda's are, get that; a terminal or a file is given to the app
//! itself.
//!
//! Lambda freezes the environment between two invocations, and a line held back then would
//! show up hours later or never: the loop calls [`Output::settle`] before it asks for more.

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

/// As much as a pipe holds (pipe(7)), so that one read takes all there is.
const PIPE: usize = 64 << 10;
/// What an init error tells of it.
const LINES: usize = 10;
const BYTES: usize = 2 << 10;

/// The app's standard output and standard error, as far as they pass through us.
#[derive(Debug, Default)]
pub struct Output {
    relay: Mutex<Relay>,
    /// What the app writes to; none where it gets our own stream.
    ends: [Option<PipeWriter>; 2],
}

#[derive(Debug, Default)]
struct Relay {
    streams: Vec<Stream>,
    buffer: Vec<u8>,
    /// The last that was printed, until nobody asks for it any more.
    last: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Stream {
    from: Arc<PipeReader>,
    to: File,
}

impl Output {
    /// Stands between where that is of use. If it fails, the app prints past us.
    pub fn start() -> Arc<Output> {
        let begin = || -> io::Result<Arc<Output>> {
            let output = Arc::new(Output::between()?);
            let relaying = Arc::clone(&output);
            if !output.lock().streams.is_empty() {
                thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(move || relaying.relay())?;
            }
            Ok(output)
        };
        begin().unwrap_or_else(|cause| {
            debug!("failed to read along with what the app prints: {cause}");
            Arc::default()
        })
    }

    fn between() -> io::Result<Output> {
        let mut output = Output::default();
        let Output { relay, ends } = &mut output;
        let relay = relay.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ours = [
            File::from(io::stdout().as_fd().try_clone_to_owned()?),
            File::from(io::stderr().as_fd().try_clone_to_owned()?),
        ];
        let mut known = None;
        for (to, end) in ours.into_iter().zip(ends) {
            let meta = to.metadata()?;
            let kind = meta.file_type();
            if !kind.is_fifo() && !kind.is_socket() {
                continue;
            }
            // Two that are one keep their order only as one.
            let identity = (meta.dev(), meta.ino());
            if let Some((_, writer)) = known.as_ref().filter(|(seen, _)| *seen == identity) {
                *end = Some(PipeWriter::try_clone(writer)?);
                continue;
            }
            let (from, writer) = io::pipe()?;
            ioctl_fionbio(&from, true)?;
            *end = Some(writer.try_clone()?);
            known = Some((identity, writer));
            let from = Arc::new(from);
            relay.streams.push(Stream { from, to });
        }
        relay.buffer = vec![0; PIPE];
        relay.last = Some(Vec::new());
        Ok(output)
    }

    /// Gives the app what it is to print to.
    pub fn give_to<'a>(&self, command: &'a mut Command) -> io::Result<&'a mut Command> {
        let [stdout, stderr] = &self.ends;
        if let Some(end) = stdout {
            command.stdout(end.try_clone()?);
        }
        if let Some(end) = stderr {
            command.stderr(end.try_clone()?);
        }
        Ok(command)
    }

    /// Comes back once all that has been printed by now is passed on.
    pub fn settle(&self) {
        self.lock().pass_on();
    }

    /// From now on, nobody asks for what was printed.
    pub fn forget(&self) {
        self.lock().last = None;
    }

    /// The last lines, as text.
    pub fn last_lines(&self) -> String {
        let relay = self.lock();
        let last = relay.last.as_deref().unwrap_or_default().trim_ascii_end();
        let lines = last.rsplitn(LINES + 1, |byte| *byte == b'\n');
        let length: usize = lines.take(LINES).map(|line| line.len() + 1).sum();
        let lines = last.get((last.len() + 1).saturating_sub(length)..);
        String::from_utf8_lossy(lines.unwrap_or_default()).into_owned()
    }

    /// Passes on whatever comes, for as long as anyone reads it.
    fn relay(&self) {
        loop {
            let open: Vec<_> = self.lock().open().collect();
            if open.is_empty() {
                return;
            }
            let mut waits: Vec<_> = open
                .iter()
                .map(|from| PollFd::new(&**from, PollFlags::IN))
                .collect();
            // If it fails, as by a signal, there is nothing to read yet.
            let _ = poll(&mut waits, None);
            self.settle();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay {
    fn open(&self) -> impl Iterator<Item = Arc<PipeReader>> {
        self.streams.iter().map(|stream| Arc::clone(&stream.from))
    }

    /// One read each, so that an app that prints without end holds up nobody.
    fn pass_on(&mut self) {
        let Relay {
            streams,
            buffer,
            last,
        } = self;
        streams.retain(|stream| {
            let count = match (&*stream.from).read(buffer) {
                Ok(count) => count,
                Err(_) => return true,
            };
            let printed = buffer.get(..count).unwrap_or_default();
            if let Some(last) = last {
                last.extend_from_slice(printed);
                last.drain(..last.len().saturating_sub(BYTES));
            }
            let passed = write(&stream.to, printed);
            if let Err(cause) = &passed {
                // With its stream closed, the app meets what it would have met without us.
                warn!("nobody reads any more what the app prints: {cause}");
            }
            passed.is_ok()
        });
    }
}

/// Writes all of it, and no line of ours in between.
fn write(mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
    let _ours = io::stderr().lock();
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Whoever shares the stream with us may have made it so.
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

    /// An app's end of a stream, and what stands behind it.
    fn between(to: impl Into<std::os::fd::OwnedFd>) -> (PipeWriter, Output) {
        let (from, app) = io::pipe().expect("a pipe");
        ioctl_fionbio(&from, true).expect("a pipe that is not waited on");
        let stream = Stream {
            from: Arc::new(from),
            to: File::from(to.into()),
        };
        let relay = Relay {
            streams: vec![stream],
            buffer: vec![0; PIPE],
            last: Some(Vec::new()),
        };
        let output = Output {
            relay: Mutex::new(relay),
            ends: [None, None],
        };
        (app, output)
    }

    #[test]
    fn all_that_was_printed_is_passed_on_at_once() {
        let (mut reader, ours) = io::pipe().expect("a pipe");
        let (mut app, output) = between(ours);
        let printed: Vec<u8> = (0..PIPE).map(|n| n as u8).collect();
        app.write_all(&printed).expect("room in the pipe");
        output.settle();
        let mut got = vec![0; PIPE];
        reader.read_exact(&mut got).expect("what was printed");
        assert_eq!(got, printed);
        // With nothing printed, nothing is waited for.
        output.settle();
    }

    #[test]
    fn the_last_lines_are_kept_until_they_are_forgotten() {
        let (_reader, ours) = io::pipe().expect("a pipe");
        let (mut app, output) = between(ours);
        let mut print = |text: &str| {
            app.write_all(text.as_bytes()).expect("room in the pipe");
            output.settle();
            output.last_lines()
        };
        assert_eq!(print(""), "");
        assert_eq!(print("a\nb"), "a\nb");
        assert_eq!(print("c\n\n"), "a\nbc");
        let lines: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let last: Vec<_> = lines.lines().skip(40).collect();
        assert_eq!(print(&lines), last.join("\n"));
        assert_eq!(print(&"x".repeat(3 * BYTES)), "x".repeat(BYTES));
        output.forget();
        assert_eq!(print("more"), "");
    }

    #[test]
    fn where_nobody_reads_the_app_meets_a_closed_pipe() {
        let (reader, ours) = io::pipe().expect("a pipe");
        let (mut app, output) = between(ours);
        drop(reader);
        app.write_all(b"anyone?").expect("room in the pipe");
        output.settle();
        let error = app.write_all(b"anyone?").expect_err("nobody");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}
