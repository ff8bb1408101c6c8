//! Priming: requests of the adapter's own before the first invocation, so that compiled code,
//! templates and caches are in a snapshot, or are there when provisioned concurrency or a Managed
//! Instance serves.
//!
//! Init has 130 s or more with each of them, and 10 s otherwise ("Understanding the Lambda
//! execution environment lifecycle"). A failed request is logged and fails nothing.

use std::time::{Duration, Instant};

use crate::logger::line::{info, warn};

use crate::app::client::Client;
use crate::config::Config;
use crate::error::Failure;
use crate::net::deadline::Deadline;
use crate::translate::context_headers::PRIME;

const LONG_INIT: Duration = Duration::from_secs(130);
const SHORT_INIT: Duration = Duration::from_secs(10);
const WARN_AFTER: Duration = Duration::from_secs(2);

/// Sends a GET to each path, in order, for half of the time that init has left at most. Returns
/// true if a connection was lost: the app may have ended.
pub fn run(app: &mut Client, config: &Config, init_started: Instant) -> bool {
    let init = if config.prime.long_init {
        LONG_INIT
    } else {
        SHORT_INIT
    };
    let limit = init.saturating_sub(init_started.elapsed()) / 2;
    let started = Instant::now();
    let mut is_lost = false;
    for path in &config.prime.paths {
        let sent = Instant::now();
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            let limit = limit.as_millis() as u64;
            warn!("failed to prime `{path}` and the paths after it: {limit} ms have passed");
            break;
        }
        match request(app, path, left) {
            Ok(status) => {
                let took = sent.elapsed().as_millis() as u64;
                match status {
                    ..400 => info!("primed `{path}` in {took} ms: status {status}"),
                    _ => warn!("primed `{path}` in {took} ms with an error: status {status}"),
                }
            }
            Err(failure) => {
                warn!("failed to prime `{path}`: {}", failure.message);
                is_lost |= failure.connection_lost;
            }
        }
    }
    is_lost
}

fn request(app: &mut Client, path: &str, timeout: Duration) -> Result<u16, Failure> {
    let mut request = app.own_request("GET", path);
    request.headers.push(PRIME, b"1");
    let mut deadline = Deadline::after(format!("priming GET {path}"), WARN_AFTER, timeout);
    app.exchange(&request, &mut deadline, &mut Vec::new())
}
