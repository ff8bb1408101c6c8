//! Priming: requests of the adapter's own before the first invocation, so that compiled code,
//! templates and caches are in a snapshot, or are there when provisioned concurrency or a Managed
//! Instance serves.
//!
//! Init has 130 s or more with each of them, and 10 s otherwise ("Understanding the Lambda
//! execution environment lifecycle"). A failed request is logged and fails nothing.

use std::time::{Duration, Instant};

use log::{info, warn};

use crate::app::client::Client;
use crate::config::Config;
use crate::http::USER_AGENT;
use crate::http::body_reader::{BodyReader, Chunk, Wait};
use crate::http::headers::Headers;
use crate::http::request::Request;
use crate::net::deadline::Deadline;
use crate::translate::context_headers::PRIME;

const LONG_INIT: Duration = Duration::from_secs(130);
const SHORT_INIT: Duration = Duration::from_secs(10);
const WARN_AFTER: Duration = Duration::from_secs(2);

/// Sends a GET to each path, in order, for half of the time that init has left at most.
pub fn run(app: &mut Client, config: &Config, init_started: Instant) {
    let init = if config.prime.long_init {
        LONG_INIT
    } else {
        SHORT_INIT
    };
    let limit = init.saturating_sub(init_started.elapsed()) / 2;
    let started = Instant::now();
    for path in &config.prime.paths {
        let sent = Instant::now();
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            let limit = limit.as_millis() as u64;
            warn!("failed to prime `{path}` and the paths after it: {limit} ms have passed");
            return;
        }
        match request(app, path, left) {
            Ok(status) => {
                let took = sent.elapsed().as_millis() as u64;
                match status {
                    ..400 => info!("primed `{path}` in {took} ms: status {status}"),
                    _ => warn!("primed `{path}` in {took} ms with an error: status {status}"),
                }
            }
            Err(cause) => warn!("failed to prime `{path}`: {cause}"),
        }
    }
}

fn request(app: &mut Client, path: &str, timeout: Duration) -> Result<u16, String> {
    let mut headers = Headers::new();
    headers.push(b"host", app.address().to_string().as_bytes());
    headers.push(b"user-agent", USER_AGENT.as_bytes());
    headers.push(PRIME, b"1");
    let request = Request {
        method: "GET".into(),
        target: path.as_bytes().to_vec(),
        headers,
        body: Default::default(),
    };
    let mut deadline = Deadline::after(format!("priming GET {path}"), WARN_AFTER, timeout);
    let (response, mut body) = app
        .send(&request, &mut deadline)
        .map_err(|failure| failure.message)?;
    let status = response.status;
    // The app has done its work when its response has ended.
    while let Chunk::Data(data) = body.fill(Wait::Block).map_err(|failure| failure.message)? {
        let count = data.len();
        body.consume(count);
    }
    Ok(status)
}
