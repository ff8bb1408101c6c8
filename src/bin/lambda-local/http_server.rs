//! HTTP/1.1 on the server's side: heads, bodies with their trailers, answers in one write or in chunks (RFC 9112).
//!
//! Written here because the three servers of this program (front, Runtime API, Extensions API) need what ready-made ones do not give:
//! the trailers of a streamed response, each chunk as soon as it arrives, chunks sent as soon as they are there, and a connection
//! that can be broken off to show the client that its answer is not whole.

use std::io::{self, BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::reason::reason;

const HEAD_LIMIT: usize = 1 << 20;

pub type Headers = Vec<(String, String)>;

pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: Headers,
    is_http_1_0: bool,
    keep_alive: bool,
}

impl Head {
    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

pub fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Reads one head; `None` when the peer has closed between two requests.
pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut left = HEAD_LIMIT;
    let mut first = read_line(reader, &mut left)?;
    if first.as_deref() == Some("") {
        first = read_line(reader, &mut left)?;
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
    let headers = read_fields(reader, &mut left)?;
    let connection = header(&headers, "connection")
        .unwrap_or_default()
        .to_ascii_lowercase();
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

fn read_fields(reader: &mut impl BufRead, left: &mut usize) -> io::Result<Headers> {
    let mut headers = Headers::new();
    loop {
        let Some(line) = read_line(reader, left)? else {
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

/// One line without its end. Bytes that are not UTF-8 are read as Latin-1, so that nothing is lost.
fn read_line(reader: &mut impl BufRead, left: &mut usize) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(*left as u64)
        .read_until(b'\n', &mut line)?;
    *left -= read;
    if line.pop() != Some(b'\n') {
        return match (read, *left) {
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

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed {what}"))
}

enum Framing {
    Sized(u64),
    /// Bytes left of the current chunk; `None` before the next size line.
    Chunked(Option<u64>),
    Ended,
}

/// The body of a message, whatever its framing. A body that ends early is an `UnexpectedEof`.
pub struct Body<'r, R> {
    reader: &'r mut R,
    framing: Framing,
    pub trailers: Headers,
}

impl<'r, R: BufRead> Body<'r, R> {
    pub fn of(head: &Head, reader: &'r mut R) -> io::Result<Body<'r, R>> {
        let framing = if let Some(coding) = head.header("transfer-encoding") {
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(malformed("transfer-encoding"));
            }
            Framing::Chunked(None)
        } else {
            match head.header("content-length").map(str::parse) {
                None | Some(Ok(0)) => Framing::Ended,
                Some(Ok(length)) => Framing::Sized(length),
                Some(Err(_)) => return Err(malformed("content-length")),
            }
        };
        Ok(Body {
            reader,
            framing,
            trailers: Headers::new(),
        })
    }

    /// What has arrived of the body, as soon as it has; 0 at its end, when `trailers` are there too.
    pub fn piece(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.framing {
                Framing::Ended => return Ok(0),
                Framing::Sized(left) => {
                    let read = self.read_some(into, left)?;
                    self.framing = if read as u64 == left {
                        Framing::Ended
                    } else {
                        Framing::Sized(left - read as u64)
                    };
                    return Ok(read);
                }
                Framing::Chunked(Some(0)) => {
                    if !read_line(self.reader, &mut 3)?
                        .ok_or(io::ErrorKind::UnexpectedEof)?
                        .is_empty()
                    {
                        return Err(malformed("chunk"));
                    }
                    self.framing = Framing::Chunked(None);
                }
                Framing::Chunked(Some(left)) => {
                    let read = self.read_some(into, left)?;
                    self.framing = Framing::Chunked(Some(left - read as u64));
                    return Ok(read);
                }
                Framing::Chunked(None) => {
                    let line =
                        read_line(self.reader, &mut 4096)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size =
                        u64::from_str_radix(digits, 16).map_err(|_| malformed("chunk size"))?;
                    if size == 0 {
                        self.trailers = read_fields(self.reader, &mut HEAD_LIMIT.clone())?;
                        self.framing = Framing::Ended;
                    } else {
                        self.framing = Framing::Chunked(Some(size));
                    }
                }
            }
        }
    }

    fn read_some(&mut self, into: &mut [u8], left: u64) -> io::Result<usize> {
        let wanted = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self
            .reader
            .read(into.get_mut(..wanted).unwrap_or_default())?;
        if read == 0 {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(read)
        }
    }

    /// The whole body, or `None` when it is larger than the limit (read to its end all the same, so that the answer can be heard).
    pub fn all(&mut self, limit: usize) -> io::Result<Option<Vec<u8>>> {
        let (mut whole, mut too_large) = (Vec::new(), false);
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = self.piece(&mut piece)?;
            if read == 0 {
                return Ok((!too_large).then_some(whole));
            }
            too_large |= whole.len() + read > limit;
            if !too_large {
                whole.extend_from_slice(piece.get(..read).unwrap_or_default());
            }
        }
    }

    pub fn ended(&self) -> bool {
        matches!(self.framing, Framing::Ended)
    }
}

/// Serves connections, a thread each, until `handle` has been told to stop by its owner and a last connection has woken the listener.
pub fn serve<H>(listener: TcpListener, stopped: impl Fn() -> bool, handle: H)
where
    H: Fn(&Head, &mut Body<'_, io::BufReader<TcpStream>>, &TcpStream) -> io::Result<()>
        + Clone
        + Send
        + 'static,
{
    for stream in listener.incoming() {
        if stopped() {
            return;
        }
        // A connection that was given up before it was accepted is its peer's affair.
        let Ok(stream) = stream else { continue };
        let handle = handle.clone();
        std::thread::spawn(move || {
            // A peer that goes away, or speaks no HTTP, ends its own connection only.
            let _ = serve_connection(&stream, handle);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn serve_connection<H>(stream: &TcpStream, handle: H) -> io::Result<()>
where
    H: Fn(&Head, &mut Body<'_, io::BufReader<TcpStream>>, &TcpStream) -> io::Result<()>,
{
    stream.set_nodelay(true)?;
    let mut reader = io::BufReader::with_capacity(64 << 10, stream.try_clone()?);
    loop {
        let head = match read_head(&mut reader) {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return respond(
                    stream,
                    &head_of("GET"),
                    400,
                    &[("connection", "close")],
                    format!("{error}\n").as_bytes(),
                );
            }
            Err(error) => return Err(error),
        };
        let mut body = Body::of(&head, &mut reader)?;
        if head
            .header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            let mut out = stream;
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        handle(&head, &mut body, stream)?;
        if !body.ended() || !head.keep_alive {
            return Ok(());
        }
    }
}

fn head_of(method: &str) -> Head {
    Head {
        method: method.to_owned(),
        target: "/".to_owned(),
        headers: Headers::new(),
        is_http_1_0: false,
        keep_alive: false,
    }
}

/// A whole answer in one write, with the headers given and its length.
pub fn respond<K: AsRef<str>, V: AsRef<str>>(
    mut stream: &TcpStream,
    head: &Head,
    status: u16,
    headers: &[(K, V)],
    body: &[u8],
) -> io::Result<()> {
    let mut out = Vec::with_capacity(512 + body.len());
    push_head(&mut out, status, headers);
    // RFC 9110 8.6: 204 and 304 have no length here, and a HEAD answer names the length it would have had, or none.
    let bodiless = head.method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
    let unsized_answer = matches!(status, 204 | 304) || (head.method == "HEAD" && body.is_empty());
    let given = headers
        .iter()
        .any(|(name, _)| name.as_ref().eq_ignore_ascii_case("content-length"));
    if !unsized_answer && !given {
        out.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    if !bodiless {
        out.extend_from_slice(body);
    }
    stream.write_all(&out)
}

/// An answer whose length is not known when it begins: in chunks, or up to the end of the connection for a client that knows no chunks.
pub struct Stream<'s> {
    connection: &'s TcpStream,
    chunked: bool,
}

impl<'s> Stream<'s> {
    pub fn begin(
        mut connection: &'s TcpStream,
        head: &Head,
        status: u16,
        headers: &[(String, String)],
    ) -> io::Result<Stream<'s>> {
        let chunked = !head.is_http_1_0;
        let mut out = Vec::with_capacity(512);
        push_head(&mut out, status, headers);
        let framing: &[u8] = if chunked {
            b"transfer-encoding: chunked\r\n\r\n"
        } else {
            b"connection: close\r\n\r\n"
        };
        out.extend_from_slice(framing);
        connection.write_all(&out)?;
        Ok(Stream {
            connection,
            chunked,
        })
    }

    /// Sends a piece at once. An empty one would be the end, and is not sent.
    pub fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        let mut connection = self.connection;
        match (piece, self.chunked) {
            ([], _) => Ok(()),
            (piece, false) => connection.write_all(piece),
            (piece, true) => connection
                .write_all(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()),
        }
    }

    pub fn end(self) -> io::Result<()> {
        let mut connection = self.connection;
        if self.chunked {
            connection.write_all(b"0\r\n\r\n")
        } else {
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}

fn push_head<K: AsRef<str>, V: AsRef<str>>(out: &mut Vec<u8>, status: u16, headers: &[(K, V)]) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
    for (name, value) in headers {
        // What could end the line early is left out rather than sent.
        let (name, value) = (name.as_ref(), value.as_ref());
        if !name.is_empty()
            && !name.contains(['\r', '\n', '\0', ':', ' '])
            && !value.contains(['\r', '\n', '\0'])
        {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(message: &str) -> io::Result<(Vec<u8>, Headers)> {
        let mut reader = message.as_bytes();
        let head = read_head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut body = Body::of(&head, &mut reader)?;
        let whole = body.all(1 << 20)?.ok_or(io::ErrorKind::InvalidData)?;
        Ok((whole, body.trailers))
    }

    #[test]
    fn a_sized_body_ends_at_its_length() {
        let (body, _) =
            body_of("POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcdef").expect("body");
        assert_eq!(body, b"abc");
    }

    #[test]
    fn a_chunked_body_is_joined_and_its_trailers_are_kept() {
        let message = "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT-One: 1\r\nt-two:2\r\n\r\n";
        let (body, trailers) = body_of(message).expect("body");
        assert_eq!(body, b"abcde");
        assert_eq!(header(&trailers, "t-one"), Some("1"));
        assert_eq!(header(&trailers, "T-Two"), Some("2"));
    }

    #[test]
    fn every_prefix_of_a_chunked_message_is_an_early_end() {
        let message =
            "POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n";
        for end in 1..message.len() {
            let part = message.get(..end).unwrap_or_default();
            let error = body_of(part).expect_err(part);
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{part:?}");
        }
    }

    #[test]
    fn a_head_that_is_none_is_malformed() {
        for head in [
            "GET /\r\n\r\n",
            "GET / x HTTP/1.1\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\na b: c\r\n\r\n",
        ] {
            let error = read_head(&mut head.as_bytes()).err().expect(head);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{head:?}");
        }
    }

    #[test]
    fn header_bytes_that_are_not_utf8_are_read_as_latin_1() {
        let head = read_head(&mut &b"GET / HTTP/1.1\r\nx: caf\xe9\r\n\r\n"[..])
            .expect("head")
            .expect("head");
        assert_eq!(head.header("X"), Some("café"));
    }
}
