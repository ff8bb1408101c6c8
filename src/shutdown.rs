//! Graceful shutdown: finish the invocations in flight, then exit.
//!
//! Lambda sends an extension no SIGTERM, but emulators and other platforms do, and as PID 1 a
//! process without a handler would ignore it. No thread waits for the signal: while no
//! invocation is in flight the signal handler itself exits with status 0, otherwise the thread
//! that finishes the last one does. If the app is a child of the adapter, the signal is
//! forwarded to it, and its exit is what requests the shutdown: see `app/supervisor.rs`.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::logger::line::{info, warn};
use signal_hook::consts::SIGTERM;
use signal_hook::flag;

/// The count of invocations in flight, and whether to exit after the last one.
#[derive(Debug, Default)]
pub struct Shutdown {
    in_flight: Mutex<usize>,
    idle: Arc<AtomicBool>,
    requested: Arc<AtomicBool>,
    status: AtomicI32,
    draining: AtomicBool,
    drained: Condvar,
}

impl Shutdown {
    /// Installs the handler for SIGTERM.
    pub fn listen() -> Shutdown {
        let shutdown = Shutdown::default();
        shutdown.idle.store(true, Ordering::SeqCst);
        let idle = Arc::clone(&shutdown.idle);
        let installed = flag::register_conditional_shutdown(SIGTERM, 0, idle)
            .and_then(|_| flag::register(SIGTERM, Arc::clone(&shutdown.requested)));
        if let Err(cause) = installed {
            warn!("failed to handle SIGTERM, which will end the process at once: {cause}");
        }
        shutdown
    }

    /// Exits with this status as soon as no invocation is in flight.
    pub fn request(&self, status: i32) {
        self.status.store(status, Ordering::SeqCst);
        self.requested.store(true, Ordering::SeqCst);
        if self.count(|in_flight| in_flight) == 0 {
            exit(status);
        }
    }

    pub fn invocation_begins(&self) {
        self.count(|in_flight| in_flight + 1);
    }

    /// Exits if a shutdown is requested and this was the last invocation in flight.
    pub fn invocation_ends(&self) {
        let left = self.count(|in_flight| in_flight.saturating_sub(1));
        if left == 0 && self.requested.load(Ordering::SeqCst) {
            info!("shutting down: the last invocation in flight has finished");
            exit(self.status.load(Ordering::SeqCst));
        }
    }

    /// Waits until no invocation is in flight. Returns false at once if another thread does so
    /// already.
    pub fn drain(&self) -> bool {
        if self.draining.swap(true, Ordering::SeqCst) {
            return false;
        }
        let in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *in_flight > 0 {
            warn!("shutting down after {} invocations in flight", *in_flight);
        }
        let _none = self
            .drained
            .wait_while(in_flight, |in_flight| *in_flight > 0)
            .unwrap_or_else(PoisonError::into_inner);
        true
    }

    /// Whether the process is about to end, so that no more invocations are taken.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn count(&self, change: impl Fn(usize) -> usize) -> usize {
        let mut in_flight = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *in_flight = change(*in_flight);
        self.idle.store(*in_flight == 0, Ordering::SeqCst);
        // A system call, and for nothing unless a thread waits.
        if *in_flight == 0 && self.is_draining() {
            self.drained.notify_all();
        }
        *in_flight
    }
}

/// The one exit of the process.
pub fn exit(status: i32) -> ! {
    std::process::exit(status)
}
