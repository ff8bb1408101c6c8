//! The Runtime API and Extensions API, called as AWS documents them ("Using the Lambda runtime
//! API for custom runtimes", "Using the Lambda Extensions API").
//!
//! The one file that names ureq. Its defaults are a browser's; [`agent`] says for each why it
//! is set otherwise. Streamed answers need request trailers, which ureq cannot send: see
//! `post.rs`.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::linux::net::TcpStreamExt;
use std::time::Duration;

use ureq::config::AutoHeaderValue;
use ureq::http::Response;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Body};

use crate::error::Fatal;
use crate::invocation::Invocation;
use crate::json;

pub const USER_AGENT: &str = concat!("lambda-adapter/", env!("CARGO_PKG_VERSION"));
pub const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
pub const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// One caller's connection to the API: a pool of one.
#[derive(Debug)]
pub struct Runtime {
    agent: Agent,
    base: String,
}

/// Why a call did not do what it should.
#[derive(Debug)]
pub enum ApiError {
    /// No answer, or a broken one.
    Transport(String),
    /// Another status than success, with the beginning of what was said.
    Status(u16, String),
    /// An invocation came that cannot be answered.
    Unusable(String),
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiError::Transport(cause) | ApiError::Unusable(cause) => f.write_str(cause),
            ApiError::Status(status, said) => write!(f, "status {status}: {said}"),
        }
    }
}

fn agent() -> Agent {
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
        // No time limits: a long poll ends when Lambda has work.
        .build();
    Agent::with_parts(config, Direct, DefaultResolver::default())
}

/// ureq clears its buffers when it makes them, so all of this counts as memory.
const BUFFER: usize = 16 << 10;

/// Connects to an address as it is given: no proxy, no TLS.
#[derive(Debug)]
struct Direct;

impl Connector for Direct {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Line>, ureq::Error> {
        let stream = TcpStream::connect(&details.addrs[..])?;
        stream.set_nodelay(true)?;
        Ok(Some(Line {
            stream,
            buffers: LazyBuffers::new(BUFFER, BUFFER),
            held: Vec::new(),
            answered: false,
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
}

impl Line {
    fn send(&mut self, more: usize) -> io::Result<()> {
        let mut held = &self.held[..];
        let mut more = self.buffers.output().get(..more).unwrap_or_default();
        while !held.is_empty() || !more.is_empty() {
            match (&self.stream).write_vectored(&[IoSlice::new(held), IoSlice::new(more)]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let of_held = count.min(held.len());
                    held = held.get(of_held..).unwrap_or_default();
                    more = more.get(count - of_held..).unwrap_or_default();
                }
                // A signal, a stop and continue among them, is no reason to end.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.held.clear();
        Ok(())
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
        let input = self.buffers.input_append_buf();
        let count = loop {
            match (&self.stream).read(input) {
                // A signal, a stop and continue among them, is no reason to end.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
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

impl Runtime {
    /// `address` is `host:port`.
    pub fn new(address: &str) -> Runtime {
        Runtime {
            agent: agent(),
            base: format!("http://{address}"),
        }
    }

    /// Waits for the next invocation; its payload replaces what is in `payload`.
    pub fn next(&self, payload: &mut Vec<u8>) -> Result<Invocation, ApiError> {
        payload.clear();
        let url = format!("{}/2018-06-01/runtime/invocation/next", self.base);
        let call = self.agent.get(&url).call();
        let mut response = success(call)?;
        let mut body = response.body_mut().as_reader();
        body.read_to_end(payload)
            .map_err(|error| ApiError::Transport(format!("the event was cut short: {error}")))?;
        let headers = response.headers();
        Invocation::from_headers(|name| headers.get(name).map(|value| value.as_bytes()))
            .map_err(ApiError::Unusable)
    }

    /// Posts the whole answer of an invocation.
    pub fn respond(&self, invocation: &Invocation, body: &[u8]) -> Result<(), ApiError> {
        let url = format!("{}{}", self.base, response_path(invocation));
        let mut request = self.agent.post(&url).content_type("application/json");
        if let Some(id) = &invocation.invocation_id {
            request = request.header(INVOCATION_ID, id);
        }
        drain(success(request.send(body))?)
    }

    /// Posts that an invocation failed.
    pub fn fail(&self, invocation: &Invocation, class: &str, body: &[u8]) -> Result<(), ApiError> {
        let path = format!("/2018-06-01/runtime/invocation/{}/error", invocation.id);
        let url = format!("{}{path}", self.base);
        let mut request = self.agent.post(&url).content_type("application/json");
        if let Some(id) = &invocation.invocation_id {
            request = request.header(INVOCATION_ID, id);
        }
        drain(success(request.header(ERROR_TYPE, class).send(body))?)
    }

    /// Says that init is over and the snapshot may be taken; comes back after a restore.
    pub fn restore_next(&self) -> Result<(), ApiError> {
        let url = format!("{}/2018-06-01/runtime/restore/next", self.base);
        drain(success(self.agent.get(&url).call())?)
    }

    /// Posts that init or the restore failed; to be followed by the end of the process.
    pub fn report(&self, fatal: &Fatal) -> Result<(), ApiError> {
        let path = match fatal {
            Fatal::AfterRestore { .. } => "/2018-06-01/runtime/restore/error",
            _ => "/2018-06-01/runtime/init/error",
        };
        let url = format!("{}{path}", self.base);
        let body = error_body(fatal.error_type(), &fatal.to_string());
        let request = self.agent.post(&url).content_type("application/json");
        drain(success(
            request
                .header(ERROR_TYPE, fatal.error_type())
                .send(&body[..]),
        )?)
    }

    /// Registers an extension for no event at all and gives its identifier.
    pub fn register(&self, name: &str) -> Result<String, ApiError> {
        let url = format!("{}/2020-01-01/extension/register", self.base);
        let request = self.agent.post(&url).header("lambda-extension-name", name);
        let response = success(
            request
                .content_type("application/json")
                .send("{\"events\":[]}"),
        )?;
        let identifier = response.headers().get("lambda-extension-identifier");
        let identifier = identifier
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let identifier = identifier.to_owned();
        drain(response)?;
        Ok(identifier)
    }

    /// Parks in the extension's long poll, which ends Lambda's wait for this extension.
    pub fn next_extension_event(&self, identifier: &str) -> Result<(), ApiError> {
        let url = format!("{}/2020-01-01/extension/event/next", self.base);
        let request = self
            .agent
            .get(&url)
            .header("lambda-extension-identifier", identifier);
        drain(success(request.call())?)
    }
}

/// Where the answer of an invocation goes.
pub fn response_path(invocation: &Invocation) -> String {
    format!("/2018-06-01/runtime/invocation/{}/response", invocation.id)
}

/// The body that the Runtime API wants for any error.
pub fn error_body(error_type: &str, message: &str) -> Vec<u8> {
    let mut body = b"{\"errorType\":".to_vec();
    json::write_string(&mut body, error_type);
    body.extend_from_slice(b",\"errorMessage\":");
    json::write_string(&mut body, message);
    body.push(b'}');
    body
}

fn success(call: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, ApiError> {
    let mut response = call.map_err(|error| ApiError::Transport(error.to_string()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let mut said = Vec::new();
    // A body that cannot be read has nothing to say; the status is told all the same.
    let _ = response
        .body_mut()
        .as_reader()
        .take(512)
        .read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(ApiError::Status(status.as_u16(), said))
}

/// Reads what is left, so that the connection can be used again.
fn drain(mut response: Response<Body>) -> Result<(), ApiError> {
    let mut body = response.body_mut().as_reader();
    io::copy(&mut body, &mut io::sink())
        .map(|_| ())
        .map_err(|error| ApiError::Transport(error.to_string()))
}
