//! HTTP/1.1 on the server's side (RFC 9112): request heads, bodies with trailers, and responses
//! that are written whole or in chunks.
//!
//! The front end, the Runtime API and the Extensions API need more than a server library offers:
//! the trailers of a streamed response, each chunk as soon as it arrives or is sent, and a
//! connection that can be aborted so that the client detects a truncated response. The HTTP code of
//! the adapter is not used, because it is under test here.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use lambda_adapter::http::reason::reason;

const HEAD_LIMIT: usize = 1 << 20;
const CHUNK_LINE_LIMIT: usize = 4096;
/// CRLF and one byte more: a line that fills the limit is an error.
const CHUNK_END_LIMIT: usize = 3;

pub type Headers = Vec<(String, String)>;

/// Returns the first value of a header; names are case-insensitive.
pub fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Serves each connection on a thread of its own. `is_stopped` is checked whenever a connection is
/// accepted, so one more connection ends the loop.
pub fn serve(
    listener: TcpListener,
    is_stopped: impl Fn() -> bool,
    handle: impl Fn(&mut Exchange<'_>) -> io::Result<()> + Clone + Send + 'static,
) {
    for stream in listener.incoming() {
        if is_stopped() {
            return;
        }
        // The client closed the connection before it was accepted.
        let Ok(stream) = stream else { continue };
        let handle = handle.clone();
        std::thread::spawn(move || {
            // A client that disconnects or violates the protocol loses only its own connection.
            let _ = serve_connection(&stream, &handle);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

fn serve_connection(
    mut stream: &TcpStream,
    handle: &impl Fn(&mut Exchange<'_>) -> io::Result<()>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    loop {
        let head = match Head::read(&mut reader) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return reject(stream, &error);
            }
            Err(error) => return Err(error),
        };
        let body = Body::new(&head, &mut reader)?;
        let expect = head.header("expect").unwrap_or_default();
        if expect.eq_ignore_ascii_case("100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let keep_alive = head.keep_alive;
        let mut exchange = Exchange { head, body, stream };
        handle(&mut exchange)?;
        if !exchange.body.is_complete() || !keep_alive {
            return Ok(());
        }
    }
}

fn reject(mut stream: &TcpStream, error: &io::Error) -> io::Result<()> {
    let body = format!("{error}\n");
    let head = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())
}

/// One request, and the connection for its response.
#[derive(Debug)]
pub struct Exchange<'c> {
    pub head: Head,
    pub body: Body<'c, BufReader<TcpStream>>,
    pub stream: &'c TcpStream,
}

impl Exchange<'_> {
    /// Sends a whole response in one write, with `content-length`.
    pub fn respond<K: AsRef<str>, V: AsRef<str>>(
        &self,
        status: u16,
        headers: &[(K, V)],
        body: &[u8],
    ) -> io::Result<()> {
        let is_head = self.head.method == "HEAD";
        let mut names = headers.iter().map(|(name, _)| name.as_ref());
        let has_length = names.any(|name| name.eq_ignore_ascii_case("content-length"));
        let mut response = Vec::with_capacity(512 + body.len());
        push_head(&mut response, status, headers);
        // RFC 9110 8.6: no length with 204 and 304. The response to HEAD has the length that GET
        // would have, or none if it is not known.
        let is_unsized = matches!(status, 204 | 304) || (is_head && body.is_empty());
        if !has_length && !is_unsized {
            write!(response, "content-length: {}\r\n", body.len())?;
        }
        response.extend_from_slice(b"\r\n");
        if !is_head && !matches!(status, 100..=199 | 204 | 304) {
            response.extend_from_slice(body);
        }
        let mut stream = self.stream;
        stream.write_all(&response)
    }

    /// Sends the head of a response whose length is not known.
    pub fn begin_stream(
        &self,
        status: u16,
        headers: &[(String, String)],
    ) -> io::Result<ResponseStream<'_>> {
        let mut head = Vec::with_capacity(512);
        push_head(&mut head, status, headers);
        // HTTP/1.0 clients do not know chunks: the end of the connection ends the body.
        let is_chunked = !self.head.is_http_1_0;
        head.extend_from_slice(if is_chunked {
            b"transfer-encoding: chunked\r\n\r\n"
        } else {
            b"connection: close\r\n\r\n"
        });
        let mut connection = self.stream;
        connection.write_all(&head)?;
        Ok(ResponseStream {
            connection,
            is_chunked,
        })
    }
}

/// The body of a response whose length is not known.
#[derive(Debug)]
pub struct ResponseStream<'s> {
    connection: &'s TcpStream,
    is_chunked: bool,
}

impl ResponseStream<'_> {
    /// Sends data at once. Empty data is not sent: an empty chunk would end the body.
    pub fn send(&mut self, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if !self.is_chunked {
            return self.connection.write_all(data);
        }
        let size = format!("{:x}\r\n", data.len());
        self.connection
            .write_all(&[size.as_bytes(), data, b"\r\n"].concat())
    }

    /// Ends the body. The error for an HTTP/1.0 client makes the caller close the connection.
    pub fn end(mut self) -> io::Result<()> {
        if !self.is_chunked {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.connection.write_all(b"0\r\n\r\n")
    }
}

fn push_head<K: AsRef<str>, V: AsRef<str>>(out: &mut Vec<u8>, status: u16, headers: &[(K, V)]) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref());
        // Against header injection: a name or value that could end the line is dropped.
        if !name.is_empty()
            && !name.contains(['\r', '\n', '\0', ':', ' '])
            && !value.contains(['\r', '\n', '\0'])
        {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
}

#[derive(Debug)]
pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    is_http_1_0: bool,
    keep_alive: bool,
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
        if method.is_empty() || target.is_empty() || !version.starts_with("HTTP/1.") {
            return Err(malformed("request line"));
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

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
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
fn read_line(reader: &mut impl BufRead, limit: &mut usize) -> io::Result<Option<String>> {
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

fn malformed(part: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {part}"))
}

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
    pub trailers: Headers,
}

impl<'r, R: BufRead> Body<'r, R> {
    pub fn new(head: &Head, reader: &'r mut R) -> io::Result<Body<'r, R>> {
        let length = head.header("content-length").map(str::parse);
        let framing = match (head.header("transfer-encoding"), length) {
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Framing::ChunkSize,
            (Some(_), _) => return Err(malformed("transfer-encoding")),
            (None, None) => Framing::Complete,
            (None, Some(Ok(length))) => Framing::Length(length),
            (None, Some(Err(_))) => return Err(malformed("content-length")),
        };
        Ok(Body {
            reader,
            framing,
            trailers: Headers::new(),
        })
    }

    /// Reads the data that is available, after blocking for the first byte. Returns 0 at the end of
    /// the body, when `trailers` is filled in.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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
        let digits = line.split(';').next().unwrap_or_default().trim();
        match u64::from_str_radix(digits, 16) {
            Ok(0) => {
                self.trailers = read_fields(self.reader, &mut { HEAD_LIMIT })?;
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

    pub fn is_complete(&self) -> bool {
        matches!(self.framing, Framing::Complete | Framing::Length(0))
    }
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
    fn an_invalid_head_is_malformed() {
        for head in [
            "GET /\r\n\r\n",
            "GET / x HTTP/1.1\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
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
