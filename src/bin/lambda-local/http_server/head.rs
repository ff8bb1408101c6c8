//! The head of a request (RFC 9112 2 to 5): request line, header fields, persistence.

use std::io::{self, BufRead, Read};

use super::{Headers, header};

const HEAD_LIMIT: usize = 1 << 20;

#[derive(Debug)]
pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub(super) is_http_1_0: bool,
    pub(super) keep_alive: bool,
}

impl Head {
    /// Reads a request head; `None` if the client closed the connection between two requests.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
        let mut limit = HEAD_LIMIT;
        let mut first = read_line(reader, &mut limit)?;
        // RFC 9112 2.2: ignore one empty line before the request line.
        if first.as_deref() == Some("") {
            first = read_line(reader, &mut limit)?;
        }
        let Some(first) = first else { return Ok(None) };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed("request line"));
        };
        if method.is_empty() || target.is_empty() || !version.starts_with("HTTP/") {
            return Err(malformed("request line"));
        }
        if !version.starts_with("HTTP/1.") {
            let text = "unsupported HTTP version: only 1.1 and 1.0 are known";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let headers = read_fields(reader, &mut limit)?;
        let connection = header(&headers, "connection").map(str::to_ascii_lowercase);
        let connection = connection.unwrap_or_default();
        let is_http_1_0 = version == "HTTP/1.0";
        let keep_alive = if is_http_1_0 {
            connection.contains("keep-alive")
        } else {
            !connection.contains("close")
        };
        Ok(Some(Head {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            is_http_1_0,
            keep_alive,
        }))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// RFC 9110 10.1.1: an HTTP/1.0 client cannot wait for a 100 response.
    pub(super) fn expectation(&self) -> io::Result<Expectation> {
        match self.header("expect").filter(|_| !self.is_http_1_0) {
            None => Ok(Expectation::None),
            Some(value) if value.eq_ignore_ascii_case("100-continue") => Ok(Expectation::Continue),
            Some(_) => Err(malformed("expectation: only 100-continue is known")),
        }
    }

    /// Returns true if the client asks for this protocol on the connection.
    pub fn is_upgrade(&self, protocol: &str) -> bool {
        let mut offered = self.header("upgrade").unwrap_or_default().split(',');
        offered.any(|offer| offer.trim().eq_ignore_ascii_case(protocol))
    }

    pub fn is_http_1_0(&self) -> bool {
        self.is_http_1_0
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    None,
    /// The client waits for a response with status 100 before it sends the body.
    Continue,
}

/// Reads the header fields of a head, or the trailers of a body.
pub(super) fn read_trailers(reader: &mut impl BufRead) -> io::Result<Headers> {
    read_fields(reader, &mut { HEAD_LIMIT })
}

fn read_fields(reader: &mut impl BufRead, limit: &mut usize) -> io::Result<Headers> {
    let mut headers = Headers::new();
    loop {
        let Some(line) = read_line(reader, limit)? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if line.is_empty() {
            return Ok(headers);
        }
        match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
            }
            _ => return Err(malformed("header line")),
        }
    }
}

/// Reads a line of at most `limit` bytes, and lowers the limit by its length. A line that is not
/// UTF-8 is decoded as ISO 8859-1, so that no byte is lost.
pub(super) fn read_line(
    reader: &mut impl BufRead,
    limit: &mut usize,
) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut limited = reader.by_ref().take(*limit as u64);
    let read = limited.read_until(b'\n', &mut line)?;
    *limit -= read;
    if line.pop() != Some(b'\n') {
        return match (read, *limit) {
            (_, 0) => Err(malformed("line: too long")),
            (0, _) => Ok(None),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8(line).unwrap_or_else(|error| {
        error.into_bytes().into_iter().map(char::from).collect()
    })))
}

pub(super) fn malformed(part: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {part}"))
}

pub(super) fn unsupported(part: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("unsupported {part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_head_is_malformed() {
        for head in [
            "GET /\r\n\r\n",
            "GET / x HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
        ] {
            let error = Head::read(&mut head.as_bytes()).expect_err(head);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{head:?}");
        }
    }

    #[test]
    fn header_bytes_that_are_not_utf8_are_read_as_iso_8859_1() {
        let head = Head::read(&mut &b"GET / HTTP/1.1\r\nx: caf\xe9\r\n\r\n"[..])
            .expect("head")
            .expect("head");
        assert_eq!(head.header("X"), Some("café"));
    }
}
