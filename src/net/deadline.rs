//! Deadlines: when a wait logs a warning, and when it times out.
//!
//! Times are wall-clock times: an invocation's deadline is one, and the clock goes on while
//! Lambda has the process frozen.

use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::warn;

/// How often a wait checks its deadline.
pub const TICK: Duration = Duration::from_millis(100);
/// The same where nothing is due.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// How long after an invocation's deadline a wait for it ends, where no margin is set.
const OVERTIME: Duration = Duration::from_secs(1);

/// The time until `margin` before a deadline in milliseconds of Unix time; without a deadline
/// there is no limit.
pub fn time_left(deadline_ms: Option<u64>, margin: Duration) -> Duration {
    let Some(ms) = deadline_ms else {
        return Duration::MAX;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let limit = Duration::from_millis(ms).saturating_sub(margin);
    limit.saturating_sub(now.unwrap_or_default())
}

/// A margin before a deadline: at most half of the time that is left now.
pub fn margin_within(deadline_ms: Option<u64>, margin: Duration) -> Duration {
    deadline_ms.map_or(margin, |ms| margin.min(left(ms) / 2))
}

/// The time limits of one exchange.
#[derive(Debug)]
pub struct Deadline {
    /// Named in the warning: `GET /path`.
    subject: String,
    started: SystemTime,
    warn_at: Option<SystemTime>,
    /// When Lambda ends the invocation.
    invocation_ends: Option<SystemTime>,
    time_out_at: Option<SystemTime>,
}

/// The time until a deadline in milliseconds of Unix time; zero if it is past.
pub fn left(deadline_ms: u64) -> Duration {
    time_left(Some(deadline_ms), Duration::ZERO)
}

impl Deadline {
    /// Logs a warning after `warn_after`, times out after `timeout`.
    pub fn after(subject: String, warn_after: Duration, timeout: Duration) -> Deadline {
        let now = SystemTime::now();
        Deadline {
            subject,
            started: now,
            warn_at: now.checked_add(warn_after),
            invocation_ends: None,
            time_out_at: now.checked_add(timeout),
        }
    }

    /// Never times out: for long polls.
    pub fn none() -> Deadline {
        Deadline {
            subject: String::new(),
            started: UNIX_EPOCH,
            warn_at: None,
            invocation_ends: None,
            time_out_at: None,
        }
    }

    /// The deadline of an invocation, in milliseconds of Unix time. Logs a warning when a tenth
    /// of the time is left, and times out `margin` before the deadline, but not before half of
    /// the time is over. Without a margin it times out one second after the deadline: by then
    /// Lambda has ended the environment, or never will.
    pub fn at(subject: String, deadline_ms: Option<u64>, margin: Option<Duration>) -> Deadline {
        let now = SystemTime::now();
        let ends = deadline_ms.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
        let left = deadline_ms.map(left).unwrap_or_default();
        let notice = (left / 10).min(Duration::from_secs(1));
        Deadline {
            subject,
            started: now,
            warn_at: ends.and_then(|at| at.checked_sub(notice)),
            invocation_ends: ends,
            time_out_at: ends.and_then(|at| match margin {
                Some(margin) => at.checked_sub(margin.min(left / 2)),
                // A post may begin after the deadline, and takes some time.
                None => at.max(now).checked_add(OVERTIME),
            }),
        }
    }

    /// Milliseconds since the exchange began.
    pub fn elapsed_ms(&self) -> u64 {
        self.started.elapsed().unwrap_or_default().as_millis() as u64
    }

    /// From now on, times out after `timeout`.
    pub fn shorten_to(&mut self, timeout: Duration) {
        self.time_out_at = SystemTime::now().checked_add(timeout);
    }

    /// The time until it times out, at most `most`.
    pub fn left(&self, most: Duration) -> Duration {
        let now = SystemTime::now();
        let left = |at: SystemTime| at.duration_since(now).unwrap_or_default();
        self.time_out_at.map_or(most, |at| left(at).min(most))
    }

    /// Returns how long to wait until the next check, or `TimedOut`.
    pub fn check(&mut self) -> io::Result<Duration> {
        let now = SystemTime::now();
        let left = |at: SystemTime| at.duration_since(now).unwrap_or_default();
        if self.time_out_at.is_some_and(|at| at <= now) {
            return Err(ErrorKind::TimedOut.into());
        }
        if self.warn_at.is_some_and(|at| at <= now) {
            self.warn_at = None;
            self.warn(self.invocation_ends.map(left));
        }
        let next = [self.time_out_at, self.warn_at].into_iter().flatten();
        Ok(next
            .map(left)
            .min()
            .map_or(IDLE_TICK, |next| next.clamp(Duration::from_millis(1), TICK)))
    }

    fn warn(&self, left: Option<Duration>) {
        let (subject, elapsed) = (&self.subject, self.elapsed_ms());
        let left = left.map_or(String::new(), |left| {
            let left = left.as_millis() as u64;
            format!(", {left} ms before the deadline")
        });
        warn!("{subject} is not finished after {elapsed} ms{left}");
    }
}
