//! A blocking TCP connection whose reads and writes check a deadline.
//!
//! The socket's own timeout wakes a blocked call each [`TICK`], and the deadline is checked then.
//! While data flows that costs a look at the clock for each write, and for each read of a body: the
//! timeout is set once a connection, unless the deadline is nearer.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::TcpStream;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};

use super::connect::set_timeouts;
use super::deadline::{Deadline, TICK};
use crate::http::headers::Headers;
use crate::http::{self, Error, Head, Input};
use crate::platform;

/// A connection, with the bytes received on it and not yet used.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    pub input: Input,
}

/// Why an exchange ended without a response.
#[derive(Debug)]
pub struct AttemptError {
    pub error: Error,
    /// Whether the whole request was written.
    pub sent_whole: bool,
    /// Whether any byte of a response came.
    pub response_started: bool,
}

impl AttemptError {
    /// Whether the peer closed the connection before the first byte of a response, as it does
    /// with one that was idle for too long. Sending the request again on a new connection
    /// cannot repeat anything where it `is_idempotent` or was not sent whole (RFC 9110 9.2.2).
    pub fn is_retryable(&self, is_idempotent: bool) -> bool {
        let closed = match &self.error {
            Error::ClosedInHead(_) => true,
            Error::Io(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
            ),
            _ => false,
        };
        closed && !self.response_started && (!self.sent_whole || is_idempotent)
    }
}

impl Connection {
    /// A connection on a stream of [`Connector`](super::connect::Connector).
    pub fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            input: Input::default(),
        }
    }

    /// Whether the peer has neither sent anything nor closed the connection.
    pub fn is_reusable(&self) -> bool {
        self.input.pending().is_empty() && self.received() == Received::Nothing
    }

    /// Sends a message and reads the head of the response, whose fields replace `headers`.
    ///
    /// A peer that refuses a large body may respond and close before it has read all of it.
    /// So the response is read even where the request could not be sent whole.
    pub fn exchange(
        &mut self,
        head: &[u8],
        body: &[u8],
        headers: &mut Headers,
        to_head: bool,
        deadline: &mut Deadline,
    ) -> Result<Head, AttemptError> {
        let sent = self.send(&mut [head, body].map(IoSlice::new), deadline);
        let sent_whole = matches!(sent, Ok(true));
        if let Err(error) = &sent
            && error.kind() == ErrorKind::TimedOut
        {
            return Err(AttemptError {
                error: Error::Io(ErrorKind::TimedOut.into()),
                sent_whole,
                response_started: false,
            });
        }
        let (input, mut reader) = self.reader(deadline, false);
        match http::read_head(input, &mut reader, headers, to_head) {
            Ok(head) => Ok(Head {
                reusable: head.reusable && sent_whole,
                ..head
            }),
            Err(error) => Err(AttemptError {
                response_started: reader.response_started,
                sent_whole,
                // The reason why it could not be sent is more precise than an empty response.
                error: match (error, sent) {
                    (Error::ClosedInHead(0) | Error::Io(_), Err(cause)) => Error::Io(cause),
                    (error, _) => error,
                },
            }),
        }
    }

    /// Writes all parts, in one system call if the socket takes them. `Ok(false)`: the peer
    /// responds before it has read everything.
    pub fn send(&self, mut parts: &mut [IoSlice], deadline: &mut Deadline) -> io::Result<bool> {
        // Skips empty parts, too.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            // Each time: the peer may read slowly.
            let wait = deadline.check()?;
            if wait < TICK {
                set_timeouts(&self.stream, wait)?;
            }
            match io::Write::write_vectored(&mut &self.stream, parts) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => IoSlice::advance_slices(&mut parts, count),
                // A signal, such as SIGSTOP and SIGCONT.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The socket's timeout.
                Err(error) if is_tick(&error) => {
                    if self.received() != Received::Nothing {
                        return Ok(false);
                    }
                    set_timeouts(&self.stream, deadline.check()?)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Returns the input and a reader that fills it before `deadline`.
    pub fn reader<'a>(
        &'a mut self,
        deadline: &'a mut Deadline,
        response_started: bool,
    ) -> (&'a mut Input, Reader<'a>) {
        let reader = Reader {
            stream: &self.stream,
            deadline,
            response_started,
        };
        (&mut self.input, reader)
    }

    /// Makes a blocked call return after `timeout` to check its deadline.
    pub fn wake_after(&self, timeout: Duration) {
        // If it fails, the check comes at its usual time.
        let _ = set_timeouts(&self.stream, timeout);
    }

    /// Looks at the receive queue without waiting and without taking anything from it.
    fn received(&self) -> Received {
        loop {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            match recv(&self.stream, &mut [0; 1], flags) {
                Err(Errno::AGAIN) => return Received::Nothing,
                Err(Errno::INTR) => {}
                _ => return Received::Something,
            }
        }
    }
}

/// The state of a receive queue; the end of the stream counts as something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Received {
    Nothing,
    Something,
}

fn is_tick(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Reads from the peer before a deadline.
#[derive(Debug)]
pub struct Reader<'a> {
    stream: &'a TcpStream,
    deadline: &'a mut Deadline,
    /// A part of the response is here and more is expected. From then on segments are
    /// acknowledged at once: a server with Nagle's algorithm that writes head and body apart
    /// holds the body back until then, and a delayed acknowledgement takes 40 ms.
    pub response_started: bool,
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.response_started {
            platform::acknowledge_at_once(self.stream)?;
            // A peer that sends one byte at a time never hits the socket's timeout.
            let wait = self.deadline.check()?;
            if wait < TICK {
                set_timeouts(self.stream, wait)?;
            }
        }
        loop {
            match (&mut &*self.stream).read(out) {
                Ok(count) => {
                    self.response_started |= count > 0;
                    return Ok(count);
                }
                // A signal, such as SIGSTOP and SIGCONT.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The socket's timeout.
                Err(error) if is_tick(&error) => {
                    let wait = self.deadline.check()?;
                    set_timeouts(self.stream, wait)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stream = TcpStream::connect(address).expect("a connection");
        (
            Connection::new(stream),
            listener.accept().expect("a peer").0,
        )
    }

    #[test]
    fn a_connection_with_data_or_without_peer_is_not_reusable() {
        let (connection, mut peer) = pair();
        assert!(connection.is_reusable());
        peer.write_all(b"x").expect("sent");
        while connection.received() == Received::Nothing {}
        assert!(!connection.is_reusable());
        let (connection, peer) = pair();
        drop(peer);
        while connection.received() == Received::Nothing {}
        assert!(!connection.is_reusable());
    }

    fn post(connection: &mut Connection, body: &[u8], timeout: Duration) -> ErrorKind {
        set_timeouts(&connection.stream, TICK).expect("an option");
        let mut deadline = Deadline::after(String::new(), timeout, timeout);
        let head = b"POST / HTTP/1.1\r\n\r\n";
        let headers = &mut Headers::new();
        let sent = connection.exchange(head, body, headers, false, &mut deadline);
        match sent.expect_err("no response").error {
            Error::Io(error) => error.kind(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_peer_that_reads_slowly_does_not_delay_the_deadline() {
        let (mut connection, mut peer) = pair();
        let reader = std::thread::spawn(move || {
            let mut some = [0; 4096];
            while peer.read(&mut some).is_ok_and(|count| count > 0) {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let started = std::time::Instant::now();
        let error = post(&mut connection, &vec![0; 32 << 20], 2 * TICK);
        assert_eq!(error, ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(3));
        drop(connection);
        reader.join().expect("the end of the stream");
    }

    #[test]
    fn a_deadline_within_a_tick_is_kept() {
        let (mut connection, _peer) = pair();
        let error = post(&mut connection, b"", TICK / 2);
        assert_eq!(error, ErrorKind::TimedOut);
        let timeout = connection.stream.read_timeout().expect("an option");
        assert!(timeout.is_some_and(|timeout| timeout < TICK), "{timeout:?}");
    }
}
