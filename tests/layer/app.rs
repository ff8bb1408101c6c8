//! A web app of one static file for the scratch test: it responds with the request.
//!
//! In an empty tree there is no interpreter and no library, so the app has to be as
//! self-contained as the adapter. One compiler call builds it: std only, no Cargo.
//! HTTP/1.1 as far as the adapter needs it (RFC 9112): sized bodies, persistent connections.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The number of requests for `/together` so far.
static TOGETHER: Mutex<usize> = Mutex::new(0);
static ARRIVED: Condvar = Condvar::new();

fn main() -> Result<()> {
    // The core of Managed Instances starts no other program than the bootstrap, without arguments.
    if let Ok(adapter) = std::env::var("START") {
        let mut command = Command::new(adapter);
        command
            .env_remove("START")
            .arg("--")
            .arg("/var/task/bootstrap");
        return Err(command.exec());
    }
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    for connection in listener.incoming() {
        let connection = connection?;
        std::thread::spawn(move || {
            if let Err(error) = serve(connection) {
                eprintln!("app: failed to serve a connection: {error}");
            }
        });
    }
    Ok(())
}

fn serve(connection: TcpStream) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let request_line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let (mut echoed, mut length) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let header = line.trim_end();
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                name @ ("host" | "cookie" | "x-rep") => echoed += &format!("{name}:{value}\n"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        writer.write_all(&response(&request_line, &echoed, body))?;
    }
}

/// Waits until 16 requests are in flight.
fn together() -> &'static str {
    let Ok(mut count) = TOGETHER.lock() else {
        return "500 Oops";
    };
    *count += 1;
    ARRIVED.notify_all();
    let whole = (*count).next_multiple_of(16);
    match ARRIVED.wait_timeout_while(count, Duration::from_secs(8), |count| *count < whole) {
        Ok((_, waited)) if !waited.timed_out() => "200 OK",
        _ => "504 Too Few",
    }
}

/// An error page of a byte and a size: `/fail/34/1000` has 1,000 quotes.
fn page(target: &str) -> Vec<u8> {
    let mut parts = target.split('/').skip(2);
    let mut number = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let byte = number() as u8;
    vec![byte; number()]
}

fn response(request_line: &str, echoed: &str, body: Vec<u8>) -> Vec<u8> {
    let (method, target) = request_line.split_once(' ').unwrap_or((request_line, ""));
    let (status, kind, content) = match target {
        "/events" => ("200 OK", "application/json", body),
        "/bytes" => ("200 OK", "image/png", (0..=255).collect()),
        "/together" => (together(), "text/plain", Vec::new()),
        "/die" => exit(3),
        _ if target.starts_with("/fail/") => ("500 Oops", "text/plain", page(target)),
        "/missing" => ("404 Not Found", "text/plain", b"no such page".to_vec()),
        _ => {
            let head = format!("{request_line}\n{echoed}");
            ("200 OK", "text/plain", [head.into_bytes(), body].concat())
        }
    };
    let length = content.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nset-cookie: s=1\r\n\
         content-length: {length}\r\n\r\n"
    );
    let content = if method == "HEAD" {
        Vec::new()
    } else {
        content
    };
    [head.into_bytes(), content].concat()
}
