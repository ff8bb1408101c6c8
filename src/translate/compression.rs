//! Whether a response is compressed for its client, and how its headers change then.
//!
//! RFC 9110 sets the conditions: the client accepts gzip (12.5.3), the response is complete
//! and has no content coding yet (8.4, 14.4), and the app does not forbid it (`no-transform`,
//! RFC 9111 5.2.2.6). Beyond these, small bodies and formats that are compressed already are
//! sent unchanged, because compressing them costs time and saves nothing.

use std::borrow::Cow;
use std::fmt;

use crate::error::Failure;
use crate::gzip::{Gzip, Level};
use crate::http::Response;
use crate::http::body_reader::{BodyReader, Chunk, Wait};
use crate::http::decimal;
use crate::http::headers::{Headers, list};
use crate::http::request::Request;
use crate::translate::media_type;

/// Below this, the gzip header and trailer outweigh the gain.
const MIN_LENGTH: u64 = 32;
/// Uncompressed size up to which a buffered body is compressed. The adapter does not keep the
/// uncompressed bytes, but the client must hold them.
const MAX_LENGTH: u64 = 64 << 20;

/// The content coding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not compressed, for any client.
    Identity,
    /// Not compressed for this client; for another it would be, so caches need `Vary`.
    IdentityVary,
    Gzip(Level),
}

/// Chooses the coding from the request and the head of the response; `length` is the length
/// of the body, if it is known.
pub fn choose(level: Level, request: &Request, response: &Response, length: Option<u64>) -> Coding {
    let (status, headers) = (response.status, response.headers);
    let members = |name| headers.all(name).flat_map(list);
    let has_no_body = response.to_head || matches!(status, 100..200 | 204 | 304);
    let is_partial = status == 206 || headers.contains(b"content-range");
    let is_coded =
        members(b"content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let is_fixed =
        members(b"cache-control").any(|directive| directive.eq_ignore_ascii_case(b"no-transform"));
    let content_type = headers.first(b"content-type");
    let is_worth_it = length.is_none_or(|length| length >= MIN_LENGTH)
        && content_type.is_none_or(media_type::is_compressible);
    if has_no_body || is_partial || is_coded || is_fixed || !is_worth_it {
        Coding::Identity
    } else if accepts_gzip(&request.headers) {
        Coding::Gzip(level)
    } else {
        Coding::IdentityVary
    }
}

/// Whether the client accepts gzip and does not prefer identity to it.
fn accepts_gzip(request: &Headers) -> bool {
    let codings = || {
        request
            .all(b"accept-encoding")
            .flat_map(list)
            .map(|member| {
                let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
                (parts.next().unwrap_or_default(), weight(parts))
            })
    };
    let weight_of = |names: &[&[u8]]| {
        codings()
            .filter(|(coding, _)| names.iter().any(|name| coding.eq_ignore_ascii_case(name)))
            .map(|(_, weight)| weight)
            .max()
    };
    let gzip = weight_of(&[b"gzip", b"x-gzip"]).or_else(|| weight_of(&[b"*"]));
    let identity = weight_of(&[b"identity"]).unwrap_or(0);
    gzip.is_some_and(|gzip| gzip > 0 && gzip >= identity)
}

/// The `q` of a list member in thousandths (RFC 9110 12.4.2). An invalid one counts as 0:
/// every client can read identity.
fn weight<'a>(mut parameters: impl Iterator<Item = &'a [u8]>) -> u64 {
    let Some([b'q' | b'Q', b'=', value @ ..]) = parameters.next() else {
        return 1000;
    };
    match value {
        [b'1'] | [b'1', b'.', ..] => 1000,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 => {
            decimal(digits).unwrap_or(0) * 10u64.pow(3 - digits.len() as u32)
        }
        _ => 0,
    }
}

/// The headers that describe the bytes of the uncompressed body.
const OF_THE_BYTES: [&[u8]; 7] = [
    b"content-length",
    b"content-encoding",
    b"accept-ranges",
    b"content-md5",
    b"digest",
    b"content-digest",
    b"repr-digest",
];

/// Returns the headers of the response in this coding.
pub fn rewrite_headers(coding: Coding, headers: &Headers) -> Cow<'_, Headers> {
    let is_gzip = match coding {
        Coding::Identity => return Cow::Borrowed(headers),
        Coding::IdentityVary => false,
        Coding::Gzip(_) => true,
    };
    let mut rewritten = Headers::new();
    for (name, value) in headers.iter() {
        if !is_gzip {
            rewritten.push(name, value);
        } else if name == b"etag" && value.starts_with(b"\"") {
            // A strong validator must differ between codings; a weak one need not
            // (RFC 9110 8.8.3.3).
            rewritten.push(name, &[b"W/", value].concat());
        } else if !OF_THE_BYTES.contains(&name) {
            rewritten.push(name, value);
        }
    }
    if is_gzip {
        rewritten.push(b"content-encoding", b"gzip");
    }
    let varies = |member: &[u8]| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding");
    if !headers.all(b"vary").flat_map(list).any(varies) {
        rewritten.push(b"vary", b"accept-encoding");
    }
    Cow::Owned(rewritten)
}

/// Compresses the part of a body that has been read, then the rest of it, into `out`. Returns
/// false if that does not make it smaller, or leaves more than `limit` bytes.
pub fn compress(
    level: Level,
    read: &[u8],
    rest: &mut dyn BodyReader,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, Failure> {
    let mut gzip = Gzip::begin(level, out);
    let mut total = 0;
    for piece in read.chunks(PIECE) {
        gzip.write(piece, out);
        total += piece.len() as u64;
        // The compressor holds back at most one piece, so `out` is nearly up to date.
        let is_no_smaller = total >= SAMPLE_LEN && (out.len() + PIECE) as u64 > total;
        if out.len() > limit || is_no_smaller {
            return Ok(false);
        }
    }
    while let Chunk::Data(data) = rest.fill(Wait::Block)? {
        let count = data.len();
        gzip.write(data, out);
        rest.consume(count);
        total += count as u64;
        if out.len() > limit || total > MAX_LENGTH {
            return Ok(false);
        }
    }
    gzip.finish(out);
    Ok(out.len() <= limit && (out.len() as u64) < total)
}

/// After this many bytes it is clear whether a body compresses.
const SAMPLE_LEN: u64 = 1 << 20;
/// The number of bytes written to the compressor at once, and the most that it holds back.
const PIECE: usize = 64 << 10;

/// Compresses a streamed body while it arrives. Whenever the app pauses, everything it has
/// sent so far is flushed, so that the client can decode it.
pub struct Gzipped<'a> {
    source: Box<dyn BodyReader + 'a>,
    /// `None` once the member is finished.
    gzip: Option<Gzip>,
    out: Vec<u8>,
    consumed: usize,
    /// Whether `out` may be handed out, rather than filled further.
    is_ready: bool,
    is_flushed: bool,
    /// A failure of the source that is returned after the bytes before it.
    failure: Option<Failure>,
}

impl fmt::Debug for Gzipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzipped")
            .field("gzip", &self.gzip)
            .field("is_ready", &self.is_ready)
            .finish_non_exhaustive()
    }
}

impl<'a> Gzipped<'a> {
    pub fn new(level: Level, source: Box<dyn BodyReader + 'a>) -> Gzipped<'a> {
        let mut out = Vec::new();
        Gzipped {
            source,
            gzip: Some(Gzip::begin(level, &mut out)),
            out,
            consumed: 0,
            is_ready: false,
            is_flushed: true,
            failure: None,
        }
    }
}

impl BodyReader for Gzipped<'_> {
    fn fill(&mut self, mut wait: Wait) -> Result<Chunk<'_>, Failure> {
        while !self.is_ready {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let Some(gzip) = &mut self.gzip else {
                return Ok(Chunk::End);
            };
            match self.source.fill(wait) {
                Ok(Chunk::Data(data)) => {
                    let count = data.len();
                    gzip.write(data, &mut self.out);
                    self.source.consume(count);
                    self.is_flushed = false;
                    self.is_ready = self.out.len() >= PIECE;
                    wait = Wait::NoBlock;
                }
                Ok(Chunk::End) => {
                    if let Some(gzip) = self.gzip.take() {
                        gzip.finish(&mut self.out);
                    }
                    self.is_ready = true;
                }
                Ok(Chunk::Pending) if self.is_flushed => return Ok(Chunk::Pending),
                Err(failure) if self.is_flushed => return Err(failure),
                paused => {
                    gzip.flush(&mut self.out);
                    self.is_flushed = true;
                    self.is_ready = true;
                    self.failure = paused.err();
                }
            }
        }
        let ready = self.out.get(self.consumed..).unwrap_or_default();
        Ok(Chunk::Data(ready))
    }

    fn consume(&mut self, count: usize) {
        self.consumed += count;
        if self.consumed >= self.out.len() {
            self.out.clear();
            (self.consumed, self.is_ready) = (0, false);
        }
    }
}

#[cfg(test)]
#[cfg(feature = "compression")]
mod tests {
    use super::*;
    use crate::error::Class;
    use crate::gzip::LEVEL;
    use crate::gzip::tests::{gunzip, gunzip_so_far};

    fn level() -> Level {
        LEVEL.expect("compression is built in")
    }

    fn gzip() -> Coding {
        Coding::Gzip(level())
    }

    fn headers(lines: &str) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    fn request(method: &str, lines: &str) -> Request<'static> {
        Request {
            method: Cow::Owned(method.to_owned()),
            target: b"/".to_vec(),
            headers: headers(lines),
            body: b"",
        }
    }

    fn chosen(response: &str) -> Coding {
        let request = request("GET", "accept-encoding: gzip");
        let headers = headers(response);
        choose(level(), &request, &response_of(200, &headers), Some(1000))
    }

    fn response_of(status: u16, headers: &Headers) -> Response<'_> {
        Response {
            status,
            headers,
            to_head: false,
        }
    }

    #[test]
    fn gzip_is_chosen_by_the_weights_of_accept_encoding() {
        for (fields, expected) in [
            ("accept-encoding: gzip", true),
            ("accept-encoding: br, GZip;Q=0.5", true),
            ("accept-encoding: br\naccept-encoding: x-gzip", true),
            ("accept-encoding: gzip ; q=0.001", true),
            ("accept-encoding: *", true),
            ("accept-encoding: *;q=0, gzip;q=1.000", true),
            ("accept-encoding: gzip;q=0.5, identity;q=0.5", true),
            ("accept-encoding: identity;q=0, *;q=0.1", true),
            ("accept-encoding: gzip;q=0.4, identity;q=0.5", false),
            ("accept-encoding: gzip;q=0.000, *", false),
            ("accept-encoding: gzip;q=0, deflate", false),
            ("accept-encoding: gzip;q=half", false),
            ("accept-encoding: gzip;q=0.0001", false),
            ("accept-encoding: gzip;q=", false),
            ("accept-encoding: gzip;q=0.-1", false),
            ("accept-encoding: *;q=0", false),
            ("accept-encoding: gzipped, xgzip", false),
            ("accept-encoding: ", false),
            ("accept: gzip", false),
        ] {
            assert_eq!(accepts_gzip(&headers(fields)), expected, "{fields}");
            let none = Headers::new();
            let request = request("GET", fields);
            let coding = choose(level(), &request, &response_of(200, &none), None);
            let expected = if expected {
                gzip()
            } else {
                Coding::IdentityVary
            };
            assert_eq!(coding, expected, "{fields}");
        }
    }

    #[test]
    fn types_that_are_compressed_already_stay_identity() {
        for (media_type, expected) in [
            ("text/html; charset=utf-8", gzip()),
            ("application/json", gzip()),
            ("application/vnd.api+json", gzip()),
            ("application/octet-stream", gzip()),
            ("application/wasm", gzip()),
            ("font/ttf", gzip()),
            ("Image/SVG+XML ; charset=utf-8", gzip()),
            ("image/png", Coding::Identity),
            ("IMAGE/JPEG", Coding::Identity),
            ("video/mp4", Coding::Identity),
            ("audio/ogg", Coding::Identity),
            ("font/woff2", Coding::Identity),
            ("application/font-woff", Coding::Identity),
            ("application/zip", Coding::Identity),
            ("application/gzip", Coding::Identity),
            ("application/epub+zip", Coding::Identity),
            ("application/x-7z-compressed", Coding::Identity),
            ("application/java-archive", Coding::Identity),
            ("application/zstd", Coding::Identity),
            ("text/event-stream;charset=utf-8", Coding::Identity),
            ("application/grpc-web+proto", Coding::Identity),
        ] {
            let coding = chosen(&format!("content-type: {media_type}"));
            assert_eq!(coding, expected, "{media_type}");
        }
        assert_eq!(chosen(""), gzip());
    }

    #[test]
    fn coded_partial_and_no_transform_responses_stay_identity() {
        for (response, expected) in [
            ("content-encoding: identity", gzip()),
            ("cache-control: max-age=60, private", gzip()),
            ("content-encoding: br", Coding::Identity),
            ("content-encoding: identity, zstd", Coding::Identity),
            ("content-range: bytes 0-9/100", Coding::Identity),
            ("cache-control: public, No-Transform", Coding::Identity),
            (
                "cache-control: public\ncache-control: no-transform",
                Coding::Identity,
            ),
        ] {
            assert_eq!(chosen(response), expected, "{response}");
        }
    }

    #[test]
    fn responses_without_a_body_or_with_a_small_one_stay_identity() {
        let none = Headers::new();
        for (method, status, length, expected) in [
            ("GET", 200, Some(32), gzip()),
            ("POST", 500, None, gzip()),
            ("GET", 200, Some(31), Coding::Identity),
            ("GET", 200, Some(0), Coding::Identity),
            ("HEAD", 200, Some(1000), Coding::Identity),
            ("GET", 204, None, Coding::Identity),
            ("GET", 206, Some(1000), Coding::Identity),
            ("GET", 304, Some(1000), Coding::Identity),
        ] {
            let request = request(method, "accept-encoding: gzip");
            let response = Response {
                to_head: method == "HEAD",
                ..response_of(status, &none)
            };
            let coding = choose(level(), &request, &response, length);
            assert_eq!(coding, expected, "{method} {status} {length:?}");
        }
    }

    fn rewritten(coding: Coding, response: &str) -> String {
        rewrite_headers(coding, &headers(response))
            .iter()
            .map(|(name, value)| format!("{}: {}\n", name.escape_ascii(), value.escape_ascii()))
            .collect()
    }

    #[test]
    fn headers_of_a_compressed_response_do_not_describe_the_uncompressed_body() {
        let before = "content-type: text/html\ncontent-length: 9\naccept-ranges: bytes\n\
            content-encoding: identity\netag: \"a\"\ncontent-md5: x\ndigest: x\n\
            content-digest: x\nrepr-digest: x\nset-cookie: a=1\nset-cookie: b=2\n";
        assert_eq!(
            rewritten(gzip(), before),
            "content-type: text/html\netag: W/\\\"a\\\"\nset-cookie: a=1\nset-cookie: b=2\n\
             content-encoding: gzip\nvary: accept-encoding\n"
        );
        assert_eq!(
            rewritten(Coding::IdentityVary, "etag: \"a\"\naccept-ranges: bytes\n"),
            "etag: \\\"a\\\"\naccept-ranges: bytes\nvary: accept-encoding\n"
        );
        let weak = rewritten(gzip(), "etag: W/\"a\"\n");
        assert!(weak.starts_with("etag: W/\\\"a\\\"\n"), "{weak}");
        assert_eq!(
            rewritten(Coding::Identity, "etag: \"a\""),
            "etag: \\\"a\\\"\n"
        );
    }

    #[test]
    fn vary_names_accept_encoding_once_and_a_star_covers_it() {
        for kept in [
            "vary: *\n",
            "vary: Cookie, Accept-Encoding\n",
            "vary: cookie\nvary: accept-encoding\n",
        ] {
            assert_eq!(rewritten(Coding::IdentityVary, kept), kept);
        }
        assert_eq!(
            rewritten(Coding::IdentityVary, "vary: cookie\n"),
            "vary: cookie\nvary: accept-encoding\n"
        );
    }

    const NO_LIMIT: usize = usize::MAX;

    fn noise(length: u32) -> Vec<u8> {
        let mut state = 1u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn a_body_read_in_part_is_compressed_with_its_rest() {
        let text = b"It was a bright cold day in April. ".repeat(9000);
        for cut in [0, 1, 200_000, text.len()] {
            let (read, mut rest) = text.split_at(cut);
            let mut out = Vec::new();
            assert_eq!(
                compress(level(), read, &mut rest, &mut out, NO_LIMIT),
                Ok(true)
            );
            assert_eq!(gunzip(&out), text);
        }
    }

    #[test]
    fn compressing_stops_if_the_body_gets_no_smaller_or_stays_too_large() {
        let text = b"It was a bright cold day in April. ".repeat(9000);
        let noise = noise(2 << 20);
        let (few, _) = noise.split_at(100);
        for (body, limit) in [
            (few, NO_LIMIT),
            (&noise, NO_LIMIT),
            (&noise, 1 << 20),
            (&text, 500),
        ] {
            for cut in [0, body.len()] {
                let (read, mut rest) = body.split_at(cut);
                let mut out = Vec::new();
                let compressed = compress(level(), read, &mut rest, &mut out, limit);
                assert_eq!(compressed, Ok(false), "{} {limit}", body.len());
                assert!(out.len() <= body.len() + 1000);
            }
        }
    }

    /// Never ends, and compresses to almost nothing.
    struct Endless(Vec<u8>);

    impl BodyReader for Endless {
        fn fill(&mut self, _: Wait) -> Result<Chunk<'_>, Failure> {
            Ok(Chunk::Data(&self.0))
        }

        fn consume(&mut self, _: usize) {}
    }

    #[test]
    fn compressing_stops_at_the_size_limit_of_an_endless_body() {
        let mut endless = Endless(vec![b'x'; 1 << 20]);
        let mut out = Vec::new();
        let compressed = compress(level(), b"", &mut endless, &mut out, NO_LIMIT);
        assert_eq!(compressed, Ok(false));
    }

    /// Returns its pieces one at a time with a pause before each, and may fail at its end.
    struct Pieces {
        pieces: Vec<Vec<u8>>,
        at: usize,
        has_paused: bool,
        fails: bool,
    }

    impl BodyReader for Pieces {
        fn fill(&mut self, wait: Wait) -> Result<Chunk<'_>, Failure> {
            self.has_paused |= wait == Wait::Block;
            match self.pieces.get(self.at) {
                _ if !self.has_paused => Ok(Chunk::Pending),
                None if self.fails => Err(Failure::new(Class::AppProtocol, "broken".into())),
                piece => Ok(piece.map_or(Chunk::End, |piece| Chunk::Data(piece))),
            }
        }

        fn consume(&mut self, count: usize) {
            assert_eq!(count, self.pieces[self.at].len());
            self.at += 1;
            self.has_paused = false;
        }
    }

    #[test]
    fn each_piece_of_a_stream_is_readable_before_the_next_arrives() {
        let pieces: Vec<Vec<u8>> = (0..20)
            .map(|n| format!("piece {n}; ").repeat(1 + n * n * 30).into_bytes())
            .collect();
        for fails in [false, true] {
            let source = Pieces {
                pieces: pieces.clone(),
                at: 0,
                has_paused: false,
                fails,
            };
            let mut stream = Gzipped::new(level(), Box::new(source));
            let (mut got, mut pauses) = (Vec::new(), 0);
            let mut wait = Wait::NoBlock;
            let end = loop {
                match stream.fill(wait) {
                    Ok(Chunk::Pending) => {
                        let sent = pieces[..pauses].concat();
                        assert!(pauses == 0 || gunzip_so_far(&got) == sent, "{pauses}");
                        pauses += 1;
                        wait = Wait::Block;
                    }
                    Ok(Chunk::End) => break Ok(()),
                    Ok(Chunk::Data(data)) => {
                        // In parts, as a slow client reads.
                        let count = data.len().div_ceil(2);
                        got.extend_from_slice(&data[..count]);
                        stream.consume(count);
                        wait = Wait::NoBlock;
                    }
                    Err(failure) => break Err(failure),
                }
            };
            assert_eq!(end.is_err(), fails);
            let decoded = if fails {
                gunzip_so_far(&got)
            } else {
                gunzip(&got)
            };
            assert_eq!(decoded, pieces.concat());
        }
    }

    #[test]
    fn a_long_stream_is_held_back_by_at_most_one_piece() {
        let body = noise(2 << 20);
        let source = Pieces {
            pieces: body.chunks(50_000).map(<[u8]>::to_vec).collect(),
            at: 0,
            has_paused: true,
            fails: false,
        };
        let mut stream = Gzipped::new(level(), Box::new(source));
        let mut got = Vec::new();
        while let Ok(Chunk::Data(data)) = stream.fill(Wait::Block) {
            let count = data.len();
            assert!(count <= 2 * PIECE, "{count}");
            got.extend_from_slice(data);
            stream.consume(count);
        }
        assert_eq!(gunzip(&got), body);
    }

    #[test]
    fn an_empty_stream_is_an_empty_member() {
        let mut stream = Gzipped::new(level(), Box::new(&b""[..]));
        let Ok(Chunk::Data(data)) = stream.fill(Wait::NoBlock) else {
            panic!("no gzip member");
        };
        assert_eq!(gunzip(data), b"");
        let count = data.len();
        stream.consume(count);
        assert_eq!(stream.fill(Wait::NoBlock), Ok(Chunk::End));
    }
}
