//! Connects to the addresses of a host, and keeps the socket of a refused attempt for the next.
//!
//! The wait for the app makes hundreds of attempts on a processor that the app needs. Linux lets
//! a socket connect again after a refusal, which takes a third less time than a new socket does.
//! The socket blocks: over the loopback device a connection is established or refused within the
//! call, and elsewhere the socket's timeout for writes wakes it (socket(7), SO_SNDTIMEO).

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, connect};

use super::deadline::TICK;
use super::descriptors;
use crate::platform;

/// The addresses of a host, with the sockets that have not been connected yet.
#[derive(Debug)]
pub struct Connector {
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    address: SocketAddr,
    socket: Option<TcpStream>,
}

/// Which of the addresses of an unset host to try: 127.0.0.1, or ::1 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    First,
    All,
}

impl Connector {
    pub fn to(addresses: Vec<SocketAddr>) -> Connector {
        let target = |address| Target {
            address,
            socket: None,
        };
        Connector {
            targets: addresses.into_iter().map(target).collect(),
        }
    }

    /// Connects to the first address that accepts, within `timeout` for all of them.
    pub fn connect(&mut self, which: Addresses, timeout: Duration) -> io::Result<TcpStream> {
        let count = match which {
            Addresses::First => 1,
            Addresses::All => self.targets.len(),
        };
        let (started, mut failed) = (Instant::now(), None);
        for target in self.targets.iter_mut().take(count) {
            match target.connect(timeout.saturating_sub(started.elapsed())) {
                Ok(stream) => return Ok(stream),
                // The first address is the one that the settings name.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
    }
}

impl Target {
    fn connect(&mut self, timeout: Duration) -> io::Result<TcpStream> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => open(&self.address)?,
        };
        match establish(&socket, &self.address, timeout) {
            // TCP connects a port without a listener to itself where the kernel picks that port
            // for our end.
            Ok(()) if socket.local_addr()? == self.address => {
                Err(ErrorKind::ConnectionRefused.into())
            }
            Ok(()) => Ok(socket),
            Err(error) => {
                if error == Errno::CONNREFUSED && platform::CONNECTS_AGAIN {
                    self.socket = Some(socket);
                }
                Err(error.into())
            }
        }
    }
}

/// A socket that sends everything at once. Loopback needs no congestion control: Nagle's
/// algorithm would delay small writes, and a control that paces, such as BBR, would slow large
/// ones down.
fn open(address: &SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = descriptors::retry(|| platform::stream_socket(family))?;
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true)?;
    // Without, large writes are slower.
    let _ = platform::use_plain_congestion_control(&socket);
    set_timeouts(&socket, TICK)?;
    Ok(socket)
}

/// How long a call may block. (Setting both takes less code than each where it is needed.)
#[inline(never)]
pub fn set_timeouts(socket: &TcpStream, timeout: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(timeout))?;
    socket.set_write_timeout(Some(timeout))
}

fn establish(socket: &TcpStream, address: &SocketAddr, timeout: Duration) -> Result<(), Errno> {
    let started = Instant::now();
    let mut left = timeout;
    loop {
        if left < TICK {
            let wait = left.max(Duration::from_millis(1));
            // If it fails, the wait ends at the next tick.
            let _ = set_timeouts(socket, wait);
        }
        match connect(socket, address) {
            Ok(()) | Err(Errno::ISCONN) => return Ok(()),
            // The socket's timeout, or a signal: the attempt goes on, and so does the wait.
            Err(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        left = timeout.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(Errno::TIMEDOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LONG: Duration = Duration::from_secs(60);

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    #[test]
    fn sockets_do_not_delay_data() {
        let (_listener, address) = listener();
        let mut connector = Connector::to(vec![address]);
        let stream = connector.connect(Addresses::All, LONG).expect("accepted");
        assert!(stream.nodelay().expect("an option"));
    }

    #[test]
    fn a_refused_socket_connects_once_the_port_listens() {
        let (listener, address) = listener();
        drop(listener);
        let mut connector = Connector::to(vec![address]);
        for _ in 0..3 {
            let error = connector.connect(Addresses::All, LONG).expect_err("closed");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert_eq!(
                connector.targets[0].socket.is_some(),
                platform::CONNECTS_AGAIN
            );
        }
        let listener = TcpListener::bind(address).expect("the same port");
        let stream = connector.connect(Addresses::All, LONG).expect("accepted");
        let (_, peer) = listener.accept().expect("a connection");
        assert_eq!(stream.local_addr().expect("an address"), peer);
        assert!(connector.targets[0].socket.is_none());
    }

    #[test]
    fn the_first_address_that_accepts_is_taken_and_the_error_is_of_the_first() {
        let (closed, refused) = listener();
        drop(closed);
        let (_listener, accepted) = listener();
        let mut connector = Connector::to(vec![refused, accepted]);
        let error = connector
            .connect(Addresses::First, LONG)
            .expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let stream = connector.connect(Addresses::All, LONG).expect("accepted");
        assert_eq!(stream.peer_addr().expect("an address"), accepted);
    }

    #[test]
    fn a_full_backlog_times_out() {
        let (_listener, address) = listener();
        let mut held = Vec::new();
        let error = loop {
            let mut connector = Connector::to(vec![address]);
            match connector.connect(Addresses::All, 3 * TICK) {
                Ok(stream) => held.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{}", held.len());
    }
}
