//! One HTTP GET at the app, to say in an error what the app answered last.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

/// The status line of the answer, or the reason why there is none.
pub fn get(port: u16, path: &str) -> String {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let asked = TcpStream::connect_timeout(&address, LIMIT).and_then(|mut stream| {
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(
            format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    });
    match asked {
        Ok(line) if line.is_empty() => "connection closed without an answer".to_owned(),
        Ok(line) => line.trim_end().to_owned(),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ) =>
        {
            "no answer within a second".to_owned()
        }
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens there".to_owned()
        }
        Err(error) => error.to_string(),
    }
}
