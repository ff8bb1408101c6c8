//! A request to the app, and its head as bytes (RFC 9112 3 and 5).

use std::borrow::Cow;

use crate::http::headers::Headers;
use crate::http::{write_field, write_request_line};

#[derive(Debug)]
pub struct Request<'a> {
    pub method: Cow<'a, str>,
    /// The request target in origin form, already percent-encoded.
    pub target: Vec<u8>,
    pub headers: Headers,
    pub body: &'a [u8],
}

impl Request<'_> {
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
        for (name, value) in self.headers.iter() {
            write_field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}
