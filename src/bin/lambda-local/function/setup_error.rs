//! Why a function cannot be set up.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::app_port::Holder;
use super::env_file::LineError;

#[derive(Debug)]
pub enum SetupError {
    ReadEnvFile {
        path: PathBuf,
        error: io::Error,
    },
    ParseEnvFile {
        path: PathBuf,
        error: LineError,
    },
    FindExtension {
        path: PathBuf,
        error: io::Error,
    },
    DuplicateExtension {
        name: String,
    },
    FindAdapter {
        path: PathBuf,
        hint: &'static str,
    },
    FindOwnFile(io::Error),
    FindDir {
        path: PathBuf,
        error: io::Error,
    },
    InvalidPort {
        variable: &'static str,
        value: String,
    },
    /// The adapter would take the holder for the app.
    PortTaken {
        source: &'static str,
        port: u16,
        holder: Holder,
    },
    FindFreePort(io::Error),
    StartRelay(io::Error),
}

impl std::error::Error for SetupError {}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetupError::ReadEnvFile { path, error } => {
                write!(f, "failed to read `{}`: {error}", path.display())
            }
            SetupError::ParseEnvFile { path, error } => {
                write!(f, "failed to parse `{}`: {error}", path.display())
            }
            SetupError::FindExtension { path, error } => {
                write!(f, "failed to find extension `{}`: {error}", path.display())
            }
            SetupError::DuplicateExtension { name } => {
                write!(f, "two extensions have the name `{name}`")
            }
            SetupError::FindAdapter { path, hint } => write!(
                f,
                "failed to find the adapter `{}`: no such file{hint}",
                path.display()
            ),
            SetupError::FindOwnFile(error) => {
                write!(f, "failed to find the executable of lambda-local: {error}")
            }
            SetupError::FindDir { path, error } => {
                write!(f, "failed to find directory `{}`: {error}", path.display())
            }
            SetupError::PortTaken {
                source,
                port,
                holder,
            } => {
                let remedy = holder.remedy();
                write!(
                    f,
                    "`{source}` is {port}, {holder} ({remedy}, or change `{source}`)"
                )
            }
            SetupError::InvalidPort { variable, value } => {
                write!(f, "`{variable}` must be a port, not `{value}`")
            }
            SetupError::FindFreePort(error) => {
                write!(f, "failed to find a free port for the app: {error}")
            }
            SetupError::StartRelay(error) => {
                write!(f, "failed to start the relay to the app: {error}")
            }
        }
    }
}
