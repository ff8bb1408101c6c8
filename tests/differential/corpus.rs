//! Responses as real servers send them, and mutations of these.

/// A xorshift generator with a seed, so that a run can be repeated.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(0x5eed_1234_5678_9abd ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Lines end with LF here and with CRLF in the response; `\n` in a line is a bare LF.
const HEADS: &[(&str, &[u8])] = &[
    // Node's http module, with a length and with chunks.
    (
        "HTTP/1.1 200 OK
X-Powered-By: Express
Content-Type: text/html; charset=utf-8
Content-Length: 5
ETag: W/\"5-qvTGHdzF6KLavt4PO0gs2a6pQ00\"
Date: Thu, 26 Nov 2026 10:00:00 GMT
Connection: keep-alive
Keep-Alive: timeout=5",
        b"hello",
    ),
    (
        "HTTP/1.1 200 OK
Content-Type: application/json
Date: Thu, 26 Nov 2026 10:00:00 GMT
Connection: keep-alive
Transfer-Encoding: chunked",
        b"7\r\n{\"a\":1}\r\n0\r\n\r\n",
    ),
    // nginx, also in front of PHP.
    (
        "HTTP/1.1 404 Not Found
Server: nginx/1.27.0
Content-Type: text/html
Content-Length: 11
Connection: keep-alive",
        b"<html>hello",
    ),
    (
        "HTTP/1.1 200 OK
Server: nginx
Content-Type: text/html; charset=UTF-8
Transfer-Encoding: chunked
Connection: keep-alive
X-Powered-By: PHP/8.3.0
Set-Cookie: PHPSESSID=abc; path=/
Expires: Thu, 19 Nov 1981 08:52:00 GMT
Cache-Control: no-store, no-cache, must-revalidate
Pragma: no-cache",
        b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    ),
    // Apache.
    (
        "HTTP/1.1 206 Partial Content
Server: Apache/2.4.58 (Unix)
Accept-Ranges: bytes
Content-Length: 3
Content-Range: bytes 0-2/10
Content-Type: application/octet-stream",
        b"\x00\x01\xff",
    ),
    // Tomcat, where Spring has copied a header.
    (
        "HTTP/1.1 200
Content-Type: text/html;charset=ISO-8859-1
Transfer-Encoding: chunked
Transfer-Encoding: chunked
Date: Thu, 26 Nov 2026 10:00:00 GMT",
        b"2\r\nok\r\n0\r\n\r\n",
    ),
    (
        "HTTP/1.1 200
Content-Type: application/json;charset=ISO-8859-1
Content-Length: 8
Keep-Alive: timeout=60
Connection: keep-alive",
        b"{\"a\":\"b\"",
    ),
    // Jetty, Kestrel, Go, hyper, Puma, uvicorn, gunicorn, Werkzeug.
    (
        "HTTP/1.1 302 Found
Server: Jetty(12.0.1)
Location: http://127.0.0.1:8080/x
Content-Length: 0",
        b"",
    ),
    (
        "HTTP/1.1 204 No Content
Server: Kestrel
Date: Thu, 26 Nov 2026 10:00:00 GMT",
        b"",
    ),
    (
        "HTTP/1.1 200 OK
Date: Thu, 26 Nov 2026 10:00:00 GMT
Content-Length: 12
Content-Type: text/plain; charset=utf-8",
        b"hello, world",
    ),
    (
        "HTTP/1.1 200 OK
trailer: X-Sum
transfer-encoding: chunked",
        b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    (
        "HTTP/1.1 304 Not Modified
etag: \"abc\"
vary: Accept, Accept-Encoding
content-length: 120",
        b"",
    ),
    (
        "HTTP/1.1 200 OK
date: Thu, 26 Nov 2026 10:00:00 GMT
server: uvicorn
content-length: 17
content-type: application/json",
        b"{\"message\":\"hi\"} ",
    ),
    (
        "HTTP/1.1 500 INTERNAL SERVER ERROR
Server: gunicorn
Connection: close
Content-Type: text/html
Content-Length: 4",
        b"oops",
    ),
    (
        "HTTP/1.0 200 OK
Server: Werkzeug/3.0.1 Python/3.12.0
Content-Type: text/html; charset=utf-8
Set-Cookie: a=1; Expires=Thu, 26 Nov 2026 10:00:00 GMT
Set-Cookie: b=2",
        b"<p>caf\xc3\xa9</p>",
    ),
    // CGI: busybox httpd and Python's server write the lines of the script as they are.
    (
        "HTTP/1.1 200 OK
Content-Type: text/plain\\n\\nhello from a script",
        b"",
    ),
    (
        "HTTP/1.0 200 Script output follows
Server: SimpleHTTP/0.6 Python/3.12.0
Content-Type: text/html\\n\\n<p>hello</p>",
        b"",
    ),
    // ssestream for Node, and Go before 1.18.
    (
        "HTTP/1.1 200 OK
Content-Type: text/event-stream; charset=utf-8
Transfer-Encoding: identity
Cache-Control: no-cache",
        b"event: a\ndata: 1\n\n",
    ),
    // An upload with 100 Continue, and early hints.
    (
        "HTTP/1.1 100 Continue

HTTP/1.1 201 Created
Content-Length: 2",
        b"ok",
    ),
    (
        "HTTP/1.1 103 Early Hints
Link: </a.css>; rel=preload

HTTP/1.1 200 OK
Content-Type: image/png
Content-Encoding: gzip
Content-Length: 4",
        b"\x89PNG",
    ),
    (
        "HTTP/1.1 200 OK
Content-Type: text/html; charset=iso-8859-1
Content-Disposition: attachment; filename=\"caf\u{e9}.txt\"
Last-Modified: Thu, 26 Nov 2026 10:00:00 GMT",
        b"caf\xe9",
    ),
];

pub fn responses() -> Vec<Vec<u8>> {
    let wire = |(head, body): &(&str, &[u8])| {
        let head = head.replace('\n', "\r\n").replace("\\n", "\n");
        let end = if head.contains("\n\n") {
            ""
        } else {
            "\r\n\r\n"
        };
        [head.as_bytes(), end.as_bytes(), body].concat()
    };
    HEADS.iter().map(wire).collect()
}

/// Lines that another layer might add.
const LINES: &[&str] = &[
    "Content-Length: 5\r\n",
    "Content-Length: 2\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: \r\n",
    "content-length:5 \r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: Chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding: \r\n",
    "Transfer-Encoding: ,chunked,\r\n",
    "Transfer-Encoding: none\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, close\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Content-Type: text/plain; charset=latin1\r\n",
    "Content-Type: application/json charset=utf-8\r\n",
    "Content-Type: text/html; charset=\r\n",
    "Content-Encoding: gzip\r\n",
    "Content-Encoding: identity\r\n",
    "X-Empty:\r\n",
    "X-Tab:\tvalue\t\r\n",
    "X-High: caf\u{e9}\r\n",
    "X-Control: a\u{1}b\r\n",
    "X-Bell: \u{7}\r\n",
    "X-Folded: a\r\n b\r\n",
    "X-Folded: a\r\n\tb\r\n",
    "X-Space : b\r\n",
    "X Space: b\r\n",
    " X-Lead: b\r\n",
    "X-Colon\r\n",
    ": nameless\r\n",
    "X(paren): b\r\n",
    "X-\u{e9}: b\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 102 Processing\r\n\r\n",
    "\r\n",
    "\n",
    "Status: 201 Created\r\n",
    "Date: x\r\n",
];

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b":",
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\xff",
    b"\xc3\xa9",
    b",",
    b";",
    b"\"",
    b"=",
    b"0",
    b"1",
    b"f",
    b"0\r\n\r\n",
    b"\r\n\r\n",
    b"{}",
    b"\xef\xbb\xbf",
    b"HTTP/1.1 ",
    b"HTTP/1.0 ",
    b"chunked",
    b"identity",
    b"99999999999999999999",
];

const STATUS_LINES: &[&str] = &[
    "HTTP/1.1 200 OK",
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1 200  OK",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 200 Sehr gut\u{fc}",
    "HTTP/1.1 200 a\tb",
    "HTTP/1.1 200OK",
    "HTTP/1.1 1000 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 600 OK",
    "HTTP/1.1 999 OK",
    "HTTP/1.1 205 Reset Content",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 199 x",
    "HTTP/1.0 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/1.9 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/1 200 OK",
    "http/1.1 200 OK",
    "ICY 200 OK",
];

/// One response with one to three changes, most of them to a line of its head.
pub fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut wire = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(2) + random.below(2) {
        let ends: Vec<usize> = (1..wire.len()).filter(|at| wire[at - 1] == b'\n').collect();
        let head = (0..wire.len()).find(|at| wire[*at..].starts_with(b"\r\n\r\n"));
        let in_head = ends
            .iter()
            .filter(|at| head.is_none_or(|head| **at < head + 2));
        let starts: Vec<usize> = [0].into_iter().chain(in_head.copied()).collect();
        let at = random.pick(&starts);
        let end = ends.iter().copied().find(|end| *end > at);
        let end = end.unwrap_or(wire.len());
        let anywhere = random.below(wire.len());
        match random.below(12) {
            0..4 => drop(wire.splice(at..at, random.pick(LINES).bytes())),
            4 => drop(wire.drain(at..end)),
            5 => drop(wire.splice(at..at, wire[at..end].to_vec())),
            6 if end >= 2 && wire[..end].ends_with(b"\r\n") => drop(wire.remove(end - 2)),
            7 => wire = replace_all(&wire, head.unwrap_or(wire.len())),
            8 => {
                let first = wire.iter().position(|byte| *byte == b'\r').unwrap_or(0);
                drop(wire.splice(..first, random.pick(STATUS_LINES).bytes()));
            }
            9 if anywhere < wire.len() => wire[anywhere] = random.below(256) as u8,
            10 if random.below(4) == 0 => wire.truncate(anywhere),
            _ => drop(wire.splice(anywhere..anywhere, random.pick(TOKENS).iter().copied())),
        }
    }
    wire
}

/// All lines of the head end with LF.
fn replace_all(wire: &[u8], head: usize) -> Vec<u8> {
    let (head, body) = wire.split_at((head + 4).min(wire.len()));
    let head = head.iter().filter(|byte| **byte != b'\r').copied();
    head.chain(body.iter().copied()).collect()
}
