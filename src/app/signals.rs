//! Waits for signals in one thread, with a timeout.
//!
//! A signal handler may do very little (signal-safety(7)): ours sets a flag per signal and
//! wakes the waiting thread with a byte on a socket. A signal that the process inherited as
//! ignored must stay ignored in the app too, and a handler would be reset to the default
//! action there (execve(2)), so [`ignored`] finds those to leave alone.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::platform;

/// A subscription to signals, by number.
#[derive(Debug)]
pub struct Signals {
    wake: UnixStream,
    raised: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    /// Installs a handler for each of the signals.
    pub fn subscribe(numbers: impl IntoIterator<Item = i32>) -> io::Result<Signals> {
        let (wake, waker) = UnixStream::pair()?;
        let mut raised = Vec::new();
        for number in numbers {
            let flag = Arc::default();
            flag::register(number, Arc::clone(&flag))?;
            pipe::register(number, waker.try_clone()?)?;
            raised.push((number, flag));
        }
        Ok(Signals { wake, raised })
    }

    /// Waits for a signal until `timeout` has passed; returns the signals received.
    pub fn wait(&mut self, timeout: Option<Duration>) -> impl Iterator<Item = i32> {
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        // The result does not matter, a timeout is an error too: the flags are looked at anyway.
        let _ = self
            .wake
            .set_read_timeout(timeout)
            .and_then(|()| self.wake.read(&mut [0; 64]));
        let raised = self.raised.iter();
        raised.filter_map(|(number, flag)| flag.swap(false, Ordering::SeqCst).then_some(*number))
    }
}

/// Whether a signal is ignored. To be called before [`Signals::subscribe`], which changes it.
pub fn ignored() -> impl Fn(i32) -> bool {
    let set = platform::ignored_signals();
    move |number| set >> (number - 1) & 1 == 1
}
