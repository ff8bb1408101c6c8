//! Whether an answer is compressed for its client, and what its header must say then.
//!
//! RFC 9110 settles when it may be done: the client takes it (12.5.3), the answer is whole
//! and in no coding yet (8.4, 14.4), and the app does not forbid it (`no-transform`, RFC 9111
//! 5.2.2.6). The rest is about gain: what is small or packed already stays as it is, and an
//! event stream is read by programs that seldom expect a coding.

use std::borrow::Cow;

use crate::error::Failure;
use crate::gzip::{Gzip, Level};
use crate::http::body_reader::Source;
use crate::http::decimal;
use crate::http::headers::{Headers, list};
use crate::translate::request::Request;

/// Below this, the frame of gzip takes what the coding gains.
const MIN_LENGTH: u64 = 32;
/// How much a compressed answer may have been before. Nothing but time limits it, since what
/// has been compressed is not kept; a client still has to have room for it.
const MAX_LENGTH: u64 = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// For every client the same.
    AsItIs,
    /// For this client as it is, for another it would be compressed.
    Varies,
    Gzip(Level),
}

/// Decides by the request and the head of its answer, with the length where it is known.
pub fn choose(
    level: Level,
    request: &Request,
    status: u16,
    headers: &Headers,
    length: Option<u64>,
) -> Coding {
    let members = |name| headers.all(name).flat_map(list);
    let bodiless = request.method == "HEAD" || matches!(status, 100..200 | 204 | 304);
    let partial = status == 206 || headers.contains(b"content-range");
    let coded =
        members(b"content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    let fixed =
        members(b"cache-control").any(|directive| directive.eq_ignore_ascii_case(b"no-transform"));
    let gains = length.is_none_or(|length| length >= MIN_LENGTH)
        && headers.first(b"content-type").is_none_or(is_compressible);
    if bodiless || partial || coded || fixed || !gains {
        return Coding::AsItIs;
    }
    match accepts_gzip(&request.headers) {
        true => Coding::Gzip(level),
        false => Coding::Varies,
    }
}

/// Whether the client takes gzip, and takes it no less gladly than the body as it is.
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
    let plain = weight_of(&[b"identity"]).unwrap_or(0);
    gzip.is_some_and(|gzip| gzip > 0 && gzip >= plain)
}

/// The `q` of a member in thousandths (RFC 9110 12.4.2). One that cannot be read refuses,
/// because the body as it is can be read by anyone.
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

/// Whether a media type (RFC 9110 8.3.1) is worth it: all are but those that are known to be
/// packed, or to be read as they come.
fn is_compressible(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next();
    let media_type = media_type
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let begins = |prefix: &&[u8]| media_type.starts_with(prefix);
    let ends = |suffix: &&[u8]| media_type.ends_with(suffix);
    media_type == b"image/svg+xml" || !PACKED.iter().any(begins) && !PACKED_ENDS.iter().any(ends)
}

const PACKED: [&[u8]; 6] = [
    b"image/",
    b"video/",
    b"audio/",
    b"text/event-stream",
    b"application/grpc",
    b"application/vnd.openxmlformats",
];

/// `zip` ends gzip and each `+zip` too, `compressed` what 7z and RAR are called, `archive`
/// those of Java and Android.
const PACKED_ENDS: [&[u8]; 9] = [
    b"zip",
    b"zip2",
    b"/x-xz",
    b"zstd",
    b"rar",
    b"compressed",
    b"archive",
    b"woff",
    b"woff2",
];

/// The header as the coding makes it.
pub fn describe(coding: Coding, headers: &Headers) -> Cow<'_, Headers> {
    if coding == Coding::AsItIs {
        return Cow::Borrowed(headers);
    }
    let mut changed = Headers::new();
    for (name, value) in headers.iter() {
        match name {
            _ if coding == Coding::Varies => changed.push(name, value),
            // What is said of the bytes of another body.
            b"content-length" | b"content-encoding" | b"accept-ranges" | b"content-md5"
            | b"digest" | b"content-digest" | b"repr-digest" => {}
            // RFC 9110 8.8.3.3: strong is a validator only if it tells the codings apart.
            b"etag" if value.starts_with(b"\"") => changed.push(name, &[b"W/", value].concat()),
            _ => changed.push(name, value),
        }
    }
    if matches!(coding, Coding::Gzip(_)) {
        changed.push(b"content-encoding", b"gzip");
    }
    let varies = |member: &[u8]| member == b"*" || member.eq_ignore_ascii_case(b"accept-encoding");
    if !headers.all(b"vary").flat_map(list).any(varies) {
        changed.push(b"vary", b"accept-encoding");
    }
    Cow::Owned(changed)
}

/// Compresses what was read of a body, and all that is still to come, into `out`. False says
/// that this gains nothing, or is more than `limit` bytes even so.
pub fn compress(
    level: Level,
    read: &[u8],
    rest: &mut dyn Source,
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<bool, Failure> {
    let mut gzip = Gzip::begin(level, out);
    let mut seen = 0;
    for piece in read.chunks(PIECE) {
        gzip.write(piece, out);
        seen += piece.len() as u64;
        // No more than a piece is held back: what has not become smaller by now will not.
        let gained_nothing = seen >= ENOUGH && (out.len() + PIECE) as u64 > seen;
        if out.len() > limit || gained_nothing {
            return Ok(false);
        }
    }
    while let Some(data @ [_, ..]) = rest.next(true)? {
        let count = data.len();
        gzip.write(data, out);
        rest.consume(count);
        seen += count as u64;
        if out.len() > limit || seen > MAX_LENGTH {
            return Ok(false);
        }
    }
    gzip.finish(out);
    Ok(out.len() <= limit && (out.len() as u64) < seen)
}

/// After so much it shows whether compressing gains anything.
const ENOUGH: u64 = 1 << 20;
/// How much is written at once, and held back at most.
const PIECE: usize = 64 << 10;

/// A body compressed as it comes. Whenever the app pauses, all that it has sent can be read;
/// what it sends at once is flushed at once.
pub struct Gzipped<'a> {
    source: &'a mut dyn Source,
    gzip: Option<Gzip>,
    out: Vec<u8>,
    used: usize,
    /// Whether what is in `out` may go.
    ready: bool,
    flushed: bool,
    failed: Option<Failure>,
}

impl Gzipped<'_> {
    pub fn new(level: Level, source: &mut dyn Source) -> Gzipped<'_> {
        let mut out = Vec::new();
        Gzipped {
            source,
            gzip: Some(Gzip::begin(level, &mut out)),
            out,
            used: 0,
            ready: false,
            flushed: true,
            failed: None,
        }
    }
}

impl Source for Gzipped<'_> {
    fn next(&mut self, mut wait: bool) -> Result<Option<&[u8]>, Failure> {
        while !self.ready {
            if let Some(failure) = self.failed.take() {
                return Err(failure);
            }
            let Some(gzip) = &mut self.gzip else {
                return Ok(Some(&[]));
            };
            match self.source.next(wait) {
                Ok(Some(data @ [_, ..])) => {
                    let count = data.len();
                    gzip.write(data, &mut self.out);
                    self.source.consume(count);
                    self.flushed = false;
                    self.ready = self.out.len() >= PIECE;
                    wait = false;
                }
                Ok(Some([])) => {
                    if let Some(gzip) = self.gzip.take() {
                        gzip.finish(&mut self.out);
                    }
                    self.ready = true;
                }
                Ok(None) if self.flushed => return Ok(None),
                Err(failure) if self.flushed => return Err(failure),
                paused => {
                    gzip.flush(&mut self.out);
                    self.flushed = true;
                    self.ready = true;
                    self.failed = paused.err();
                }
            }
        }
        Ok(Some(self.out.get(self.used..).unwrap_or_default()))
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
        if self.used >= self.out.len() {
            self.out.clear();
            (self.used, self.ready) = (0, false);
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
        LEVEL.expect("built in")
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

    fn chosen(answer: &str) -> Coding {
        let request = request("GET", "accept-encoding: gzip");
        choose(level(), &request, 200, &headers(answer), Some(1000))
    }

    #[test]
    fn the_client_decides_by_its_weights() {
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
            let coding = choose(level(), &request("GET", fields), 200, &Headers::new(), None);
            let expected = if expected { gzip() } else { Coding::Varies };
            assert_eq!(coding, expected, "{fields}");
        }
    }

    #[test]
    fn types_that_are_packed_or_read_as_they_come_are_left_alone() {
        for (media_type, expected) in [
            ("text/html; charset=utf-8", gzip()),
            ("application/json", gzip()),
            ("application/vnd.api+json", gzip()),
            ("application/octet-stream", gzip()),
            ("application/wasm", gzip()),
            ("font/ttf", gzip()),
            ("Image/SVG+XML ; charset=utf-8", gzip()),
            ("image/png", Coding::AsItIs),
            ("IMAGE/JPEG", Coding::AsItIs),
            ("video/mp4", Coding::AsItIs),
            ("audio/ogg", Coding::AsItIs),
            ("font/woff2", Coding::AsItIs),
            ("application/font-woff", Coding::AsItIs),
            ("application/zip", Coding::AsItIs),
            ("application/gzip", Coding::AsItIs),
            ("application/epub+zip", Coding::AsItIs),
            ("application/x-7z-compressed", Coding::AsItIs),
            ("application/java-archive", Coding::AsItIs),
            ("application/zstd", Coding::AsItIs),
            ("text/event-stream;charset=utf-8", Coding::AsItIs),
            ("application/grpc-web+proto", Coding::AsItIs),
        ] {
            let coding = chosen(&format!("content-type: {media_type}"));
            assert_eq!(coding, expected, "{media_type}");
        }
        assert_eq!(chosen(""), gzip());
    }

    #[test]
    fn what_the_app_has_coded_cut_or_fixed_is_left_alone() {
        for (answer, expected) in [
            ("content-encoding: identity", gzip()),
            ("cache-control: max-age=60, private", gzip()),
            ("content-encoding: br", Coding::AsItIs),
            ("content-encoding: identity, zstd", Coding::AsItIs),
            ("content-range: bytes 0-9/100", Coding::AsItIs),
            ("cache-control: public, No-Transform", Coding::AsItIs),
            (
                "cache-control: public\ncache-control: no-transform",
                Coding::AsItIs,
            ),
        ] {
            assert_eq!(chosen(answer), expected, "{answer}");
        }
    }

    #[test]
    fn what_has_no_body_or_a_small_one_is_left_alone() {
        let none = Headers::new();
        for (method, status, length, expected) in [
            ("GET", 200, Some(32), gzip()),
            ("POST", 500, None, gzip()),
            ("GET", 200, Some(31), Coding::AsItIs),
            ("GET", 200, Some(0), Coding::AsItIs),
            ("HEAD", 200, Some(1000), Coding::AsItIs),
            ("GET", 204, None, Coding::AsItIs),
            ("GET", 206, Some(1000), Coding::AsItIs),
            ("GET", 304, Some(1000), Coding::AsItIs),
        ] {
            let request = request(method, "accept-encoding: gzip");
            let coding = choose(level(), &request, status, &none, length);
            assert_eq!(coding, expected, "{method} {status} {length:?}");
        }
    }

    fn described(coding: Coding, answer: &str) -> String {
        describe(coding, &headers(answer))
            .iter()
            .map(|(name, value)| format!("{}: {}\n", name.escape_ascii(), value.escape_ascii()))
            .collect()
    }

    #[test]
    fn the_header_of_a_compressed_answer_says_nothing_of_the_body_before() {
        let before = "content-type: text/html\ncontent-length: 9\naccept-ranges: bytes\n\
            content-encoding: identity\netag: \"a\"\ncontent-md5: x\ndigest: x\n\
            content-digest: x\nrepr-digest: x\nset-cookie: a=1\nset-cookie: b=2\n";
        assert_eq!(
            described(gzip(), before),
            "content-type: text/html\netag: W/\\\"a\\\"\nset-cookie: a=1\nset-cookie: b=2\n\
             content-encoding: gzip\nvary: accept-encoding\n"
        );
        assert_eq!(
            described(Coding::Varies, "etag: \"a\"\naccept-ranges: bytes\n"),
            "etag: \\\"a\\\"\naccept-ranges: bytes\nvary: accept-encoding\n"
        );
        let weak = described(gzip(), "etag: W/\"a\"\n");
        assert!(weak.starts_with("etag: W/\\\"a\\\"\n"), "{weak}");
        assert_eq!(
            described(Coding::AsItIs, "etag: \"a\""),
            "etag: \\\"a\\\"\n"
        );
    }

    #[test]
    fn vary_names_accept_encoding_once_and_a_star_says_it_all() {
        for kept in [
            "vary: *\n",
            "vary: Cookie, Accept-Encoding\n",
            "vary: cookie\nvary: accept-encoding\n",
        ] {
            assert_eq!(described(Coding::Varies, kept), kept);
        }
        assert_eq!(
            described(Coding::Varies, "vary: cookie\n"),
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
    fn what_gets_no_smaller_or_not_small_enough_is_given_up() {
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

    /// Never ends, and compresses to next to nothing.
    struct Endless(Vec<u8>);

    impl Source for Endless {
        fn next(&mut self, _: bool) -> Result<Option<&[u8]>, Failure> {
            Ok(Some(&self.0))
        }

        fn consume(&mut self, _: usize) {}
    }

    #[test]
    fn an_endless_body_is_given_up() {
        let mut endless = Endless(vec![b'x'; 1 << 20]);
        let mut out = Vec::new();
        let compressed = compress(level(), b"", &mut endless, &mut out, NO_LIMIT);
        assert_eq!(compressed, Ok(false));
    }

    /// Gives its pieces one at a time, a pause before each, and fails at its end if told to.
    struct Pieces {
        pieces: Vec<Vec<u8>>,
        at: usize,
        paused: bool,
        fails: bool,
    }

    impl Source for Pieces {
        fn next(&mut self, wait: bool) -> Result<Option<&[u8]>, Failure> {
            self.paused |= wait;
            match self.pieces.get(self.at) {
                _ if !self.paused => Ok(None),
                None if self.fails => Err(Failure::new(Class::AppProtocol, "broken".into())),
                piece => Ok(Some(piece.map_or(&[], Vec::as_slice))),
            }
        }

        fn consume(&mut self, count: usize) {
            assert_eq!(count, self.pieces[self.at].len());
            self.at += 1;
            self.paused = false;
        }
    }

    #[test]
    fn each_piece_of_a_stream_can_be_read_before_the_next_is_waited_for() {
        let pieces: Vec<Vec<u8>> = (0..20)
            .map(|n| format!("piece {n}; ").repeat(1 + n * n * 30).into_bytes())
            .collect();
        for fails in [false, true] {
            let mut source = Pieces {
                pieces: pieces.clone(),
                at: 0,
                paused: false,
                fails,
            };
            let mut stream = Gzipped::new(level(), &mut source);
            let (mut got, mut waits) = (Vec::new(), 0);
            let mut wait = false;
            let end = loop {
                match stream.next(wait) {
                    Ok(None) => {
                        let sent = pieces[..waits].concat();
                        assert!(waits == 0 || gunzip_so_far(&got) == sent, "{waits}");
                        waits += 1;
                        wait = true;
                    }
                    Ok(Some([])) => break Ok(()),
                    Ok(Some(data)) => {
                        // Not all at once, as a slow reader would.
                        let count = data.len().div_ceil(2);
                        got.extend_from_slice(&data[..count]);
                        stream.consume(count);
                        wait = false;
                    }
                    Err(failure) => break Err(failure),
                }
            };
            assert_eq!(end.is_err(), fails);
            match fails {
                false => assert_eq!(gunzip(&got), pieces.concat()),
                true => assert_eq!(gunzip_so_far(&got), pieces.concat()),
            }
        }
    }

    #[test]
    fn a_long_stream_is_held_back_by_no_more_than_a_piece() {
        let body = noise(2 << 20);
        let mut source = Pieces {
            pieces: body.chunks(50_000).map(<[u8]>::to_vec).collect(),
            at: 0,
            paused: true,
            fails: false,
        };
        let mut stream = Gzipped::new(level(), &mut source);
        let mut got = Vec::new();
        while let Ok(Some(data @ [_, ..])) = stream.next(true) {
            let count = data.len();
            assert!(count <= 2 * PIECE, "{count}");
            got.extend_from_slice(data);
            stream.consume(count);
        }
        assert_eq!(gunzip(&got), body);
    }

    #[test]
    fn an_empty_stream_is_an_empty_member() {
        let mut none = &b""[..];
        let mut stream = Gzipped::new(level(), &mut none);
        let data = stream.next(false).expect("no failure").expect("its frame");
        assert_eq!(gunzip(data), b"");
        let count = data.len();
        stream.consume(count);
        assert_eq!(stream.next(false), Ok(Some(&[][..])));
    }
}
