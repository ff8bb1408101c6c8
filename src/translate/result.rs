//! The result of an event that is not an HTTP request: the body of the response alone.

use crate::logger::line::warn;
use codec::{base64, json};

use crate::error::{Class, Failure};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const FAILURES: &[u8] = b"batchItemFailures";

/// Writes the reply to an event that is not an HTTP request: the body alone,
/// unchanged if it is JSON, as a JSON string if it is other text.
pub fn write(body: &[u8], out: &mut Vec<u8>) {
    if body.trim_ascii().is_empty() {
        out.extend_from_slice(b"null");
    } else if json::is_valid(body) {
        out.extend_from_slice(body);
    } else if let Ok(text) = std::str::from_utf8(body) {
        json::write_string(out, text);
    } else {
        warn!("the response of the app is neither JSON nor text: sent as base64");
        out.push(b'"');
        base64::encode(out, body);
        out.push(b'"');
    }
}

/// The result of an event source mapping, which is an object or null: with
/// `ReportBatchItemFailures` any other value can be read as a failed batch, which is then
/// retried until it expires. Fails if the body lists failures in another form: as null they would
/// count as processed.
pub fn of_batch(body: &[u8]) -> Result<&[u8], Failure> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    match body.trim_ascii_start() {
        [b'{', ..] if json::is_valid(body) => Ok(body),
        _ if body.windows(FAILURES.len()).any(|part| part == FAILURES) => Err(Failure::new(
            Class::AppProtocol,
            "the response of the app names batchItemFailures, but is no JSON object".into(),
        )),
        _ => Ok(b"null"),
    }
}
