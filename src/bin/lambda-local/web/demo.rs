//! The demo app: a small web server without knowledge of Lambda, and a page that shows the requests
//! that reach it.
//!
//! It runs as a child process, the runtime, if no command is given. The server is tiny_http, so
//! that the adapter is tried with an independent HTTP implementation. Only the live stream is
//! framed by hand: tiny_http holds chunks back until it has 8 KB.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::function::web_function::HTTP_ENDPOINT;
use crate::json::{Json, object};

const PAGE: &str = include_str!("demo.html");
const TICKS: u32 = 20;
const TICK: Duration = Duration::from_millis(250);
const WIDTH: usize = 320;
const HEIGHT: usize = 200;

#[derive(Debug)]
pub struct ListenError {
    port: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl Error for ListenError {}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failed to listen on port `{}`: {}",
            self.port, self.cause
        )
    }
}

pub fn run() -> Result<(), ListenError> {
    let endpoint = std::env::var(HTTP_ENDPOINT).unwrap_or_default();
    let port = endpoint.rsplit(':').next().filter(|port| !port.is_empty());
    let port = std::env::var("PORT").unwrap_or_else(|_| port.unwrap_or("8080").to_owned());
    let server = match Server::http(format!("127.0.0.1:{port}")) {
        Ok(server) => server,
        Err(cause) => return Err(ListenError { port, cause }),
    };
    let server = Arc::new(server);
    println!("demo app listening on port {port}");
    for request in server.incoming_requests() {
        std::thread::spawn(move || {
            // A client that disconnects does not stop the app.
            let _ = handle(request);
        });
    }
    Ok(())
}

fn handle(mut request: Request) -> std::io::Result<()> {
    let path = request
        .url()
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned();
    match (request.method(), path.as_str()) {
        (Method::Get | Method::Head, "/") => {
            let received = describe(&request).to_string().replace("</", "<\\/");
            respond(
                request,
                200,
                "text/html; charset=utf-8",
                PAGE.replace("/*REQUEST*/null", &received).into_bytes(),
            )
        }
        (Method::Get | Method::Head, "/seen") => {
            let received = describe(&request).to_string();
            respond(request, 200, "application/json", received.into_bytes())
        }
        (Method::Get, "/stream") => stream(request),
        (Method::Get | Method::Head, "/picture.bmp") => {
            respond(request, 200, "image/bmp", picture())
        }
        (Method::Post | Method::Put, "/upload") => {
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body)?;
            let content_type = header(&request, "content-type")
                .unwrap_or_else(|| "application/octet-stream".to_owned());
            respond(request, 200, &content_type, body)
        }
        // The pass-through path of the adapter: events that are not HTTP requests.
        (Method::Post, "/events") => {
            let mut event = Vec::new();
            request.as_reader().read_to_end(&mut event)?;
            let parsed: Value = serde_json::from_slice(&event).unwrap_or_default();
            let records = parsed
                .get("Records")
                .and_then(Value::as_array)
                .map_or(1, Vec::len);
            let _ = writeln!(
                std::io::stdout(),
                "received an event of {} bytes",
                event.len()
            );
            let summary = object([
                ("received", Json::Int(event.len() as i64)),
                ("records", Json::Int(records as i64)),
            ]);
            respond(request, 200, "application/json", summary.bytes())
        }
        _ => respond(
            request,
            404,
            "text/plain",
            format!("no page at {path}\n").into_bytes(),
        ),
    }
}

fn respond(
    request: Request,
    status: u16,
    content_type: &str,
    body: Vec<u8>,
) -> std::io::Result<()> {
    let mut response = Response::from_data(body).with_status_code(status);
    if let Ok(header) = Header::from_bytes("content-type", content_type) {
        response.add_header(header);
    }
    request.respond(response)
}

fn header(request: &Request, name: &str) -> Option<String> {
    let found = request
        .headers()
        .iter()
        .find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
    found.map(|header| header.value.as_str().to_owned())
}

/// Returns the parts of a request that the app can see.
fn describe(request: &Request) -> Json {
    let headers = request.headers().iter().map(|header| {
        Json::List(vec![
            header.field.as_str().as_str().into(),
            header.value.as_str().into(),
        ])
    });
    object([
        ("method", request.method().to_string().into()),
        ("url", request.url().into()),
        ("headers", Json::List(headers.collect())),
    ])
}

/// Sends server-sent events, one every 250 ms.
fn stream(request: Request) -> std::io::Result<()> {
    let mut out = request.into_writer();
    out.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
          transfer-encoding: chunked\r\n\r\n",
    )?;
    for tick in 1..=TICKS {
        let event = format!("data: {{\"tick\":{tick},\"of\":{TICKS}}}\n\n");
        write!(out, "{:x}\r\n{event}\r\n", event.len())?;
        out.flush()?;
        std::thread::sleep(TICK);
    }
    out.write_all(b"0\r\n\r\n")?;
    out.flush()
}

/// Renders a bitmap of a Julia set, to show a binary response.
fn picture() -> Vec<u8> {
    let size = 54 + 3 * WIDTH * HEIGHT;
    let mut file = Vec::with_capacity(size);
    file.extend_from_slice(b"BM");
    for word in [
        size as u32,
        0,
        54,
        40,
        WIDTH as u32,
        HEIGHT as u32,
        24 << 16 | 1,
        0,
        (3 * WIDTH * HEIGHT) as u32,
        2835,
        2835,
        0,
        0,
    ] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let (mut x, mut y) = (
                (column as f64 / WIDTH as f64 - 0.5) * 3.2,
                (row as f64 / HEIGHT as f64 - 0.5) * 2.0,
            );
            let mut steps = 0u32;
            while x * x + y * y < 4.0 && steps < 96 {
                (x, y) = (x * x - y * y - 0.79, 2.0 * x * y + 0.15);
                steps += 1;
            }
            let light = (f64::from(steps) / 96.0).sqrt();
            file.extend_from_slice(&[
                (60.0 + 195.0 * light) as u8,
                (30.0 + 160.0 * light * light) as u8,
                (20.0 + 235.0 * light.powi(3)) as u8,
            ]);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_in_the_bitmap_header_is_right() {
        let file = picture();
        assert_eq!(file.get(..2), Some(&b"BM"[..]));
        assert_eq!(file.get(2..6), Some(&(file.len() as u32).to_le_bytes()[..]));
        assert_eq!(file.len(), 54 + 3 * WIDTH * HEIGHT);
    }

    #[test]
    fn the_page_has_a_placeholder_for_the_request() {
        assert!(PAGE.contains("/*REQUEST*/null"));
    }
}
