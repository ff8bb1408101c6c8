//! The Extensions API (`/2020-01-01`), as the page "Using the Lambda Extensions API" of the developer guide gives it.
//!
//! The Telemetry and Logs APIs are not there: as in AWS's own emulator, a subscription gets a 202 that says so, and extensions go on without.

use std::io::{self, BufRead};
use std::net::TcpStream;

use serde_json::Value;

use crate::api::runtime::{finish, posted_fault, refuse};
use crate::clock;
use crate::function::environment::Environment;
use crate::http_server::{self, Body, Head};
use crate::invocation::Refusal;
use crate::json::object;

const IDENTIFIER: &str = "lambda-extension-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";

pub fn handle<R: BufRead>(
    environment: &Environment,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    match (head.method.as_str(), head.path()) {
        ("POST", "/2020-01-01/extension/register") => register(environment, head, body, stream),
        ("GET", "/2020-01-01/extension/event/next") => {
            match identifier(head).and_then(|id| environment.event_next(id)) {
                Ok(Some(event)) => {
                    let headers = [
                        ("content-type", "application/json"),
                        ("lambda-extension-event-identifier", &clock::uuid()),
                    ];
                    http_server::respond(stream, head, 200, &headers, event.as_bytes())
                }
                // Nobody is served any more: the extension is about to be ended.
                Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
                Err(refusal) => refuse(&refusal, head, stream),
            }
        }
        ("POST", "/2020-01-01/extension/init/error" | "/2020-01-01/extension/exit/error") => {
            let fault = posted_fault(head, body, ERROR_TYPE, "Extension.Unknown")?;
            finish(
                identifier(head).and_then(|id| environment.extension_error(id, fault)),
                head,
                stream,
            )
        }
        ("PUT", "/2022-07-01/telemetry" | "/2020-08-15/logs") => {
            body.all(1 << 20)?;
            let refusal = Refusal {
                status: 202,
                kind: "Telemetry.NotSupported",
                message: "Telemetry API is not supported".to_owned(),
            };
            refuse(&refusal, head, stream)
        }
        _ => http_server::respond(
            stream,
            head,
            404,
            &[("content-type", "text/plain")],
            b"404 page not found\n",
        ),
    }
}

fn register<R: BufRead>(
    environment: &Environment,
    head: &Head,
    body: &mut Body<'_, R>,
    stream: &TcpStream,
) -> io::Result<()> {
    let body = body.all(1 << 20)?.unwrap_or_default();
    let registered = events_of(&body).and_then(|events| {
        let name = head
            .header("lambda-extension-name")
            .filter(|name| !name.is_empty());
        let name = name
            .ok_or_else(|| forbidden("Extension.InvalidExtensionName", "Invalid extension name"))?;
        environment.register(name, &events)
    });
    match registered {
        Ok(id) => {
            let mut answer = object([
                ("functionName", environment.function_name.as_str().into()),
                ("functionVersion", "$LATEST".into()),
                ("handler", "handler".into()),
            ]);
            if head
                .header("lambda-extension-accept-feature")
                .is_some_and(|features| features.contains("accountId"))
            {
                answer.push("accountId", crate::api::runtime::ACCOUNT.into());
            }
            http_server::respond(
                stream,
                head,
                200,
                &[("content-type", "application/json"), (IDENTIFIER, &id)],
                &answer.bytes(),
            )
        }
        Err(refusal) => refuse(&refusal, head, stream),
    }
}

/// The events of `{"events":[..]}`; the list may be missing, the object may not.
fn events_of(body: &[u8]) -> Result<Vec<String>, Refusal> {
    let invalid = || forbidden("InvalidRequestFormat", "Invalid request format");
    let body: Value = serde_json::from_slice(body).map_err(|_| invalid())?;
    match body.as_object().ok_or_else(invalid)?.get("events") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(events) => events
            .as_array()
            .ok_or_else(invalid)?
            .iter()
            .map(|event| event.as_str().map(str::to_owned).ok_or_else(invalid))
            .collect(),
    }
}

fn identifier(head: &Head) -> Result<&str, Refusal> {
    head.header(IDENTIFIER).ok_or_else(|| {
        forbidden(
            "Extension.MissingExtensionIdentifier",
            "Missing Lambda-Extension-Identifier header",
        )
    })
}

fn forbidden(kind: &'static str, message: &str) -> Refusal {
    Refusal {
        status: 403,
        kind,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_needs_a_body_but_no_events() {
        assert_eq!(events_of(b"{}").ok(), Some(vec![]));
        assert_eq!(events_of(b"{ \"events\": [] }").ok(), Some(vec![]));
        assert_eq!(
            events_of(br#"{"events":["INVOKE"]}"#).ok(),
            Some(vec!["INVOKE".to_owned()])
        );
        for wrong in ["", "[]", r#"{"events":"INVOKE"}"#, r#"{"events":[1]}"#] {
            assert!(events_of(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
