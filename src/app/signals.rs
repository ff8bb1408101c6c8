//! Signals as something to wait for: one thread reads them, with a time limit if it likes.
//!
//! A handler may do next to nothing, so each signal only raises its flag and then wakes the
//! reader by a byte (signal-safety(7)). What the process was started to ignore stays ignored,
//! for us and for the app alike: a handler would end that (execve(2)).

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::flag;
use signal_hook::low_level::pipe;

/// The signals that are listened to, by number.
#[derive(Debug)]
pub struct Signals {
    wake: UnixStream,
    raised: Vec<(i32, Arc<AtomicBool>)>,
}

impl Signals {
    pub fn listen(numbers: impl IntoIterator<Item = i32>) -> io::Result<Signals> {
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

    /// Waits for any signal, no longer than `patience`; says which have come.
    pub fn wait(&mut self, patience: Option<Duration>) -> impl Iterator<Item = i32> {
        let patience = patience.map(|patience| patience.max(Duration::from_millis(1)));
        // Whatever ends the wait, the flags say the rest: a time limit is an error too.
        let _ = self
            .wake
            .set_read_timeout(patience)
            .and_then(|()| self.wake.read(&mut [0; 64]));
        let raised = self.raised.iter();
        raised.filter_map(|(number, flag)| flag.swap(false, Ordering::SeqCst).then_some(*number))
    }
}

/// Whether the process was started to ignore a signal; to be asked before listening to it.
pub fn ignored() -> impl Fn(i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = ignored_set(&status);
    move |number| set >> (number - 1) & 1 == 1
}

/// The set of ignored signals in proc(5)'s status, the lowest bit being signal 1.
fn ignored_set(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        let status = "Name:\tsh\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_set(status), 1 << 12 | 1);
        assert_eq!(ignored_set(""), 0);
    }
}
