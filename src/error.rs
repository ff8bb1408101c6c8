//! The two ways things end: [`Fatal`] ends the process, [`Failure`] ends one invocation.
//!
//! Lambda replaces every error type that does not look like `Function.Name` or
//! `Runtime.Name` (Runtime API, "Invocation error"), so the types here are a short, closed
//! list that users can alarm on; README carries the same list.

use std::borrow::Cow;
use std::fmt;

/// Why the adapter cannot go on. Reported to `/runtime/init/error` while that is still
/// possible, logged as one line, and then the process ends.
#[derive(Debug)]
pub enum Fatal {
    /// Variables that hold something else than what is accepted.
    Settings(Vec<BadSetting>),
    /// A variable that only Lambda sets is missing.
    NotOnLambda { name: &'static str },
    /// The Runtime or Extensions API did not do what was asked.
    RuntimeApi { act: &'static str, cause: String },
    /// The app did not become healthy in the time that the settings give it.
    NotReady { waited_ms: u128, last: String },
    /// The command line is not one of ours.
    Usage(String),
    /// The app's command could not be started.
    NotStarted {
        program: String,
        cause: String,
        status: i32,
    },
    /// The app, our child, has ended and is not started again.
    AppExited { how: String, status: i32 },
    /// A SnapStart hook of the app failed before the checkpoint.
    BeforeCheckpoint { path: String, cause: String },
    /// A SnapStart hook of the app, or its readiness, failed after the restore.
    AfterRestore { cause: String },
}

/// A variable, what it holds, and what it may hold.
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

    /// What the process exits with: where it stands for the app, the app's own status.
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
                for (
                    index,
                    BadSetting {
                        name,
                        value,
                        accepted,
                    },
                ) in bad.iter().enumerate()
                {
                    let separator = if index == 0 { "" } else { "; " };
                    let value = value.escape_debug();
                    write!(
                        f,
                        "{separator}{name}=`{value}` is not valid: expected {accepted}"
                    )?;
                }
                Ok(())
            }
            Fatal::NotOnLambda { name } => write!(
                f,
                "{name} is not set: lambda-adapter runs as an extension of AWS Lambda, under lambda-local, or with the app's command as its arguments"
            ),
            Fatal::RuntimeApi { act, cause } => write!(f, "failed to {act}: {cause}"),
            Fatal::NotReady { waited_ms, last } => {
                write!(f, "the app is not ready after {waited_ms} ms: {last}")
            }
            Fatal::Usage(what) | Fatal::AppExited { how: what, .. } => f.write_str(what),
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

/// Why one invocation has no answer. Posted to `/runtime/invocation/{id}/error`; the loop
/// goes on.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// What Lambda counts: the `Lambda-Runtime-Function-Error-Type` header.
    pub class: Class,
    /// The `errorType` of the body: the class, except where the app's own answer names one.
    pub error_type: Cow<'static, str>,
    pub message: String,
    /// Whether the connection to the app was lost or refused, as when the app ends.
    pub cut_off: bool,
}

/// The closed list of failure types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// No connection to the app could be made.
    AppUnreachable,
    /// The app did not answer in time.
    AppTimeout,
    /// The app's answer broke off or is not HTTP/1.1.
    AppProtocol,
    /// The app, our child, ended before it had answered.
    AppExited,
    /// The answer does not fit what Lambda carries.
    ResponseTooLarge,
    /// The app answered with a status that counts as an error.
    HttpStatus,
    /// The payload of the invocation is not JSON.
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
            cut_off: false,
        }
    }

    pub fn cut_off(self) -> Failure {
        Failure {
            cut_off: true,
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.message)
    }
}
