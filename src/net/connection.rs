//! A TCP stream that is never waited on unwatched.
//!
//! Reads and writes block, but wake each [`TICK`] to look at the clock, so that a silent peer
//! is told of before the invocation's deadline and given up at it. Watching costs nothing
//! while data flows: the time limit of the socket is set once a connection, and the clock is
//! read only when it has passed. The clock is the wall's, because a deadline is, and because
//! it goes on while Lambda has the process frozen.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::TcpStreamExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::warn;
use rustix::net::sockopt::set_tcp_congestion;

use crate::http::Input;

/// How often a wait looks at the clock, and how often one without an end does.
pub const TICK: Duration = Duration::from_millis(100);
const ENDLESS_TICK: Duration = Duration::from_secs(1);

/// What is waited for, and until when.
#[derive(Debug)]
pub struct Watch {
    what: String,
    started: SystemTime,
    warn_at: Option<SystemTime>,
    deadline: Option<SystemTime>,
    give_up_at: Option<SystemTime>,
}

impl Watch {
    /// Warns after one time and gives up after the other.
    pub fn lasting(what: String, warn_after: Duration, give_up_after: Duration) -> Watch {
        let now = SystemTime::now();
        Watch {
            what,
            started: now,
            warn_at: now.checked_add(warn_after),
            deadline: None,
            give_up_at: now.checked_add(give_up_after),
        }
    }

    /// For what may take its time.
    pub fn endless() -> Watch {
        Watch {
            what: String::new(),
            started: UNIX_EPOCH,
            warn_at: None,
            deadline: None,
            give_up_at: None,
        }
    }

    /// Watches one invocation: warns when little of its time is left, and gives up the margin
    /// before its deadline, or a moment after it where there is no margin (then Lambda has
    /// ended it already, or has not ended the environment with it).
    pub fn until(what: String, deadline_ms: Option<u64>, margin: Option<Duration>) -> Watch {
        let now = SystemTime::now();
        let deadline = deadline_ms.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        let left = deadline
            .and_then(|at| at.duration_since(now).ok())
            .unwrap_or_default();
        let lead = (left / 10).min(Duration::from_secs(1));
        Watch {
            what,
            started: now,
            warn_at: deadline.and_then(|at| at.checked_sub(lead)),
            deadline,
            give_up_at: deadline.and_then(|at| match margin {
                Some(margin) => at.checked_sub(margin),
                None => at.checked_add(Duration::from_secs(1)),
            }),
        }
    }

    /// How long it has been waited.
    pub fn waited_ms(&self) -> u128 {
        self.started.elapsed().unwrap_or_default().as_millis()
    }

    /// From now on, gives up after this time.
    pub fn hurry(&mut self, stream: &TcpStream, patience: Duration) {
        self.give_up_at = SystemTime::now().checked_add(patience);
        // If it fails, the next tick comes at its usual time.
        let _ = stream.set_read_timeout(Some(patience));
    }

    /// Looks at the clock: the time to wait before the next look, or that time is up.
    fn look(&mut self) -> io::Result<Duration> {
        let now = SystemTime::now();
        let left = |at: SystemTime| at.duration_since(now).unwrap_or_default();
        if self.give_up_at.is_some_and(|at| at <= now) {
            return Err(ErrorKind::TimedOut.into());
        }
        if self.warn_at.is_some_and(|at| at <= now) {
            self.warn_at = None;
            let (what, waited) = (&self.what, self.waited_ms());
            match self.deadline.map(left) {
                Some(left) => {
                    let left = left.as_millis();
                    warn!(
                        "{what} is not finished after {waited} ms, {left} ms before the deadline"
                    );
                }
                None => warn!("{what} is not finished after {waited} ms"),
            }
        }
        let next = [self.give_up_at, self.warn_at]
            .into_iter()
            .flatten()
            .map(left)
            .min();
        Ok(next.map_or(ENDLESS_TICK, |next| {
            next.clamp(Duration::from_millis(1), TICK)
        }))
    }
}

/// Sends at once whatever is to be sent. There is no network to be gentle to: Nagle's
/// algorithm would hold small parts back, and where the machine's congestion control is one
/// that paces, such as BBR, large ones would go at the pace of a line that it takes us to have.
pub fn hasten(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Every Linux has it; without, it is slower and right all the same.
    let _ = set_tcp_congestion(stream, "reno");
    Ok(())
}

/// A connection with what has been received on it.
#[derive(Debug)]
pub struct Wire {
    pub stream: TcpStream,
    pub input: Input,
}

impl Wire {
    pub fn new(stream: TcpStream, input: Input) -> io::Result<Wire> {
        hasten(&stream)?;
        Ok(Wire { stream, input })
    }

    /// From now on, waits wake with each tick.
    pub fn watched(self) -> io::Result<Wire> {
        self.stream.set_read_timeout(Some(TICK))?;
        self.stream.set_write_timeout(Some(TICK))?;
        Ok(self)
    }

    /// Whether the peer has neither said anything nor gone: a connection fit for reuse.
    pub fn is_quiet(&self) -> bool {
        self.input.pending().is_empty()
            && self.stream.set_nonblocking(true).is_ok()
            && matches!(self.stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock)
            && self.stream.set_nonblocking(false).is_ok()
    }

    /// Whether the peer has said something already, while we still write.
    fn has_answer(&self) -> bool {
        let answer = self.stream.set_nonblocking(true).is_ok()
            && !matches!(self.stream.peek(&mut [0]), Err(e) if e.kind() == ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_err() || answer
    }

    /// Writes all parts, in one system call if the socket takes them. `Ok(false)` says that
    /// the peer answers before it has read everything.
    pub fn send(&self, mut parts: &mut [IoSlice], watch: &mut Watch) -> io::Result<bool> {
        // Takes out what is empty, too.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match (&self.stream).write_vectored(parts) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => IoSlice::advance_slices(&mut parts, count),
                // A signal, a stop and continue among them, is no reason to end.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // The tick has passed.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.has_answer() {
                        return Ok(false);
                    }
                    self.wait_next(watch)?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn wait_next(&self, watch: &mut Watch) -> io::Result<()> {
        let wait = watch.look()?;
        self.stream.set_read_timeout(Some(wait))?;
        self.stream.set_write_timeout(Some(wait))
    }

    /// The stream as something to read an answer from, and where what is read goes.
    pub fn reader<'a>(
        &'a mut self,
        watch: &'a mut Watch,
        more: bool,
    ) -> (&'a mut Input, Reader<'a>) {
        let reader = Reader {
            stream: &self.stream,
            watch,
            more,
        };
        (&mut self.input, reader)
    }
}

/// Reads from the peer under watch.
#[derive(Debug)]
pub struct Reader<'a> {
    stream: &'a TcpStream,
    watch: &'a mut Watch,
    /// A part of the answer is here and more is awaited. Then what came is acknowledged at
    /// once: a server that writes head and body apart with Nagle's algorithm on holds the
    /// body back until then, and a delayed acknowledgement takes 40 ms.
    pub more: bool,
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.more {
            self.stream.set_quickack(true)?;
            // A peer that drips never lets the tick pass.
            self.watch.look()?;
        }
        loop {
            match (&mut &*self.stream).read(out) {
                Ok(count) => {
                    self.more |= count > 0;
                    return Ok(count);
                }
                // A signal, a stop and continue among them, is no reason to end.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // The tick has passed.
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    let wait = self.watch.look()?;
                    self.stream.set_read_timeout(Some(wait))?;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::tcp_congestion;
    use std::net::TcpListener;

    #[test]
    fn nothing_holds_back_or_paces_what_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).expect("a connection");
        let wire = Wire::new(stream, Input::new(16)).expect("a wire");
        assert!(wire.stream.nodelay().expect("an option"));
        assert_eq!(tcp_congestion(&wire.stream).expect("an option"), "reno");
    }
}
