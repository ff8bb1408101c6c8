//! The demo app: an ordinary little web server that knows nothing of Lambda, and a page that shows what reaches it.
//!
//! It runs as a process of its own, the runtime, when no command is given. The server is tiny_http, so that the adapter has somebody else's
//! HTTP to talk to; only the live stream is framed by hand, since tiny_http keeps chunks back until it has 8 KB.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tiny_http::{Header, Method, Request, Response, Server};

use crate::json::{Json, object};

const PAGE: &str = include_str!("demo.html");
const TICKS: u32 = 20;
const TICK: Duration = Duration::from_millis(250);
const WIDTH: usize = 320;
const HEIGHT: usize = 200;

pub fn run() -> Result<(), String> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let server = Server::http(format!("127.0.0.1:{port}"))
        .map_err(|error| format!("failed to listen on port `{port}`: {error}"))?;
    let server = Arc::new(server);
    println!("demo app listening on port {port}");
    for request in server.incoming_requests() {
        std::thread::spawn(move || {
            // A client that goes away in the middle of an answer is nothing to stop for.
            let _ = answer(request);
        });
    }
    Ok(())
}

fn answer(mut request: Request) -> std::io::Result<()> {
    let path = request
        .url()
        .split('?')
        .next()
        .unwrap_or_default()
        .to_owned();
    match (request.method(), path.as_str()) {
        (Method::Get | Method::Head, "/") => {
            let seen = seen(&request).to_string().replace("</", "<\\/");
            reply(
                request,
                200,
                "text/html; charset=utf-8",
                PAGE.replace("/*SEEN*/null", &seen).into_bytes(),
            )
        }
        (Method::Get | Method::Head, "/seen") => {
            let seen = seen(&request).to_string();
            reply(request, 200, "application/json", seen.into_bytes())
        }
        (Method::Get, "/stream") => stream(request),
        (Method::Get | Method::Head, "/picture.bmp") => reply(request, 200, "image/bmp", picture()),
        (Method::Post | Method::Put, "/upload") => {
            let mut body = Vec::new();
            request.as_reader().read_to_end(&mut body)?;
            let content_type = header(&request, "content-type")
                .unwrap_or_else(|| "application/octet-stream".to_owned());
            reply(request, 200, &content_type, body)
        }
        // Where the adapter brings events that are no HTTP requests.
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
                "an event of {} bytes came in",
                event.len()
            );
            let answer = object([
                ("received", Json::Int(event.len() as i64)),
                ("records", Json::Int(records as i64)),
            ]);
            reply(request, 200, "application/json", answer.bytes())
        }
        _ => reply(
            request,
            404,
            "text/plain",
            format!("nothing at {path}\n").into_bytes(),
        ),
    }
}

fn reply(request: Request, status: u16, content_type: &str, body: Vec<u8>) -> std::io::Result<()> {
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

/// Everything that this app can tell of a request.
fn seen(request: &Request) -> Json {
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

/// Server-sent events, one each quarter of a second, each sent as it is made.
fn stream(request: Request) -> std::io::Result<()> {
    let mut out = request.into_writer();
    out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n")?;
    for tick in 1..=TICKS {
        let event = format!("data: {{\"tick\":{tick},\"of\":{TICKS}}}\n\n");
        write!(out, "{:x}\r\n{event}\r\n", event.len())?;
        out.flush()?;
        std::thread::sleep(TICK);
    }
    out.write_all(b"0\r\n\r\n")?;
    out.flush()
}

/// A bitmap made on the spot (a Julia set), to see that binary answers arrive whole.
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
    fn the_picture_is_a_bitmap_of_its_stated_size() {
        let file = picture();
        assert_eq!(file.get(..2), Some(&b"BM"[..]));
        assert_eq!(file.get(2..6), Some(&(file.len() as u32).to_le_bytes()[..]));
        assert_eq!(file.len(), 54 + 3 * WIDTH * HEIGHT);
    }

    #[test]
    fn the_page_has_a_place_for_what_was_seen() {
        assert!(PAGE.contains("/*SEEN*/null"));
    }
}
