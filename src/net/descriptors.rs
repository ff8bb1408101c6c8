//! File descriptors: their limit, and a second attempt where none is left (getrlimit(2)).
//!
//! Lambda's limit of 1,024 is fewer than two for each of the invocations that a Managed
//! Instances environment may have in flight.

use std::io;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A connection to the app and one to the Runtime API.
const PER_THREAD: usize = 2;
/// For everything else: standard streams, pipes of the relay and of signals, one more connection.
const OTHERS: usize = 32;
/// Others close theirs within milliseconds.
const ATTEMPTS: u32 = 50;
const BACKOFF: Duration = Duration::from_millis(20);

static INHERITED: OnceLock<Rlimit> = OnceLock::new();
static RELEASE: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

/// Raises the soft limit to the needs of `threads`, as far as the hard limit allows. Returns how
/// many threads the limit is enough for.
pub fn reserve(threads: usize) -> usize {
    let inherited = getrlimit(Resource::Nofile);
    let wanted = threads.saturating_mul(PER_THREAD).saturating_add(OTHERS);
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    // No limit is set where `None`.
    let at_most = |limit: Option<u64>| limit.map_or(wanted, |limit| limit.min(wanted));
    let mut limit = at_most(inherited.current);
    if limit < wanted {
        let raised = at_most(inherited.maximum);
        let new = Rlimit {
            current: Some(raised),
            ..inherited
        };
        if raised > limit && setrlimit(Resource::Nofile, new).is_ok() {
            limit = raised;
            let _ = INHERITED.set(inherited);
        }
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    (limit.saturating_sub(OTHERS) / PER_THREAD).clamp(1, threads.max(1))
}

/// The soft limit before it was raised, for programs that this one starts.
pub fn inherited() -> Option<u64> {
    INHERITED.get().and_then(|limit| limit.current)
}

/// Sets the soft limit of this process.
pub fn limit_to(soft: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(soft),
        ..getrlimit(Resource::Nofile)
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Calls `release` where no descriptor is left; it closes idle connections.
pub fn on_shortage(release: impl Fn() + Send + Sync + 'static) {
    let _ = RELEASE.set(Box::new(release));
}

/// Runs `open`, and again for about a second where no descriptor is left.
pub fn retry<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut attempts = 1;
    loop {
        match open() {
            Err(error) if is_shortage(&error) && attempts < ATTEMPTS => {
                if let Some(release) = RELEASE.get() {
                    release();
                }
                if attempts > 1 {
                    thread::sleep(BACKOFF);
                }
                attempts += 1;
            }
            opened => return opened,
        }
    }
}

/// Whether this process or the machine has no descriptor left.
pub fn is_shortage(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_shortage_is_retried_and_other_errors_are_not() {
        for (errno, expected) in [
            (Errno::MFILE, 3),
            (Errno::NFILE, 3),
            (Errno::CONNREFUSED, 1),
        ] {
            let calls = Cell::new(0);
            let opened = retry(|| {
                calls.set(calls.get() + 1);
                if calls.get() < 3 {
                    Err(errno.into())
                } else {
                    Ok(())
                }
            });
            assert_eq!((calls.get(), opened.is_ok()), (expected, expected == 3));
        }
    }
}
