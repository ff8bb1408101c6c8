//! The APIs that Lambda offers inside an environment: routing, limits, and the responses that both
//! have in common.
//!
//! Each request is handled on the thread of its connection; a poll simply blocks.

pub mod extensions;
pub mod runtime;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use serde_json::Value;

use crate::function::environment::Environment;
use crate::function::variables::Ports;
use crate::http_server::{self, Exchange};
use crate::invocation::{ApiError, Fault};
use crate::json::object;

/// 6 MiB and 100 bytes: the largest event and the largest buffered response.
pub const PAYLOAD_LIMIT: usize = 6_291_556;
const STREAM_LIMIT: usize = 200 << 20;
const ERROR_LIMIT: usize = 1 << 20;

/// Serves the APIs of an environment until it is closed.
pub fn serve(listener: TcpListener, environment: Arc<Environment>) {
    let served = environment.clone();
    http_server::serve(
        listener,
        move || environment.is_closed(),
        move |exchange| {
            if exchange.head.path().starts_with("/2018-06-01/") {
                runtime::handle(&served, exchange)
            } else {
                extensions::handle(&served, exchange)
            }
        },
    );
}

/// Reads the error that a runtime or an extension posts. Lambda replaces a type that does not have
/// the form `Function.Name` or `Runtime.Name`.
fn read_fault(
    ports: Ports,
    exchange: &mut Exchange<'_>,
    type_header: &str,
    unknown_type: &str,
) -> io::Result<Fault> {
    let body = exchange.body.read_all(ERROR_LIMIT)?.unwrap_or_default();
    let posted = exchange.head.header(type_header).unwrap_or_default();
    let error_type = if is_known_type(posted) {
        posted
    } else if posted.starts_with("Function.") {
        "Function.Unknown"
    } else {
        unknown_type
    };
    Ok(posted_fault(ports, error_type, body))
}

fn posted_fault(ports: Ports, error_type: &str, body: Vec<u8>) -> Fault {
    let body = match String::from_utf8(body) {
        Ok(text) => ports.name_the_apps(&text).into_bytes(),
        Err(error) => error.into_bytes(),
    };
    Fault {
        error_type: error_type.to_owned(),
        message: error_message(&body),
        body: Some(body),
    }
}

fn is_known_type(error_type: &str) -> bool {
    let name = ["Runtime.", "Function.", "Extension."]
        .iter()
        .find_map(|prefix| error_type.strip_prefix(prefix))
        .unwrap_or_default();
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_uppercase())
        && letters.next().is_some_and(|c| c.is_ascii_alphabetic())
}

/// Returns the `errorMessage` of an error body for the log, or the whole body if it has none.
fn error_message(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|value| value.get("errorMessage"));
    match message.and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body).into_owned(),
    }
}

fn respond_accepted(exchange: &Exchange<'_>) -> io::Result<()> {
    exchange.respond(
        202,
        &[("content-type", "application/json")],
        b"{\"status\":\"OK\"}\n",
    )
}

fn respond_result(exchange: &Exchange<'_>, result: Result<(), ApiError>) -> io::Result<()> {
    match result {
        Ok(()) => respond_accepted(exchange),
        Err(error) => respond_error(exchange, &error),
    }
}

fn respond_error(exchange: &Exchange<'_>, error: &ApiError) -> io::Result<()> {
    respond_message(
        exchange,
        error.status(),
        error.error_type(),
        &error.to_string(),
    )
}

fn respond_message(
    exchange: &Exchange<'_>,
    status: u16,
    error_type: &str,
    message: &str,
) -> io::Result<()> {
    let body = object([
        ("errorMessage", message.into()),
        ("errorType", error_type.into()),
    ]);
    exchange.respond(
        status,
        &[("content-type", "application/json")],
        format!("{body}\n").as_bytes(),
    )
}

fn respond_not_found(exchange: &Exchange<'_>) -> io::Result<()> {
    respond_text(exchange, 404, "404 page not found\n")
}

fn respond_text(exchange: &Exchange<'_>, status: u16, body: &str) -> io::Result<()> {
    exchange.respond(status, &[("content-type", "text/plain")], body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_of_the_documented_form_are_kept() {
        for kept in [
            "Function.AppTimeout",
            "Runtime.ExitError",
            "Extension.Crash",
        ] {
            assert!(is_known_type(kept), "{kept}");
        }
        for replaced in [
            "unhandled",
            "Function.",
            "Function.x",
            "Runtime.9",
            "Mine.Error",
            "",
        ] {
            assert!(!is_known_type(replaced), "{replaced}");
        }
    }
}
