//! The last invocations, for the page: filled by the front ends, the function, the Runtime API, the
//! log and the relay, read by `server.rs`.
//!
//! Memory is bounded: 200 invocations, 64 MiB in all; the oldest go first. A reader waits for a
//! version and then reads what has changed since, so that a slow reader costs no memory either.
//! With `--no-page` nothing is recorded.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::http_server::Headers;
use crate::invocation::{Fault, Reply};
use crate::json::{Json, object};
use crate::log::Report;
use crate::log::cold_start::ColdStart;
use crate::web::entry::{Entry, Message, Origin};
use crate::web::mark::Mark;

const MAX_ENTRIES: usize = 200;
const MEMORY_LIMIT: usize = 64 << 20;
/// Log lines of an init before the first invocation.
const EARLY_LINES_LIMIT: usize = 200;

/// The state of the environment between invocations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EnvironmentState {
    #[default]
    None,
    Starting,
    Ready,
    Frozen,
    Failed,
}

impl EnvironmentState {
    fn name(self) -> &'static str {
        match self {
            EnvironmentState::None => "none",
            EnvironmentState::Starting => "starting",
            EnvironmentState::Ready => "ready",
            EnvironmentState::Frozen => "frozen",
            EnvironmentState::Failed => "failed",
        }
    }
}

#[derive(Debug, Default)]
struct Log {
    version: u64,
    next_number: u64,
    entries: VecDeque<Entry>,
    memory: usize,
    early_lines: VecDeque<(String, String)>,
    environment: EnvironmentState,
    environments: u64,
    /// The failure that the next invocation will have.
    armed: Option<&'static str>,
}

#[derive(Debug, Default)]
pub struct Recorder {
    is_enabled: bool,
    log: Mutex<Log>,
    changed: Condvar,
}

/// The handle of one invocation. The default one records nothing.
#[derive(Clone, Debug, Default)]
pub struct Recording(Option<(Arc<Recorder>, u64)>);

/// The changes since a version.
#[derive(Debug)]
pub struct Changes {
    pub version: u64,
    pub json: Json,
}

impl Recorder {
    pub fn new(is_enabled: bool) -> Arc<Recorder> {
        Arc::new(Recorder {
            is_enabled,
            ..Recorder::default()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Log)) {
        if self.is_enabled {
            let mut log = self.lock();
            log.version += 1;
            change(&mut log);
            drop(log);
            self.changed.notify_all();
        }
    }

    /// Starts the recording of an invocation with this event.
    pub fn begin(self: &Arc<Self>, origin: Origin, event: &[u8]) -> Recording {
        let (now, mut number) = (Instant::now(), None);
        self.change(|log| {
            log.next_number += 1;
            let mut entry = Entry::new(log.next_number, origin, clock::now_ms(), now);
            entry.append(Message::Event, event, now);
            entry.version = log.version;
            log.memory += entry.memory();
            number = Some(entry.number);
            log.entries.push_back(entry);
            log.evict();
        });
        Recording(number.map(|number| (self.clone(), number)))
    }

    /// Returns the recording of the last invocation with this id. The hook of a Managed Instance
    /// follows the end of its invocation.
    pub fn find(self: &Arc<Self>, request_id: &str) -> Recording {
        let log = self.lock();
        let mut entries = log.entries.iter().rev();
        let found = entries.find(|entry| entry.origin.request_id == request_id);
        Recording(found.map(|entry| (self.clone(), entry.number)))
    }

    /// Adds a log line to the invocation that it names, else to all that are running, else to the
    /// last one: the output of a process may arrive after the end of its invocation.
    pub fn line(&self, source: &str, text: &str) {
        let now = Instant::now();
        self.change(|log| {
            let mut running = log.entries.iter().filter(|entry| entry.is_running());
            let is_running = running.clone().next().is_some();
            let named = running.find(|entry| {
                let id = &entry.origin.request_id;
                !id.is_empty() && text.contains(id.as_str())
            });
            if let Some(number) = named.map(|entry| entry.number) {
                return log.update(
                    |entry| entry.number == number,
                    |entry| entry.line(source, text, now),
                );
            }
            let last = log.entries.iter().rev().find(|entry| !entry.is_open());
            let last = last.map(|entry| entry.number);
            if !is_running && last.is_none() {
                if log.early_lines.len() >= EARLY_LINES_LIMIT {
                    log.early_lines.pop_front();
                }
                let line = (source.to_owned(), text.chars().take(4096).collect());
                return log.early_lines.push_back(line);
            }
            log.update(
                |entry| {
                    let is_last = !is_running && Some(entry.number) == last;
                    entry.is_running() || is_last
                },
                |entry| entry.line(source, text, now),
            );
        });
    }

    pub fn environment(&self, state: EnvironmentState) {
        self.change(|log| {
            if state == EnvironmentState::Starting {
                log.environments += 1;
            }
            log.environment = state;
        });
    }

    pub fn armed(&self, failure: Option<&'static str>) {
        self.change(|log| log.armed = failure);
    }

    /// Forgets all invocations that have ended.
    pub fn clear(&self) {
        self.change(|log| {
            log.entries.retain(Entry::is_open);
            log.memory = log.entries.iter().map(Entry::memory).sum();
        });
    }

    /// Waits until the version is a later one than this; `None` after the timeout.
    pub fn wait(&self, version: u64, timeout: Duration) -> Option<Changes> {
        let log = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |log| log.version <= version)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        (log.version > version).then(|| log.since(version))
    }

    /// Returns everything.
    pub fn snapshot(&self) -> Changes {
        self.lock().since(0)
    }

    pub fn detail(&self, number: u64) -> Option<Json> {
        self.lock().entry(number).map(Entry::detail)
    }

    /// Returns the kept bytes of a message from this position, and its full size.
    pub fn message(&self, number: u64, message: Message, from: usize) -> Option<(Vec<u8>, u64)> {
        let log = self.lock();
        let part = log.entry(number)?.part(message)?;
        let bytes = part.bytes.get(from..).unwrap_or_default();
        Some((bytes.to_vec(), part.size))
    }

    pub fn origin(&self, number: u64) -> Option<Origin> {
        self.lock().entry(number).map(|entry| entry.origin.clone())
    }
}

impl Log {
    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.number == number)
    }

    fn update(&mut self, matches: impl Fn(&Entry) -> bool, change: impl Fn(&mut Entry)) {
        let version = self.version;
        for entry in self.entries.iter_mut().filter(|entry| matches(entry)) {
            let before = entry.memory();
            change(entry);
            entry.version = version;
            self.memory = (self.memory + entry.memory()).saturating_sub(before);
        }
        self.evict();
    }

    fn evict(&mut self) {
        while self.entries.len() > MAX_ENTRIES
            || (self.memory > MEMORY_LIMIT && self.entries.len() > 1)
        {
            let oldest = self.entries.pop_front();
            let memory = oldest.map_or(0, |entry| entry.memory());
            self.memory = self.memory.saturating_sub(memory);
        }
    }

    fn since(&self, version: u64) -> Changes {
        let changed = self.entries.iter().filter(|entry| entry.version > version);
        let numbers = self.entries.iter().map(|entry| entry.number as i64);
        let environment = object([
            ("state", self.environment.name().into()),
            ("count", Json::Int(self.environments as i64)),
            ("armed", self.armed.into()),
        ]);
        let json = object([
            ("version", Json::Int(self.version as i64)),
            ("environment", environment),
            ("kept", Json::List(numbers.map(Json::Int).collect())),
            ("rows", Json::List(changed.map(Entry::row).collect())),
        ]);
        Changes {
            version: self.version,
            json,
        }
    }
}

impl Recording {
    pub fn number(&self) -> Option<u64> {
        self.0.as_ref().map(|(_, number)| *number)
    }

    fn update(&self, change: impl Fn(&mut Entry)) {
        if let Some((recorder, number)) = &self.0 {
            recorder.change(|log| log.update(|entry| entry.number == *number, change));
        }
    }

    pub fn mark(&self, mark: Mark) {
        self.mark_at(mark, Instant::now());
    }

    pub fn mark_at(&self, mark: Mark, at: Instant) {
        self.update(|entry| entry.mark(mark, at));
    }

    /// The invocation starts; it takes the log lines of an init before it.
    pub fn start(&self) {
        let Some((recorder, number)) = &self.0 else {
            return;
        };
        let now = Instant::now();
        recorder.change(|log| {
            let lines = std::mem::take(&mut log.early_lines);
            log.update(
                |entry| entry.number == *number,
                |entry| {
                    entry.start(now);
                    for (source, text) in &lines {
                        entry.line(source, text, now);
                    }
                },
            );
        });
    }

    pub fn append(&self, message: Message, data: &[u8]) {
        let now = Instant::now();
        self.update(|entry| entry.append(message, data, now));
    }

    /// A request to the app begins; returns true for the hook after the response.
    pub fn begin_request(&self, head: &[u8], at: Instant) -> bool {
        let is_hook = Cell::new(false);
        self.update(|entry| is_hook.set(entry.begin_request(head, at)));
        is_hook.get()
    }

    pub fn hook_response(&self, data: &[u8]) {
        let now = Instant::now();
        self.update(|entry| entry.hook_response(data, now));
    }

    /// Records a reply, or a part of one.
    pub fn reply(&self, reply: &Reply) {
        let is_whole = !matches!(reply, Reply::StreamStart { .. } | Reply::Chunk(_));
        if is_whole {
            self.update(Entry::set_has_reply);
        }
        match reply {
            Reply::Buffered(payload) => self.append(Message::Reply, payload),
            Reply::Chunk(chunk) => self.append(Message::Reply, chunk),
            Reply::StreamStart { .. } => self.update(|entry| entry.is_stream = true),
            Reply::StreamEnd(None) => self.mark(Mark::ReplyEnd),
            Reply::StreamEnd(Some(fault)) => self.update(|entry| entry.fault(fault)),
            Reply::Failed(fault) => {
                let now = Instant::now();
                self.update(|entry| {
                    entry.append(
                        Message::Reply,
                        fault.body.as_deref().unwrap_or_default(),
                        now,
                    );
                    entry.fault(fault);
                });
            }
        }
    }

    pub fn fault(&self, fault: &Fault) {
        self.update(|entry| entry.fault(fault));
    }

    /// Returns true if the app has responded with a status of 500 or more.
    pub fn is_server_error(&self) -> bool {
        let Some((recorder, number)) = &self.0 else {
            return false;
        };
        let log = recorder.lock();
        let response = log
            .entry(*number)
            .and_then(|entry| entry.part(Message::Response));
        response.is_some_and(|response| response.bytes.starts_with(b"HTTP/1.1 5"))
    }

    pub fn cold_start(&self, cold_start: &ColdStart) {
        self.update(|entry| entry.cold_start(cold_start));
    }

    /// The head of the response that the front end sends, or would send.
    pub fn sent(&self, status: Option<u16>, headers: &Headers) {
        self.update(|entry| entry.sent(status, headers.clone()));
    }

    /// The request ends without an invocation.
    pub fn refused(&self, fault: &Fault) {
        let now = Instant::now();
        self.update(|entry| {
            entry.fault(fault);
            entry.mark(Mark::Done, now);
        });
    }

    pub fn report(&self, report: &Report) {
        let now = Instant::now();
        self.update(|entry| {
            entry.report(report);
            entry.mark(Mark::Done, now);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::entry::BODY_LIMIT;

    fn origin(id: &str) -> Origin {
        Origin {
            request_id: id.to_owned(),
            ..Origin::default()
        }
    }

    fn value(json: &Json) -> serde_json::Value {
        serde_json::from_str(&json.to_string()).expect("JSON")
    }

    #[test]
    fn the_last_200_invocations_are_kept() {
        let recorder = Recorder::new(true);
        for id in 0..MAX_ENTRIES + 5 {
            recorder.begin(origin(&id.to_string()), b"{}");
        }
        let rows = value(&recorder.snapshot().json)["rows"].clone();
        let rows = rows.as_array().expect("rows");
        assert_eq!(rows.len(), MAX_ENTRIES);
        assert_eq!(rows[0]["id"], "5");
        assert!(recorder.detail(1).is_none());
    }

    #[test]
    fn memory_has_a_limit_however_large_the_messages_are() {
        let recorder = Recorder::new(true);
        for id in 0..MAX_ENTRIES {
            let recording = recorder.begin(origin(&id.to_string()), &vec![0; BODY_LIMIT * 2]);
            recording.append(Message::Reply, &vec![0; BODY_LIMIT * 2]);
            let log = recorder.lock();
            let counted: usize = log.entries.iter().map(Entry::memory).sum();
            assert_eq!(log.memory, counted);
            assert!(counted <= MEMORY_LIMIT);
        }
        assert!(recorder.lock().entries.len() > MEMORY_LIMIT / (BODY_LIMIT * 2 + 2048) - 2);
    }

    #[test]
    fn a_reader_gets_only_the_rows_that_changed() {
        let recorder = Recorder::new(true);
        let first = recorder.begin(origin("1"), b"{}");
        recorder.begin(origin("2"), b"{}");
        let version = recorder.snapshot().version;
        assert!(recorder.wait(version, Duration::ZERO).is_none());
        first.mark(Mark::Start);
        let changes = recorder.wait(version, Duration::ZERO).expect("changes");
        let json = value(&changes.json);
        assert_eq!(json["rows"].as_array().map(Vec::len), Some(1));
        assert_eq!(json["rows"][0]["id"], "1");
        assert_eq!(json["kept"], serde_json::json!([1, 2]));
    }

    fn texts(recording: &Recording) -> Vec<String> {
        let (recorder, number) = recording.0.as_ref().expect("a recording");
        let detail = value(&recorder.detail(*number).expect("a detail"));
        let lines = detail["lines"].as_array().expect("lines").iter();
        lines.map(|line| line[2].to_string()).collect()
    }

    #[test]
    fn a_request_that_is_refused_has_ended_with_its_error() {
        let recorder = Recorder::new(true);
        let recording = recorder.begin(origin("r1"), b"");
        let row = || value(&recorder.detail(1).expect("a detail"));
        recording.refused(&Fault::new("Refused", "too large"));
        assert_eq!(
            (&row()["state"], &row()["message"]),
            (&"done".into(), &"too large".into())
        );
        // An asynchronous invocation that was throttled is repeated.
        recording.report(&Report::default());
        assert!(row()["error"].is_null(), "{}", row());
    }

    #[test]
    fn a_log_line_belongs_to_the_invocation_that_it_names() {
        let recorder = Recorder::new(true);
        let [first, second] = ["r1", "r2"].map(|id| recorder.begin(origin(id), b"{}"));
        first.start();
        second.start();
        recorder.line("lambda", "START RequestId: r1");
        recorder.line("app", "of both");
        assert_eq!(texts(&first), ["\"START RequestId: r1\"", "\"of both\""]);
        assert_eq!(texts(&second), ["\"of both\""]);
    }

    #[test]
    fn a_log_line_belongs_to_the_running_invocation_or_to_the_last() {
        let recorder = Recorder::new(true);
        recorder.line("app", "early");
        let first = recorder.begin(origin("1"), b"{}");
        first.start();
        let second = recorder.begin(origin("2"), b"{}");
        recorder.line("app", "during");
        first.report(&Report::default());
        recorder.line("app", "after");
        assert_eq!(texts(&first), ["\"early\"", "\"during\"", "\"after\""]);
        assert!(texts(&second).is_empty(), "it is queued");
    }

    #[test]
    fn nothing_is_recorded_without_the_page() {
        let recorder = Recorder::new(false);
        let recording = recorder.begin(origin("1"), b"{}");
        recording.start();
        recorder.line("app", "x");
        assert!(recording.number().is_none());
        assert_eq!(recorder.lock().version, 0);
    }

    #[test]
    fn an_ended_invocation_is_found_by_its_id_until_it_is_cleared() {
        let recorder = Recorder::new(true);
        let ended = recorder.begin(origin("1"), b"{}");
        recorder.begin(origin("2"), b"{}");
        ended.report(&Report::default());
        assert!(recorder.find("1").number().is_some());
        recorder.clear();
        assert!(recorder.find("1").number().is_none());
        let log = recorder.lock();
        assert_eq!(log.entries.len(), 1);
        assert_eq!(
            log.memory,
            log.entries.iter().map(Entry::memory).sum::<usize>()
        );
    }
}
