//! Waiting for the app: knock until it answers with a healthy status.
//!
//! Each pause is a small part of the time already waited, so an app that starts fast is seen
//! at once and one that starts slowly loses nothing that counts to our knocking. The probe's
//! connection is kept for the first invocation.

use std::thread;
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::app::client::App;
use crate::app::supervisor::Child;
use crate::config::{Address, Config, Protocol, Readiness};
use crate::error::Fatal;
use crate::http::headers::Headers;
use crate::lambda::USER_AGENT;
use crate::net::connection::Watch;
use crate::translate::request::Request;

const SHORTEST: Duration = Duration::from_micros(150);
const LONGEST: Duration = Duration::from_millis(10);
/// How often a wait without success says so.
const REPORT: Duration = Duration::from_secs(2);
/// A probe that has no answer by then is followed by another, which gets as long as all before
/// it: the first may be lost on an app that was not up yet, or the app may just be slow.
const ATTEMPT: Duration = Duration::from_secs(1);
/// More than this of a health page is not read; its connection is not kept then.
const PAGE: usize = 64 << 10;
const PAGE_TIME: Duration = Duration::from_millis(20);

/// Knocks until the app is healthy (true), until `patience` has passed (false), or until the
/// settings call it a failure, or the end of the app, where it is our child, is final; on a
/// port of its own if the settings name one.
pub fn wait(
    app: &mut App,
    config: &Config,
    patience: Duration,
    child: Option<&Child>,
) -> Result<bool, Fatal> {
    let settings = &config.readiness;
    if settings.port == config.app.port {
        return knock(app, settings, patience, child);
    }
    let address = Address {
        port: settings.port,
        ..config.app.clone()
    };
    let mut app = App::new(address, config.pool_idle);
    knock(&mut app, settings, patience, child)
}

fn knock(
    app: &mut App,
    settings: &Readiness,
    patience: Duration,
    child: Option<&Child>,
) -> Result<bool, Fatal> {
    let started = Instant::now();
    let limit = patience.min(settings.timeout.unwrap_or(Duration::MAX));
    let mut reported = REPORT;
    let mut knocks = 0_u32;
    loop {
        child.map_or(Ok(()), Child::check)?;
        // The other address of an unset host is seldom it, and each knock takes from the app.
        let all = knocks.is_multiple_of(8);
        let waited = started.elapsed();
        let attempt = waited.max(ATTEMPT).min(limit.saturating_sub(waited));
        let last = match probe(app, settings, all, attempt) {
            Ok(status) => {
                let waited = started.elapsed().as_millis();
                info!("the app is ready after {waited} ms");
                if let Some(status @ (..200 | 400..)) = status {
                    warn!(
                        "the app counts as ready with status {status} for `{}`: is this the health path?",
                        settings.path
                    );
                }
                return Ok(true);
            }
            Err(cause) => cause,
        };
        let waited = started.elapsed();
        if settings.timeout.is_some_and(|timeout| waited >= timeout) {
            return Err(Fatal::NotReady {
                waited_ms: waited.as_millis(),
                last,
            });
        }
        if waited >= patience {
            return Ok(false);
        }
        if waited >= reported {
            reported = waited + REPORT;
            info!(
                "the app is not ready after {} ms: {last}",
                waited.as_millis()
            );
        }
        knocks = knocks.wrapping_add(1);
        thread::sleep(pause(waited));
    }
}

fn pause(waited: Duration) -> Duration {
    (waited / 250).clamp(SHORTEST, LONGEST)
}

/// One knock: the status it got, if it asked for one, or why the app is not ready.
fn probe(
    app: &mut App,
    settings: &Readiness,
    all: bool,
    patience: Duration,
) -> Result<Option<u16>, String> {
    let name = app.name();
    app.knock(all)
        .map_err(|error| format!("failed to connect to the app at {name}: {error}"))?;
    if settings.protocol == Protocol::Tcp {
        return Ok(None);
    }
    let (path, healthy) = (&settings.path, &settings.healthy);
    let mut watch = Watch::lasting(format!("the readiness probe GET {path}"), REPORT, patience);
    let request = request(path, &name);
    let mut response = app
        .exchange(&request, &mut watch)
        .map_err(|failure| failure.message)?;
    let status = response.head.status;
    // Read to keep the connection; whether that works does not say how the app is, and a page
    // that goes on for ever must not hold up init.
    response.body.hurry(PAGE_TIME);
    let _ = response.body.read_to(&mut Vec::new(), PAGE);
    match healthy.contains(status) {
        true => Ok(Some(status)),
        false => Err(format!(
            "GET http://{name}{path} answered with status {status}"
        )),
    }
}

fn request<'a>(path: &str, host: &str) -> Request<'a> {
    let mut headers = Headers::new();
    headers.push(b"host", host.as_bytes());
    headers.push(b"user-agent", USER_AGENT.as_bytes());
    Request {
        method: "GET".into(),
        target: path.as_bytes().to_vec(),
        headers,
        body: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knocking_slows_down_with_the_time_waited() {
        let pauses = [0, 30, 100, 1_000, 60_000].map(|ms| pause(Duration::from_millis(ms)));
        let expected = [150, 150, 400, 4_000, 10_000].map(Duration::from_micros);
        assert_eq!(pauses, expected);
    }
}
