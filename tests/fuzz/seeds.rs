//! The seeds of each target: the golden cases, and inputs for code that these do not reach.

use std::fs;
use std::path::{Path, PathBuf};

/// The inputs for a target, including its regressions.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut seeds = match target {
        "head" | "reply" => responses(),
        "body" => bodies(),
        "request" => requests(),
        "growth" => growing(),
        "guard" => PATHS.iter().map(|seed| seed.to_vec()).collect(),
        "settings" => SETTINGS.iter().map(|seed| seed.to_vec()).collect(),
        _ => [cases("event.json"), responses(), requests()].concat(),
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder.join(if folder.ends_with("tests/fuzz") {
        "regressions"
    } else {
        "tests/fuzz/regressions"
    });
    seeds.extend(
        files(&folder.join(target))
            .iter()
            .map(|file| fs::read(file).expect("a file")),
    );
    seeds
}

/// Every shape of the target in small, and with tens of thousands of parts.
fn growing() -> Vec<Vec<u8>> {
    let shapes = (0..9).flat_map(|shape| [(shape, 4), (shape, 10)]);
    let input = |(shape, size)| [b"ab-c\nv 1\n", &[size, shape][..]].concat();
    shapes.map(input).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

/// The golden files of a name.
fn cases(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = folder
        .ancestors()
        .map(|folder| folder.join("tests/cases"))
        .find(|folder| folder.exists());
    let folders = files(&folder.expect("tests/cases"));
    let found: Vec<_> = folders
        .iter()
        .filter_map(|folder| fs::read(folder.join(name)).ok())
        .collect();
    assert!(!found.is_empty(), "no case with a {name}");
    found
}

/// Responses as sent by a server. The lines of the golden files end with LF.
fn responses() -> Vec<Vec<u8>> {
    let golden = cases("response.http").into_iter().map(|file| {
        let end = file.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = file.split_at(end.map_or(file.len(), |at| at + 2));
        let head = String::from_utf8_lossy(head).replace('\n', "\r\n");
        [head.as_bytes(), body].concat()
    });
    let more: [&[u8]; 13] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nX-A: b\r\n\r\nhello",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\n\
          Set-Cookie: b\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Type: image/png\r\n\
          Connection: close, x-a\r\n\r\n\x89PNG\xff\x00",
        b"HTTP/1.0 200 OK\r\nX-Name: zo\xeb\r\nConnection: keep-alive\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 900\r\n\
          Vary: a\r\nvary: b\r\n\r\n",
        b"HTTP/1.1 302\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 500 Oops\r\nContent-Type: application/json; charset=utf-8\r\n\
          Content-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: \x0cchunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nProxy-X: y\r\nKeep-Alive: 5\r\n\r\n\
          <p>\xc3\xa9</p>",
        b"HTTP/1.0 200 OK\nContent-Type: text/plain; charset=ISO-8859-1\n\nhello",
        b"\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, chunked\r\n\
          Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 1, 2\r\nTransfer-Encoding: gzip\r\n\r\n",
    ];
    golden.chain(more.map(<[u8]>::to_vec)).collect()
}

/// The last byte selects the size of the pieces, the one before it the framing.
fn bodies() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 8] = [
        b"5\r\nhello\r\n0\r\n\r\nrest\x04\x02",
        b"1 ;a=\"b\"\r\nh\r\n004\r\nello\r\n0;x\r\nT: x\r\nU: y\r\n\r\n\x04\x09",
        b"1\r\na\r\n0\r\nT: x\nU: y\r\n\nrest\x04\x02",
        b"A\r\n0123456789\r\n0\r\n\r\n\x03\x01",
        b"ffffffffffffffff\r\nx\r\n10000000000000000\r\n\x03\x01",
        b"hello world\x01\x01\x03",
        b"until the close\x02\x03",
        b"-1\r\nx\r\n+1\r\n0x1\r\n 1\r\n1\x0c\r\n\x05\x05",
    ];
    bodies.map(<[u8]>::to_vec).to_vec()
}

/// Plain events, and structured inputs, from whose lines the target builds an event. The last
/// four bytes of these select base64 or text, the kind, structured, and the settings.
fn requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = cases("event.json");
    requests
        .iter_mut()
        .for_each(|event| event.extend_from_slice(b"\0\0"));
    for kind in 0..7 {
        for variant in 0..4 {
            let mut lines = b"Root=1-2;Sampled=1\ntenant\n{\"custom\":{}}\nPOST\n/api/a b%2\n\
                a=1&b=<>\nX-Auth\nv \\r\\nx: y\nc=1; d\n\\0odd\\n\nbody\nof it"
                .to_vec();
            lines.extend_from_slice(&[variant & 1, kind, 1, variant]);
            requests.push(lines);
        }
    }
    let injections: [&[u8]; 5] = [
        b"\n\n\nGET /evil HTTP/1.1\\r\\n\n/\n\nHost\nh\n\n\n\0\0\x01\0",
        b"\n\n\nGET\n//a/../b?c#d\nx=\\r\\nGET /\nx_amzn_request_context\n{}\n\n\n\0\x03\x01\0",
        b"\n\n\nGET\n/\n\nTransfer-Encoding\nchunked\n\n\n\0\x04\x01\0",
        b"\n\n\nHEAD\n/\n\nConnection\nx-auth, host\n\n\n\0\x02\x01\x02",
        b"\n\n\nGET\n/\n\nLambda.Web_Request~Id\nevil\n\n\n\0\x01\x01\0",
    ];
    requests.extend(injections.map(<[u8]>::to_vec));
    requests
}

const SETTINGS: [&[u8]; 6] = [
    b"\x008080\n\x01localhost\n\x04http\n\x05200-399,404\n",
    b"\x0bbuffered\n\x0atrue\n\x0c/api/\n\x0devents\n\x0ex-auth\n\x0f500-599\n",
    b"\x10response_stream\n\x11500\n\x12off\n\x13http://127.0.0.1:9001/\n\x144\n",
    b"\x01::1\n\x02[::1]:3000\n\x020.0.0.0:0\n",
    b"\x15400\n\x16\n\x17512\n\x18 8 \n\x19-1\n\x1a99999\n",
    b"\x00port\n\x01[::1]\n\x01fe80::1%eth0\n\x02/a b\n\x0c//\n\x0c/\\r\\n\n",
];

/// The last byte selects the hook, those before it the spelling.
const PATHS: [&[u8]; 6] = [
    b"/hook\0",
    b"/x/../%73napstart/before%252dcheckpoint;v=1\x01\x02\x03\x04\x05\x01",
    b"//a/%62/./c.html\x07\x06\x02",
    b"/_x%c0%af.y/%ef%bc%8f\\%u0061\x03",
    b"/%E2%84%AA/\xc5\xbf%00\x00",
    b"/other/path?a=/hook\x00",
];
