//! The head of a response: found, limited in size, parsed, and its framing (RFC 9112 4 to 6).

use std::io::Read;
use std::iter;

use super::{Error, Input, decimal, excerpt, find, malformed};
use crate::http::headers::{Headers, is_token, list, trim};
use crate::text;
use codec::simd::find_control;

/// Limits on a head, far above those of real servers. A larger head fails the exchange.
const MAX_HEAD: usize = 1 << 20;
const MAX_FIELDS: usize = 1000;

/// The status line of a response and the meaning of its headers, which are stored in the
/// [`Headers`] given to [`read_head`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub framing: Framing,
    /// Whether the connection may be reused once the body has been read.
    pub reusable: bool,
}

/// How the end of a body is found (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    Empty,
    Sized(u64),
    Chunked,
    UntilClose,
}

/// Reads the head of the final response and skips interim (1xx) responses.
///
/// Real servers deviate from the grammar in ways that leave the message unambiguous. Those are
/// accepted, and the connection is not reused after them: the next response cannot be affected.
pub fn read_head(
    input: &mut Input,
    from: &mut dyn Read,
    headers: &mut Headers,
    to_head: bool,
) -> Result<Head, Error> {
    let (mut interim, mut reusable) = (0, true);
    loop {
        let limit = MAX_HEAD.saturating_sub(interim);
        let skipped = skip_empty_lines(input, from, limit)?;
        let length = fill_head(input, from, limit - skipped)?;
        let bytes = input.pending().get(..length).unwrap_or_default();
        let head = parse_head(bytes, headers, to_head)?;
        input.consume(length);
        reusable &= head.reusable && skipped == 0;
        match head.status {
            // The request had no Upgrade header, and no HTTP follows this status.
            101 => return malformed("status 101 without an upgrade"),
            100..=199 => interim += skipped + length,
            _ => return Ok(Head { reusable, ..head }),
        }
    }
}

/// Skips empty lines before a status line (RFC 9112 2.2, which has only servers do so); returns
/// their length.
fn skip_empty_lines(input: &mut Input, from: &mut dyn Read, limit: usize) -> Result<usize, Error> {
    let mut skipped = 0;
    loop {
        let line = match input.pending() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [] | [b'\r'] => {
                if input.fill(from)? == 0 {
                    return Err(Error::ClosedInHead(skipped + input.pending().len()));
                }
                continue;
            }
            _ => return Ok(skipped),
        };
        input.consume(line);
        skipped += line;
        if skipped >= limit {
            return too_large();
        }
    }
}

/// Reads until a complete head is pending; returns its length. A line may end with LF alone, as
/// those of CGI scripts do (RFC 9112 2.2, RFC 3875 6.2).
fn fill_head(input: &mut Input, from: &mut dyn Read, limit: usize) -> Result<usize, Error> {
    let (mut line, mut seen) = (0, 0);
    loop {
        let pending = input.pending();
        while let Some(lf) = find(pending, seen, b'\n') {
            if lf >= limit {
                return too_large();
            }
            if matches!(pending.get(line..lf), Some([] | [b'\r'])) {
                return Ok(lf + 1);
            }
            (line, seen) = (lf + 1, lf + 1);
        }
        // Checked early: a server of another protocol may wait for us after its first bytes.
        let opening = pending.len().min(5);
        if pending.get(..opening) != b"HTTP/".get(..opening) {
            return malformed(format!("it begins with `{}`", excerpt(pending)));
        }
        seen = pending.len();
        if seen >= limit {
            return too_large();
        }
        if input.fill(from)? == 0 {
            return Err(Error::ClosedInHead(seen));
        }
    }
}

fn too_large<T>() -> Result<T, Error> {
    malformed(format!("the head is larger than {MAX_HEAD} bytes"))
}

/// Parses one complete head, including its empty line.
pub fn parse_head(bytes: &[u8], headers: &mut Headers, to_head: bool) -> Result<Head, Error> {
    headers.clear();
    let mut ends_with_crlf = true;
    let mut rest = bytes;
    let mut lines = iter::from_fn(|| {
        let (line, end) = rest.split_at_checked(find(rest, 0, b'\n')?)?;
        rest = end.get(1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or_else(|| {
            ends_with_crlf = false;
            line
        }))
    });
    let status_line = lines.next().unwrap_or_default();
    let Some((minor, status)) = parse_status_line(status_line) else {
        return malformed(format!("it begins with `{}`", excerpt(status_line)));
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = find(line, 0, b':');
        let (name, value) = match colon.and_then(|at| line.split_at_checked(at)) {
            Some((name, rest)) if is_token(name) => (name, rest.get(1..).unwrap_or_default()),
            _ => return malformed(format!("header line `{}`", excerpt(line))),
        };
        if find_control(value).is_some() && value.iter().any(|byte| matches!(byte, 0 | b'\r')) {
            return malformed(format!(
                "header `{}` holds a control byte",
                text::escaped_bytes(name)
            ));
        }
        if headers.len() == MAX_FIELDS {
            return malformed(format!("more than {MAX_FIELDS} header fields"));
        }
        headers.push(name, trim(value));
    }
    let (framing, is_consistent) = framing(status, headers, to_head)?;
    let connection = |option: &[u8]| {
        headers
            .all(b"connection")
            .flat_map(list)
            .any(|given| given.eq_ignore_ascii_case(option))
    };
    let persistent = match minor {
        // HTTP/1.0 has no chunked coding, so the message may not end where it seems to
        // (RFC 9112 6.1).
        0 => connection(b"keep-alive") && framing != Framing::Chunked,
        _ => !connection(b"close"),
    };
    Ok(Head {
        status,
        framing,
        reusable: ends_with_crlf && is_consistent && persistent && framing != Framing::UntilClose,
    })
}

/// `HTTP/1.x NNN reason` -> (x, NNN)
fn parse_status_line(line: &[u8]) -> Option<(u8, u16)> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (&minor, rest) = rest.split_first()?;
    let rest = rest.strip_prefix(b" ")?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = decimal(digits)? as u16;
    let ends_well = reason.first().is_none_or(|byte| *byte == b' ');
    let printable = !reason.iter().any(|b| matches!(b, 0 | b'\r'));
    (minor.is_ascii_digit() && status >= 100 && ends_well && printable)
        .then(|| (minor - b'0', status))
}

/// Applies RFC 9112 6.3. The second value is false if the headers contradict each other or
/// themselves: the body can be read, but the connection must not be reused.
fn framing(status: u16, headers: &mut Headers, to_head: bool) -> Result<(Framing, bool), Error> {
    let length = content_length(headers);
    let coding = transfer_coding(headers);
    if to_head || matches!(status, 100..=199 | 204 | 304) {
        let is_consistent = match (&length, &coding) {
            (Ok(None | Some(0)), Ok(TransferCoding::None)) => true,
            // Some servers send the body all the same, such as waitress to HEAD; it would be
            // taken for the next response.
            (Ok(_), Ok(TransferCoding::None | TransferCoding::Chunked)) => {
                !to_head && status != 204
            }
            _ => false,
        };
        if length.is_err() {
            // Replies to HEAD and with 304 carry it to the client.
            headers.remove(b"content-length");
        }
        return Ok((Framing::Empty, is_consistent));
    }
    let sized = |length: Option<u64>| length.map_or(Framing::UntilClose, Framing::Sized);
    Ok(match coding? {
        TransferCoding::None => (sized(length?), true),
        TransferCoding::Chunked => (Framing::Chunked, matches!(length, Ok(None))),
        TransferCoding::OddlyChunked => (Framing::Chunked, false),
        // As with every coding, a length that is none does not count.
        TransferCoding::Identity => (length.map_or(Framing::UntilClose, sized), false),
    })
}

/// The list of all `Transfer-Encoding` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TransferCoding {
    None,
    Chunked,
    /// `chunked` more than once, or after `identity`.
    OddlyChunked,
    /// The coding of RFC 2616 3.6 that changes nothing, or an empty list.
    Identity,
}

fn transfer_coding(headers: &Headers) -> Result<TransferCoding, Error> {
    if !headers.contains(b"transfer-encoding") {
        return Ok(TransferCoding::None);
    }
    let (mut chunked, mut count) = (false, 0);
    for coding in headers.all(b"transfer-encoding").flat_map(list) {
        count += 1;
        if coding.eq_ignore_ascii_case(b"chunked") {
            chunked = true;
        } else if chunked || !coding.eq_ignore_ascii_case(b"identity") {
            return malformed("a transfer coding other than chunked");
        }
    }
    Ok(match (chunked, count) {
        (true, 1) => TransferCoding::Chunked,
        (true, _) => TransferCoding::OddlyChunked,
        (false, _) => TransferCoding::Identity,
    })
}

/// The content length; repetitions of the same value count as one (RFC 9112 6.3).
fn content_length(headers: &Headers) -> Result<Option<u64>, Error> {
    let mut length = None;
    for value in headers.all(b"content-length") {
        for member in value.split(|byte| *byte == b',').map(trim) {
            match (decimal(member), length) {
                (Some(new), None) => length = Some(new),
                (Some(new), Some(old)) if new == old => {}
                (Some(_), Some(_)) => return malformed("two different content lengths"),
                (None, _) => {
                    return malformed(format!("content-length `{}`", excerpt(value)));
                }
            }
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: &[u8], to_head: bool) -> Result<(Head, Headers), Error> {
        let (mut input, mut headers) = (Input::new(16), Headers::new());
        let mut from = wire;
        read_head(&mut input, &mut from, &mut headers, to_head).map(|head| (head, headers))
    }

    fn head(wire: &[u8]) -> Head {
        read(wire, false).expect("a valid head").0
    }

    fn rejected(wire: &[u8]) -> String {
        read(wire, false).expect_err("an invalid head").to_string()
    }

    fn assert_framing(wire: &str, status: u16, framing: Framing, reusable: bool) {
        let expected = Head {
            status,
            framing,
            reusable,
        };
        assert_eq!(head(wire.as_bytes()), expected, "{wire}");
    }

    #[test]
    fn framing_follows_the_head() {
        use Framing::*;
        for (wire, status, framing, reusable) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
                200,
                Sized(5),
                true,
            ),
            (
                "HTTP/1.1 200\r\ncontent-length: 5, 5\r\n\r\n",
                200,
                Sized(5),
                true,
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", 200, UntilClose, false),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
                200,
                Chunked,
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
                200,
                Chunked,
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n",
                200,
                Sized(1),
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n",
                200,
                Sized(1),
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n",
                200,
                Sized(1),
                true,
            ),
            (
                "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n",
                200,
                Chunked,
                false,
            ),
        ] {
            assert_framing(wire, status, framing, reusable);
        }
    }

    #[test]
    fn a_status_without_a_body_and_interim_responses_decide_before_the_fields() {
        use Framing::*;
        for (wire, status, framing, reusable) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, Empty, true),
            (
                "HTTP/1.1 304 x\r\ncontent-length: 9\r\n\r\n",
                304,
                Empty,
                true,
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nlink: a\r\n\r\n\
                 HTTP/1.1 999 x\r\n\r\n",
                999,
                UntilClose,
                false,
            ),
        ] {
            assert_framing(wire, status, framing, reusable);
        }
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
        assert_eq!(read(wire, true).expect("valid").0.framing, Empty);
    }

    #[test]
    fn deviations_of_real_servers_are_read_and_end_the_connection() {
        use Framing::*;
        for (lines, framing) in [
            ("content-length: 2\n\n", Sized(2)),
            ("content-length: 2\n\r\n", Sized(2)),
            ("content-length: 2\r\n\n", Sized(2)),
            (
                "transfer-encoding: identity\r\ncontent-length: 2\r\n\r\n",
                Sized(2),
            ),
            ("Transfer-Encoding: Identity\r\n\r\n", UntilClose),
            (
                "transfer-encoding: identity\r\ncontent-length: -\r\n\r\n",
                UntilClose,
            ),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
                Chunked,
            ),
            ("transfer-encoding: Chunked, chunked\r\n\r\n", Chunked),
            ("transfer-encoding: identity, chunked\r\n\r\n", Chunked),
            (
                "transfer-encoding: chunked\r\ncontent-length: -1\r\n\r\n",
                Chunked,
            ),
            (
                "content-length: 1\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
                Chunked,
            ),
            ("transfer-encoding:\r\ncontent-length: 2\r\n\r\n", Sized(2)),
        ] {
            let wire = format!("HTTP/1.1 200 OK\r\n{lines}");
            assert_framing(&wire, 200, framing, false);
        }
        for wire in [
            "\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
            "\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 103 x\n\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n",
        ] {
            assert_framing(wire, 200, Sized(2), false);
        }
    }

    #[test]
    fn headers_about_a_body_that_cannot_follow_are_not_judged() {
        for (status, lines, reusable) in [
            (204, "content-length: 0\r\n", true),
            (204, "content-length: 2\r\n", false),
            (204, "transfer-encoding: chunked\r\n", false),
            (204, "content-length: 1, 2\r\n", false),
            (304, "content-length: 2\r\n", true),
            (304, "transfer-encoding: chunked\r\n", true),
            (304, "content-length: x\r\n", false),
            (304, "transfer-encoding: gzip\r\n", false),
        ] {
            let wire = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
            assert_framing(&wire, status, Framing::Empty, reusable);
        }
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n";
        let (head, headers) = read(wire, true).expect("valid");
        assert_eq!((head.framing, head.reusable), (Framing::Empty, false));
        // The reply carries the length of a response without a body to the client.
        assert!(!headers.contains(b"content-length"));
    }

    #[test]
    fn fields_keep_their_order_and_lose_surrounding_blanks() {
        let wire = b"HTTP/1.1 200 OK\r\nB: \t two  words \r\nA:\r\nb:x:y\r\nL: caf\xe9\r\n\r\n";
        let (_, headers) = read(wire, false).expect("valid");
        let fields: Vec<_> = headers.iter().collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"b", b"two  words"),
            (b"a", b""),
            (b"b", b"x:y"),
            (b"l", b"caf\xe9"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn invalid_heads_are_rejected_with_a_reason() {
        for (wire, reason) in [
            ("HTTP/2 200\r\n\r\n", "begins with `HTTP/2 200`"),
            ("SSH-2.0-x\r\n", "begins with `SSH-2.0-x"),
            ("\x16\x03\x01", "begins with `\\x16\\x03"),
            ("HTTP/1.1 2000 OK\r\n\r\n", "begins with"),
            ("HTTP/1.1 +20 OK\r\n\r\n", "begins with"),
            ("HTTP/1.1 099 OK\r\n\r\n", "begins with"),
            ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", "header line `a : b`"),
            (
                "HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
                "header line ` folded`",
            ),
            (
                "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                "header line `no colon`",
            ),
            ("HTTP/1.1 200 OK\r\n: empty\r\n\r\n", "header line"),
            (
                "HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n",
                "holds a control byte",
            ),
            ("HTTP/1.1 200 OK\r\na: b\0\r\n\r\n", "holds a control byte"),
            ("HTTP/1.1 101 x\r\n\r\n", "101 without an upgrade"),
            ("HTTP/1.1 200 O", "closed after 14 bytes of the head"),
            ("", "closed without a response"),
        ] {
            let error = rejected(wire.as_bytes());
            assert!(error.contains(reason), "{wire:?}: {error}");
        }
    }

    #[test]
    fn a_framing_with_two_meanings_is_rejected_with_a_reason() {
        for (wire, reason) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                "two different",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n",
                "two different",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n",
                "content-length `+1`",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
                "content-length ``",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n",
                "content-length",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
                "transfer coding",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, identity\r\n\r\n",
                "transfer coding",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: \"chunked\"\r\n\r\n",
                "transfer coding",
            ),
            ("\rHTTP/1.1 200 OK\r\n\r\n", "begins with"),
            ("HTTP/1.1 200 OK\r\na: b\n\r\r\n\r\n", "header line"),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: \x0cchunked\r\n\r\n",
                "transfer coding",
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\x0c\r\n\r\n",
                "content-length",
            ),
        ] {
            let error = rejected(wire.as_bytes());
            assert!(error.contains(reason), "{wire:?}: {error}");
        }
    }

    #[test]
    fn heads_are_limited_in_bytes_and_fields() {
        let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(MAX_HEAD));
        assert!(rejected(long.as_bytes()).contains("larger than"));
        let endless = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(2 * MAX_HEAD));
        assert!(rejected(endless.as_bytes()).contains("larger than"));
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 20);
        assert!(rejected(interim.as_bytes()).contains("larger than"));
        assert!(rejected("\r\n".repeat(MAX_HEAD).as_bytes()).contains("larger than"));
        let many = format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_FIELDS + 1)
        );
        assert!(rejected(many.as_bytes()).contains("more than 1000"));
    }

    #[test]
    fn every_prefix_of_a_head_is_incomplete() {
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\n";
        for cut in 0..wire.len() {
            match read(&wire[..cut], false) {
                Err(Error::ClosedInHead(seen)) => assert_eq!(seen, cut),
                other => panic!("{cut}: {other:?}"),
            }
        }
    }
}
