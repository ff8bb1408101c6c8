//! Asynchronous invocations: repeated after an error, then given up.
//!
//! "Retain records of asynchronous invocations" and "How Lambda handles errors and retries with
//! asynchronous invocation" in the developer guide: an event is tried three times, with one and two
//! minutes in between, and a throttled one for up to six hours. Here the intervals are seconds. An
//! event that is given up is a line of the dead-letter file, in the format of a destination.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use super::Function;
use super::variables::function_arn;
use crate::clock;
use crate::invocation::{Fault, InvokeRequest, Reply, THROTTLED};
use crate::json::{Json, object};

/// The interval before each repetition.
const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
const THROTTLED_INTERVAL: Duration = Duration::from_secs(1);

/// Invokes the function on a thread of its own.
pub fn start(function: Arc<Function>, request: InvokeRequest) {
    std::thread::spawn(move || {
        let mut intervals = INTERVALS.iter();
        loop {
            let Some(fault) = attempt(&function, &request) else {
                return;
            };
            if function.is_stopping() {
                return;
            }
            if fault.error_type == THROTTLED {
                std::thread::sleep(THROTTLED_INTERVAL);
                continue;
            }
            function.log_fault(&fault);
            let logger = &function.setup.logger;
            let id = &request.id;
            let Some(interval) = intervals.next() else {
                logger.warn(&format!(
                    "asynchronous invocation {id} has failed three times"
                ));
                if let Err(error) = keep(&function, &request, &fault) {
                    logger.warn(&format!("failed to write the dead-letter file: {error}"));
                }
                return;
            };
            let seconds = interval.as_secs();
            logger.info(&format!(
                "asynchronous invocation {id}: retry in {seconds} s"
            ));
            std::thread::sleep(*interval);
        }
    });
}

/// Returns the error of a failed attempt.
fn attempt(function: &Arc<Function>, request: &InvokeRequest) -> Option<Fault> {
    let mut fault = None;
    // The invocation blocks when the channel is full, so the whole reply must be received.
    for reply in function.invoke(request.clone()) {
        if let Reply::Failed(failed) | Reply::StreamEnd(Some(failed)) = reply {
            fault = Some(failed);
        }
    }
    fault
}

/// Appends the event and the last error to the dead-letter file.
fn keep(function: &Function, request: &InvokeRequest, fault: &Fault) -> io::Result<()> {
    let options = &function.setup.options;
    let Some(path) = &options.dead_letter else {
        return Ok(());
    };
    let attempts = INTERVALS.len() as i64 + 1;
    let context = object([
        ("requestId", request.id.as_str().into()),
        ("functionArn", function_arn(&options.function_name).into()),
        ("condition", "RetriesExhausted".into()),
        ("approximateInvokeCount", attempts.into()),
    ]);
    let response = object([
        ("statusCode", 200.into()),
        ("executedVersion", "$LATEST".into()),
        ("functionError", "Unhandled".into()),
    ]);
    let payload = fault.payload(&request.id);
    let record = [
        ("version", Json::from("1.0").to_string()),
        (
            "timestamp",
            Json::from(clock::iso(clock::now_ms())).to_string(),
        ),
        ("requestContext", context.to_string()),
        ("requestPayload", json_line(&request.payload)),
        ("responseContext", response.to_string()),
        ("responsePayload", json_line(&payload)),
    ];
    let pairs = record.map(|(name, value)| format!("\"{name}\":{value}"));
    let line = format!("{{{}}}\n", pairs.join(","));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

/// Returns JSON unchanged but in one line, and any other text as a string.
fn json_line(payload: &[u8]) -> String {
    match serde_json::from_slice::<&RawValue>(payload) {
        // A line feed in JSON is never within a string.
        Ok(json) => json.get().replace(['\n', '\r'], " "),
        Err(_) => Json::from(String::from_utf8_lossy(payload).into_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_several_lines_becomes_one() {
        assert_eq!(json_line(b"{\n \"a\": 1.50\n}"), "{  \"a\": 1.50 }");
        assert_eq!(json_line(b"not \"JSON\""), r#""not \"JSON\"""#);
    }
}
