//! The two tiers of errors: [`Fatal`] ends the process, [`Failure`] fails one invocation.
//!
//! Lambda replaces an error type that is not of the form `Function.Name` or `Runtime.Name`
//! (Runtime API, "Invocation error"). The types here are a closed list, so that users can set
//! alarms on them; the documentation has the same list.

use std::borrow::Cow;
use std::fmt;

use crate::text;

/// An error that ends the process. It is logged as one line and, during init, posted to
/// `/runtime/init/error`.
#[derive(Debug)]
pub enum Fatal {
    /// Variables with invalid values.
    Settings(Vec<BadSetting>),
    /// A variable that Lambda sets is missing.
    NotOnLambda { name: &'static str },
    /// A call of the Runtime API or Extensions API failed.
    RuntimeApi { act: &'static str, cause: String },
    /// The app was not ready before the readiness timeout; `last` is the last probe's error.
    NotReady { waited_ms: u64, last: String },
    /// The command line is not valid.
    Usage(String),
    /// The app's command could not be started.
    NotStarted {
        program: String,
        cause: String,
        status: i32,
    },
    /// The app, a child of the adapter, exited and is not restarted.
    AppExited { how: String, status: i32 },
    /// A SnapStart hook of the app failed before the checkpoint.
    BeforeCheckpoint { path: String, cause: String },
    /// A SnapStart hook of the app failed after the restore, or the app was not ready then.
    AfterRestore { cause: String },
}

/// How many bytes an error message may have in a post, escaped as JSON. The core of Managed
/// Instances refuses a post to `/error` of more than 1 MiB, and a refused one ends nothing: the
/// next `/next` is refused, too.
pub const MAX_MESSAGE: usize = 64 << 10;

/// How much of an invalid value its error has.
const MAX_VALUE: usize = 256;

/// A variable with an invalid value.
#[derive(Debug, PartialEq, Eq)]
pub struct BadSetting {
    pub name: &'static str,
    pub value: String,
    pub accepted: &'static str,
}

impl Fatal {
    /// The error type that Lambda shows for a failed init.
    pub fn error_type(&self) -> &'static str {
        match self {
            Fatal::Settings(_) => "Runtime.InvalidSetting",
            Fatal::NotOnLambda { .. } | Fatal::RuntimeApi { .. } => "Runtime.ApiError",
            Fatal::NotReady { .. } => "Runtime.AppNotReady",
            Fatal::Usage(_) | Fatal::NotStarted { .. } => "Runtime.InvalidEntrypoint",
            Fatal::AppExited { .. } => "Runtime.AppExited",
            Fatal::BeforeCheckpoint { .. } => "Runtime.BeforeSnapshotError",
            Fatal::AfterRestore { .. } => "Runtime.AfterRestoreError",
        }
    }

    /// The exit status of the process: the app's, where the app is a child.
    pub fn exit_status(&self) -> i32 {
        match self {
            Fatal::Usage(_) => 2,
            Fatal::NotStarted { status, .. } | Fatal::AppExited { status, .. } => *status,
            _ => 1,
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::Settings(bad) => {
                for (index, setting) in bad.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{setting}")?;
                }
                Ok(())
            }
            Fatal::NotOnLambda { name } => write!(
                f,
                "{name} is not set: lambda-adapter runs as an extension of AWS Lambda, \
                 under lambda-local, or with the app's command as its arguments"
            ),
            Fatal::RuntimeApi { act, cause } => write!(f, "failed to {act}: {cause}"),
            Fatal::NotReady { waited_ms, last } => {
                write!(f, "the app is not ready after {waited_ms} ms: {last}")
            }
            Fatal::Usage(message) | Fatal::AppExited { how: message, .. } => f.write_str(message),
            Fatal::NotStarted { program, cause, .. } => {
                write!(f, "failed to start the app `{program}`: {cause}")
            }
            Fatal::BeforeCheckpoint { path, cause } => {
                write!(
                    f,
                    "failed to run the before-checkpoint hook `{path}`: {cause}"
                )
            }
            Fatal::AfterRestore { cause } => write!(f, "failed to resume after restore: {cause}"),
        }
    }
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadSetting {
            name,
            value,
            accepted,
        } = self;
        let value = text::plain(text::escaped(value).as_bytes(), MAX_VALUE);
        write!(f, "{name}=`{value}` is not valid: expected {accepted}")
    }
}

/// An error that fails one invocation. It is posted to `/runtime/invocation/{id}/error`, or as
/// trailers if the reply is being streamed.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// Sent in the `Lambda-Runtime-Function-Error-Type` header.
    pub class: Class,
    /// The `errorType` of the body: the class, unless the app's response names another.
    pub error_type: Cow<'static, str>,
    pub message: String,
    /// Whether the connection to the app was lost or refused: the app may have exited.
    pub connection_lost: bool,
}

/// The closed list of failure types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The adapter could not connect to the app.
    AppUnreachable,
    /// The app did not respond in time.
    AppTimeout,
    /// The app's response is incomplete or not HTTP/1.1.
    AppProtocol,
    /// The app, a child of the adapter, exited before its response was complete.
    AppExited,
    /// The response exceeds Lambda's size limit.
    ResponseTooLarge,
    /// The response has a status that the settings treat as an error.
    HttpStatus,
    /// The event is not valid JSON.
    InvalidEvent,
}

impl Class {
    pub fn name(self) -> &'static str {
        match self {
            Class::AppUnreachable => "Function.AppUnreachable",
            Class::AppTimeout => "Function.AppTimeout",
            Class::AppProtocol => "Function.AppProtocol",
            Class::AppExited => "Function.AppExited",
            Class::ResponseTooLarge => "Function.ResponseTooLarge",
            Class::HttpStatus => "Function.HttpStatus",
            Class::InvalidEvent => "Function.InvalidEvent",
        }
    }
}

impl Failure {
    pub fn new(class: Class, message: String) -> Failure {
        Failure {
            class,
            error_type: Cow::Borrowed(class.name()),
            message,
            connection_lost: false,
        }
    }

    pub fn connection_lost(self) -> Failure {
        Failure {
            connection_lost: true,
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}
