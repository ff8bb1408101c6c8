//! The concurrency of the function: which execution environment an invocation gets.
//!
//! AWS counts it in units, one for each environment that may exist. A unit has its own ports and
//! outlasts its environments: after a failure it gets a new one.
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::environment::Environment;
use super::variables::Ports;
use super::{Function, lock};

const FINISH_TIMEOUT: Duration = Duration::from_secs(1);
const FINISH_INTERVAL: Duration = Duration::from_millis(1);

/// A unit and the lock that an invocation holds.
pub type Acquired<'a> = (&'a ConcurrencyUnit, MutexGuard<'a, WarmEnvironment>);

/// One unit of concurrency: at most one environment at a time.
#[derive(Debug)]
pub struct ConcurrencyUnit {
    pub ports: Ports,
    pub warm: Mutex<WarmEnvironment>,
    /// The latest environment, even during its init: the one that `stop` shuts down.
    pub latest: Mutex<Option<Arc<Environment>>>,
}

/// The initialized environment, if there is one. A standard invocation holds the lock until
/// it is finished.
#[derive(Debug, Default)]
pub struct WarmEnvironment {
    pub environment: Option<Arc<Environment>>,
    /// Duration of an init that is not in a REPORT line yet.
    pub init: Option<Duration>,
    pub is_frozen: bool,
    pub is_restored: bool,
}

impl ConcurrencyUnit {
    pub fn new(ports: &Ports) -> ConcurrencyUnit {
        ConcurrencyUnit {
            ports: *ports,
            warm: Mutex::default(),
            latest: Mutex::default(),
        }
    }
}

impl Function {
    /// Returns a unit that is not in use: one with a warm environment, if there is one. `None` if
    /// all are in use and their number has a limit; otherwise waits.
    pub(super) fn acquire(&self, tenant: &Option<String>) -> Option<Acquired<'_>> {
        if let Some(free) = self.try_acquire(tenant) {
            return Some(free);
        }
        if self.setup.options.max_environments.is_some() {
            return self.acquire_finishing(tenant);
        }
        let unit = self.units.first()?;
        let latest = lock(&unit.latest).clone();
        let is_busy = latest.is_some_and(|environment| environment.lock().is_busy());
        if is_busy && !self.queue_notice_logged.swap(true, Ordering::Relaxed) {
            self.setup.logger.info(
                "a request is queued until the current invocation has finished: there is one \
                 environment, where Lambda would start more (see --max-environments)",
            );
        }
        Some((unit, lock(&unit.warm)))
    }

    fn try_acquire(&self, tenant: &Option<String>) -> Option<Acquired<'_>> {
        let is_warm = |warm: &WarmEnvironment| {
            let environment = warm.environment.as_ref();
            environment.is_some_and(|environment| environment.profile.tenant == *tenant)
        };
        let is_free_and_warm =
            |unit: &&ConcurrencyUnit| unit.warm.try_lock().is_ok_and(|warm| is_warm(&warm));
        let warm = self.units.iter().find(is_free_and_warm);
        let mut units = warm.into_iter().chain(&self.units);
        units.find_map(|unit| Some((unit, unit.warm.try_lock().ok()?)))
    }

    /// Waits for an environment that has responded. Its client may send the next request before
    /// the runtime polls for it.
    fn acquire_finishing(&self, tenant: &Option<String>) -> Option<Acquired<'_>> {
        let deadline = Instant::now() + FINISH_TIMEOUT;
        let is_finishing = |unit: &ConcurrencyUnit| {
            let latest = lock(&unit.latest).clone();
            latest.is_some_and(|environment| environment.lock().is_finishing())
        };
        while self.units.iter().any(is_finishing) && Instant::now() < deadline {
            thread::sleep(FINISH_INTERVAL);
            if let Some(free) = self.try_acquire(tenant) {
                return Some(free);
            }
        }
        None
    }
}
