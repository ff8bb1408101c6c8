//! The output of a process, line by line into the log.
//!
//! A pipe and a thread lie between the app and the log, so that a line may come late, below the
//! REPORT line of its invocation or even below the next START. Before each report, what the
//! processes have written until then is logged.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::ioctl_fionread;

use crate::function::environment::Environment;
use crate::log::{Logger, Source};

/// Lambda splits longer log lines, too.
const LINE_LIMIT: usize = 256 << 10;
/// A terminal that takes the log slowly does not delay the report longer.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Changes a line of output before it is logged; `None`: it is not.
pub type Filter = dyn Fn(&str) -> Option<String> + Send + Sync;

/// One pipe of a process.
#[derive(Debug)]
pub struct Output {
    pipe: File,
    /// Locked during a read, so that each byte is either in the pipe or counted.
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// Counts of bytes.
#[derive(Debug, Default)]
struct Progress {
    read: u64,
    logged: u64,
    has_ended: bool,
}

impl Output {
    /// Starts a thread that logs each line of a pipe.
    pub fn start(
        pipe: impl Into<OwnedFd>,
        source: Source,
        logger: Arc<Logger>,
        filter: Arc<Filter>,
    ) -> Arc<Output> {
        let output = Arc::new(Output {
            pipe: File::from(pipe.into()),
            progress: Mutex::default(),
            changed: Condvar::new(),
        });
        let log = move |line: &[u8]| {
            let text = String::from_utf8_lossy(line);
            if let Some(text) = filter(text.trim_end_matches(['\n', '\r'])) {
                logger.line(&source, &text);
            }
        };
        let served = output.clone();
        thread::spawn(move || served.serve(log));
        output
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, log: impl Fn(&[u8])) {
        let (mut buffer, mut line) = (vec![0; 64 << 10], Vec::new());
        loop {
            let data = self.read(&mut buffer);
            for part in data.split_inclusive(|byte| *byte == b'\n') {
                line.extend_from_slice(part);
                if part.ends_with(b"\n") || line.len() >= LINE_LIMIT {
                    log(&line);
                    line.clear();
                }
            }
            let has_ended = data.is_empty();
            if has_ended && !line.is_empty() {
                log(&line);
            }
            let mut progress = self.lock();
            progress.logged = progress.read;
            progress.has_ended = has_ended;
            drop(progress);
            self.changed.notify_all();
            if has_ended {
                return;
            }
        }
    }

    /// Waits for data and reads it; nothing after the end.
    fn read<'a>(&self, buffer: &'a mut [u8]) -> &'a [u8] {
        loop {
            let _ = poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], None);
            let mut progress = self.lock();
            match (&self.pipe).read(buffer) {
                Ok(read) => {
                    progress.read += read as u64;
                    return buffer.get(..read).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return &[],
            }
        }
    }

    /// Waits until everything that has been written until now is logged. The rest of a line is not.
    fn flush(&self, deadline: Instant) {
        let progress = self.lock();
        let written = progress.read + ioctl_fionread(&self.pipe).unwrap_or(0);
        let timeout = deadline.saturating_duration_since(Instant::now());
        let is_pending = |progress: &mut Progress| progress.logged < written && !progress.has_ended;
        let _ = self
            .changed
            .wait_timeout_while(progress, timeout, is_pending);
    }
}

/// Logs what all processes of an environment have written until now.
pub fn flush(environment: &Environment) {
    let deadline = Instant::now() + FLUSH_TIMEOUT;
    let state = environment.lock();
    let outputs = state.processes.iter().flat_map(|process| &process.outputs);
    let outputs: Vec<Arc<Output>> = outputs.cloned().collect();
    drop(state);
    for output in outputs {
        output.flush(deadline);
    }
}
