//! The readiness probe of the adapter, repeated for the error message of a failed init.

use std::io;
use std::time::Duration;

use super::variables::{Ports, Setup};

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Repeats the readiness probe of the adapter for the error message: most often the app listens on
/// another port.
pub fn repeat(setup: &Setup, ports: Ports) -> String {
    if setup.extensions.is_empty() {
        return String::new();
    }
    let (port, path) = setup.readiness(ports);
    let url = format!("http://127.0.0.1:{port}{path}");
    let result = match probe(&url) {
        Ok(response) => format!("{:?} {}", response.version(), response.status()),
        Err(ureq::Error::Timeout(_)) => format!("no response in {} s", PROBE_TIMEOUT.as_secs()),
        Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens on this port".to_owned()
        }
        Err(error) => error.to_string(),
    };
    format!("; last readiness probe: GET {url}: {result}")
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
