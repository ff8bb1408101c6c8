//! The end of lambda-local: the client of an invocation has its response before the report, so the
//! end waits for the reports of those, for a short time.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::{Function, lifecycle, lock};

/// A client has its response, and the runtime polls for the next event, within this time. It can
/// be in a hook for longer.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);
/// A thread reports its invocation within this time after the shutdown.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    /// The runtime has finished them.
    finished: u32,
}

/// The invocations that have started, or requests of a Web Function, and are not reported yet.
#[derive(Debug, Default)]
pub struct Unreported {
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl Unreported {
    pub fn begin(&self) -> UnreportedOne<'_> {
        lock(&self.counts).all += 1;
        UnreportedOne {
            all: self,
            is_finished: Cell::default(),
        }
    }

    fn wait(&self, deadline: Instant, is_over: impl Fn(&Counts) -> bool) {
        let left = deadline.saturating_duration_since(Instant::now());
        let counts = lock(&self.counts);
        let is_waiting = |counts: &mut Counts| !is_over(counts);
        // The end does not wait for longer.
        let _ = self.changed.wait_timeout_while(counts, left, is_waiting);
    }
}

#[derive(Debug)]
pub struct UnreportedOne<'u> {
    all: &'u Unreported,
    is_finished: Cell<bool>,
}

impl UnreportedOne<'_> {
    pub fn finish(&self) {
        if !self.is_finished.replace(true) {
            lock(&self.all.counts).finished += 1;
        }
    }
}

impl Drop for UnreportedOne<'_> {
    fn drop(&mut self) {
        let mut counts = lock(&self.all.counts);
        counts.all -= 1;
        counts.finished -= u32::from(self.is_finished.get());
        drop(counts);
        self.all.changed.notify_all();
    }
}

impl Function {
    /// Shuts the environments down, even during init or an invocation, and returns the summary.
    pub fn stop(&self) -> String {
        self.is_stopping.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + FINISH_TIMEOUT;
        for unit in &self.units {
            let latest = lock(&unit.latest).clone();
            if let Some(environment) = latest {
                environment.wait(deadline, |state| (!state.has_replied()).then_some(()));
            }
        }
        self.unreported
            .wait(deadline, |counts| counts.finished == 0);
        std::thread::scope(|scope| {
            for unit in &self.units {
                scope.spawn(|| {
                    let latest = lock(&unit.latest).clone();
                    if let Some(environment) = latest {
                        lifecycle::shutdown(&environment, "spindown");
                    }
                });
            }
        });
        let deadline = Instant::now() + REPORT_TIMEOUT;
        self.unreported.wait(deadline, |counts| counts.all == 0);
        lock(&self.summary).to_string()
    }

    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_for_a_report_and_not_for_ever() {
        let unreported = Unreported::default();
        let one = unreported.begin();
        one.finish();
        let started = Instant::now();
        unreported.wait(started + Duration::from_millis(50), |counts| {
            counts.finished == 0
        });
        assert!(started.elapsed() >= Duration::from_millis(50));
        let far = Instant::now() + Duration::from_secs(60);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| unreported.wait(far, |counts| counts.all == 0));
            assert!(!waiting.is_finished(), "it is not reported yet");
            drop(one);
        });
        let counts = lock(&unreported.counts);
        assert_eq!((counts.all, counts.finished), (0, 0));
    }
}
