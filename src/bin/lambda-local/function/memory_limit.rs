//! The memory size of a function: what is reported of it, and what happens beyond it.
//!
//! Lambda gives an environment a cgroup. Making one takes rights that a developer mostly has not, so the processes are measured ten times a
//! second instead, and the runtime is killed as the kernel would kill it. Where there is no `/proc`, nothing is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::function::environment::Environment;
use crate::function::lifecycle::groups;
use crate::function::process;
use crate::function::variables::Setup;

const INTERVAL: Duration = Duration::from_millis(100);

/// Measures the processes while they live, and plays the kernel's part when they use more than their memory size.
pub fn watch(setup: &Arc<Setup>, environment: &Arc<Environment>) {
    let limit = u64::from(setup.options.memory) << 20;
    let environment = environment.clone();
    std::thread::spawn(move || {
        // Ends with the environment: the wait is over at once when the environment is.
        while environment
            .wait(Instant::now() + INTERVAL, |state| {
                state.stopping.then_some(())
            })
            .is_none()
        {
            if measure(&environment) > limit {
                environment.change(|state| state.out_of_memory = true);
                process::signal(
                    "KILL",
                    &groups(&environment, |process| process.extension.is_none()),
                );
                return;
            }
        }
    });
}

/// Notes the peak of the memory used; gives the memory used now.
fn measure(environment: &Environment) -> u64 {
    let memory = process::memory(&groups(environment, |_| true));
    let mut state = environment.lock();
    state.peak_memory = state.peak_memory.max(memory.peak);
    drop(state);
    memory.own
}

pub fn peak(environment: &Environment) -> u64 {
    measure(environment);
    environment.lock().peak_memory
}
