//! SIGTERM: what is in flight is finished, then the process ends with status 0.
//!
//! Lambda never sends it to an extension, but where the adapter is the function's own process
//! it does, and so do emulators and other platforms; as PID 1 a process without a handler
//! would not even notice. No thread waits for it: while nothing is in flight the handler
//! itself ends the process, otherwise the last turn does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use log::{info, warn};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

/// Counts the invocations in flight and knows whether to end after them.
#[derive(Debug, Default)]
pub struct Stop {
    in_flight: Mutex<usize>,
    idle: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
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

    /// Ends the process if it was the last and the signal has come.
    pub fn invocation_ends(&self) {
        let left = self.count(|in_flight| in_flight.saturating_sub(1));
        if left == 0 && self.asked.load(Ordering::SeqCst) {
            info!("SIGTERM: nothing is in flight any more");
            std::process::exit(0);
        }
    }

    fn count(&self, change: impl Fn(usize) -> usize) -> usize {
        let mut in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *in_flight = change(*in_flight);
        self.idle.store(*in_flight == 0, Ordering::SeqCst);
        *in_flight
    }
}
