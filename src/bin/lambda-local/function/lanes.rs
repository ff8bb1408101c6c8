//! The places of environments, and which of them an invocation gets.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::environment::Environment;
use super::variables::Ports;
use super::{Function, lock};

/// The place of one environment.
#[derive(Debug)]
pub struct Lane {
    pub ports: Ports,
    pub slot: Mutex<Slot>,
    /// The latest environment, even during its init: the one that `stop` shuts down.
    pub current: Mutex<Option<Arc<Environment>>>,
}

/// The environment; a standard invocation holds the lock until it is finished.
#[derive(Debug, Default)]
pub struct Slot {
    pub environment: Option<Arc<Environment>>,
    /// Duration of an init that is not in a REPORT line yet.
    pub init: Option<Duration>,
    pub is_frozen: bool,
    pub is_restored: bool,
}

impl Lane {
    pub fn new(ports: Ports) -> Lane {
        Lane {
            ports,
            slot: Mutex::default(),
            current: Mutex::default(),
        }
    }
}

impl Function {
    /// Returns a free place: one with an environment that has been initialized, if there is one.
    /// `None` if all are in use and their number has a limit; otherwise waits.
    pub(super) fn wait_for_slot(
        &self,
        tenant: &Option<String>,
    ) -> Option<(&Lane, MutexGuard<'_, Slot>)> {
        let is_warm = |slot: &Slot| {
            let environment = slot.environment.as_ref();
            environment.is_some_and(|environment| environment.profile.tenant == *tenant)
        };
        let free = |lane: &'_ Lane| lane.slot.try_lock().is_ok_and(|slot| is_warm(&slot));
        let warm = self.lanes.iter().find(|lane| free(lane));
        for lane in warm.into_iter().chain(&self.lanes) {
            if let Ok(slot) = lane.slot.try_lock() {
                return Some((lane, slot));
            }
        }
        if self.setup.options.max_environments.is_some() {
            return None;
        }
        let lane = self.lanes.first()?;
        let current = lock(&lane.current).clone();
        let is_busy = current.is_some_and(|environment| environment.lock().is_busy());
        if is_busy && !self.queue_notice_logged.swap(true, Ordering::Relaxed) {
            self.setup.logger.info(
                "a request is queued until the current invocation has finished: there is one \
                 environment, where Lambda would start more (see --max-environments)",
            );
        }
        Some((lane, lock(&lane.slot)))
    }
}
