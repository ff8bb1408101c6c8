//! `lambda-local invoke`: sends one event to a running lambda-local and prints the result.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::batch;
use crate::cli::options::{EventSource, InvokeOptions};
use crate::cli::samples::{self, UnknownSample};
use crate::front::ERROR_HEADER;

/// The beginning of the `user-agent` of this command.
pub const USER_AGENT: &str = "lambda-local/";

#[derive(Debug)]
pub enum InvokeError {
    Sample(UnknownSample),
    NoBatch(String),
    ReadFile {
        path: PathBuf,
        error: io::Error,
    },
    ReadStdin(io::Error),
    Send {
        url: String,
        error: ureq::Error,
    },
    /// lambda-local has refused the event, for this reason.
    Refused(String),
    WriteStdout(io::Error),
}

impl std::error::Error for InvokeError {}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvokeError::Sample(error) => error.fmt(f),
            InvokeError::NoBatch(name) => write!(
                f,
                "the sample event `{name}` has no batches: expected sqs, kinesis or dynamodb"
            ),
            InvokeError::ReadFile { path, error } => {
                write!(f, "failed to read `{}`: {error}", path.display())
            }
            InvokeError::ReadStdin(error) => write!(f, "failed to read standard input: {error}"),
            InvokeError::Send { url, error } => write!(
                f,
                "failed to invoke `{url}`: {error} (is lambda-local running there?)"
            ),
            InvokeError::Refused(cause) => write!(f, "failed to invoke the function: {cause}"),
            InvokeError::WriteStdout(error) => {
                write!(f, "failed to write to standard output: {error}")
            }
        }
    }
}

/// Returns success only if the function succeeded.
pub fn run(options: &InvokeOptions) -> Result<ExitCode, InvokeError> {
    let event = read_event(&options.event, options.batch)?;
    let url = url(&options.host, options.port);
    let mut response =
        send(&url, options.tenant.as_deref(), &event).map_err(|error| InvokeError::Send {
            url: url.clone(),
            error,
        })?;
    if let Some(cause) = response.headers().get(ERROR_HEADER) {
        let cause = String::from_utf8_lossy(cause.as_bytes()).into_owned();
        return Err(InvokeError::Refused(cause));
    }
    let body = response.body_mut().with_config().limit(u64::MAX);
    let body = body.read_to_vec();
    let body = body.map_err(|error| InvokeError::Send { url, error })?;
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&body)
        .and_then(|()| stdout.write_all(b"\n"))
        .map_err(InvokeError::WriteStdout)?;
    let error = response.headers().get("x-amz-function-error");
    if let Some(text) = batch::consequence(&event, &body, error.is_some()) {
        eprintln!("lambda-local: {text}");
    }
    if let Some(error) = error {
        let error = String::from_utf8_lossy(error.as_bytes());
        eprintln!("lambda-local: the function failed ({error})");
        return Ok(ExitCode::FAILURE);
    }
    if !response.status().is_success() {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn read_event(source: &EventSource, batch: Option<usize>) -> Result<Vec<u8>, InvokeError> {
    match source {
        EventSource::Sample(name) => {
            let sample = samples::find(name).map_err(InvokeError::Sample)?;
            let Some(count) = batch else {
                return Ok(sample.as_bytes().to_vec());
            };
            let expanded = batch::expand(sample, count).map(String::into_bytes);
            expanded.ok_or_else(|| InvokeError::NoBatch(name.clone()))
        }
        EventSource::File(path) if path.as_os_str() == "-" => {
            let mut event = Vec::new();
            let read = io::stdin().read_to_end(&mut event);
            read.map(|_| event).map_err(InvokeError::ReadStdin)
        }
        EventSource::File(path) => std::fs::read(path).map_err(|error| InvokeError::ReadFile {
            path: path.clone(),
            error,
        }),
    }
}

fn url(host: &str, port: u16) -> String {
    // RFC 3986 3.2.2: an IPv6 address in a URL is in brackets.
    let (open, close) = if host.contains(':') {
        ("[", "]")
    } else {
        ("", "")
    };
    format!("http://{open}{host}{close}:{port}/2015-03-31/functions/function/invocations")
}

fn send(
    url: &str,
    tenant: Option<&str>,
    event: &[u8],
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let config = ureq::Agent::config_builder()
        .user_agent(concat!("lambda-local/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        // lambda-local runs on this machine or on this network, whatever HTTP_PROXY says.
        .proxy(None)
        .build();
    let mut request = config.new_agent().post(url);
    if let Some(tenant) = tenant {
        request = request.header("x-amz-tenant-id", tenant);
    }
    request.send(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_in_brackets() {
        assert!(url("::1", 3000).starts_with("http://[::1]:3000/"));
        assert!(url("localhost", 3000).starts_with("http://localhost:3000/"));
    }
}
