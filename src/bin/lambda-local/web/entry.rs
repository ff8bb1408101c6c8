//! One recorded invocation: its messages, log lines and points in time, and their JSON.
//!
//! Everything in it has a limit, so that 200 invocations have one, too. A message that is cut keeps
//! its full size, and log lines that are dropped are counted.

use std::time::{Duration, Instant};

use crate::http_server::Headers;
use crate::invocation::Fault;
use crate::json::{Json, object};
use crate::log::cold_start::ColdStart;
use crate::log::{Report, Status};
use crate::web::mark::{MARKS, Mark};
use crate::web::requests::Requests;

/// The part of each message that is kept.
pub const BODY_LIMIT: usize = 256 << 10;
const LINE_LIMIT: usize = 4 << 10;
const LINES_LIMIT: usize = 500;
const CHUNKS_LIMIT: usize = 500;

/// A message of an invocation, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The JSON that the runtime receives.
    Event,
    /// From the adapter to the app, as its bytes were sent.
    Request,
    /// From the app to the adapter, as its bytes were sent.
    Response,
    /// The JSON or the stream that the runtime posts, or its error.
    Reply,
}

pub const MESSAGES: [(&str, Message); 4] = [
    ("event", Message::Event),
    ("request", Message::Request),
    ("response", Message::Response),
    ("reply", Message::Reply),
];

/// The start of a message, and its full size.
#[derive(Debug, Default)]
pub struct Part {
    pub bytes: Vec<u8>,
    pub size: u64,
}

impl Part {
    pub fn push(&mut self, data: &[u8]) {
        let room = BODY_LIMIT.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(data.get(..room).unwrap_or(data));
        self.size += data.len() as u64;
    }
}

#[derive(Debug)]
struct Line {
    at: Duration,
    source: String,
    text: String,
}

/// The origin of an invocation, as the list shows it.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub request_id: String,
    /// The event kind, or `invoke` for an event of the Invoke API.
    pub source: String,
    /// `page` or `replay of N`; empty for a client.
    pub via: String,
    pub method: String,
    pub target: String,
}

#[derive(Debug)]
pub struct Entry {
    pub number: u64,
    /// The version of the recorder at the last change.
    pub version: u64,
    pub origin: Origin,
    time_ms: i64,
    received: Instant,
    marks: Vec<(Mark, Duration)>,
    parts: [Part; 4],
    /// Arrival and size of each chunk of a streamed reply.
    chunks: Vec<(Duration, usize)>,
    pub is_stream: bool,
    requests: Requests,
    status: Option<u16>,
    client_headers: Headers,
    fault: Option<(String, String)>,
    report: Option<Report>,
    /// The start of the environment that served this invocation first.
    cold_start: Option<ColdStart>,
    lines: Vec<Line>,
    lines_dropped: u64,
}

impl Entry {
    pub fn new(number: u64, origin: Origin, time_ms: i64, received: Instant) -> Entry {
        Entry {
            number,
            version: 0,
            origin,
            time_ms,
            received,
            marks: Vec::new(),
            parts: Default::default(),
            chunks: Vec::new(),
            is_stream: false,
            requests: Requests::default(),
            status: None,
            client_headers: Headers::new(),
            fault: None,
            report: None,
            cold_start: None,
            lines: Vec::new(),
            lines_dropped: 0,
        }
    }

    /// Returns true between START and REPORT.
    pub fn is_running(&self) -> bool {
        self.has(Mark::Start) && !self.has(Mark::Done)
    }

    /// Returns true while the invocation still changes: until its end and its client's response.
    pub fn is_open(&self) -> bool {
        !self.has(Mark::Done)
    }

    fn has(&self, mark: Mark) -> bool {
        self.marks.iter().any(|(known, _)| *known == mark)
    }

    /// Sets a mark. The first start of a span counts, and the last end.
    pub fn mark(&mut self, mark: Mark, at: Instant) {
        let at = at.saturating_duration_since(self.received);
        let is_end = matches!(
            mark,
            Mark::RequestEnd | Mark::ResponseEnd | Mark::ReplyEnd | Mark::InitEnd | Mark::HookEnd
        );
        match self.marks.iter_mut().find(|(known, _)| *known == mark) {
            Some((_, known)) if is_end => *known = at,
            Some(_) => {}
            None => self.marks.push((mark, at)),
        }
    }

    /// Returns a message; of several requests and responses those to show.
    pub fn part(&self, message: Message) -> Option<&Part> {
        match (message, self.requests.shown()) {
            (Message::Request, Some((request, _))) => Some(request),
            (Message::Response, Some((_, response))) => Some(response),
            _ => self.parts.get(message as usize),
        }
    }

    pub fn append(&mut self, message: Message, data: &[u8], at: Instant) {
        if let Some(part) = self.parts.get_mut(message as usize) {
            part.push(data);
        }
        let (start, end) = match message {
            Message::Event => return,
            Message::Request => (Mark::RequestStart, Mark::RequestEnd),
            Message::Response => (Mark::ResponseStart, Mark::ResponseEnd),
            Message::Reply => (Mark::ReplyStart, Mark::ReplyEnd),
        };
        self.mark(start, at);
        self.mark(end, at);
        if message == Message::Reply && self.is_stream && self.chunks.len() < CHUNKS_LIMIT {
            let at = at.saturating_duration_since(self.received);
            self.chunks.push((at, data.len()));
        }
    }

    /// The environment is there. A repeated invocation has requests of its own.
    pub fn start(&mut self, at: Instant) {
        self.mark(Mark::Start, at);
        self.requests.has_reply = false;
    }

    pub fn set_has_reply(&mut self) {
        self.requests.has_reply = true;
    }

    /// A request with this head begins. Returns true for the hook after the response. Otherwise the
    /// previous request ends: the adapter has repeated it, or has sent the next record of a batch.
    /// The time of the app counts from the first one.
    pub fn begin_request(&mut self, head: &[u8], at: Instant) -> bool {
        if self.requests.has_reply {
            self.requests.begin_hook(head);
            let is_hook = |mark: Mark| matches!(mark, Mark::HookStart | Mark::HookEnd);
            self.marks.retain(|(mark, _)| !is_hook(*mark));
            self.mark(Mark::HookStart, at);
            return true;
        }
        let mut take = |message: Message| {
            let part = self.parts.get_mut(message as usize);
            part.map(std::mem::take).unwrap_or_default()
        };
        let before = (take(Message::Request), take(Message::Response));
        self.requests.begin(head, before);
        self.marks.retain(|(mark, _)| {
            !matches!(
                mark,
                Mark::RequestEnd | Mark::ResponseStart | Mark::ResponseEnd
            )
        });
        self.mark(Mark::RequestStart, at);
        false
    }

    pub fn hook_response(&mut self, data: &[u8], at: Instant) {
        self.requests.hook_response(data);
        self.mark(Mark::HookEnd, at);
    }

    pub fn line(&mut self, source: &str, text: &str, at: Instant) {
        if self.lines.len() >= LINES_LIMIT {
            self.lines_dropped += 1;
            return;
        }
        let at = at.saturating_duration_since(self.received);
        let (source, text) = (source.to_owned(), cut(text));
        self.lines.push(Line { at, source, text });
    }

    /// Sets the error. A later one is the better reason: an exit that follows the adapter's error.
    pub fn fault(&mut self, fault: &Fault) {
        self.fault = Some((fault.error_type.clone(), cut(&fault.message)));
    }

    pub fn sent(&mut self, status: Option<u16>, headers: Headers) {
        self.status = status;
        self.client_headers = headers;
    }

    /// Sets the result. The error of an earlier attempt of an asynchronous invocation is over.
    pub fn report(&mut self, report: &Report) {
        if report.status == Status::Success {
            self.fault = None;
        }
        self.report = Some(report.clone());
    }

    pub fn cold_start(&mut self, cold_start: &ColdStart) {
        self.cold_start = Some(cold_start.clone());
    }

    /// Returns the number of bytes that the entry holds, roughly.
    pub fn memory(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.bytes.len()).sum();
        let lines: usize = self.lines.iter().map(|line| line.text.len() + 64).sum();
        let headers = self.client_headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        let failed = self.requests.memory();
        1024 + parts + failed + lines + headers + self.origin.target.len()
    }

    /// Returns the row of the list.
    pub fn row(&self) -> Json {
        let state = match (self.has(Mark::Start), self.has(Mark::Done)) {
            (_, true) => "done",
            (true, false) => "running",
            (false, false) => "queued",
        };
        let sizes = MESSAGES.map(|(name, message)| {
            let size = self.part(message).map_or(0, |part| part.size);
            (name, Json::Int(size as i64))
        });
        let report = self.report.as_ref();
        let init = report.and_then(|report| report.init.or(report.restore));
        let error = match (&self.fault, report.map(|report| &report.status)) {
            (Some((error_type, _)), _) => Some(error_type.clone()),
            (None, Some(Status::Error(error_type))) => Some(error_type.clone()),
            (None, Some(Status::Timeout)) => Some("Sandbox.Timedout".to_owned()),
            (None, _) => None,
        };
        object([
            ("n", Json::Int(self.number as i64)),
            ("version", Json::Int(self.version as i64)),
            ("id", self.origin.request_id.as_str().into()),
            ("time", self.time_ms.into()),
            ("source", self.origin.source.as_str().into()),
            ("via", self.origin.via.as_str().into()),
            ("method", self.origin.method.as_str().into()),
            ("target", cut(&self.origin.target).into()),
            ("state", state.into()),
            (
                "status",
                self.status
                    .map_or(Json::Null, |status| Json::Int(status.into())),
            ),
            ("error", error.into()),
            (
                "ms",
                report.map_or(Json::Null, |report| ms(report.duration)),
            ),
            ("cold", (init.is_some() || self.has(Mark::InitStart)).into()),
            ("stream", self.is_stream.into()),
            ("sizes", object(sizes)),
        ])
    }

    /// Returns the row with everything but the messages.
    pub fn detail(&self) -> Json {
        let marks = self.marks.iter().filter_map(|(mark, at)| {
            let name = MARKS.iter().find(|(_, known)| known == mark)?;
            Some((name.0.to_owned(), ms(*at)))
        });
        let chunks = self.chunks.iter().map(|(at, size)| {
            let size = Json::Int(*size as i64);
            Json::List(vec![ms(*at), size])
        });
        let lines = self.lines.iter().map(|line| {
            Json::List(vec![
                ms(line.at),
                line.source.as_str().into(),
                line.text.as_str().into(),
            ])
        });
        let headers = self.client_headers.iter();
        let headers =
            headers.map(|(name, value)| Json::List(vec![name.as_str().into(), cut(value).into()]));
        let mut detail = self.row();
        detail.push("marks", Json::Object(marks.collect()));
        detail.push("chunks", Json::List(chunks.collect()));
        detail.push("lines", Json::List(lines.collect()));
        detail.push("linesDropped", Json::Int(self.lines_dropped as i64));
        detail.push("headers", Json::List(headers.collect()));
        detail.push("attempts", Json::Int(self.requests.attempts.into()));
        let last = self.parts.get(Message::Response as usize);
        detail.push("requests", self.requests.json(last));
        detail.push("hook", self.requests.hook_json());
        detail.push("bodyLimit", Json::Int(BODY_LIMIT as i64));
        let message = self.fault.as_ref().map(|(_, message)| message.as_str());
        detail.push("message", message.into());
        let cold_start = self.cold_start.as_ref().map(ColdStart::json);
        detail.push("coldStart", cold_start.unwrap_or(Json::Null));
        if let Some(report) = &self.report {
            let memory = report.max_memory.div_ceil(1 << 20) as i64;
            detail.push("init", report.init.map_or(Json::Null, ms));
            detail.push("restore", report.restore.map_or(Json::Null, ms));
            detail.push("memory", memory.into());
        }
        detail
    }
}

fn ms(duration: Duration) -> Json {
    Json::Float((duration.as_secs_f64() * 1e6).round() / 1e3)
}

fn cut(text: &str) -> String {
    if text.len() <= LINE_LIMIT {
        return text.to_owned();
    }
    let end = (0..=LINE_LIMIT)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    let kept = text.get(..end.unwrap_or_default()).unwrap_or_default();
    format!("{kept} ... ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let origin = Origin {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            ..Origin::default()
        };
        Entry::new(1, origin, 0, Instant::now())
    }

    #[test]
    fn a_message_is_cut_at_its_limit_and_keeps_its_full_size() {
        let mut part = Part::default();
        part.push(&vec![b'x'; BODY_LIMIT - 1]);
        part.push(b"abc");
        part.push(b"def");
        assert_eq!(part.bytes.len(), BODY_LIMIT);
        assert_eq!(part.size, BODY_LIMIT as u64 + 5);
        assert!(part.bytes.ends_with(b"xa"));
    }

    #[test]
    fn log_lines_beyond_the_limit_are_counted() {
        let mut entry = entry();
        for _ in 0..LINES_LIMIT + 3 {
            entry.line("app", &"y".repeat(LINE_LIMIT + 1), Instant::now());
        }
        assert_eq!(entry.lines_dropped, 3);
        assert!(entry.memory() < LINES_LIMIT * (LINE_LIMIT + 128) + 4096);
        assert!(entry.detail().to_string().contains("(4097 bytes)"));
    }

    #[test]
    fn a_retried_request_replaces_the_first() {
        let (mut entry, now) = (entry(), Instant::now());
        for body in [&b"first"[..], b"second"] {
            entry.begin_request(b"head ", now);
            entry.append(Message::Request, b"head ", now);
            entry.append(Message::Request, body, now);
        }
        let request = entry.part(Message::Request).map(|part| part.bytes.clone());
        assert_eq!(request.as_deref(), Some(&b"head second"[..]));
        assert!(entry.detail().to_string().contains("\"attempts\":2"));
    }

    #[test]
    fn a_request_after_the_reply_is_the_hook_unless_the_invocation_is_repeated() {
        let (mut entry, now) = (entry(), Instant::now());
        entry.start(now);
        assert!(!entry.begin_request(b"GET / HTTP/1.1", now));
        entry.append(Message::Request, b"GET / HTTP/1.1", now);
        entry.set_has_reply();
        assert!(entry.begin_request(b"POST /_after HTTP/1.1", now));
        entry.hook_response(b"HTTP/1.1 204 No Content\r\n\r\n", now);
        let detail = entry.detail().to_string();
        let hook = r#""hook":{"request":"POST /_after","status":204}"#;
        assert!(detail.contains(hook), "{detail}");
        let request = entry.part(Message::Request).map(|part| part.bytes.clone());
        assert_eq!(request.as_deref(), Some(&b"GET / HTTP/1.1"[..]));
        entry.start(now);
        assert!(!entry.begin_request(b"GET / HTTP/1.1", now));
    }

    #[test]
    fn the_row_shows_the_life_of_an_invocation() {
        let (mut entry, now) = (entry(), Instant::now());
        let state = |entry: &Entry| {
            let row: serde_json::Value =
                serde_json::from_str(&entry.row().to_string()).expect("JSON");
            (
                row["state"].as_str().expect("a state").to_owned(),
                row["cold"].as_bool().expect("cold"),
            )
        };
        assert_eq!(state(&entry), ("queued".to_owned(), false));
        entry.mark(Mark::Start, now);
        assert_eq!(state(&entry), ("running".to_owned(), false));
        entry.mark(Mark::InitStart, now);
        entry.mark(Mark::Done, now);
        assert_eq!(state(&entry), ("done".to_owned(), true));
    }
}
