//! The body of a response, in each framing of RFC 9112 6.3 and 7.1, as a state machine.

use std::io::{self, ErrorKind, Read};

use codec::zeros;

use super::{Error, FIRST_READ, Framing, Input, LARGE_READ, excerpt, find, hexadecimal, malformed};
use crate::http::headers::trim;

/// The line of a chunk's size with its extensions.
const MAX_CHUNK_LINE: usize = 16 << 10;
/// All trailer fields together.
const MAX_TRAILERS: usize = 64 << 10;

/// The position in the body that is being read.
#[derive(Debug)]
pub struct Body {
    state: State,
    received: u64,
    declared: Option<u64>,
    /// Whether a line of the trailers ends with LF alone.
    is_odd: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Done,
    Sized(u64),
    UntilClose,
    ChunkLine,
    Chunk(u64),
    ChunkEnd,
    Trailers(usize),
}

impl Body {
    pub fn new(framing: Framing) -> Body {
        let (state, declared) = match framing {
            Framing::Empty | Framing::Sized(0) => (State::Done, Some(0)),
            Framing::Sized(length) => (State::Sized(length), Some(length)),
            Framing::Chunked => (State::ChunkLine, None),
            Framing::UntilClose => (State::UntilClose, None),
        };
        Body {
            state,
            received: 0,
            declared,
            is_odd: false,
        }
    }

    /// Whether the body deviates from the grammar, so that its connection must not be reused.
    pub fn is_odd(&self) -> bool {
        self.is_odd
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The length of the body, if the head declares it.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// Returns how many of the pending bytes belong to the body; 0 is its end. Reads only if
    /// none are pending. The caller passes the number it used to [`Body::consume`].
    pub fn fill(&mut self, input: &mut Input, from: &mut dyn Read) -> Result<usize, Error> {
        let limit = loop {
            let step = match self.state {
                State::Done => return Ok(0),
                State::Sized(left) | State::Chunk(left) => {
                    if !input.pending().is_empty() {
                        break left;
                    }
                    Ok(None)
                }
                State::UntilClose => {
                    if !input.pending().is_empty() {
                        break u64::MAX;
                    }
                    let read = input.fill(from).map_err(|error| self.read_error(error))?;
                    if read == 0 {
                        self.state = State::Done;
                    }
                    continue;
                }
                State::ChunkLine => chunk_line(input.pending()),
                State::ChunkEnd => chunk_end(input.pending()),
                State::Trailers(seen) => trailer(input.pending(), seen),
            };
            match step.map_err(|error| self.with_position(error))? {
                Some((used, next)) => {
                    let line = input.pending().get(..used).unwrap_or_default();
                    self.is_odd |= !line.ends_with(b"\r\n");
                    input.consume(used);
                    self.state = next;
                }
                None => {
                    let read = input.fill(from).map_err(|error| self.read_error(error))?;
                    if read == 0 {
                        return Err(self.closed(None));
                    }
                }
            }
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(input.pending().len().min(limit))
    }

    fn closed(&self, cause: Option<io::Error>) -> Error {
        Error::ClosedInBody {
            received: self.received,
            declared: self.declared,
            cause,
        }
    }

    /// Adds the position in the body to the message.
    fn with_position(&self, error: Error) -> Error {
        match error {
            Error::Malformed(cause) => Error::Malformed(
                format!("{cause}, after {} bytes of the body", self.received).into(),
            ),
            error => error,
        }
    }

    /// The reader reports timeouts, and reads that would block, by these two kinds. Any other
    /// error ends the connection.
    fn read_error(&self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::Io(error),
            _ => self.closed(Some(error)),
        }
    }

    pub fn consume(&mut self, input: &mut Input, count: usize) {
        input.consume(count);
        self.advance(count);
    }

    fn advance(&mut self, count: usize) {
        let used = count as u64;
        self.received += used;
        self.state = match self.state {
            State::Sized(left) if left <= used => State::Done,
            State::Sized(left) => State::Sized(left - used),
            State::Chunk(left) if left <= used => State::ChunkEnd,
            State::Chunk(left) => State::Chunk(left - used),
            state => state,
        };
    }

    /// Appends the rest of the body to `out`. Returns false if `out` would exceed `limit`.
    pub fn read_to(
        &mut self,
        input: &mut Input,
        from: &mut dyn Read,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<bool, Error> {
        if self.declared.is_some_and(|length| length > limit as u64) {
            return Ok(false);
        }
        loop {
            let room = limit.saturating_sub(out.len()) as u64;
            if let State::Sized(left) = self.state
                && (LARGE_READ as u64..=room).contains(&left)
                && input.pending().is_empty()
            {
                self.read_directly(left as usize, from, out)?;
            }
            let count = self.fill(input, from)?;
            if count == 0 {
                return Ok(true);
            }
            if count > limit.saturating_sub(out.len()) {
                return Ok(false);
            }
            out.extend_from_slice(input.pending().get(..count).unwrap_or_default());
            self.consume(input, count);
        }
    }

    /// Reads a long body straight into `out`, without a copy in the input, up to its end. That is
    /// left to the input, which sees what follows it.
    fn read_directly(
        &mut self,
        mut left: usize,
        from: &mut dyn Read,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut end = out.len();
        out.reserve(left);
        let read = loop {
            if left < LARGE_READ {
                break Ok(());
            }
            zeros::extend_to(out, end + LARGE_READ.min(left - FIRST_READ));
            match from.read(out.get_mut(end..).unwrap_or_default()) {
                Ok(0) => break Err(self.closed(None)),
                Ok(count) => {
                    end += count;
                    left -= count;
                    self.advance(count);
                }
                Err(error) => break Err(self.read_error(error)),
            }
        };
        out.truncate(end);
        read
    }
}

type Step = Option<(usize, State)>;

/// `SIZE[;extensions]CRLF`: hex digits only, no sign, no prefix (RFC 9112 7.1).
fn chunk_line(pending: &[u8]) -> Result<Step, Error> {
    // Checked early: a server that announces chunks and sends none may keep the connection open.
    let end = pending.iter().position(|byte| !byte.is_ascii_hexdigit());
    if let Some(end) = end
        && (end == 0 || !matches!(pending.get(end), Some(b';' | b' ' | b'\t' | b'\r')))
    {
        return malformed(format!("chunk size `{}`", excerpt(pending)));
    }
    let Some((line, used)) = take_line(pending, 0, MAX_CHUNK_LINE, "a chunk size")? else {
        return Ok(None);
    };
    let Some(line) = line.strip_suffix(b"\r") else {
        return malformed("a line of a chunk size does not end with CRLF");
    };
    let size = line.split(|b| *b == b';').next().unwrap_or_default();
    // The grammar allows blanks before the semicolon, not before the size.
    let digits = trim(size);
    let Some(size) = hexadecimal(digits).filter(|_| size.starts_with(digits)) else {
        return malformed(format!("chunk size `{}`", excerpt(line)));
    };
    Ok(Some(match size {
        0 => (used, State::Trailers(0)),
        size => (used, State::Chunk(size)),
    }))
}

fn chunk_end(pending: &[u8]) -> Result<Step, Error> {
    match pending {
        [b'\r', b'\n', ..] => Ok(Some((2, State::ChunkLine))),
        [] | [b'\r'] => Ok(None),
        _ => malformed("a chunk is longer than its size"),
    }
}

/// Reads a trailer field and drops it: no reply can carry trailers to the client. The body is
/// complete by then, so a line may end with LF alone, as one of the head may.
fn trailer(pending: &[u8], seen: usize) -> Result<Step, Error> {
    Ok(
        take_line(pending, seen, MAX_TRAILERS, "the trailers")?.map(|(line, used)| match line {
            [] | [b'\r'] => (used, State::Done),
            _ => (used, State::Trailers(seen + used)),
        }),
    )
}

/// The first complete line without its LF, and its length with it. A CR must be its last byte.
/// The part that it belongs to may have `most` bytes and had `seen` before it.
fn take_line<'p>(
    pending: &'p [u8],
    seen: usize,
    most: usize,
    part: &'static str,
) -> Result<Option<(&'p [u8], usize)>, Error> {
    let limit = most.saturating_sub(seen);
    match find(pending, 0, b'\n') {
        Some(lf) if lf < limit => {
            let line = pending.get(..lf).unwrap_or_default();
            match find(line, 0, b'\r') {
                Some(cr) if cr + 1 != lf => malformed(format!("a line of {part} holds a CR")),
                _ => Ok(Some((line, lf + 1))),
            }
        }
        None if pending.len() < limit => Ok(None),
        _ => malformed(format!("{part}: longer than {most} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns one byte a read, so that every token is cut everywhere.
    struct OneByte<'a>(&'a [u8]);

    impl Read for OneByte<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match (self.0.split_first(), out.first_mut()) {
                (Some((byte, rest)), Some(slot)) => {
                    *slot = *byte;
                    self.0 = rest;
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }

    fn all(framing: Framing, from: &mut dyn Read) -> Result<Vec<u8>, Error> {
        let (mut input, mut out) = (Input::new(8), Vec::new());
        let mut body = Body::new(framing);
        let whole = body.read_to(&mut input, from, &mut out, 1 << 20)?;
        assert!(whole && body.is_done());
        Ok(out)
    }

    #[test]
    fn each_framing_is_read_whole_and_byte_by_byte() {
        for (framing, wire, body) in [
            (Framing::Empty, "rest", ""),
            (Framing::Sized(0), "rest", ""),
            (Framing::Sized(5), "hellorest", "hello"),
            (Framing::UntilClose, "hello", "hello"),
            (Framing::Chunked, "5\r\nhello\r\n0\r\n\r\nrest", "hello"),
            (
                Framing::Chunked,
                "1 ;a=\"b\"\r\nh\r\n004\r\nello\r\n0;x\r\nT: x\r\nU: y\r\n\r\n",
                "hello",
            ),
            (
                Framing::Chunked,
                "A\r\n0123456789\r\n0\r\n\r\n",
                "0123456789",
            ),
            (Framing::Chunked, "0\r\n\r\n", ""),
        ] {
            let at_once = all(framing, &mut wire.as_bytes()).expect(wire);
            let byte_by_byte = all(framing, &mut OneByte(wire.as_bytes())).expect(wire);
            assert_eq!(
                (&*at_once, &*byte_by_byte),
                (body.as_bytes(), body.as_bytes()),
                "{wire}"
            );
        }
    }

    #[test]
    fn invalid_chunks_are_rejected() {
        for wire in [
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\nh\r\n0\r\n\r\n",
            "1\x0c\r\nh\r\n0\r\n\r\n",
            "\r\n",
            "g\r\n",
            "1\nh",
            "1\r\nhello",
            "1\rx\r\n",
            "10000000000000000\r\n",
            "0\r\nT: \rx\r\n\r\n",
            "1;a=b\nh\r\n0\r\n\r\n",
            "1;a=\rb\r\n",
        ] {
            let error = all(Framing::Chunked, &mut wire.as_bytes()).expect_err(wire);
            assert!(matches!(error, Error::Malformed(_)), "{wire:?}: {error}");
        }
        let endless_line = format!("1;{}", "x".repeat(MAX_CHUNK_LINE));
        let endless_trailers = format!("0\r\n{}", "a: b\r\n".repeat(MAX_TRAILERS / 6 + 1));
        for wire in [endless_line, endless_trailers] {
            assert!(all(Framing::Chunked, &mut wire.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_body_without_its_announced_chunks_fails_at_its_first_byte() {
        for wire in ["{}", "<html>", "hello", "abc, no size", "\n", "5\n"] {
            let mut body = Body::new(Framing::Chunked);
            let mut input = Input::new(64);
            // The server keeps the connection open, so a second read would wait for it.
            let mut once = wire.as_bytes().chain(Waits);
            let error = body.fill(&mut input, &mut once).expect_err(wire);
            let expected = format!("chunk size `{}", wire.trim_end());
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    struct Waits;

    impl Read for Waits {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("read without need");
        }
    }

    #[test]
    fn trailers_may_end_with_lf_and_end_the_connection() {
        for (wire, is_odd) in [
            ("1\r\na\r\n0\r\nT: x\r\n\r\n", false),
            ("1\r\na\r\n0\r\nT: x\n\r\n", true),
            ("1\r\na\r\n0\r\nT: x\n\n", true),
            ("1\r\na\r\n0\r\n\n", true),
        ] {
            let (mut input, mut out) = (Input::new(8), Vec::new());
            let mut body = Body::new(Framing::Chunked);
            let whole = body.read_to(&mut input, &mut wire.as_bytes(), &mut out, 9);
            assert!(whole.expect(wire) && out == b"a");
            assert_eq!(body.is_odd(), is_odd, "{wire:?}");
        }
    }

    #[test]
    fn the_error_of_long_trailers_names_the_limit() {
        let lines = "T: x\r\n".repeat(MAX_TRAILERS / 6 + 1);
        let wire = format!("1\r\na\r\n0\r\n{lines}");
        let error = all(Framing::Chunked, &mut wire.as_bytes()).expect_err("too long");
        let expected = format!("the trailers: longer than {MAX_TRAILERS} bytes");
        assert!(error.to_string().contains(&expected), "{error}");
    }

    #[test]
    fn the_error_of_a_truncated_body_names_the_bytes_received() {
        let error = all(Framing::Sized(10), &mut &b"hello"[..]).expect_err("cut");
        assert_eq!(
            error.to_string(),
            "connection closed after 5 of 10 bytes of the body"
        );
        let chunked = b"5\r\nhello\r\n5\r\nwor";
        let error = all(Framing::Chunked, &mut &chunked[..]).expect_err("cut");
        assert_eq!(
            error.to_string(),
            "connection closed after 8 bytes of an unfinished body"
        );
        let whole = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for cut in 0..whole.len() {
            assert!(all(Framing::Chunked, &mut &whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_long_sized_body_is_read_whole() {
        let wire: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let body = all(Framing::Sized(wire.len() as u64), &mut &wire[..]).expect("whole");
        assert_eq!(body, wire);
        let (mut input, mut out) = (Input::new(8), Vec::new());
        let mut body = Body::new(Framing::Sized(299_999));
        let whole = body.read_to(&mut input, &mut OneByte(&wire), &mut out, 300_000);
        assert!(whole.expect("whole") && out == wire[..299_999]);
        let error = all(Framing::Sized(300_001), &mut &wire[..]).expect_err("cut");
        assert!(error.to_string().contains("300000 of 300001"), "{error}");
    }

    #[test]
    fn the_limit_stops_reading() {
        let endless = b"5\r\nhello\r\n".repeat(100);
        let (mut input, mut out) = (Input::new(8), Vec::new());
        let mut body = Body::new(Framing::Chunked);
        let whole = body.read_to(&mut input, &mut &endless[..], &mut out, 12);
        assert!(!whole.expect("readable") && out.len() <= 12);
        let mut body = Body::new(Framing::Sized(13));
        let whole = body.read_to(&mut input, &mut &b""[..], &mut out, 12);
        assert!(!whole.expect("declared in the head"));
    }
}
