//! The calls by our own HTTP/1.1: for builds without ureq.

use std::io::{self, IoSlice};
use std::net::TcpStream;

use super::{ApiError, Call, LIMIT, USER_AGENT, too_large};
use crate::http::headers::Headers;
use crate::http::{self, Body, Input};
use crate::net::connection::{Watch, Wire};
use crate::net::resolve;

/// One caller's connection.
#[derive(Debug)]
pub struct Client {
    address: String,
    kept: Option<Wire>,
    head: Vec<u8>,
}

impl Client {
    /// `address` is `host:port`.
    pub fn new(address: &str) -> Client {
        Client {
            address: address.to_owned(),
            kept: None,
            head: Vec::new(),
        }
    }

    pub fn prepare(&mut self) {
        if self.kept.is_none() {
            self.kept = connect(&self.address).ok();
        }
    }

    /// Makes the call; the answer's fields and body replace what is in `headers` and `into`.
    pub fn call(
        &mut self,
        call: &Call,
        headers: &mut Headers,
        into: &mut Vec<u8>,
    ) -> Result<u16, ApiError> {
        headers.clear();
        into.clear();
        self.write_head(call);
        let mut wire = match self.kept.take() {
            Some(wire) => wire,
            None => {
                connect(&self.address).map_err(|error| ApiError::Transport(error.to_string()))?
            }
        };
        let mut watch = match call.deadline_ms {
            Some(_) => Watch::until(format!("POST {}", call.path), call.deadline_ms, None),
            None => Watch::endless(),
        };
        let parts = [&self.head, call.body.unwrap_or_default()];
        match wire.send(&mut parts.map(IoSlice::new), &mut watch) {
            Ok(_) => {}
            Err(error) => return Err(ApiError::Closed(error.to_string())),
        }
        let (input, mut reader) = wire.reader(&mut watch, false);
        let head = match http::read_head(input, &mut reader, headers, false) {
            Ok(head) => head,
            Err(error) if reader.more => return Err(ApiError::Transport(error.to_string())),
            Err(error) => return Err(ApiError::Closed(error.to_string())),
        };
        let mut body = Body::new(head.framing);
        let whole = body
            .read_to(input, &mut reader, into, LIMIT)
            .map_err(|error| ApiError::Transport(error.to_string()))?;
        if !whole {
            return Err(too_large());
        }
        if head.reusable && wire.input.pending().is_empty() {
            self.kept = Some(wire);
        }
        Ok(head.status)
    }

    fn write_head(&mut self, call: &Call) {
        let out = &mut self.head;
        out.clear();
        let method = if call.body.is_some() { "POST" } else { "GET" };
        http::write_request_line(out, method.as_bytes(), call.path.as_bytes());
        http::write_field(out, b"host", self.address.as_bytes());
        http::write_field(out, b"user-agent", USER_AGENT.as_bytes());
        for (name, value) in call.fields {
            http::write_field(out, name.as_bytes(), value.as_bytes());
        }
        if let Some(body) = call.body {
            http::write_field(out, b"content-length", body.len().to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn connect(address: &str) -> io::Result<Wire> {
    let stream = TcpStream::connect(&resolve::endpoint(address)?[..])?;
    Wire::new(stream, Input::new(16 << 10))?.watched()
}
