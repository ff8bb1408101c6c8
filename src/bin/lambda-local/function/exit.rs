//! The exit of a process, which ends the environment, and the errors that an exit explains.
//!
//! When the app crashes, the adapter loses its connection first and reports that as an error. The
//! exit follows a moment later: it is the better reason, and the next invocation must not start
//! before it.

use std::time::{Duration, Instant};

use crate::function::environment::Environment;
use crate::function::process::Ids;
use crate::function::state::Process;
use crate::invocation::Fault;
use crate::platform;

/// How long an exit of the app may follow an error that the adapter has reported.
const EXIT_GRACE: Duration = Duration::from_millis(30);
/// The same for an app that does not listen any more. A shell may still wait for it.
const END_TIMEOUT: Duration = Duration::from_millis(300);
/// An exit is recorded within this time.
const RECORD_TIMEOUT: Duration = Duration::from_secs(2);

/// Marks a process as exited. Unless the environment is shutting down, any exit is a fault, with
/// status 0, too. Returns the fault if no invocation is running that would report it.
pub fn record(
    environment: &Environment,
    ids: Ids,
    extension: Option<&str>,
    status: &str,
) -> Option<Fault> {
    environment.change(|state| {
        for process in &mut state.processes {
            process.has_exited |= process.ids == ids;
        }
        if state.is_stopping || state.fault.is_some() {
            return None;
        }
        let (error_type, message) = match extension {
            _ if state.is_out_of_memory => (
                "Runtime.OutOfMemory",
                "Runtime exited with error: signal: killed".to_owned(),
            ),
            Some(name) => (
                "Extension.Crash",
                format!("extension {name} exited: {status}"),
            ),
            None if status == "exit status 0" => (
                "Runtime.ExitError",
                "Runtime exited without providing a reason".to_owned(),
            ),
            None => (
                "Runtime.ExitError",
                format!("Runtime exited with error: {status}"),
            ),
        };
        let fault = Fault::new(error_type, message);
        state.fault = Some(fault.clone());
        state.is_idle().then_some(fault)
    })
}

/// Waits for the exit that an error of the adapter may be a consequence of.
pub fn wait_for_cause(environment: &Environment) -> Option<Fault> {
    let deadline = Instant::now() + EXIT_GRACE;
    let fault = environment.wait(deadline, |state| state.failure());
    fault.or_else(|| wait_for_end(environment))
}

/// Waits for the exit of an app that does not listen any more. Returns at once if it does.
pub fn wait_for_end(environment: &Environment) -> Option<Fault> {
    let state = environment.lock();
    let mut processes = state.processes.iter();
    let runtime = processes.find(|process| process.is_runtime())?.ids.group;
    let guards = state.guards(Process::is_runtime);
    drop(state);
    let timeout = if !platform::is_running(runtime) {
        RECORD_TIMEOUT
    } else if environment.profile.externals.is_empty() || listens(environment, &guards) {
        Duration::ZERO
    } else {
        END_TIMEOUT
    };
    environment.wait(Instant::now() + timeout, |state| state.failure())
}

fn listens(environment: &Environment, guards: &[u32]) -> bool {
    let listeners = platform::listeners(&platform::descendants(guards));
    let port = environment.profile.ports.app;
    listeners.iter().any(|listener| listener.port == port)
}
