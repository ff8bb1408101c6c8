//! The Runtime API and Extensions API, called as AWS documents them ("Using the Lambda runtime
//! API for custom runtimes", "Using the Lambda Extensions API").
//!
//! What is said to them is here; how the bytes go is a client's matter: ureq's, or our own
//! where a build leaves ureq out. Streamed answers need request trailers, which ureq cannot
//! send: see `post.rs`.

pub mod client;
pub mod deliver;
pub mod extension;

use std::fmt;

use client::Client;

use crate::error::Fatal;
use crate::http::headers::Headers;
use crate::invocation::Invocation;
use codec::json;

pub const USER_AGENT: &str = concat!("lambda-adapter/", env!("CARGO_PKG_VERSION"));
pub const INVOCATION_ID: &str = "lambda-runtime-invocation-id";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
/// An answer of the API with more bytes than this is none: events end at 6 MB.
const LIMIT: usize = 64 << 20;
const JSON: (&str, &str) = ("content-type", "application/json");

/// One caller's way to the APIs.
#[derive(Debug)]
pub struct Runtime {
    client: Client,
    headers: Headers,
    said: Vec<u8>,
}

/// One call: a GET, or a POST of the body if there is one.
pub struct Call<'a> {
    path: &'a str,
    fields: &'a [(&'a str, &'a str)],
    body: Option<&'a [u8]>,
    /// The deadline of the invocation that it is about; nobody waits for long after it.
    deadline_ms: Option<u64>,
}

/// Why a call did not do what it should.
#[derive(Debug)]
pub enum ApiError {
    /// The connection ended with nothing said, as a kept one does that went stale.
    Closed(String),
    /// No connection, or a broken answer.
    Transport(String),
    /// Another status than success, with the beginning of what was said.
    Status(u16, String),
    /// An invocation came that cannot be answered.
    Unusable(String),
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiError::Closed(cause) | ApiError::Transport(cause) | ApiError::Unusable(cause) => {
                f.write_str(cause)
            }
            ApiError::Status(status, said) => write!(f, "status {status}: {said}"),
        }
    }
}

impl Runtime {
    /// `address` is `host:port`.
    pub fn new(address: &str) -> Runtime {
        Runtime {
            client: Client::new(address),
            headers: Headers::new(),
            said: Vec::new(),
        }
    }

    /// Connects ahead, while nobody waits. If that fails now, the need will tell.
    pub fn prepare(&mut self) {
        self.client.prepare();
    }

    /// Waits for the next invocation; its payload replaces what is in `payload`.
    pub fn next(&mut self, payload: &mut Vec<u8>) -> Result<Invocation, ApiError> {
        let call = Call {
            path: "/2018-06-01/runtime/invocation/next",
            fields: &[],
            body: None,
            deadline_ms: None,
        };
        let status = self.client.call(&call, &mut self.headers, payload);
        succeeded(status, payload)?;
        Invocation::from_headers(|name| self.headers.first(name.as_bytes()))
            .map_err(ApiError::Unusable)
    }

    /// Posts the whole answer of an invocation.
    pub fn respond(&mut self, invocation: &Invocation, body: &[u8]) -> Result<(), ApiError> {
        let (path, until) = (response_path(invocation), invocation.deadline_ms);
        match &invocation.invocation_id {
            Some(id) => self.post(&path, &[JSON, (INVOCATION_ID, id)], body, until),
            None => self.post(&path, &[JSON], body, until),
        }
    }

    /// Posts that an invocation failed.
    pub fn fail(
        &mut self,
        invocation: &Invocation,
        class: &str,
        body: &[u8],
    ) -> Result<(), ApiError> {
        let path = format!("/2018-06-01/runtime/invocation/{}/error", invocation.id);
        let (error_type, until) = ((ERROR_TYPE, class), invocation.deadline_ms);
        match &invocation.invocation_id {
            Some(id) => self.post(&path, &[JSON, error_type, (INVOCATION_ID, id)], body, until),
            None => self.post(&path, &[JSON, error_type], body, until),
        }
    }

    /// Says that init is over and the snapshot may be taken; comes back after a restore.
    pub fn restore_next(&mut self) -> Result<(), ApiError> {
        self.get("/2018-06-01/runtime/restore/next", &[])
    }

    /// Posts that init or the restore failed, with the last that the app `printed` if we know;
    /// to be followed by the end of the process.
    pub fn report(&mut self, fatal: &Fatal, printed: &str) -> Result<(), ApiError> {
        let path = match fatal {
            Fatal::AfterRestore { .. } => "/2018-06-01/runtime/restore/error",
            _ => "/2018-06-01/runtime/init/error",
        };
        let message = match printed {
            "" => fatal.to_string(),
            printed => format!("{fatal}; the app printed last:\n{printed}"),
        };
        let body = error_body(fatal.error_type(), &message);
        let fields = [JSON, (ERROR_TYPE, fatal.error_type())];
        self.post(path, &fields, &body, None)
    }

    /// Registers an extension for no event at all and gives its identifier.
    pub fn register(&mut self, name: &str) -> Result<String, ApiError> {
        let fields = [JSON, ("lambda-extension-name", name)];
        self.post(
            "/2020-01-01/extension/register",
            &fields,
            b"{\"events\":[]}",
            None,
        )?;
        let identifier = self.headers.first(b"lambda-extension-identifier");
        Ok(String::from_utf8_lossy(identifier.unwrap_or_default()).into_owned())
    }

    /// Parks in the extension's long poll, which ends Lambda's wait for this extension.
    pub fn next_extension_event(&mut self, identifier: &str) -> Result<(), ApiError> {
        let path = "/2020-01-01/extension/event/next";
        self.get(path, &[("lambda-extension-identifier", identifier)])
    }

    fn get(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<(), ApiError> {
        let call = Call {
            path,
            fields,
            body: None,
            deadline_ms: None,
        };
        let status = self.client.call(&call, &mut self.headers, &mut self.said);
        succeeded(status, &self.said)
    }

    fn post(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        deadline_ms: Option<u64>,
    ) -> Result<(), ApiError> {
        let call = Call {
            path,
            fields,
            body: Some(body),
            deadline_ms,
        };
        let status = self.client.call(&call, &mut self.headers, &mut self.said);
        succeeded(status, &self.said)
    }
}

fn too_large() -> ApiError {
    ApiError::Transport(format!("the answer has more than {LIMIT} bytes"))
}

fn succeeded(status: Result<u16, ApiError>, said: &[u8]) -> Result<(), ApiError> {
    match status? {
        200..=299 => Ok(()),
        status => {
            let said = String::from_utf8_lossy(said.get(..512).unwrap_or(said));
            Err(ApiError::Status(status, said.into_owned()))
        }
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
