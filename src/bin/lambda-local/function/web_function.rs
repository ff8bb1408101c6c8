//! A Web Function ("Execution environment lifecycle" of Lambda Web Functions): the app is the
//! environment, without an adapter, and gets up to N requests at a time.
//!
//! The environment is initialized when the app listens on `AWS_LAMBDA_HTTP_ENDPOINT`. An app that
//! has exited is replaced for the next request. Lambda would start more environments for more
//! requests; here these wait.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::variables::Setup;
use super::{Function, lifecycle, lock, port_hint};
use crate::cli::options::Options;
use crate::invocation::Fault;
use crate::log::Report;
use crate::web::relay;

pub const HTTP_ENDPOINT: &str = "AWS_LAMBDA_HTTP_ENDPOINT";
/// The requests that an environment gets at a time, if that is not set.
const DEFAULT_CONCURRENCY: u32 = 64;

const INTERVAL: Duration = Duration::from_millis(10);
const HINT_INTERVAL: Duration = Duration::from_secs(2);

/// Where an app with this port listens.
pub fn endpoint(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Waits until the app accepts a connection. Every two seconds the ports are logged that it
/// listens on, if they have changed.
pub fn wait_until_listening(
    setup: &Setup,
    environment: &Environment,
    deadline: Instant,
) -> Result<(), Fault> {
    let endpoint = endpoint(environment.profile.ports.app);
    let (mut hint_at, mut logged) = (Instant::now() + HINT_INTERVAL, String::new());
    loop {
        let failed = environment.wait(deadline.min(Instant::now() + INTERVAL), |state| {
            let stopping = || state.is_stopping.then(lifecycle::stopping);
            state.failure().or_else(stopping)
        });
        if let Some(fault) = failed {
            return Err(fault);
        }
        if relay::connect_to(endpoint).is_ok() {
            return Ok(());
        }
        let message = || {
            let ports = port_hint::describe_ports(environment);
            format!(
                "the app does not listen on {endpoint}, the value of ${HTTP_ENDPOINT}: its \
                 processes listen on {ports}"
            )
        };
        let now = Instant::now();
        if now >= deadline {
            return Err(Fault::new("Sandbox.Timedout", message()));
        }
        if hint_at <= now {
            hint_at = now + HINT_INTERVAL;
            let message = message();
            if logged != message {
                setup.logger.warn(&message);
                logged = message;
            }
        }
    }
}

/// The places for requests at a time.
#[derive(Debug)]
pub struct Places {
    free: Mutex<u32>,
    freed: Condvar,
}

impl Places {
    pub fn new(options: &Options) -> Places {
        Places {
            free: Mutex::new(options.concurrency.unwrap_or(DEFAULT_CONCURRENCY)),
            freed: Condvar::new(),
        }
    }

    /// Waits for a place.
    fn take(&self) -> Place<'_> {
        let free = self.freed.wait_while(lock(&self.free), |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Place(self)
    }
}

#[derive(Debug)]
struct Place<'p>(&'p Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

/// A request that may be sent to the app of this environment.
#[derive(Debug)]
pub struct WebRequest<'f> {
    pub environment: Arc<Environment>,
    _place: Place<'f>,
}

impl Function {
    /// Waits for a place, and for the environment, which is started if there is none. Fails if
    /// that fails.
    pub fn begin_request(&self) -> Result<WebRequest<'_>, Fault> {
        let place = self.places.take();
        let unit = self.units.first().ok_or_else(lifecycle::stopping)?;
        let mut warm = lock(&unit.warm);
        if self.is_stopping() {
            return Err(lifecycle::stopping());
        }
        self.discard_unusable(&mut warm, &None);
        let environment = match warm.environment.clone() {
            Some(environment) => environment,
            None => {
                let started = Instant::now();
                let timeout = lifecycle::init_timeout(&self.setup);
                self.init(unit, &mut warm, None, timeout)
                    .inspect_err(|fault| self.report_init(fault, started.elapsed(), "init"))?
            }
        };
        Ok(WebRequest {
            environment,
            _place: place,
        })
    }

    /// Counts a request for the summary.
    pub fn count_request(&self, report: &Report) {
        lock(&self.summary).add(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_request_has_ended() {
        let places = Places::new(&Options {
            concurrency: Some(1),
            ..Options::default()
        });
        let (taken, waited) = (places.take(), Mutex::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _second = places.take();
                *lock(&waited) = true;
            });
            assert!(!*lock(&waited), "the only place is taken");
            drop(taken);
        });
        assert!(*lock(&waited));
    }
}
