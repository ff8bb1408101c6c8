//! The calls by ureq. Its defaults are a browser's; [`agent`] says for each why it is set
//! otherwise, and [`Line`] why the connection is our own.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::TcpStreamExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::config::AutoHeaderValue;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, RequestBuilder};

use super::{ApiError, Call, LIMIT, USER_AGENT, too_large};
use crate::headers::Headers;
use crate::hosts;
use crate::wire::hasten;

/// One caller's connection: a pool of one.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    base: String,
    shared: Arc<Shared>,
}

/// What a client and its connector both know.
#[derive(Debug)]
struct Shared {
    address: String,
    /// Until when an answer is worth waiting for.
    deadline_ms: AtomicU64,
    /// A connection made ahead.
    ahead: Mutex<Option<TcpStream>>,
}

impl Client {
    /// `address` is `host:port`.
    pub fn new(address: &str) -> Client {
        let shared = Arc::new(Shared {
            address: address.to_owned(),
            deadline_ms: AtomicU64::new(u64::MAX),
            ahead: Mutex::new(None),
        });
        Client {
            agent: agent(Direct(Arc::clone(&shared))),
            base: format!("http://{address}"),
            shared,
        }
    }

    pub fn prepare(&mut self) {
        *self.shared.lock() = self.shared.connect().ok();
    }

    /// Makes the call; the answer's fields and body replace what is in `headers` and `into`.
    pub fn call(
        &mut self,
        call: &Call,
        headers: &mut Headers,
        into: &mut Vec<u8>,
    ) -> Result<u16, ApiError> {
        headers.clear();
        into.clear();
        let deadline_ms = call.deadline_ms.unwrap_or(u64::MAX);
        self.shared
            .deadline_ms
            .store(deadline_ms, Ordering::Relaxed);
        let url = format!("{}{}", self.base, call.path);
        let response = match call.body {
            None => with(self.agent.get(&url), call).call(),
            Some(body) => with(self.agent.post(&url), call).send(body),
        };
        let mut response = response.map_err(|error| match error {
            ureq::Error::Io(error) => ApiError::Closed(error.to_string()),
            error => ApiError::Transport(error.to_string()),
        })?;
        for (name, value) in response.headers() {
            headers.push(name.as_str().as_bytes(), value.as_bytes());
        }
        let body = response.body_mut().as_reader();
        body.take(LIMIT as u64 + 1)
            .read_to_end(into)
            .map_err(|error| ApiError::Transport(format!("the answer broke off: {error}")))?;
        if into.len() > LIMIT {
            return Err(too_large());
        }
        Ok(response.status().as_u16())
    }
}

fn with<B>(mut request: RequestBuilder<B>, call: &Call) -> RequestBuilder<B> {
    for (name, value) in call.fields {
        request = request.header(*name, *value);
    }
    request
}

fn agent(connector: Direct) -> Agent {
    let config = Agent::config_builder()
        // The Runtime API is on this machine, whatever HTTP_PROXY says.
        .proxy(None)
        // A redirect is no answer that the API gives.
        .max_redirects(0)
        // Statuses are part of the API; their bodies say why.
        .http_status_as_error(false)
        .user_agent(AutoHeaderValue::Provided(USER_AGENT.to_owned().into()))
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        // Between two calls Lambda may freeze the process for hours, and the connection with
        // it: it is as good afterwards. ureq looks at it before each use.
        .max_idle_age(Duration::from_secs(u32::MAX.into()))
        .max_idle_connections(1)
        // A head has to fit: the client context in it takes 3.5 kB at most.
        .max_response_header_size(BUFFER)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        // No time limits: a long poll ends when Lambda has work. `Line` has those of posts.
        .build();
    Agent::with_parts(config, connector, Nowhere)
}

/// How often a wait looks at the clock.
const TICK: Duration = Duration::from_secs(1);
/// How long after an invocation's deadline its answer may still be being taken.
const AFTER: Duration = Duration::from_secs(1);

/// ureq clears its buffers when it makes them, so all of this counts as memory.
const BUFFER: usize = 16 << 10;

/// Leaves resolving to [`Direct`]: ureq's resolver would bring the C library's with it.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

impl Shared {
    fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect(&hosts::endpoint(&self.address)?[..])
    }

    fn lock(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects to the one address there is: no proxy, no TLS.
#[derive(Debug)]
struct Direct(Arc<Shared>);

impl Connector for Direct {
    type Out = Line;

    fn connect(&self, _: &ConnectionDetails, _: Option<()>) -> Result<Option<Line>, ureq::Error> {
        let ahead = self.0.lock().take();
        let stream = ahead.map_or_else(|| self.0.connect(), Ok)?;
        hasten(&stream)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
        Ok(Some(Line {
            stream,
            buffers: LazyBuffers::new(BUFFER, BUFFER),
            held: Vec::new(),
            answered: false,
            shared: Arc::clone(&self.0),
        }))
    }
}

/// A connection that costs two system calls an exchange: ureq's own sends head and body apart,
/// waking the API twice, and looks at the socket before and after each use.
#[derive(Debug)]
struct Line {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// What is to be sent, held back until an answer is waited for.
    held: Vec<u8>,
    /// Whether a part of the answer is here: see `Reader::more` in `wire.rs`.
    answered: bool,
    shared: Arc<Shared>,
}

impl Line {
    fn send(&mut self, more: usize) -> io::Result<()> {
        let more = self.buffers.output().get(..more).unwrap_or_default();
        let mut parts = &mut [IoSlice::new(&self.held), IoSlice::new(more)][..];
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match (&self.stream).write_vectored(parts) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => IoSlice::advance_slices(&mut parts, count),
                Err(error) => go_on(error, &self.shared.deadline_ms)?,
            }
        }
        self.held.clear();
        Ok(())
    }
}

/// What becomes of a wait that was interrupted: by a signal, a stop and continue among them,
/// or by the tick, at which the clock is looked at.
fn go_on(error: io::Error, deadline_ms: &AtomicU64) -> io::Result<()> {
    let late = || {
        let deadline = Duration::from_millis(deadline_ms.load(Ordering::Relaxed));
        let until = deadline.saturating_add(AFTER);
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .is_ok_and(|now| now > until)
    };
    match error.kind() {
        ErrorKind::Interrupted => Ok(()),
        ErrorKind::WouldBlock if late() => Err(ErrorKind::TimedOut.into()),
        ErrorKind::WouldBlock => Ok(()),
        _ => Err(error),
    }
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        self.answered = false;
        if self.held.len() + amount > BUFFER {
            return Ok(self.send(amount)?);
        }
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.held.extend_from_slice(output);
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        if !self.held.is_empty() {
            self.send(0)?;
        }
        if self.answered {
            self.stream.set_quickack(true)?;
        }
        let count = loop {
            let input = self.buffers.input_append_buf();
            match (&self.stream).read(input) {
                Ok(count) => break count,
                Err(error) => go_on(error, &self.shared.deadline_ms)?,
            }
        };
        self.answered = true;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Not looked at: the API does not close a connection while it lives, and if one fails
    /// all the same, what was sent on it is sent again (see `post.rs` and `serve.rs`).
    fn is_open(&mut self) -> bool {
        true
    }
}
