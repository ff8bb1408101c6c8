//! The record of both sides of the adapter in one order: tests query it and failures print it.
//!
//! It also has the gates, named flags by which scripts wait for one another and for the test, so
//! that no test needs to sleep until something has probably happened.

use super::http::{BodySink, Message};
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Side {
    Api,
    App,
}

#[derive(Clone)]
pub enum EntryKind {
    Opened,
    Received(Box<Message>),
    Closed,
}

#[derive(Clone)]
pub struct Entry {
    pub side: Side,
    pub connection: usize,
    pub at: Duration,
    pub kind: EntryKind,
}

impl Entry {
    pub fn message(&self) -> Option<&Message> {
        match &self.kind {
            EntryKind::Received(message) => Some(message),
            _ => None,
        }
    }
}

#[derive(Default)]
pub struct Inner {
    pub entries: Vec<Entry>,
    pub gates: HashSet<String>,
    connections: usize,
    over: bool,
}

pub struct Record {
    inner: Mutex<Inner>,
    changed: Condvar,
    start: Instant,
}

impl Default for Record {
    fn default() -> Record {
        Record {
            inner: Mutex::default(),
            changed: Condvar::new(),
            start: Instant::now(),
        }
    }
}

impl Record {
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    pub fn opened(&self, side: Side) -> usize {
        let at = self.now();
        self.change(|inner| {
            inner.connections += 1;
            inner.entries.push(Entry {
                side,
                connection: inner.connections,
                at,
                kind: EntryKind::Opened,
            });
            inner.connections
        })
    }

    pub fn closed(&self, side: Side, connection: usize) {
        let at = self.now();
        self.change(|inner| {
            inner.entries.push(Entry {
                side,
                connection,
                at,
                kind: EntryKind::Closed,
            })
        });
    }

    /// Records a message; the number is for `amend`.
    pub fn received(&self, side: Side, connection: usize, message: Message) -> usize {
        let at = self.now();
        self.change(|inner| {
            inner.entries.push(Entry {
                side,
                connection,
                at,
                kind: EntryKind::Received(Box::new(message)),
            });
            inner.entries.len() - 1
        })
    }

    pub fn amend(&self, number: usize, change: impl FnOnce(&mut Message)) {
        self.change(|inner| {
            if let EntryKind::Received(message) = &mut inner.entries[number].kind {
                change(message);
            }
        });
    }

    pub fn open(&self, gate: &str) {
        self.change(|inner| inner.gates.insert(gate.to_owned()));
    }

    pub fn close(&self, gate: &str) {
        self.change(|inner| inner.gates.remove(gate));
    }

    /// Waits for a gate; false at the end of the test.
    pub fn wait_for(&self, gate: &str) -> bool {
        self.wait(|inner| inner.gates.contains(gate))
    }

    /// Waits for a condition; false at the end of the test.
    pub fn wait(&self, mut condition: impl FnMut(&mut Inner) -> bool) -> bool {
        let mut inner = self.lock();
        loop {
            if inner.over {
                return false;
            }
            if condition(&mut inner) {
                return true;
            }
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Waits up to 5 ms for a change, for loops with a deadline.
    pub fn wait_briefly(&self) {
        let _ = self
            .changed
            .wait_timeout(self.lock(), Duration::from_millis(5));
    }

    pub fn end(&self) {
        self.change(|inner| inner.over = true);
    }

    pub fn is_over(&self) -> bool {
        self.lock().over
    }

    pub fn dump(&self) -> String {
        let inner = self.lock();
        // Bounded, for the tests with thousands of invocations.
        let skipped = inner.entries.len().saturating_sub(200);
        let mut text = if skipped == 0 {
            String::new()
        } else {
            format!("({skipped} earlier entries)\n")
        };
        for Entry {
            side,
            connection,
            at,
            kind,
        } in &inner.entries[skipped..]
        {
            let _ = write!(
                text,
                "{:9.3} ms {side:?} #{connection} ",
                at.as_secs_f64() * 1e3
            );
            let _ = match kind {
                EntryKind::Opened => writeln!(text, "opened"),
                EntryKind::Closed => writeln!(text, "closed"),
                EntryKind::Received(message) => {
                    let head = message
                        .head
                        .escape_ascii()
                        .to_string()
                        .replace("\\r\\n", "\n      ");
                    let shown = &message.body[..message.body.len().min(1500)];
                    let end = if message.complete {
                        ""
                    } else {
                        " (broken off)"
                    };
                    let _ = writeln!(
                        text,
                        "{} bytes of body{end}\n      {head}{}",
                        message.length,
                        shown.escape_ascii()
                    );
                    if message.trailers.is_empty() {
                        Ok(())
                    } else {
                        writeln!(text, "      trailers {:?}", message.trailers)
                    }
                }
            };
        }
        text
    }
}

/// Records a body as it arrives.
pub struct BodyRecorder<'a, P: FnMut(usize) -> bool> {
    pub record: &'a Record,
    pub number: usize,
    pub length: usize,
    /// Called after each piece with the length so far: whether to continue.
    pub proceed: P,
}

impl<P: FnMut(usize) -> bool> BodySink for BodyRecorder<'_, P> {
    fn piece(&mut self, bytes: &[u8]) -> bool {
        let at = self.record.now();
        self.length += bytes.len();
        self.record
            .amend(self.number, |message| message.push_piece(at, bytes));
        (self.proceed)(self.length)
    }

    fn chunk(&mut self, length: usize) {
        self.record
            .amend(self.number, |message| message.chunks.push(length));
    }

    fn trailers(&mut self, fields: Vec<(String, String)>) {
        self.record
            .amend(self.number, |message| message.trailers = fields);
    }
}
