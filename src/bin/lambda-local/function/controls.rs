//! The buttons of the page: a cold start, a freeze, a time-out, a crash.
//!
//! A time-out or a crash ends the running invocation. Without one it is armed, and the next
//! invocation has it: the runtime is suspended before the event is sent, so that even a fast app
//! cannot respond first.

use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use super::{Function, WarmEnvironment, lifecycle, lock};
use crate::cli::options::Init;
use crate::function::environment::Environment;
use crate::function::state::{Compute, Phase, State};
use crate::web::recorder::EnvironmentState;

/// The timeout of an invocation whose app was suspended.
const INJECTED_TIMEOUT: Duration = Duration::from_secs(1);
/// The adapter sends the request to the app within this time, and within the second one before the
/// crash.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(1);
const CRASH_DELAY: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedFailure {
    Timeout,
    Crash,
}

impl InjectedFailure {
    pub fn name(self) -> &'static str {
        match self {
            InjectedFailure::Timeout => "timeout",
            InjectedFailure::Crash => "crash",
        }
    }
}

impl Function {
    /// Shuts the environment down, so that the next invocation has a cold start. Waits for the end
    /// of the running invocations.
    pub fn discard_environment(&self) {
        for unit in &self.units {
            let mut warm = lock(&unit.warm);
            if let Some(environment) = warm.environment.take() {
                // Managed Instances do not hold the lock.
                let deadline = Instant::now() + self.setup.options.timeout;
                environment.wait(deadline, |state| state.is_idle().then_some(()));
                lifecycle::shutdown(&environment, "spindown");
                self.setup
                    .logger
                    .info("the environment was shut down from the page");
            }
            *warm = WarmEnvironment::default();
        }
        self.setup.recorder.environment(EnvironmentState::None);
    }

    /// Freezes the environment until the next invocation. Returns false if it is in use.
    pub fn freeze_now(&self) -> bool {
        let Some((mut warm, environment)) = self.idle_environment() else {
            return false;
        };
        self.suspend(&mut warm, &environment);
        true
    }

    fn idle_environment(
        &self,
    ) -> Option<(MutexGuard<'_, WarmEnvironment>, std::sync::Arc<Environment>)> {
        let warm = self.units.first()?.warm.try_lock().ok()?;
        let environment = warm.environment.clone()?;
        // Managed Instances do not hold the lock, and are never frozen.
        let is_managed = self.setup.options.managed_concurrency().is_some();
        let is_idle = environment.lock().is_idle() && !is_managed;
        is_idle.then_some((warm, environment))
    }

    /// Freezes the environment if `--freeze` is set. A SnapStart snapshot is emulated by a freeze,
    /// too.
    pub(super) fn freeze(&self, warm: &mut WarmEnvironment, environment: &Environment) {
        let options = &self.setup.options;
        let is_snapshot = options.init == Init::SnapStart && !warm.is_restored;
        if (options.freeze || is_snapshot) && !self.is_stopping() {
            self.suspend(warm, environment);
        }
    }

    pub(super) fn suspend(&self, warm: &mut WarmEnvironment, environment: &Environment) {
        lifecycle::freeze(environment);
        warm.is_frozen = true;
        self.setup.recorder.environment(EnvironmentState::Frozen);
    }

    /// Lets the running invocation fail, or else the next one; the second call for the same failure
    /// takes it back.
    pub fn fail(&self, failure: InjectedFailure) {
        let mut latest = self
            .units
            .iter()
            .filter_map(|unit| lock(&unit.latest).clone());
        let running = latest.find(|environment| environment.lock().is_busy());
        match (running, failure) {
            (Some(environment), InjectedFailure::Timeout) => {
                environment.change(State::cut_all_short);
            }
            (Some(environment), InjectedFailure::Crash) => lifecycle::kill_runtime(&environment),
            (None, _) => {
                let mut injected = lock(&self.injected);
                *injected = (*injected != Some(failure)).then_some(failure);
                self.setup
                    .recorder
                    .armed(injected.map(InjectedFailure::name));
            }
        }
    }

    /// Prepares the failure that this invocation shall have.
    pub(super) fn inject(&self, environment: &Environment) -> Option<InjectedFailure> {
        let injected = lock(&self.injected).take()?;
        self.setup.recorder.armed(None);
        lifecycle::suspend_runtime(environment);
        Some(injected)
    }
}

pub fn timeout(injected: Option<InjectedFailure>, timeout: Duration) -> Duration {
    match injected {
        Some(InjectedFailure::Timeout) => timeout.min(INJECTED_TIMEOUT),
        _ => timeout,
    }
}

/// Resumes the suspended runtime, which other invocations use, too. In a standard environment it is
/// shut down.
pub fn end_injection(injected: Option<InjectedFailure>, environment: &Environment) {
    let is_managed = environment.profile.compute == Compute::Managed;
    if injected == Some(InjectedFailure::Timeout) && is_managed {
        lifecycle::resume_runtime(environment);
    }
}

/// Kills the suspended runtime soon after it, or the adapter beside it, has received the event.
pub fn crash_if(injected: Option<InjectedFailure>, environment: &Environment) {
    if injected != Some(InjectedFailure::Crash) {
        return;
    }
    environment.wait(Instant::now() + DELIVERY_TIMEOUT, |state| {
        let mut running = state.running.iter();
        running
            .any(|running| running.phase == Phase::Sent)
            .then_some(())
    });
    thread::sleep(CRASH_DELAY);
    lifecycle::kill_runtime(environment);
}
