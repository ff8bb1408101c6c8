//! A request to the app, and its head as bytes (RFC 9112 3 and 5).

use std::borrow::Cow;

use codec::simd::find_control;

use crate::http::headers::Headers;
use crate::http::write_request_line;
use crate::text;

/// How much of the method and of the target an error or a log line has.
const MAX_NAME: usize = 1 << 10;

#[derive(Debug)]
pub struct Request<'a> {
    pub method: Cow<'a, str>,
    /// The request target in origin form, already percent-encoded.
    pub target: Vec<u8>,
    pub headers: Headers,
    pub body: &'a [u8],
}

impl Request<'_> {
    /// `GET /path`, for errors and log lines.
    pub fn name(&self) -> String {
        let mut name = text::plain(self.method.as_bytes(), MAX_NAME);
        name.push(' ');
        name.push_str(&text::plain(&self.target, MAX_NAME));
        name
    }

    /// Whether sending it twice has the effect of sending it once (RFC 9110 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            &*self.method,
            "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
        )
    }

    /// Appends the request line and the headers.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        write_request_line(out, self.method.as_bytes(), &self.target);
        self.headers.write_to(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Replaces each control byte except the tab with a space, and then trims the value
/// (RFC 9110 5.5).
pub fn clean(value: &str) -> Cow<'_, str> {
    if find_control(value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let mut cleaned = String::new();
    for c in value.chars() {
        let is_replaced = c.is_ascii_control() && c != '\t';
        cleaned.push(if is_replaced { ' ' } else { c });
    }
    Cow::Owned(cleaned.trim().to_owned())
}
