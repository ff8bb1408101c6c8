//! The body of a request (RFC 9112 6 and 7): a length or chunks with trailers.

use std::io::{self, BufRead, Write};
use std::net::TcpStream;

use super::head::{Head, malformed, read_line, read_trailers, unsupported};
use super::{Headers, header};

const CHUNK_LINE_LIMIT: usize = 4096;
/// CRLF and one byte more: a line that fills the limit is an error.
const CHUNK_END_LIMIT: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Framing {
    /// Bytes left.
    Length(u64),
    ChunkSize,
    /// Bytes left of this chunk.
    ChunkData(u64),
    Complete,
}

/// A request body. Reading one that ends early is an `UnexpectedEof`.
#[derive(Debug)]
pub struct Body<'r, R> {
    reader: &'r mut R,
    framing: Framing,
    /// The client that waits for permission to send the body.
    pub(super) waiting_client: Option<&'r TcpStream>,
    pub trailers: Headers,
}

impl<'r, R: BufRead> Body<'r, R> {
    pub fn new(head: &Head, reader: &'r mut R) -> io::Result<Body<'r, R>> {
        let mut lengths = head.headers.iter();
        let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
        let length = header(&head.headers, "content-length");
        // RFC 9112 6.3: lengths that differ, or a length beside chunks, could hide a request.
        if lengths.any(|(name, value)| is_length(name) && Some(value.as_str()) != length) {
            return Err(malformed("content-length: there are two"));
        }
        let framing = match (head.header("transfer-encoding"), length) {
            (Some(_), Some(_)) => return Err(malformed("framing: chunks and a length")),
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::ChunkSize,
            (Some(_), None) => return Err(unsupported("transfer-encoding: only chunked is")),
            (None, None) => Framing::Complete,
            (None, Some(length)) => match digits(length).and_then(|digits| digits.parse().ok()) {
                Some(length) => Framing::Length(length),
                None => return Err(malformed("content-length")),
            },
        };
        Ok(Body {
            reader,
            framing,
            waiting_client: None,
            trailers: Headers::new(),
        })
    }

    /// Reads the data that is available, after blocking for the first byte. Returns 0 at the end of
    /// the body, when `trailers` is filled in.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(mut client) = self.waiting_client.take().filter(|_| !self.is_complete()) {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        loop {
            match self.framing {
                Framing::Complete | Framing::Length(0) => return Ok(0),
                Framing::Length(left) => {
                    let read = self.read_data(buffer, left)?;
                    self.framing = Framing::Length(left - read as u64);
                    return Ok(read);
                }
                Framing::ChunkData(0) => {
                    let line = read_line(self.reader, &mut { CHUNK_END_LIMIT })?;
                    if !line.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {
                        return Err(malformed("chunk"));
                    }
                    self.framing = Framing::ChunkSize;
                }
                Framing::ChunkData(left) => {
                    let read = self.read_data(buffer, left)?;
                    self.framing = Framing::ChunkData(left - read as u64);
                    return Ok(read);
                }
                Framing::ChunkSize => self.framing = self.read_chunk_size()?,
            }
        }
    }

    fn read_chunk_size(&mut self) -> io::Result<Framing> {
        let line = read_line(self.reader, &mut { CHUNK_LINE_LIMIT })?;
        let line = line.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        // `from_str_radix` would accept a sign.
        if size.starts_with(['+', '-']) {
            return Err(malformed("chunk size"));
        }
        match u64::from_str_radix(size, 16) {
            Ok(0) => {
                self.trailers = read_trailers(self.reader)?;
                Ok(Framing::Complete)
            }
            Ok(size) => Ok(Framing::ChunkData(size)),
            Err(_) => Err(malformed("chunk size")),
        }
    }

    fn read_data(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let len = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self
            .reader
            .read(buffer.get_mut(..len).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }

    /// Reads the whole body; `None` if it is larger than the limit. It is read to its end in this
    /// case, too: a client that is still sending might not read the error response.
    pub fn read_all(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let (mut body, mut too_large) = (Vec::new(), false);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = self.read(&mut buffer)?;
            if read == 0 {
                return Ok((!too_large).then_some(body));
            }
            too_large |= body.len() + read > limit;
            if !too_large {
                body.extend_from_slice(buffer.get(..read).unwrap_or_default());
            }
        }
    }

    /// Returns true if the client waits for permission to send more than this.
    pub fn is_refusable(&self, limit: usize) -> bool {
        let exceeds = matches!(self.framing, Framing::Length(length) if length > limit as u64);
        self.waiting_client.is_some() && exceeds
    }

    pub fn is_complete(&self) -> bool {
        matches!(self.framing, Framing::Complete | Framing::Length(0))
    }
}

/// Returns the text if it has digits only: `parse` would accept a sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(message: &str) -> io::Result<(Vec<u8>, Headers)> {
        let mut reader = message.as_bytes();
        let head = Head::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut body = Body::new(&head, &mut reader)?;
        let data = body.read_all(1 << 20)?.ok_or(io::ErrorKind::InvalidData)?;
        Ok((data, body.trailers))
    }

    #[test]
    fn a_sized_body_ends_at_its_length() {
        let (body, _) =
            body_of("POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef").expect("body");
        assert_eq!(body, b"abc");
    }

    #[test]
    fn chunks_are_joined_and_trailers_are_kept() {
        let message = "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
            3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT-One: 1\r\nt-two:2\r\n\r\n";
        let (body, trailers) = body_of(message).expect("body");
        assert_eq!(body, b"abcde");
        assert_eq!(header(&trailers, "t-one"), Some("1"));
        assert_eq!(header(&trailers, "T-Two"), Some("2"));
    }

    #[test]
    fn every_prefix_of_a_chunked_message_is_an_unexpected_eof() {
        let message =
            "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n";
        for end in 1..message.len() {
            let part = message.get(..end).unwrap_or_default();
            let error = body_of(part).expect_err(part);
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{part:?}");
        }
    }

    #[test]
    fn a_body_has_one_length() {
        for (headers, kind) in [
            (
                "content-length: 1\r\ncontent-length: 2",
                io::ErrorKind::InvalidData,
            ),
            ("content-length: +1", io::ErrorKind::InvalidData),
            (
                "content-length: 1\r\ntransfer-encoding: chunked",
                io::ErrorKind::InvalidData,
            ),
            (
                "transfer-encoding: gzip, chunked",
                io::ErrorKind::Unsupported,
            ),
        ] {
            let message = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\nab");
            assert_eq!(
                body_of(&message).expect_err(headers).kind(),
                kind,
                "{headers}"
            );
        }
        let same = "POST / HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nab";
        assert_eq!(body_of(same).expect("a body").0, b"ab");
        let other = Head::read(&mut &b"PRI * HTTP/2.0\r\n\r\n"[..]).expect_err("a version");
        assert_eq!(other.kind(), io::ErrorKind::InvalidInput);
    }
}
