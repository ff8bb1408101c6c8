//! The readiness probe of the adapter, repeated for the error message of a failed init.

use std::io;
use std::time::Duration;

use super::variables::{Ports, Setup};

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The outcome of a readiness probe.
#[derive(Debug)]
pub struct Outcome {
    /// For an error message; empty without an adapter.
    pub text: String,
    pub is_healthy: bool,
}

/// Repeats the readiness probe of the adapter: most often the app listens on another port.
pub fn repeat(setup: &Setup, ports: Ports) -> Outcome {
    let (port, path) = setup.readiness(ports);
    let url = format!("http://127.0.0.1:{port}{path}");
    if setup.extensions.is_empty() {
        return Outcome {
            text: String::new(),
            is_healthy: false,
        };
    }
    let probed = probe(&url);
    let is_healthy = probed
        .as_ref()
        .is_ok_and(|response| response.status().as_u16() < 400);
    let result = match probed {
        Ok(response) => format!("{:?} {}", response.version(), response.status()),
        Err(ureq::Error::Timeout(_)) => format!("no response in {} s", PROBE_TIMEOUT.as_secs()),
        Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens on this port".to_owned()
        }
        Err(error) => error.to_string(),
    };
    Outcome {
        text: format!("; last readiness probe: GET {url}: {result}"),
        is_healthy,
    }
}

fn probe(url: &str) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PROBE_TIMEOUT))
        .http_status_as_error(false)
        // The adapter follows no redirect and uses no proxy either.
        .max_redirects(0)
        .proxy(None)
        .build();
    config.new_agent().get(url).call()
}
