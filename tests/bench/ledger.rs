//! The state of all invocations: to hand out, in flight, and their times.
//!
//! One mutex guards it. The thread that runs the measurements sleeps on `news` and is woken at the
//! end of a round, not for each invocation: waking it would cost more than some adapters do.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const NEXT: &[u8] =
    b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8f0a1b2c-3d4e-4f50-8a6b-000000000000\r\n";
pub const DIGITS: usize = 12;
/// The offset of the id's last digits in the head of an event.
pub const ID_PLACE: Range<usize> = NEXT.len() - 2 - DIGITS..NEXT.len() - 2;

/// One event as the response to `/next`, without its request id.
pub struct Event(Vec<u8>);

impl Event {
    pub fn new(payload: &[u8]) -> Event {
        let mut message = NEXT.to_vec();
        let rest = format!(
            "Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
             Lambda-Runtime-Invoked-Function-Arn: \
                 arn:aws:lambda:eu-west-1:111122223333:function:bench\r\n\
             Lambda-Runtime-Trace-Id: \
                 Root=1-65c0a1b2-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            payload.len()
        );
        message.extend_from_slice(rest.as_bytes());
        message.extend_from_slice(payload);
        Event(message)
    }
}

#[derive(Default)]
pub struct State {
    pub registered: Option<Instant>,
    pub first_next: Option<Instant>,
    pub event: Option<Arc<Event>>,
    /// Events still to hand out, and until when to hand out more than these.
    pub left: usize,
    pub until: Option<Instant>,
    pub parked: usize,
    pub pollers: usize,
    pub in_flight: usize,
    pub started: Vec<Instant>,
    /// Nanoseconds from event to whole reply, and to the first byte of a streamed body.
    pub latency: Vec<u64>,
    pub first_byte: Vec<u64>,
    pub ended: Option<Instant>,
    /// Every reply of a kind has the same length, and a shorter one is broken; but a compressed one
    /// may depend on the pieces in which the body arrived.
    length: Option<usize>,
    pub compressed: bool,
    pub keep: bool,
    pub kept: Vec<u8>,
    failure: Option<String>,
    pub closing: bool,
}

#[derive(Default)]
pub struct Ledger {
    state: Mutex<State>,
    pub work: Condvar,
    pub news: Condvar,
}

pub struct Round {
    pub latency: Vec<u64>,
    pub first_byte: Vec<u64>,
    pub elapsed: Duration,
}

/// A connection's own copy of the event, in which it writes the request id.
#[derive(Default)]
pub struct Mine {
    source: Option<Arc<Event>>,
    pub message: Vec<u8>,
}

impl Ledger {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Blocks the caller until there is an event for it; `None` at the end.
    pub fn turn(&self, mine: &mut Mine) -> Option<()> {
        let mut state = self.lock();
        if state.first_next.is_none() {
            state.first_next = Some(Instant::now());
            self.news.notify_all();
        }
        state.parked += 1;
        loop {
            if state.closing {
                return None;
            }
            let more = state.until.is_some_and(|until| Instant::now() < until);
            if (state.left > 0 || more) && state.event.is_some() {
                break;
            }
            if state.parked >= state.pollers {
                self.news.notify_all();
            }
            state = self.work.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        state.parked -= 1;
        state.left = state.left.saturating_sub(1);
        state.in_flight += 1;
        let event = state.event.clone()?;
        if !mine.source.as_ref().is_some_and(|s| Arc::ptr_eq(s, &event)) {
            mine.message.clone_from(&event.0);
            mine.source = Some(event);
        }
        let mut id = state.started.len();
        for digit in mine.message[ID_PLACE].iter_mut().rev() {
            *digit = b'0' + (id % 10) as u8;
            id /= 10;
        }
        state.started.push(Instant::now());
        Some(())
    }

    pub fn finish(
        &self,
        id: usize,
        now: Instant,
        first: Option<Instant>,
        length: usize,
        kept: Vec<u8>,
    ) {
        let mut state = self.lock();
        let Some(started) = state.started.get(id).copied() else {
            drop(state);
            return self.fail(format!("a reply to the unknown invocation {id}"));
        };
        state.in_flight = state.in_flight.saturating_sub(1);
        state.latency.push((now - started).as_nanos() as u64);
        if let Some(first) = first {
            state.first_byte.push((first - started).as_nanos() as u64);
        }
        state.ended = Some(now);
        if !kept.is_empty() {
            state.kept = kept;
        }
        let expected = *state.length.get_or_insert(length);
        let slack = if state.compressed { expected / 64 } else { 0 };
        drop(state);
        if expected.abs_diff(length) > slack {
            self.fail(format!("a reply of {length} bytes after one of {expected}"));
        }
    }

    pub fn fail(&self, why: String) {
        let mut state = self.lock();
        if !state.closing {
            state.failure.get_or_insert(why);
        }
        self.news.notify_all();
    }

    pub fn wait(
        &self,
        limit: Duration,
        enough: impl Fn(&State) -> bool,
    ) -> std::result::Result<MutexGuard<'_, State>, String> {
        let pending = |s: &mut State| s.failure.is_none() && !enough(s);
        let (state, _) = self
            .news
            .wait_timeout_while(self.lock(), limit, pending)
            .map_err(|e| e.to_string())?;
        match &state.failure {
            Some(why) => Err(why.clone()),
            None if enough(&state) => Ok(state),
            None => Err(format!(
                "nothing more within {limit:?}: {} in flight, {} of {} polling",
                state.in_flight, state.parked, state.pollers
            )),
        }
    }
}
