//! Lambda's side: the calls of the Runtime API and the Extensions API, as AWS documents them
//! ("Using the Lambda runtime API for custom runtimes", "Using the Lambda Extensions API").

pub mod client;
pub mod deliver;
pub mod extension;

use std::fmt;

use crate::logger::line::warn;
use client::{Call, Client, Payload};

use crate::error::{Failure, Fatal, MAX_MESSAGE};
use crate::http::body_reader::BodyReader;
use crate::http::headers::Headers;
use crate::invocation::Invocation;
use crate::text::{self, Form};

const INVOCATION_ID: &str = "lambda-runtime-invocation-id";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const JSON: (&str, &str) = ("content-type", "application/json");
/// The fields of a streamed response beside those of every call.
const STREAM: [(&str, &str); 3] = [
    (
        "content-type",
        "application/vnd.awslambda.http-integration-response",
    ),
    ("lambda-runtime-function-response-mode", "streaming"),
    (
        "trailer",
        "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
    ),
];
/// How much of an error response goes into a log line.
const EXCERPT: usize = 512;
/// How much of an error type is posted.
const MAX_TYPE: usize = 256;
/// How much of a message is posted after the API has refused the whole.
const SHORT_MESSAGE: usize = 1 << 10;
/// How much of a message fits into a trailer: Go's HTTP server, which AWS's emulator has, reads
/// no more than 4 KiB of trailers, and there the message is in base64.
const MAX_TRAILER_MESSAGE: usize = 2 << 10;

/// One caller's access to the APIs.
#[derive(Debug)]
pub struct Runtime {
    client: Client,
    headers: Headers,
    response_body: Vec<u8>,
}

/// Why a call failed.
#[derive(Debug)]
pub enum ApiError {
    /// The connection closed before the first byte of a response.
    Closed(String),
    /// No response came in time: the API may have taken what was sent.
    TimedOut(String),
    /// No connection: nothing was sent.
    Unconnected(String),
    /// A broken response.
    Transport(String),
    /// A status other than success, with the beginning of the body.
    Status(u16, String),
    /// An invocation that cannot be replied to.
    Unusable(String),
}

impl ApiError {
    /// Whether the call may succeed on a new connection.
    fn is_retryable(&self) -> bool {
        matches!(
            self,
            ApiError::Closed(_) | ApiError::Unconnected(_) | ApiError::Transport(_)
        )
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiError::Closed(cause)
            | ApiError::TimedOut(cause)
            | ApiError::Unconnected(cause)
            | ApiError::Transport(cause)
            | ApiError::Unusable(cause) => f.write_str(cause),
            ApiError::Status(status, body) => write!(f, "status {status}: {body}"),
        }
    }
}

impl Runtime {
    /// `address` is `host:port`.
    pub fn new(address: &str) -> Runtime {
        Runtime {
            client: Client::new(address),
            headers: Headers::default(),
            response_body: Vec::new(),
        }
    }

    /// Connects ahead of the first call.
    pub fn connect_ahead(&mut self) {
        self.client.connect_ahead();
    }

    /// Waits for the next invocation; its payload replaces `payload`.
    pub fn next(&mut self, payload: &mut Vec<u8>) -> Result<Invocation, ApiError> {
        let call = Call {
            path: "/2018-06-01/runtime/invocation/next",
            fields: &[],
            payload: Payload::None,
            deadline_ms: None,
        };
        let status = self.client.call(call, &mut self.headers, payload)?;
        success(status, payload)?;
        Invocation::from_headers(|name| self.headers.first(name.as_bytes()))
            .map_err(ApiError::Unusable)
    }

    /// Posts the whole reply to an invocation.
    pub fn respond(&mut self, invocation: &Invocation, reply: &[u8]) -> Result<(), ApiError> {
        let path = invocation_path(invocation, "response");
        let fields = with_invocation_id(&[JSON], invocation);
        self.call(
            &path,
            &fields,
            Payload::Whole(reply),
            invocation.effective_deadline_ms(),
        )
    }

    /// Posts a reply while it is made.
    pub fn respond_streaming(
        &mut self,
        invocation: &Invocation,
        prelude: &[u8],
        body: &mut dyn BodyReader,
    ) -> Result<(), ApiError> {
        let path = invocation_path(invocation, "response");
        let fields = with_invocation_id(&STREAM, invocation);
        let payload = Payload::Stream { prelude, body };
        self.call(&path, &fields, payload, invocation.effective_deadline_ms())
    }

    /// Posts that an invocation failed.
    pub fn fail(&mut self, invocation: &Invocation, failure: &Failure) -> Result<(), ApiError> {
        let path = invocation_path(invocation, "error");
        let fields = [JSON, (ERROR_TYPE, failure.class.name())];
        let fields = with_invocation_id(&fields, invocation);
        let (error_type, message) = (&failure.error_type, &failure.message);
        self.post_error(
            &path,
            &fields,
            error_type,
            message,
            invocation.effective_deadline_ms(),
        )
    }

    /// Ends init for a snapshot; returns after a restore.
    pub fn restore_next(&mut self) -> Result<(), ApiError> {
        self.call("/2018-06-01/runtime/restore/next", &[], Payload::None, None)
    }

    /// Posts that init or the restore failed, with the last lines the app printed, if known.
    pub fn report(&mut self, fatal: &Fatal, printed: &str) -> Result<(), ApiError> {
        let path = match fatal {
            Fatal::AfterRestore { .. } => "/2018-06-01/runtime/restore/error",
            _ => "/2018-06-01/runtime/init/error",
        };
        let message = match printed {
            "" => fatal.to_string(),
            printed => format!("{fatal}; the app printed last:\n{printed}"),
        };
        let fields = [JSON, (ERROR_TYPE, fatal.error_type())];
        self.post_error(path, &fields, fatal.error_type(), &message, None)
    }

    /// Posts an error, and a short one where the API refuses that: an invocation without any
    /// blocks the environment.
    fn post_error(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        error_type: &str,
        message: &str,
        deadline_ms: Option<u64>,
    ) -> Result<(), ApiError> {
        let mut post = |limit| {
            let body = error_body(error_type, message, limit);
            self.call(path, fields, Payload::Whole(&body), deadline_ms)
        };
        match post(MAX_MESSAGE) {
            Err(refused @ ApiError::Status(..)) => {
                warn!("posting a short error, since the Runtime API refused the whole: {refused}");
                post(SHORT_MESSAGE)
            }
            posted => posted,
        }
    }

    /// Registers an extension for no events and returns its identifier.
    pub fn register(&mut self, name: &str) -> Result<String, ApiError> {
        let fields = [JSON, ("lambda-extension-name", name)];
        let payload = Payload::Whole(b"{\"events\":[]}");
        self.call("/2020-01-01/extension/register", &fields, payload, None)?;
        let identifier = self.headers.first(b"lambda-extension-identifier");
        Ok(String::from_utf8_lossy(identifier.unwrap_or_default()).into_owned())
    }

    /// Waits in the extension's long poll, which ends Lambda's wait for this extension.
    pub fn next_extension_event(&mut self, identifier: &str) -> Result<(), ApiError> {
        let fields = [("lambda-extension-identifier", identifier)];
        let path = "/2020-01-01/extension/event/next";
        self.call(path, &fields, Payload::None, None)
    }

    fn call<'a>(
        &mut self,
        path: &'a str,
        fields: &'a [(&'a str, &'a str)],
        payload: Payload<'a>,
        deadline_ms: Option<u64>,
    ) -> Result<(), ApiError> {
        let call = Call {
            path,
            fields,
            payload,
            deadline_ms,
        };
        let body = &mut self.response_body;
        let status = self.client.call(call, &mut self.headers, body)?;
        success(status, body)
    }
}

fn success(status: u16, body: &[u8]) -> Result<(), ApiError> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(ApiError::Status(status, text::plain(body, EXCERPT)))
}

fn invocation_path(invocation: &Invocation, call: &str) -> String {
    let id = &invocation.id;
    ["/2018-06-01/runtime/invocation/", id, "/", call].concat()
}

/// The invocation id is echoed, so that a late reply cannot reach another caller.
fn with_invocation_id<'a>(
    fields: &[(&'a str, &'a str)],
    invocation: &'a Invocation,
) -> Vec<(&'a str, &'a str)> {
    let id = invocation.invocation_id.as_deref();
    let id = id.map(|id| (INVOCATION_ID, id));
    fields.iter().copied().chain(id).collect()
}

/// The body that the Runtime API documents for every error.
fn error_body(error_type: &str, message: &str, limit: usize) -> Vec<u8> {
    let mut body = b"{\"errorType\":\"".to_vec();
    text::write(&mut body, error_type.as_bytes(), MAX_TYPE, Form::Json);
    body.extend_from_slice(b"\",\"errorMessage\":\"");
    text::write(&mut body, message.as_bytes(), limit, Form::Json);
    body.extend_from_slice(b"\"}");
    body
}
