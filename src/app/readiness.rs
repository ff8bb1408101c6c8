//! The readiness probe: connects to the app until it responds with a healthy status.
//!
//! The probe runs on a processor that the app may need, above all in a function with less than
//! one vCPU. So the pauses grow with the time waited, as `interval` explains. The connection
//! of an HTTP probe is kept for the first invocation.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::logger::line::{info, warn};

use super::client::Client;
use super::supervisor::Supervisor;
use crate::config::{Address, Config, Protocol, Readiness};
use crate::error::Fatal;
use crate::net::connect::Addresses;
use crate::net::deadline::Deadline;

const MIN_INTERVAL: Duration = Duration::from_micros(300);
const MAX_INTERVAL: Duration = Duration::from_micros(4500);
const MAX_INTERVAL_THROTTLED: Duration = Duration::from_millis(20);
/// No process on an idle or busy processor is woken so late: it was throttled (cgroups(7),
/// `cpu.max`).
const THROTTLED_AFTER: Duration = Duration::from_millis(8);
/// The processor time of one attempt, with the wake-up before it.
const ATTEMPT_COST: Duration = Duration::from_micros(50);
/// How often a wait without success is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(2);
/// An attempt without a response by then is followed by another, which gets as long as all
/// before it: the first may be lost on an app that was not up yet, or the app may be slow.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The last attempt gets this at least, so that what it finds can be reported.
const LEAST_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(100);
/// A longer health page is not read; its connection is not kept then.
const MAX_PAGE: usize = 64 << 10;
const PAGE_TIMEOUT: Duration = Duration::from_millis(20);
/// The second address of an unset host is seldom the app's, and each attempt takes CPU from
/// the app: so it is tried once in as many attempts.
const ALL_ADDRESSES_EVERY: u32 = 8;

/// Probes until the app is healthy (true) or `timeout` has passed (false). Fails when the
/// settings' own timeout has passed, or when the app, as a child, has ended for good.
pub fn wait(
    app: &mut Client,
    config: &Config,
    timeout: Duration,
    child: Option<&Supervisor>,
) -> Result<bool, Fatal> {
    let settings = &config.readiness;
    if settings.port == config.app.port {
        return probe_until_ready(app, settings, timeout, child);
    }
    let address = Address {
        port: settings.port,
        ..config.app.clone()
    };
    let mut app = Client::new(address, config.pool_idle);
    probe_until_ready(&mut app, settings, timeout, child)
}

fn probe_until_ready(
    app: &mut Client,
    settings: &Readiness,
    timeout: Duration,
    child: Option<&Supervisor>,
) -> Result<bool, Fatal> {
    let started = Instant::now();
    let limit = timeout.min(settings.timeout.unwrap_or(Duration::MAX));
    let mut log_at = LOG_INTERVAL;
    let mut waited = Duration::ZERO;
    let mut throttled = Duration::ZERO;
    let mut attempts = 0_u32;
    loop {
        child.map_or(Ok(()), Supervisor::check)?;
        let addresses = match attempts % ALL_ADDRESSES_EVERY {
            0 => Addresses::All,
            _ => Addresses::First,
        };
        let attempt_timeout = waited
            .max(ATTEMPT_TIMEOUT)
            .min(limit.saturating_sub(waited))
            .max(LEAST_ATTEMPT_TIMEOUT);
        let cause = match probe(app, settings, addresses, attempt_timeout) {
            Ok(status) => {
                log_ready(settings, status, started.elapsed());
                return Ok(true);
            }
            Err(cause) => cause,
        };
        waited = started.elapsed();
        if waited >= log_at || waited >= limit {
            let last = cause.describe(app.address(), &settings.path);
            let waited_ms = waited.as_millis() as u64;
            if settings.timeout.is_some_and(|timeout| waited >= timeout) {
                return Err(Fatal::NotReady { waited_ms, last });
            }
            if waited >= timeout {
                return Ok(false);
            }
            log_at = waited + LOG_INTERVAL;
            info!("the app is not ready after {waited_ms} ms: {last}");
        }
        attempts = attempts.wrapping_add(1);
        let interval = interval(waited, throttled);
        pause(interval, child);
        let now = started.elapsed();
        let overslept = now.saturating_sub(waited + interval);
        if overslept > THROTTLED_AFTER {
            throttled += overslept;
        }
        waited = now;
    }
}

/// Pauses for an interval, or until the app has printed: most servers print that they listen.
fn pause(interval: Duration, child: Option<&Supervisor>) {
    let Some(child) = child else {
        return thread::sleep(interval);
    };
    let started = Instant::now();
    if child.wait_for_output(interval) {
        // An app that prints all the time must not be probed all the time.
        let least = (interval / 4).max(MIN_INTERVAL);
        thread::sleep(least.saturating_sub(started.elapsed()));
    }
}

fn log_ready(settings: &Readiness, status: Option<u16>, waited: Duration) {
    info!("the app is ready after {} ms", waited.as_millis() as u64);
    if let Some(status @ (..200 | 400..)) = status {
        warn!(
            "the app counts as ready with status {status} for `{}`: is this the health path?",
            settings.path
        );
    }
}

/// An attempt takes processor time from the app, and a pause makes the adapter see the app late,
/// by half of it on average. This length loses as much by the one as by the other.
///
/// It ends where the attempts of a long start would cost more than they are worth. That is later
/// where the function's share of a processor is used up again and again (`throttled` in all):
/// each attempt then costs the app a multiple of its time.
fn interval(waited: Duration, throttled: Duration) -> Duration {
    let micros = 4 * ATTEMPT_COST.as_micros() as u64 * waited.as_micros() as u64;
    let longest = (MAX_INTERVAL + throttled / 25).min(MAX_INTERVAL_THROTTLED);
    Duration::from_micros(micros.isqrt()).clamp(MIN_INTERVAL, longest)
}

/// Why the app is not ready. Few causes are logged, and an attempt must take little processor
/// time: so the text is made on demand.
enum Unready {
    Refused(io::Error),
    Failed(String),
    Status(u16),
}

impl Unready {
    fn describe(&self, address: &Address, path: &str) -> String {
        match self {
            Unready::Refused(cause) => {
                format!("failed to connect to the app at {address}: {cause}")
            }
            Unready::Failed(message) => message.clone(),
            Unready::Status(status) => {
                format!("GET http://{address}{path} responded with status {status}")
            }
        }
    }
}

/// One attempt. Returns the status, where one was asked for, or why the app is not ready.
fn probe(
    app: &mut Client,
    settings: &Readiness,
    addresses: Addresses,
    timeout: Duration,
) -> Result<Option<u16>, Unready> {
    let connected = match settings.protocol {
        Protocol::Tcp => app.try_connect(addresses, timeout),
        Protocol::Http => app.ensure_connected(addresses, timeout),
    };
    connected.map_err(Unready::Refused)?;
    match settings.protocol {
        Protocol::Tcp => Ok(None),
        Protocol::Http => get(app, settings, timeout).map(Some),
    }
}

/// Requests the health path. Returns the status if it is a healthy one.
fn get(app: &mut Client, settings: &Readiness, timeout: Duration) -> Result<u16, Unready> {
    let path = &settings.path;
    let mut deadline = Deadline::after(
        format!("the readiness probe GET {path}"),
        LOG_INTERVAL,
        timeout,
    );
    let request = app.own_request("GET", path);
    let (response, mut body) = app
        .send(&request, &mut deadline)
        .map_err(|failure| Unready::Failed(failure.message))?;
    let status = response.status;
    // Read to keep the connection. Whether that works does not say how the app is, and an
    // endless page must not delay init.
    body.shorten_deadline_to(PAGE_TIMEOUT);
    let _ = body.read_to(&mut Vec::new(), MAX_PAGE);
    if settings.healthy.contains(status) {
        Ok(status)
    } else {
        Err(Unready::Status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(throttled: Duration) -> [u128; 5] {
        [0, 30, 100, 1_000, 60_000]
            .map(|ms| interval(Duration::from_millis(ms), throttled).as_micros())
    }

    #[test]
    fn intervals_grow_with_the_time_waited() {
        assert_eq!(intervals(Duration::ZERO), [300, 2_449, 4_472, 4_500, 4_500]);
    }

    #[test]
    fn intervals_grow_with_the_time_throttled() {
        let long = Duration::from_secs(3_600);
        assert_eq!(intervals(long), [300, 2_449, 4_472, 14_142, 20_000]);
        assert_eq!(intervals(Duration::from_millis(100))[4], 8_500);
    }
}
