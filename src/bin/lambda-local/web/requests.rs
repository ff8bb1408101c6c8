//! The requests of one invocation to the app: one as a rule, one for each record of a batch that is
//! split (`AWS_LWA_SPLIT_BATCHES`), and the hook after the response
//! (`AWS_LWA_AFTER_RESPONSE_PATH`).
//!
//! Of a batch one request is shown: the first that failed, or else the last.

use crate::json::{Json, object};
use crate::web::entry::Part;

/// The request after the reply.
#[derive(Debug)]
struct Hook {
    name: String,
    status: Option<u16>,
}

#[derive(Debug)]
struct Failed {
    position: u32,
    request: Part,
    response: Part,
}

#[derive(Debug, Default)]
pub struct Requests {
    /// All that the app has received before the reply; one that was retried counts twice.
    pub attempts: u32,
    /// The same, without retries.
    count: u32,
    /// The first that failed, if others have followed it.
    failed: Option<Failed>,
    /// A request from now on is the hook.
    pub has_reply: bool,
    hook: Option<Hook>,
}

impl Requests {
    /// A request begins; `before` is the last one with its response. A retry has the same head.
    pub fn begin(&mut self, head: &[u8], before: (Part, Part)) {
        self.attempts += 1;
        let (request, response) = before;
        if self.count > 0 && request.bytes.starts_with(head) {
            return;
        }
        if self.count > 0 && self.failed.is_none() && is_failed(&response) {
            self.failed = Some(Failed {
                position: self.count,
                request,
                response,
            });
        }
        self.count += 1;
    }

    pub fn begin_hook(&mut self, head: &[u8]) {
        let line = head.split(|byte| *byte == b'\r').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        let words: Vec<&str> = line.split(' ').take(2).collect();
        self.hook = Some(Hook {
            name: words.join(" "),
            status: None,
        });
    }

    pub fn hook_response(&mut self, data: &[u8]) {
        if let Some(hook) = &mut self.hook {
            hook.status = hook.status.or_else(|| status(data));
        }
    }

    /// Returns the request and the response to show, if they are not the last ones.
    pub fn shown(&self) -> Option<(&Part, &Part)> {
        let failed = self.failed.as_ref()?;
        Some((&failed.request, &failed.response))
    }

    pub fn memory(&self) -> usize {
        let failed = self.failed.as_ref();
        failed.map_or(0, |kept| {
            kept.request.bytes.len() + kept.response.bytes.len()
        })
    }

    /// Returns the number of requests, which of them is shown, and whether it has failed; `last` is
    /// the response to the last one.
    pub fn json(&self, last: Option<&Part>) -> Json {
        let shown = self
            .failed
            .as_ref()
            .map_or(self.count, |kept| kept.position);
        let has_failed = self.failed.is_some() || last.is_none_or(is_failed);
        object([
            ("count", Json::Int(self.count.into())),
            ("shown", Json::Int(shown.into())),
            ("failed", has_failed.into()),
        ])
    }

    pub fn hook_json(&self) -> Json {
        self.hook.as_ref().map_or(Json::Null, |hook| {
            let status = hook
                .status
                .map_or(Json::Null, |status| Json::Int(status.into()));
            object([("request", hook.name.as_str().into()), ("status", status)])
        })
    }
}

/// Returns the status of a response that begins here (RFC 9112 4).
pub fn status(data: &[u8]) -> Option<u16> {
    let line = data.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(line.get(2..5)?).ok()?.parse().ok()
}

/// Returns true unless the response is a whole one with a 2xx status.
fn is_failed(response: &Part) -> bool {
    let mut bytes = &*response.bytes;
    loop {
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let Some((head, body)) = end.and_then(|end| bytes.split_at_checked(end + 4)) else {
            return true;
        };
        match status(head) {
            Some(100..=199) => bytes = body,
            Some(200..=299) => {
                let before_body = (response.bytes.len() - body.len()) as u64;
                let body_len = response.size.saturating_sub(before_body);
                return is_cut_off(head, body_len, body);
            }
            _ => return true,
        }
    }
}

/// Returns true if the body has ended before its length, or before the last of its chunks.
fn is_cut_off(head: &[u8], body_len: u64, body: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name).map(str::trim))
    };
    if value("transfer-encoding:").is_some_and(|coding| coding.ends_with("chunked")) {
        let has_last = body.starts_with(b"0\r\n") || body.windows(5).any(|end| end == b"\r\n0\r\n");
        // The end of a long body is not kept.
        return body.len() as u64 == body_len && !(has_last && body.ends_with(b"\r\n\r\n"));
    }
    let length = value("content-length:").and_then(|length| length.parse().ok());
    length.is_some_and(|length: u64| body_len < length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(bytes: &str) -> Part {
        let mut part = Part::default();
        part.push(bytes.as_bytes());
        part
    }

    #[test]
    fn a_response_has_failed_unless_it_is_a_whole_2xx() {
        let failed = |response: &str| is_failed(&part(response));
        assert!(!failed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"));
        assert!(!failed("HTTP/1.1 204 No Content\r\n\r\n"));
        assert!(!failed("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
        assert!(!failed(&format!("{chunked}0\r\n\r\n")));
        assert!(failed(chunked));
        assert!(failed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na"));
        assert!(failed("HTTP/1.1 404 Not Found\r\n\r\n"));
        assert!(failed("HTTP/1.1 200 OK\r\n"));
        assert!(failed(""));
    }

    #[test]
    fn the_first_request_that_failed_is_shown_and_a_retry_is_no_other_request() {
        let mut requests = Requests::default();
        let [ok, bad] = ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 500 No\r\n\r\n"];
        requests.begin(b"1", (part(""), part("")));
        requests.begin(b"1", (part("1"), part("")));
        for (head, before, response) in [("2", "1", ok), ("3", "2", bad), ("4", "3", bad)] {
            requests.begin(head.as_bytes(), (part(before), part(response)));
        }
        assert_eq!(requests.attempts, 5);
        let (request, _) = requests.shown().expect("a failed request");
        assert_eq!(request.bytes, b"2");
        let json = requests.json(Some(&part(ok))).to_string();
        assert_eq!(json, r#"{"count":4,"shown":2,"failed":true}"#);
    }
}
