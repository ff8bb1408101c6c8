//! The HTTP client for the app: one request, one response, over a connection that is reused.
//!
//! An idle connection may have been closed, above all while Lambda had the process frozen. It
//! is checked before reuse, dropped after a few idle seconds (`pool.rs`), and a request
//! lost on it before the first response byte is retried once if that cannot repeat an effect
//! (RFC 9110 9.2.2, RFC 9112 9.3.1).

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;

use crate::logger::line::debug;

use super::pool::{Pool, Ticket};
use crate::config::Address;
use crate::error::{Class, Failure};
use crate::http::body_reader::{BodyReader, Chunk, Wait};
use crate::http::headers::Headers;
use crate::http::request::Request;
use crate::http::{Body, Error, Response, USER_AGENT};
use crate::net::connect::{Addresses, Connector};
use crate::net::connection::Connection;
use crate::net::deadline::Deadline;
use crate::net::resolve;

/// Connect timeout. The app is local: a slow connect means nothing listens.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How much of a response [`Client::exchange`] returns.
const MAX_KEPT: usize = 64 << 10;

/// One caller's access to the app.
#[derive(Debug)]
pub struct Client {
    address: Address,
    pool: Arc<Pool>,
    /// Opened ahead of the next request.
    opened: Option<(Connection, Ticket)>,
    /// With a refused socket, which connects again.
    connector: Option<Connector>,
    headers: Headers,
    head: Vec<u8>,
}

/// The body of a response. Once it has been read whole, the connection becomes idle again.
#[derive(Debug)]
pub struct ResponseBody<'a> {
    body: Body,
    reusable: bool,
    /// None once the body has ended.
    connection: Option<Connection>,
    pool: &'a Pool,
    deadline: &'a mut Deadline,
}

impl Client {
    pub fn new(address: Address, idle_timeout: Duration) -> Client {
        Client::with_pool(address, Arc::new(Pool::new(idle_timeout)))
    }

    /// A client for another thread, with the same idle connections.
    pub fn share(&self) -> Client {
        Client::with_pool(self.address.clone(), Arc::clone(&self.pool))
    }

    fn with_pool(address: Address, pool: Arc<Pool>) -> Client {
        Client {
            address,
            pool,
            opened: None,
            connector: None,
            headers: Headers::default(),
            head: Vec::new(),
        }
    }

    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Closes idle connections in time, in a thread of its own.
    pub fn close_in_time(&self) -> ! {
        self.pool.close_in_time()
    }

    /// Closes all connections that are not in use, as before a snapshot.
    pub fn disconnect(&mut self) {
        self.opened = None;
        self.connector = None;
        self.close_idle();
    }

    pub fn close_idle(&self) {
        self.pool.clear();
    }

    /// Connects unless a connection is idle, and keeps it for the next request.
    pub fn ensure_connected(&mut self, addresses: Addresses, timeout: Duration) -> io::Result<()> {
        if self.opened.is_none() && self.pool.is_empty() {
            self.opened = Some(self.open(addresses, timeout)?);
        }
        Ok(())
    }

    /// Connects and closes the connection: it would occupy a worker of the server.
    pub fn try_connect(&mut self, addresses: Addresses, timeout: Duration) -> io::Result<()> {
        let (address, connector) = (&self.address, &mut self.connector);
        connect(address, connector, addresses, timeout).map(drop)
    }

    /// A request of the adapter's own to the app, without a body.
    pub fn own_request(&self, method: &'static str, path: &str) -> Request<'static> {
        let mut headers = Headers::new();
        headers.push(b"host", self.address.to_string().as_bytes());
        headers.push(b"user-agent", USER_AGENT.as_bytes());
        if method != "GET" {
            headers.push(b"content-length", b"0");
        }
        Request {
            method: Cow::Borrowed(method),
            target: path.as_bytes().to_vec(),
            headers,
            body: b"",
        }
    }

    /// Sends the request and reads the whole response: the app has done its work when that has
    /// ended. Returns the status, and in `out` the beginning of the body.
    #[inline(never)]
    pub fn exchange(
        &mut self,
        request: &Request,
        deadline: &mut Deadline,
        out: &mut Vec<u8>,
    ) -> Result<u16, Failure> {
        out.clear();
        let (response, mut body) = self.send(request, deadline)?;
        let status = response.status;
        while let Chunk::Data(data) = body.fill(Wait::Block)? {
            let count = data.len();
            let left = MAX_KEPT.saturating_sub(out.len());
            out.extend_from_slice(data.get(..left).unwrap_or(data));
            body.consume(count);
        }
        Ok(status)
    }

    /// Sends the request and reads the head of the response.
    pub fn send<'a>(
        &'a mut self,
        request: &Request,
        deadline: &'a mut Deadline,
    ) -> Result<(Response<'a>, ResponseBody<'a>), Failure> {
        self.write_head(request);
        let to_head = request.method == "HEAD";
        let opened = self.opened.take();
        let opened = opened.map(|(connection, ticket)| (connection, Some(ticket)));
        let mut reused = opened.or_else(|| self.pool.take().map(|idle| (idle, None)));
        let mut is_retry = false;
        let (head, connection) = loop {
            let is_reused = reused.is_some();
            let (mut connection, ticket) = match reused.take() {
                Some(reused) => reused,
                None => self
                    .open(Addresses::All, deadline.left(CONNECT_TIMEOUT))
                    .map(|(connection, ticket)| (connection, Some(ticket)))
                    .map_err(|cause| tried(is_retry, self.unreachable(&cause, deadline)))?,
            };
            let (head, body, headers) = (&self.head, request.body, &mut self.headers);
            match connection.exchange(head, body, headers, to_head, deadline) {
                Ok(head) => {
                    if let Some(ticket) = ticket {
                        ticket.responded();
                    }
                    break (head, connection);
                }
                Err(attempt) if is_reused && attempt.is_retryable(request.is_idempotent()) => {
                    debug!("the app closed an idle connection: {}", attempt.error);
                    is_retry = true;
                }
                Err(attempt) => {
                    let failure = self.failed(request, &attempt.error, deadline);
                    return Err(tried(is_retry, failure));
                }
            }
        };
        let mut body = ResponseBody {
            body: Body::new(head.framing),
            reusable: head.reusable,
            connection: Some(connection),
            pool: &self.pool,
            deadline,
        };
        body.release_if_done();
        let response = Response {
            status: head.status,
            headers: &self.headers,
            to_head,
        };
        Ok((response, body))
    }

    fn write_head(&mut self, request: &Request) {
        self.head.clear();
        request.write_head(&mut self.head);
        if !self.pool.reuses() {
            // Before the empty line. A client that closes says so (RFC 9112 9.6).
            self.head.truncate(self.head.len().saturating_sub(2));
            self.head.extend_from_slice(b"connection: close\r\n\r\n");
        }
    }

    fn open(
        &mut self,
        addresses: Addresses,
        timeout: Duration,
    ) -> io::Result<(Connection, Ticket)> {
        let (address, connector) = (&self.address, &mut self.connector);
        self.pool
            .open(|| connect(address, connector, addresses, timeout))
    }

    #[cold]
    #[inline(never)]
    fn unreachable(&self, cause: &io::Error, deadline: &Deadline) -> Failure {
        let act = format!("failed to connect to the app at {}", self.address);
        if deadline.left(CONNECT_TIMEOUT).is_zero() {
            let error = Error::Io(ErrorKind::TimedOut.into());
            return failure(&act, "no connection", &error, deadline);
        }
        Failure::new(Class::AppUnreachable, format!("{act}: {cause}")).connection_lost()
    }

    fn failed(&self, request: &Request, error: &Error, deadline: &Deadline) -> Failure {
        let act = format!(
            "failed to forward {} to the app at {}",
            request.name(),
            self.address
        );
        failure(&act, "no response", error, deadline)
    }
}

/// Connects to the app. A refused socket stays in `idle` for the next attempt.
fn connect(
    address: &Address,
    idle: &mut Option<Connector>,
    addresses: Addresses,
    timeout: Duration,
) -> io::Result<Connection> {
    let mut connector = match idle.take() {
        Some(connector) => connector,
        None => {
            let host = address.host.as_deref().unwrap_or("localhost");
            Connector::to(resolve::resolve(host, address.port)?)
        }
    };
    match connector.connect(addresses, timeout.min(CONNECT_TIMEOUT)) {
        Ok(stream) => Ok(Connection::new(stream)),
        Err(cause) => {
            *idle = Some(connector);
            Err(cause)
        }
    }
}

impl ResponseBody<'_> {
    /// From now on, times out after `timeout`.
    pub fn shorten_deadline_to(&mut self, timeout: Duration) {
        self.deadline.shorten_to(timeout);
        if let Some(connection) = &self.connection {
            connection.wake_after(timeout);
        }
    }

    /// The length of the body, where the head has it.
    pub fn declared(&self) -> Option<u64> {
        self.body.declared()
    }

    /// Appends the rest to `out`; false if that would make it longer than `limit`.
    pub fn read_to(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<bool, Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(true);
        };
        let (input, mut reader) = connection.reader(self.deadline, true);
        match self.body.read_to(input, &mut reader, out, limit) {
            Ok(whole) => {
                self.release_if_done();
                Ok(whole)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Makes the connection idle after a whole body with nothing behind it.
    fn release_if_done(&mut self) {
        if self.body.is_done()
            && let Some(connection) = self.connection.take()
            && self.reusable
            && !self.body.is_odd()
            && connection.input.pending().is_empty()
        {
            self.pool.put(connection);
        }
    }

    fn fail(&mut self, error: &Error) -> Failure {
        self.connection = None;
        failure(
            "failed to read the response of the app",
            "no end of its body",
            error,
            self.deadline,
        )
    }
}

impl BodyReader for ResponseBody<'_> {
    fn fill(&mut self, wait: Wait) -> Result<Chunk<'_>, Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(Chunk::End);
        };
        let (input, mut reader) = connection.reader(self.deadline, true);
        let filled = match wait {
            Wait::Block => self.body.fill(input, &mut reader),
            Wait::NoBlock => self.body.fill(input, &mut WouldBlock),
        };
        let count = match filled {
            Ok(count) => count,
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(Chunk::Pending);
            }
            Err(error) => return Err(self.fail(&error)),
        };
        if count == 0 {
            self.release_if_done();
            return Ok(Chunk::End);
        }
        let connection = self.connection.as_ref();
        let pending = connection.map_or(&[][..], |connection| connection.input.pending());
        Ok(Chunk::Data(pending.get(..count).unwrap_or_default()))
    }

    fn consume(&mut self, count: usize) {
        if let Some(connection) = &mut self.connection {
            self.body.consume(&mut connection.input, count);
        }
        self.release_if_done();
    }
}

/// Reads nothing: the body must make do with the bytes that are there.
struct WouldBlock;

impl Read for WouldBlock {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

/// Adds to the failure of a retry that it was one: the app may have seen the request twice.
fn tried(is_retry: bool, mut failure: Failure) -> Failure {
    if is_retry {
        failure.message += " (tried twice)";
    }
    failure
}

/// The failure of `act`; `missing` is what a timeout was waiting for.
fn failure(act: &str, missing: &str, error: &Error, deadline: &Deadline) -> Failure {
    match error {
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => Failure::new(
            Class::AppTimeout,
            format!("{act}: {missing} after {} ms", deadline.elapsed_ms()),
        ),
        error => {
            let failure = Failure::new(Class::AppProtocol, format!("{act}: {error}"));
            match error {
                Error::Malformed(_) => failure,
                _ => failure.connection_lost(),
            }
        }
    }
}
