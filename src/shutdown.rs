//! The end in good order: what is in flight is finished, then the process ends.
//!
//! Lambda never sends SIGTERM to an extension, but emulators and other platforms do; as PID 1
//! a process without a handler would not even notice. No thread waits for it: while nothing is
//! in flight the handler itself ends the process with status 0, otherwise the last turn does.
//! Where the app is our child the signal is the app's, whose end then is ours: `child.rs`.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use log::{info, warn};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

/// Counts the invocations in flight and knows whether to end after them.
#[derive(Debug, Default)]
pub struct Stop {
    in_flight: Mutex<usize>,
    idle: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    status: AtomicI32,
    draining: AtomicBool,
    drained: Condvar,
}

impl Stop {
    /// Starts to listen for the signal.
    pub fn listen() -> Stop {
        let stop = Stop::default();
        stop.idle.store(true, Ordering::SeqCst);
        let listening = flag::register_conditional_shutdown(SIGTERM, 0, Arc::clone(&stop.idle))
            .and_then(|_| flag::register(SIGTERM, Arc::clone(&stop.asked)));
        if let Err(cause) = listening {
            warn!("failed to listen for SIGTERM, which will end the process at once: {cause}");
        }
        stop
    }

    pub fn invocation_begins(&self) {
        self.count(|in_flight| in_flight + 1);
    }

    /// Ends the process with this status, now or after the last that is in flight.
    pub fn end(&self, status: i32) {
        self.status.store(status, Ordering::SeqCst);
        self.asked.store(true, Ordering::SeqCst);
        if self.count(|in_flight| in_flight) == 0 {
            exit(status);
        }
    }

    /// Ends the process if it was the last and the end has been asked for.
    pub fn invocation_ends(&self) {
        let left = self.count(|in_flight| in_flight.saturating_sub(1));
        if left == 0 && self.asked.load(Ordering::SeqCst) {
            info!("nothing is in flight any more: the process ends");
            exit(self.status.load(Ordering::SeqCst));
        }
    }

    /// Takes no more invocations, and returns when none is in flight. False if another thread
    /// has begun to drain before.
    pub fn drain(&self) -> bool {
        if self.draining.swap(true, Ordering::SeqCst) {
            return false;
        }
        let in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let _none = self
            .drained
            .wait_while(in_flight, |in_flight| *in_flight > 0)
            .unwrap_or_else(PoisonError::into_inner);
        true
    }

    fn count(&self, change: impl Fn(usize) -> usize) -> usize {
        let mut in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *in_flight = change(*in_flight);
        self.idle.store(*in_flight == 0, Ordering::SeqCst);
        self.drained.notify_all();
        *in_flight
    }
}

/// The one exit of the process.
pub fn exit(status: i32) -> ! {
    std::process::exit(status)
}
