//! The line about one HTTP request: `GET /path 200 12.3 ms 1.2 kB`.

use std::fmt;
use std::time::Duration;

#[derive(Debug)]
pub struct RequestLine {
    pub method: String,
    pub target: String,
    /// 0: the client got no response.
    pub status: u16,
    pub duration: Duration,
    pub body_len: u64,
    pub is_complete: bool,
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.method, self.target)?;
        match self.status {
            0 => f.write_str("no response")?,
            status => write!(f, "{status}")?,
        }
        let ms = self.duration.as_secs_f64() * 1000.0;
        write!(f, " {ms:.1} ms ")?;
        match self.body_len as f64 {
            bytes if bytes < 1e3 => write!(f, "{bytes} B")?,
            bytes if bytes < 1e6 => write!(f, "{:.1} kB", bytes / 1e3)?,
            bytes => write!(f, "{:.1} MB", bytes / 1e6)?,
        }
        if self.is_complete {
            return Ok(());
        }
        f.write_str(", incomplete")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: u16, body_len: u64, is_complete: bool) -> String {
        let line = RequestLine {
            method: "GET".to_owned(),
            target: "/path".to_owned(),
            status,
            duration: Duration::from_micros(12_345),
            body_len,
            is_complete,
        };
        line.to_string()
    }

    #[test]
    fn a_line_has_the_request_the_status_the_duration_and_the_size() {
        assert_eq!(line(200, 1234, true), "GET /path 200 12.3 ms 1.2 kB");
        assert_eq!(line(404, 9, true), "GET /path 404 12.3 ms 9 B");
        assert_eq!(
            line(200, 2_500_000, false),
            "GET /path 200 12.3 ms 2.5 MB, incomplete"
        );
        assert_eq!(
            line(0, 0, false),
            "GET /path no response 12.3 ms 0 B, incomplete"
        );
    }
}
