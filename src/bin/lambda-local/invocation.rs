//! One invocation, what may come back of it, and why it may fail: the words that the rooms of this program use among themselves.

use std::sync::mpsc::SyncSender;

use crate::json::object;

/// An event and what comes with it.
#[derive(Default)]
pub struct Request {
    pub id: String,
    pub payload: Vec<u8>,
    /// The trace's root, `1-...-...`.
    pub trace: String,
    pub client_context: Option<String>,
    pub tenant: Option<String>,
}

/// One invocation as the runtime is to see it, and where its answer goes.
pub struct Invocation {
    pub id: String,
    /// `Lambda-Runtime-Invocation-Id`: an answer that names another one belongs to somebody else.
    pub token: String,
    pub payload: Vec<u8>,
    pub deadline_ms: i64,
    pub trace: String,
    pub client_context: Option<String>,
    pub tenant: Option<String>,
    pub reply: SyncSender<Reply>,
}

/// What comes back of an invocation, in the order in which it comes: `Whole`, `Failed`, or `Stream`, `Piece`s and `End`.
pub enum Reply {
    Whole(Vec<u8>),
    Failed(Fault),
    Stream { content_type: String },
    Piece(Vec<u8>),
    End(Option<Fault>),
}

/// Why something failed, as Lambda would put it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: String,
    pub message: String,
    /// What the runtime itself has posted; it goes to the caller verbatim.
    pub body: Option<Vec<u8>>,
}

impl Fault {
    pub fn new(kind: &str, message: impl Into<String>) -> Fault {
        Fault {
            kind: kind.to_owned(),
            message: message.into(),
            body: None,
        }
    }

    pub fn is_timeout(&self) -> bool {
        self.kind == "Sandbox.Timedout"
    }

    /// The error as the invoker gets it.
    pub fn payload(&self, request_id: &str) -> Vec<u8> {
        let message = format!("RequestId: {request_id} Error: {}", self.message);
        self.body.clone().unwrap_or_else(|| {
            object([
                ("errorType", self.kind.as_str().into()),
                ("errorMessage", message.into()),
            ])
            .bytes()
        })
    }
}

/// An answer of the core that is not a success.
pub struct Refusal {
    pub status: u16,
    pub kind: &'static str,
    pub message: String,
}
