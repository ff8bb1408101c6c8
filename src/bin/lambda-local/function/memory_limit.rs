//! The memory size of a function: the measurement for REPORT lines, and the kill beyond the limit.
//!
//! Lambda uses a cgroup. Creating one needs privileges that developers mostly do not have, so the
//! processes are measured every 100 ms instead, and the runtime is killed as the kernel would kill
//! it. Without `/proc`, nothing is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::function::environment::Environment;
use crate::function::process::{self, Signal};
use crate::function::state::Process;

const INTERVAL: Duration = Duration::from_millis(100);

/// Starts a thread that kills the runtime when the processes exceed the limit. The thread ends with
/// the environment.
pub fn enforce(limit_mb: u32, environment: &Arc<Environment>) {
    let limit = u64::from(limit_mb) << 20;
    let environment = environment.clone();
    std::thread::spawn(move || {
        while !stops_within(INTERVAL, &environment) {
            if measure(&environment) > limit {
                let groups = environment.change(|state| {
                    state.is_out_of_memory = true;
                    state.groups(Process::is_runtime)
                });
                process::signal(Signal::Kill, &groups);
                return;
            }
        }
    });
}

fn stops_within(interval: Duration, environment: &Environment) -> bool {
    let deadline = Instant::now() + interval;
    let stopping = environment.wait(deadline, |state| state.is_stopping.then_some(()));
    stopping.is_some()
}

/// Updates the peak memory and returns the memory in use.
fn measure(environment: &Environment) -> u64 {
    let groups = environment.lock().groups(|_| true);
    let memory = process::memory(&groups);
    let mut state = environment.lock();
    state.peak_memory = state.peak_memory.max(memory.peak);
    memory.private
}

pub fn peak(environment: &Environment) -> u64 {
    measure(environment);
    environment.lock().peak_memory
}
