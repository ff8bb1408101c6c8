//! The Extensions API (`/2020-01-01`): "Using the Lambda Extensions API" in the developer guide.
//!
//! The Telemetry and Logs APIs are not supported: as in AWS's emulator, a subscription gets a 202
//! whose body says so, and extensions continue without it.

use std::io;

use serde_json::Value;

use crate::api::{
    ERROR_LIMIT, read_fault, respond_error, respond_message, respond_not_found, respond_result,
};
use crate::clock;
use crate::function::environment::Environment;
use crate::function::variables::ACCOUNT_ID;
use crate::http_server::{Exchange, Head};
use crate::invocation::ApiError;
use crate::json::object;

const IDENTIFIER: &str = "lambda-extension-identifier";
const ERROR_TYPE: &str = "lambda-extension-function-error-type";

pub fn handle(environment: &Environment, exchange: &mut Exchange<'_>) -> io::Result<()> {
    match (exchange.head.method.as_str(), exchange.head.path()) {
        ("POST", "/2020-01-01/extension/register") => register(environment, exchange),
        ("GET", "/2020-01-01/extension/event/next") => {
            match identifier(&exchange.head).and_then(|id| environment.event_next(id)) {
                Ok(Some(event)) => {
                    let headers = [
                        ("content-type", "application/json"),
                        ("lambda-extension-event-identifier", &clock::uuid()),
                    ];
                    exchange.respond(200, &headers, event.as_bytes())
                }
                // The environment is shutting down.
                Ok(None) => Err(io::ErrorKind::ConnectionAborted.into()),
                Err(error) => respond_error(exchange, &error),
            }
        }
        ("POST", "/2020-01-01/extension/init/error" | "/2020-01-01/extension/exit/error") => {
            let fault = read_fault(
                environment.profile.ports,
                exchange,
                ERROR_TYPE,
                "Extension.Unknown",
            )?;
            let id = identifier(&exchange.head);
            let result = id.and_then(|id| environment.extension_error(id, fault));
            respond_result(exchange, result)
        }
        ("PUT", "/2022-07-01/telemetry" | "/2020-08-15/logs") => {
            exchange.body.read_all(ERROR_LIMIT)?;
            respond_message(
                exchange,
                202,
                "Telemetry.NotSupported",
                "Telemetry API is not supported",
            )
        }
        _ => respond_not_found(exchange),
    }
}

fn register(environment: &Environment, exchange: &mut Exchange<'_>) -> io::Result<()> {
    let body = exchange.body.read_all(ERROR_LIMIT)?.unwrap_or_default();
    let name = exchange.head.header("lambda-extension-name");
    let registered = parse_events(&body).and_then(|events| {
        let name = name.filter(|name| !name.is_empty());
        environment.register(name.ok_or(ApiError::InvalidExtensionName)?, &events)
    });
    let id = match registered {
        Ok(id) => id,
        Err(error) => return respond_error(exchange, &error),
    };
    let mut function = object([
        (
            "functionName",
            environment.profile.function_name.as_str().into(),
        ),
        ("functionVersion", "$LATEST".into()),
        ("handler", "handler".into()),
    ]);
    let features = exchange.head.header("lambda-extension-accept-feature");
    if features.is_some_and(|features| features.contains("accountId")) {
        function.push("accountId", ACCOUNT_ID.into());
    }
    exchange.respond(
        200,
        &[("content-type", "application/json"), (IDENTIFIER, &id)],
        &function.bytes(),
    )
}

/// Returns the events of `{"events":[..]}`. The list is optional, the object is not.
fn parse_events(body: &[u8]) -> Result<Vec<String>, ApiError> {
    let invalid = || ApiError::InvalidRegistration;
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

fn identifier(head: &Head) -> Result<&str, ApiError> {
    head.header(IDENTIFIER).ok_or(ApiError::MissingExtensionId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_needs_an_object_but_no_events() {
        assert_eq!(parse_events(b"{}").ok(), Some(vec![]));
        assert_eq!(parse_events(b"{ \"events\": [] }").ok(), Some(vec![]));
        assert_eq!(
            parse_events(br#"{"events":["INVOKE"]}"#).ok(),
            Some(vec!["INVOKE".to_owned()])
        );
        for invalid in ["", "[]", r#"{"events":"INVOKE"}"#, r#"{"events":[1]}"#] {
            assert!(parse_events(invalid.as_bytes()).is_err(), "{invalid}");
        }
    }
}
