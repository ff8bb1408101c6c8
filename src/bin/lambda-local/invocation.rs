//! One invocation: the request for it, the reply to it, and the errors that replace the reply.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender};

use crate::json::object;
use crate::web::recorder::Recording;

/// The request found no free environment.
pub const THROTTLED: &str = "TooManyRequestsException";
pub const RESPONSE_TOO_LARGE: &str = "Function.ResponseSizeTooLarge";
pub const TRUNCATED_RESPONSE: &str = "Runtime.TruncatedResponse";

/// A request to invoke the function, from a front end or from the Invoke API.
#[derive(Clone, Debug, Default)]
pub struct InvokeRequest {
    pub id: String,
    pub payload: Vec<u8>,
    /// Root of the X-Ray trace, `1-...-...`.
    pub trace: String,
    pub client_context: Option<String>,
    pub tenant: Option<String>,
    pub recording: Recording,
}

/// An invocation as the runtime receives it, with the channel for its reply.
#[derive(Debug)]
pub struct Invocation {
    pub id: String,
    /// `Lambda-Runtime-Invocation-Id`: a response with a different value is for an earlier attempt.
    pub token: String,
    pub payload: Vec<u8>,
    pub deadline_ms: i64,
    pub trace: String,
    pub client_context: Option<String>,
    pub tenant: Option<String>,
    pub reply: SyncSender<Reply>,
    pub recording: Recording,
}

impl Invocation {
    /// Sends a reply, or a part of one, to the client. It may have disconnected; the invocation
    /// goes on in this case, too.
    pub fn send(&self, reply: Reply) {
        self.recording.reply(&reply);
        let _ = self.reply.send(reply);
    }
}

/// The reply to an invocation: `Buffered`, `Failed`, or a `StreamStart` followed by `Chunk`s and
/// one `StreamEnd`.
#[derive(Debug)]
pub enum Reply {
    Buffered(Vec<u8>),
    Failed(Fault),
    StreamStart { content_type: String },
    Chunk(Vec<u8>),
    StreamEnd(Option<Fault>),
}

/// Reads the rest of a stream into one buffer.
pub fn collect_stream(replies: &Receiver<Reply>) -> Vec<u8> {
    let mut payload = Vec::new();
    while let Ok(Reply::Chunk(chunk)) = replies.recv() {
        payload.extend_from_slice(&chunk);
    }
    payload
}

/// An error of the function or of its environment, in the terms of Lambda.
#[derive(Clone, Debug)]
pub struct Fault {
    pub error_type: String,
    pub message: String,
    /// The body that the runtime posted with the error; the invoker receives it unchanged.
    pub body: Option<Vec<u8>>,
}

impl Fault {
    pub fn new(error_type: &str, message: impl Into<String>) -> Fault {
        Fault {
            error_type: error_type.to_owned(),
            message: message.into(),
            body: None,
        }
    }

    pub fn is_timeout(&self) -> bool {
        self.error_type == "Sandbox.Timedout"
    }

    /// Returns the error payload that the invoker receives.
    pub fn payload(&self, request_id: &str) -> Vec<u8> {
        self.body.clone().unwrap_or_else(|| {
            let message = format!("RequestId: {request_id} Error: {}", self.message);
            object([
                ("errorType", self.error_type.as_str().into()),
                ("errorMessage", message.into()),
            ])
            .bytes()
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}

/// An error response of the Runtime API or the Extensions API, with the status, type and message
/// that Lambda sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    InvalidRequestId,
    InvokeTimeout,
    InvalidStateTransition {
        from: &'static str,
        to: &'static str,
    },
    InvalidResponseMode(String),
    ResponseTooLarge {
        limit: usize,
    },
    TruncatedRequest,
    RegistrationClosed,
    AlreadyRegistered,
    TooManyExtensions,
    InvalidEventType,
    InvalidExtensionName,
    InvalidRegistration,
    MissingExtensionId,
    UnknownExtensionId,
}

impl ApiError {
    pub fn status(&self) -> u16 {
        match self {
            ApiError::InvalidRequestId
            | ApiError::InvalidResponseMode(_)
            | ApiError::TruncatedRequest => 400,
            ApiError::InvokeTimeout => 410,
            ApiError::ResponseTooLarge { .. } => 413,
            _ => 403,
        }
    }

    pub fn error_type(&self) -> &'static str {
        match self {
            ApiError::InvalidRequestId => "InvalidRequestID",
            ApiError::InvokeTimeout => "InvokeTimeout",
            ApiError::InvalidStateTransition { .. } => "InvalidStateTransition",
            ApiError::InvalidResponseMode(_) => "InvalidFunctionResponseMode",
            ApiError::ResponseTooLarge { .. } => "RequestEntityTooLarge",
            ApiError::TruncatedRequest => "TruncatedHTTPRequest",
            ApiError::RegistrationClosed => "Extension.RegistrationClosed",
            ApiError::AlreadyRegistered => "Extension.InvalidExtensionState",
            ApiError::TooManyExtensions => "Extension.TooManyExtensions",
            ApiError::InvalidEventType => "Extension.InvalidEventType",
            ApiError::InvalidExtensionName => "Extension.InvalidExtensionName",
            ApiError::InvalidRegistration => "InvalidRequestFormat",
            ApiError::MissingExtensionId => "Extension.MissingExtensionIdentifier",
            ApiError::UnknownExtensionId => "Extension.UnknownExtensionIdentifier",
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiError::InvalidRequestId => f.write_str("Invalid request ID"),
            ApiError::InvokeTimeout => f.write_str("Invoke timeout"),
            ApiError::InvalidStateTransition { from, to } => write!(
                f,
                "State transition from {from} to {to} failed for runtime. \
                 Error: State transition is not allowed"
            ),
            ApiError::InvalidResponseMode(mode) => {
                write!(f, "Invalid function response mode: {mode}")
            }
            ApiError::ResponseTooLarge { limit } => {
                write!(f, "Exceeded maximum allowed payload size ({limit} bytes).")
            }
            ApiError::TruncatedRequest => f.write_str("HTTP request truncated"),
            ApiError::RegistrationClosed => f.write_str("Extension registration closed already"),
            ApiError::AlreadyRegistered => f.write_str("Extension is registered already"),
            ApiError::TooManyExtensions => f.write_str("Extension limit (10) reached"),
            ApiError::InvalidEventType => {
                f.write_str("An event of this type cannot be subscribed here")
            }
            ApiError::InvalidExtensionName => f.write_str("Invalid extension name"),
            ApiError::InvalidRegistration => f.write_str("Invalid request format"),
            ApiError::MissingExtensionId => {
                f.write_str("Missing Lambda-Extension-Identifier header")
            }
            ApiError::UnknownExtensionId => f.write_str("Unknown extension identifier"),
        }
    }
}
