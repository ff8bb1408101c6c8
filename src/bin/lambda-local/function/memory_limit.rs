//! The memory size of a function: the measurement for REPORT lines, and the kill beyond the limit.
//!
//! Lambda uses a cgroup. Creating one needs privileges that developers mostly do not have, so the
//! processes are measured instead, ten times a second while they work, and the runtime is killed as
//! the kernel would kill it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::function::environment::Environment;
use crate::function::process;
use crate::function::state::{Process, State};
use crate::platform;

const INTERVAL: Duration = Duration::from_millis(100);
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// A shorter invocation is reported with the last measurement.
const WORTH_MEASURING: Duration = Duration::from_millis(20);

/// Starts a thread that kills the runtime when the processes exceed the limit. The thread ends with
/// the environment.
pub fn enforce(limit_mb: u32, environment: &Arc<Environment>) {
    let limit = u64::from(limit_mb) << 20;
    let environment = environment.clone();
    std::thread::spawn(move || {
        loop {
            let is_due = |state: &State| state.is_stopping || state.is_working();
            wait(&environment, IDLE_INTERVAL, is_due);
            wait(&environment, INTERVAL, |state| state.is_stopping);
            if environment.lock().is_stopping {
                return;
            }
            if measure(&environment) > limit {
                let guards = environment.change(|state| {
                    state.is_out_of_memory = true;
                    state.guards(Process::is_runtime)
                });
                process::kill_below(&guards);
                return;
            }
        }
    });
}

fn wait(environment: &Environment, interval: Duration, is_due: impl Fn(&State) -> bool) {
    environment.wait(Instant::now() + interval, |state| {
        is_due(state).then_some(())
    });
}

/// Updates the peak memory and returns the memory in use.
fn measure(environment: &Environment) -> u64 {
    let guards = environment.lock().guards(|_| true);
    let memory = platform::memory(&platform::descendants(&guards));
    let mut state = environment.lock();
    state.peak_memory = state.peak_memory.max(memory.peak);
    memory.private
}

/// Returns the peak memory after an invocation of this duration.
pub fn peak(environment: &Environment, duration: Duration) -> u64 {
    let known = environment.lock().peak_memory;
    if known > 0 && duration < WORTH_MEASURING {
        return known;
    }
    measure(environment);
    environment.lock().peak_memory
}
