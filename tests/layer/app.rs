//! A web app of one static file for the scratch test: it answers what it was asked.
//!
//! In an empty tree there is no interpreter and no library, so the app has to be as
//! self-contained as the adapter. One compiler call builds it: std only, no Cargo.
//! HTTP/1.1 as far as the adapter speaks it (RFC 9112): sized bodies, kept connections.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    for connection in listener.incoming() {
        let connection = connection?;
        std::thread::spawn(move || {
            if let Err(error) = converse(connection) {
                eprintln!("app: failed to answer: {error}");
            }
        });
    }
    Ok(())
}

fn converse(connection: TcpStream) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut writer = connection;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let asked = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
        let (mut told, mut length) = (String::new(), 0);
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let header = line.trim_end();
            let Some((name, value)) = header.split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                name @ ("host" | "cookie" | "x-rep") => told += &format!("{name}:{value}\n"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        writer.write_all(&answer(&asked, &told, body))?;
    }
}

fn answer(asked: &str, told: &str, body: Vec<u8>) -> Vec<u8> {
    let (method, target) = asked.split_once(' ').unwrap_or((asked, ""));
    let (status, kind, content) = match target {
        "/events" => ("200 OK", "application/json", body),
        "/bytes" => ("200 OK", "image/png", (0..=255).collect()),
        "/missing" => ("404 Not Found", "text/plain", b"no such page".to_vec()),
        _ => {
            let head = format!("{asked}\n{told}");
            ("200 OK", "text/plain", [head.into_bytes(), body].concat())
        }
    };
    let length = content.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nset-cookie: s=1\r\ncontent-length: {length}\r\n\r\n"
    );
    let content = if method == "HEAD" {
        Vec::new()
    } else {
        content
    };
    [head.into_bytes(), content].concat()
}
