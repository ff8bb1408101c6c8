//! The forwarder: one request to the app, one answer back, on a connection that is kept.
//!
//! A kept connection may have been closed by the app while nobody looked, above all while
//! Lambda had the process frozen. So it is looked at before each use, not used at all after a
//! few idle seconds, and a request that dies on it without a single byte of an answer goes
//! once more over a fresh one, if that cannot make the app do a thing twice (RFC 9110 9.2.2,
//! RFC 9112 9.3.1).

use std::io::{self, ErrorKind, IoSlice, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use log::debug;

use crate::config::Address;
use crate::error::{Class, Failure};
use crate::http::body_reader::Source;
use crate::http::headers::Headers;
use crate::http::{self, Body, Error, Head, Input};
use crate::net::connection::{Watch, Wire};
use crate::net::resolve;
use crate::translate::request::Request;

/// One read takes a usual answer whole; only pages that were used count as memory.
const INPUT: usize = 64 << 10;
/// The app is on this machine, or next to it: whoever does not accept by then is not there.
const CONNECT: Duration = Duration::from_secs(3);

/// One caller's way to the app.
#[derive(Debug)]
pub struct App {
    address: Address,
    /// How long a connection may lie idle and still be used.
    idle: Duration,
    kept: Option<Kept>,
    headers: Headers,
    head: Vec<u8>,
}

/// A connection between two exchanges.
#[derive(Debug)]
struct Kept {
    wire: Wire,
    /// Both clocks: one stands while the machine is suspended, the other can be set back.
    since: (Instant, SystemTime),
}

/// An answer whose head is here, and whose body is still to be read.
#[derive(Debug)]
pub struct Response<'a> {
    pub head: Head,
    pub headers: &'a Headers,
    pub body: Incoming<'a>,
}

/// The body of an answer. Once it has been read whole, the connection goes back to its place.
#[derive(Debug)]
pub struct Incoming<'a> {
    body: Body,
    reusable: bool,
    /// Taken when the body ends.
    wire: Option<Wire>,
    place: &'a mut Option<Kept>,
    watch: &'a mut Watch,
}

impl App {
    pub fn new(address: Address, idle: Duration) -> App {
        App {
            address,
            idle,
            kept: None,
            headers: Headers::new(),
            head: Vec::new(),
        }
    }

    /// Where the app is expected, for people.
    pub fn name(&self) -> String {
        let Address { host, port } = &self.address;
        format!("{}:{port}", host.as_deref().unwrap_or("127.0.0.1"))
    }

    /// Drops the kept connection, as before a snapshot.
    pub fn disconnect(&mut self) {
        self.kept = None;
    }

    /// Sends the request and reads the head of the answer.
    pub fn exchange<'a>(
        &'a mut self,
        request: &Request,
        watch: &'a mut Watch,
    ) -> Result<Response<'a>, Failure> {
        self.head.clear();
        request.write_head(&mut self.head);
        let mut kept = self.reuse();
        let (head, wire) = loop {
            let reused = kept.is_some();
            let mut wire = match kept.take() {
                Some(wire) => wire,
                None => self
                    .connect(true)
                    .map_err(|error| self.unreachable(&error))?,
            };
            match attempt(&mut wire, &self.head, request, &mut self.headers, watch) {
                Ok(head) => break (head, wire),
                Err(broken) if reused && broken.may_go_again(request) => {
                    debug!("the app closed the kept connection: {}", broken.error);
                }
                Err(broken) => return Err(self.failed(request, &broken.error, watch)),
            }
        };
        Ok(Response {
            head,
            headers: &self.headers,
            body: Incoming {
                body: Body::new(head.framing),
                reusable: head.reusable,
                wire: Some(wire),
                place: &mut self.kept,
                watch,
            }
            .settled(),
        })
    }

    /// Tries to connect, unless it is, and keeps the connection for the first request. Only
    /// the address that is likeliest is tried where not `all` are to be.
    pub fn knock(&mut self, all: bool) -> io::Result<()> {
        if self.kept.is_none() {
            self.kept = Some(Kept::new(self.connect(all)?));
        }
        Ok(())
    }

    /// The kept connection, if it can still be trusted.
    fn reuse(&mut self) -> Option<Wire> {
        let Kept { wire, since } = self.kept.take()?;
        let idle = since
            .0
            .elapsed()
            .max(since.1.elapsed().unwrap_or(Duration::MAX));
        (idle < self.idle && wire.is_quiet()).then_some(wire)
    }

    fn connect(&self, all: bool) -> io::Result<Wire> {
        let mut refused = None;
        let addresses = resolve(&self.address)?;
        for address in addresses.iter().take(if all { usize::MAX } else { 1 }) {
            match TcpStream::connect_timeout(address, CONNECT) {
                // A port that nobody listens on may be the one that we are given to connect
                // from, and TCP then connects it to itself.
                Ok(stream) if stream.local_addr()? == *address => {
                    refused = Some(ErrorKind::ConnectionRefused.into());
                }
                Ok(stream) => return Wire::new(stream, Input::new(INPUT))?.watched(),
                // The first is the one that the settings name.
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into()))
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let name = self.name();
        Failure::new(
            Class::AppUnreachable,
            format!("failed to connect to the app at {name}: {error}"),
        )
        .cut_off()
    }

    fn failed(&self, request: &Request, error: &Error, watch: &Watch) -> Failure {
        let (method, target) = (&request.method, request.target.escape_ascii());
        let act = format!(
            "failed to forward {method} {target} to the app at {}",
            self.name()
        );
        failure(&act, error, watch)
    }
}

impl Kept {
    fn new(wire: Wire) -> Kept {
        Kept {
            wire,
            since: (Instant::now(), SystemTime::now()),
        }
    }
}

/// An unset host means this machine.
fn resolve(address: &Address) -> io::Result<Vec<SocketAddr>> {
    resolve::resolve(address.host.as_deref().unwrap_or("localhost"), address.port)
}

/// How an attempt ended without an answer.
#[derive(Debug)]
struct Broken {
    error: Error,
    sent_whole: bool,
    answer_began: bool,
}

impl Broken {
    fn may_go_again(&self, request: &Request) -> bool {
        let gone = match &self.error {
            Error::ClosedInHead(_) => true,
            // What a connection closed by its other end gives, however far the news has come.
            Error::Io(error) => matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
            ),
            _ => false,
        };
        gone && !self.answer_began && (!self.sent_whole || request.is_idempotent())
    }
}

fn attempt(
    wire: &mut Wire,
    head: &[u8],
    request: &Request,
    headers: &mut Headers,
    watch: &mut Watch,
) -> Result<Head, Broken> {
    let sent = wire.send(&mut [head, request.body].map(IoSlice::new), watch);
    let sent_whole = matches!(sent, Ok(true));
    if let Err(error) = &sent
        && error.kind() == ErrorKind::TimedOut
    {
        return Err(Broken {
            error: Error::Io(ErrorKind::TimedOut.into()),
            sent_whole,
            answer_began: false,
        });
    }
    // Even a connection that takes no more may hold an answer: a server that refuses a large
    // body says so and closes.
    let (input, mut reader) = wire.reader(watch, false);
    match http::read_head(input, &mut reader, headers, request.method == "HEAD") {
        Ok(head) => Ok(Head {
            reusable: head.reusable && sent_whole,
            ..head
        }),
        Err(error) => Err(Broken {
            answer_began: reader.more,
            sent_whole,
            // Why it could not be sent says more than that nothing came back.
            error: match (error, sent) {
                (Error::ClosedInHead(0) | Error::Io(_), Err(cause)) => Error::Io(cause),
                (error, _) => error,
            },
        }),
    }
}

impl Incoming<'_> {
    /// The next bytes, as they come; empty is the end, `None` that there are none without
    /// waiting, where that is not wished. [`Incoming::consume`] says how much was used.
    pub fn next(&mut self, wait: bool) -> Result<Option<&[u8]>, Failure> {
        let Some(wire) = &mut self.wire else {
            return Ok(Some(&[]));
        };
        let (input, mut reader) = wire.reader(self.watch, true);
        let filled = match wait {
            true => self.body.fill(input, &mut reader),
            false => self.body.fill(input, &mut NotNow),
        };
        let count = match filled {
            Ok(count) => count,
            Err(Error::Io(error)) if !wait && error.kind() == ErrorKind::WouldBlock => {
                return Ok(None);
            }
            Err(error) => return Err(self.give_up(&error)),
        };
        if count == 0 {
            self.settle();
        }
        let pending = self
            .wire
            .as_ref()
            .map_or(&[][..], |wire| wire.input.pending());
        Ok(Some(pending.get(..count).unwrap_or_default()))
    }

    /// From here on, waits no longer than this for what is still to come.
    pub fn hurry(&mut self, patience: Duration) {
        if let Some(wire) = &self.wire {
            self.watch.hurry(&wire.stream, patience);
        }
    }

    pub fn consume(&mut self, count: usize) {
        if let Some(wire) = &mut self.wire {
            self.body.consume(&mut wire.input, count);
        }
        self.settle();
    }

    pub fn declared(&self) -> Option<u64> {
        self.body.declared()
    }

    /// Appends all of it to `out`; false says that it would be more than `limit` bytes.
    pub fn read_to(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<bool, Failure> {
        let Some(wire) = &mut self.wire else {
            return Ok(true);
        };
        let (input, mut reader) = wire.reader(self.watch, true);
        match self.body.read_to(input, &mut reader, out, limit) {
            Ok(whole) => {
                self.settle();
                Ok(whole)
            }
            Err(error) => Err(self.give_up(&error)),
        }
    }

    fn settled(mut self) -> Self {
        self.settle();
        self
    }

    /// Gives the connection back after a whole body with nothing behind it.
    fn settle(&mut self) {
        if self.body.is_done()
            && let Some(wire) = self.wire.take()
            && self.reusable
            && wire.input.pending().is_empty()
        {
            *self.place = Some(Kept::new(wire));
        }
    }

    fn give_up(&mut self, error: &Error) -> Failure {
        self.wire = None;
        broken(error, self.watch)
    }
}

impl Source for Incoming<'_> {
    fn next(&mut self, wait: bool) -> Result<Option<&[u8]>, Failure> {
        Incoming::next(self, wait)
    }

    fn consume(&mut self, count: usize) {
        Incoming::consume(self, count);
    }
}

/// Has nothing to read: what is there already must do.
struct NotNow;

impl Read for NotNow {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

fn broken(error: &Error, watch: &Watch) -> Failure {
    failure("failed to read the answer of the app", error, watch)
}

fn failure(act: &str, error: &Error, watch: &Watch) -> Failure {
    match error {
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => Failure::new(
            Class::AppTimeout,
            format!("{act}: no answer after {} ms", watch.waited_ms()),
        ),
        error => {
            let failure = Failure::new(Class::AppProtocol, format!("{act}: {error}"));
            match error {
                Error::Malformed(_) => failure,
                _ => failure.cut_off(),
            }
        }
    }
}
