//! The kinds of invocation: each kind's event, the app's response, and the settings.

use crate::app::{self, Response};
use crate::{floor, payload};

pub struct Kind {
    pub name: &'static str,
    /// Invocations at once (`AWS_LAMBDA_MAX_CONCURRENCY`).
    pub in_flight: usize,
    pub mode: Mode,
    pub nagle: bool,
    pub gzip: bool,
    pub request: Body,
    pub response: Body,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    Buffered,
    /// `AWS_LWA_INVOKE_MODE=response_stream`, the app's response of known length.
    Streamed,
    /// The same, the app's response in this many chunks.
    Chunks(usize),
}

#[derive(Clone, Copy)]
pub enum Body {
    Empty,
    Json(usize),
    Html(usize),
    Binary(usize),
}

impl Body {
    fn bytes(self) -> Vec<u8> {
        match self {
            Body::Empty => Vec::new(),
            Body::Json(size) => payload::json(size),
            Body::Html(size) => payload::html(size),
            Body::Binary(size) => payload::binary(size),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Body::Empty | Body::Json(_) => "application/json",
            Body::Html(_) => "text/html; charset=utf-8",
            Body::Binary(_) => "application/octet-stream",
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, Body::Binary(_))
    }
}

/// A GET with a response of 200 bytes, like most invocations.
const SMALL: Kind = Kind {
    name: "small",
    in_flight: 1,
    mode: Mode::Buffered,
    nagle: false,
    gzip: false,
    request: Body::Empty,
    response: Body::Json(200),
};

pub const CHUNK: usize = 64 * 1024;

pub const KINDS: [Kind; 18] = [
    SMALL,
    Kind {
        name: "small, 8 in flight",
        in_flight: 8,
        ..SMALL
    },
    Kind {
        name: "small, 64 in flight",
        in_flight: 64,
        ..SMALL
    },
    Kind {
        name: "small streamed",
        mode: Mode::Streamed,
        ..SMALL
    },
    Kind {
        name: "small streamed, 8 in flight",
        mode: Mode::Streamed,
        in_flight: 8,
        ..SMALL
    },
    Kind {
        name: "small streamed, 64 in flight",
        mode: Mode::Streamed,
        in_flight: 64,
        ..SMALL
    },
    Kind {
        name: "head and body apart, nagle",
        nagle: true,
        ..SMALL
    },
    Kind {
        name: "head and body apart, nagle, streamed",
        nagle: true,
        mode: Mode::Streamed,
        ..SMALL
    },
    Kind {
        name: "text out 100 kB",
        response: Body::Html(100_000),
        ..SMALL
    },
    Kind {
        name: "text out 1 MB",
        response: Body::Html(1_000_000),
        ..SMALL
    },
    Kind {
        name: "text out 4 MB",
        response: Body::Html(4_000_000),
        ..SMALL
    },
    Kind {
        name: "binary out 3 MB",
        response: Body::Binary(3_000_000),
        ..SMALL
    },
    Kind {
        name: "text in 3 MB",
        request: Body::Json(3_000_000),
        ..SMALL
    },
    Kind {
        name: "base64 in 3 MB",
        request: Body::Binary(3_000_000),
        ..SMALL
    },
    Kind {
        name: "json out 1 MB",
        response: Body::Json(1_000_000),
        ..SMALL
    },
    Kind {
        name: "gzip html 1 MB",
        response: Body::Html(1_000_000),
        gzip: true,
        ..SMALL
    },
    Kind {
        name: "gzip json 1 MB",
        response: Body::Json(1_000_000),
        gzip: true,
        ..SMALL
    },
    Kind {
        name: "stream 64 MB",
        mode: Mode::Chunks(1024),
        response: Body::Binary(CHUNK),
        ..SMALL
    },
];

impl Kind {
    /// Whether instructions and system calls are counted. Under the tools a stream of megabytes
    /// takes longer than a round may.
    pub fn is_counted(&self) -> bool {
        let is_stream = matches!(self.mode, Mode::Chunks(_));
        self.in_flight == 1 && !self.nagle && !self.gzip && !is_stream
    }

    /// Whether neither body is large.
    pub fn is_small(&self) -> bool {
        matches!(
            (self.request, self.response),
            (Body::Empty, Body::Json(200))
        )
    }

    /// The settings that both adapters understand.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let mut env = Vec::new();
        if self.in_flight > 1 {
            env.push(("AWS_LAMBDA_MAX_CONCURRENCY", self.in_flight.to_string()));
        }
        if self.mode != Mode::Buffered {
            env.push(("AWS_LWA_INVOKE_MODE", "response_stream".into()));
        }
        if self.gzip {
            env.push(("AWS_LWA_ENABLE_COMPRESSION", "true".into()));
        }
        env
    }

    /// The body that the app's client must receive.
    pub fn expected(&self) -> Vec<u8> {
        match self.mode {
            Mode::Chunks(times) => self.response.bytes().repeat(times),
            _ => self.response.bytes(),
        }
    }

    /// The app's behaviour.
    pub fn app(&self) -> app::Script {
        let body = self.response.bytes();
        let mut head = format!(
            "HTTP/1.1 200 OK\r\ndate: Mon, 02 Feb 2026 10:11:12 GMT\r\nserver: bench\r\n\
                content-type: {}\r\n\
             cache-control: private, max-age=60\r\netag: \"5c1f-18d6b2\"\r\nvary: accept\r\n",
            self.response.content_type()
        );
        head += &match self.mode {
            Mode::Chunks(_) => "transfer-encoding: chunked\r\n\r\n".to_owned(),
            _ => format!("content-length: {}\r\n\r\n", body.len()),
        };
        let head = head.into_bytes();
        let response = match self.mode {
            Mode::Chunks(times) => Response::Chunked {
                head,
                chunk: chunk(&body),
                times,
            },
            _ if self.nagle => Response::Split(head, body),
            _ => Response::Whole([head, body].concat()),
        };
        app::Script {
            response,
            request_body: self.request.bytes(),
        }
    }

    /// The floor's work; `gzipped` is the size of a compressed body.
    pub fn floor(&self, gzipped: Option<usize>) -> floor::Script {
        let body = self.response.bytes();
        let reply = match gzipped {
            Some(size) => size.div_ceil(3) * 4,
            None if self.response.is_binary() => body.len().div_ceil(3) * 4,
            None => payload::escape(&body).len(),
        };
        let relay = match self.mode {
            Mode::Chunks(times) => chunk(&body).len() * times + b"0\r\n\r\n".len(),
            _ => 0,
        };
        // About the size of the envelope around the body.
        let reply = reply + 240;
        floor::Script {
            request: self.request.bytes().len(),
            reply,
            relay,
            quick: self.nagle,
        }
    }

    /// A Function URL's event (payload format 2.0) with the headers a browser sends.
    pub fn event(&self, path: &str) -> Vec<u8> {
        let request = self.request.bytes();
        let method = if request.is_empty() { "GET" } else { "POST" };
        let mut event = format!(
            r#"{{"version":"2.0","routeKey":"$default","rawPath":"{path}","rawQueryString":"page=2&sort=price","cookies":["sid=7c9e6679f1a2","theme=dark"],"headers":{{"sec-fetch-mode":"navigate","x-amzn-tls-version":"TLSv1.3","sec-fetch-site":"same-origin","x-forwarded-proto":"https","accept-language":"en-GB,en;q=0.9,de;q=0.7","x-forwarded-port":"443","x-forwarded-for":"192.0.2.7","sec-fetch-user":"?1","accept":"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8","x-amzn-tls-cipher-suite":"TLS_AES_128_GCM_SHA256","sec-ch-ua":"\"Chromium\";v=\"140\", \"Not A(Brand\";v=\"24\"","sec-ch-ua-mobile":"?0","x-amzn-trace-id":"Self=1-65c0a1b2-1123456789abcdef01234567;Root=1-65c0a1b2-0123456789abcdef01234567","sec-ch-ua-platform":"\"Linux\"","host":"u3kqzexample.lambda-url.eu-west-1.on.aws","upgrade-insecure-requests":"1","accept-encoding":"gzip","sec-fetch-dest":"document","user-agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36","content-type":"{}","content-length":"{}"}},"queryStringParameters":{{"page":"2","sort":"price"}},"requestContext":{{"accountId":"anonymous","apiId":"u3kqzexample","domainName":"u3kqzexample.lambda-url.eu-west-1.on.aws","domainPrefix":"u3kqzexample","http":{{"method":"{method}","path":"{path}","protocol":"HTTP/1.1","sourceIp":"192.0.2.7","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"}},"requestId":"0c9e8d7f-1a2b-4c3d-8e5f-6a7b8c9d0e1f","routeKey":"$default","stage":"$default","time":"03/Feb/2026:10:11:12 +0000","timeEpoch":1770113472000}}"#,
            self.request.content_type(),
            request.len(),
        )
        .into_bytes();
        if request.is_empty() {
            event.extend_from_slice(br#","isBase64Encoded":false}"#);
        } else if self.request.is_binary() {
            event.extend_from_slice(br#","body":""#);
            event.extend_from_slice(payload::base64(&request).as_bytes());
            event.extend_from_slice(br#"","isBase64Encoded":true}"#);
        } else {
            event.extend_from_slice(br#","body":""#);
            event.extend_from_slice(&payload::escape(&request));
            event.extend_from_slice(br#"","isBase64Encoded":false}"#);
        }
        event
    }
}

fn chunk(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat()
}
