//! The lifecycle of one environment: init, restore, shutdown.
//!
//! Order and timeouts follow "Understanding the Lambda execution environment lifecycle" in the
//! developer guide. All external extensions are started and registered before the runtime is
//! started. Init ends when the runtime and the extensions poll for their first event. On shutdown
//! the runtime gets SIGTERM and a part of the time; extensions that subscribed to SHUTDOWN get the
//! rest.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::api;
use crate::cli::options::Init;
use crate::clock;
use crate::function::environment::{Environment, Profile};
use crate::function::exit;
use crate::function::memory_limit;
use crate::function::output::Filter;
use crate::function::process::{self, Ids, Launch};
use crate::function::startup::Step;
use crate::function::state::{Compute, Process, Restore, State};
use crate::function::variables::{Ports, Setup, file_name};
use crate::function::{port_hint, probe, web_function};
use crate::invocation::Fault;
use crate::log::{PlatformEvent, Source};
use crate::web::recorder::EnvironmentState;

const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);
/// The exit of a process is recorded within this time.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the timeout after which Lambda repeats init as a part of the first invocation.
pub fn init_timeout(setup: &Setup) -> Duration {
    match (setup.options.managed_concurrency(), setup.options.init) {
        (Some(_), _) => Duration::from_secs(15 * 60),
        (None, Init::OnDemand) => Duration::from_secs(10),
        (None, _) => setup.options.timeout.max(Duration::from_secs(130)),
    }
}

/// Starts an environment and waits until its init is complete. `on_created` is called before the
/// first process starts. After a failure no process is left.
pub fn init(
    setup: &Arc<Setup>,
    ports: Ports,
    tenant: Option<String>,
    timeout: Duration,
    on_created: impl FnOnce(&Arc<Environment>),
) -> Result<Arc<Environment>, Fault> {
    let deadline = Instant::now() + timeout;
    let failed = |error: io::Error| {
        let message = format!("failed to listen for the Runtime API: {error}");
        Fault::new("Sandbox.Failure", message)
    };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let profile = Profile {
        function_name: setup.options.function_name.clone(),
        compute: setup
            .options
            .managed_concurrency()
            .map_or(Compute::Standard, |_| Compute::Managed),
        is_web_function: setup.options.web_function,
        snap_start: setup.options.init == Init::SnapStart,
        externals: setup.extensions.iter().map(|p| file_name(p)).collect(),
        tenant,
        ports,
    };
    let environment = Arc::new(Environment::new(address, profile, setup.startups.clone()));
    on_created(&environment);
    let served = environment.clone();
    std::thread::spawn(move || api::serve(listener, served));
    match start_processes(setup, &environment, deadline) {
        Ok(()) => Ok(environment),
        Err(fault) => {
            shutdown(&environment, "failure");
            Err(fault)
        }
    }
}

fn start_processes(
    setup: &Arc<Setup>,
    environment: &Arc<Environment>,
    deadline: Instant,
) -> Result<(), Fault> {
    let env = setup.extension_env(environment.address, environment.profile.ports);
    for extension in &setup.extensions {
        let name = file_name(extension);
        let launch = Launch {
            program: extension.as_os_str(),
            args: &[],
            env: &env,
            dir: None,
            source: Source::Extension(name.clone()),
        };
        start(setup, environment, Some(name), launch)?;
    }
    memory_limit::enforce(setup.options.memory, environment);
    let timed_out = || "not every extension registered in time".to_owned();
    wait_for(environment, deadline, timed_out, |state| {
        state.all_registered(&environment.profile.externals)
    })?;
    let launch = Launch {
        program: &setup.program,
        args: &setup.args,
        env: &setup.runtime_env(environment.address, environment.profile.ports),
        dir: Some(&setup.task_root),
        source: Source::App,
    };
    start(setup, environment, None, launch)?;
    if environment.profile.is_web_function {
        return web_function::wait_until_listening(setup, environment, deadline);
    }
    if !setup.extensions.is_empty() {
        port_hint::watch(setup, environment);
    }
    let timed_out = || not_ready(setup, environment);
    wait_for(environment, deadline, timed_out, |state| {
        state.runtime_is_polling() || state.restore_is_requested()
    })?;
    environment.change(|state| state.registration_closed = true);
    let timed_out = || {
        let names = environment.lock().extensions_not_polling().join(", ");
        format!("extension {names} did not call event/next in time")
    };
    wait_for(environment, deadline, timed_out, |state| {
        state.extensions_not_polling().is_empty()
    })
}

/// Returns why the runtime does not poll for an event: a hook or priming that is in flight, or else
/// the app as a readiness probe finds it.
fn not_ready(setup: &Setup, environment: &Environment) -> String {
    if let Some(cause) = hanging_request(environment) {
        return cause;
    }
    let probe = probe::repeat(setup, environment.profile.ports);
    let cause = match setup.adapter {
        Some(_) if !probe.is_healthy => "the app was not ready in time",
        Some(_) => "the adapter did not poll for an event in time",
        None => "the runtime did not poll for an event in time",
    };
    format!("{cause}{}", probe.text)
}

fn hanging_request(environment: &Environment) -> Option<String> {
    let (request, is_in_flight) = environment.last_own_request()?;
    (is_in_flight && !request.is_probe()).then(|| {
        let seconds = request.started.elapsed().as_secs_f64();
        let digits = if seconds < 10.0 { 1 } else { 0 };
        let line = request.line();
        format!("{line} has no response after {seconds:.digits$} s")
    })
}

fn start(
    setup: &Setup,
    environment: &Arc<Environment>,
    extension: Option<String>,
    launch: Launch<'_>,
) -> Result<(), Fault> {
    let (exited, logger, name) = (environment.clone(), setup.logger.clone(), extension.clone());
    let recorder = setup.recorder.clone();
    let on_exit = move |ids: Ids, status: String| {
        if let Some(fault) = exit::record(&exited, ids, name.as_deref(), &status) {
            recorder.environment(EnvironmentState::Failed);
            logger.warn(&format!(
                "{}: a new environment will be started for the next invocation",
                fault.message
            ));
        }
    };
    let filter = filter(setup, environment, extension.as_deref());
    // The state is locked during the start, so that an exit cannot be recorded before the start,
    // and no process is started after a shutdown.
    environment.change(|state| {
        if state.is_stopping {
            return Err(stopping());
        }
        let program = launch.program.to_string_lossy().into_owned();
        match process::spawn(launch, &setup.logger, filter, on_exit) {
            Ok((ids, outputs)) => {
                state.processes.push(Process {
                    extension,
                    ids,
                    outputs,
                    has_exited: false,
                });
                Ok(())
            }
            Err(error) => {
                let error_type = if extension.is_some() {
                    "Extension.LaunchError"
                } else {
                    "Runtime.InvalidEntrypoint"
                };
                let message = format!("failed to start `{program}`: {error}");
                Err(Fault::new(error_type, message))
            }
        }
    })
}

/// Returns a filter for the output of a process. The lines of the adapter get the port of the app.
/// When the app exits, the adapter logs a lost connection. That is no cause: the exit is logged, or
/// lambda-local itself is shutting down.
fn filter(setup: &Setup, environment: &Arc<Environment>, extension: Option<&str>) -> Arc<Filter> {
    if extension.is_none() || extension != setup.adapter.as_deref() {
        return Arc::new(|line| Some(line.to_owned()));
    }
    let environment = environment.clone();
    Arc::new(move |line| {
        let is_error = line.contains("ERROR") || line.contains("WARN");
        let is_muted = is_error && {
            let is_stopping = environment.lock().is_stopping;
            is_stopping || exit::wait_for_cause(&environment).is_some()
        };
        (!is_muted).then(|| environment.profile.ports.name_the_apps(line))
    })
}

pub fn stopping() -> Fault {
    Fault::new("Sandbox.Terminated", "lambda-local is shutting down")
}

/// Waits for a step of init or restore; an exited process or a shutdown ends the wait.
fn wait_for(
    environment: &Environment,
    deadline: Instant,
    timed_out: impl FnOnce() -> String,
    mut is_ready: impl FnMut(&State) -> bool,
) -> Result<(), Fault> {
    let result = environment.wait(deadline, |state| {
        let fault = state.failure();
        match fault.or_else(|| state.is_stopping.then(stopping)) {
            Some(fault) => Some(Err(fault)),
            None => is_ready(state).then_some(Ok(())),
        }
    });
    result.unwrap_or_else(|| Err(Fault::new("Sandbox.Timedout", timed_out())))
}

/// Releases a runtime that blocks in `/restore/next`, and waits until it polls for an event.
pub fn restore(setup: &Setup, environment: &Environment) -> Result<Duration, Fault> {
    setup.logger.platform(&PlatformEvent::RestoreStart);
    let started = Instant::now();
    environment.step(Step::Restoring);
    environment.change(|state| state.restore = Restore::Released);
    let timed_out = || {
        let late = "the runtime did not poll for an event within 10 seconds of the restore";
        match hanging_request(environment) {
            Some(cause) => format!("{late}: {cause}"),
            None => late.to_owned(),
        }
    };
    let deadline = started + RESTORE_TIMEOUT;
    wait_for(environment, deadline, timed_out, State::runtime_is_polling)?;
    let duration = started.elapsed();
    let event = PlatformEvent::RestoreReport { duration };
    setup.logger.platform(&event);
    Ok(duration)
}

/// Suspends all processes.
pub fn freeze(environment: &Environment) {
    process::suspend_below(&guards(environment, |_| true));
}

/// Resumes all processes.
pub fn thaw(environment: &Environment) {
    process::resume_below(&guards(environment, |_| true));
}

/// Suspends the runtime only: the adapter beside it continues.
pub fn suspend_runtime(environment: &Environment) {
    process::suspend_below(&guards(environment, Process::is_runtime));
}

/// Resumes the runtime.
pub fn resume_runtime(environment: &Environment) {
    process::resume_below(&guards(environment, Process::is_runtime));
}

/// Kills the runtime, as a crash would end it.
pub fn kill_runtime(environment: &Environment) {
    process::kill_below(&guards(environment, Process::is_runtime));
}

/// Stops all processes in the order and with the timeouts of Lambda.
pub fn shutdown(environment: &Environment, reason: &str) {
    let (has_extensions, has_externals) = environment.change(|state| {
        state.is_stopping = true;
        let mut extensions = state.extensions.iter();
        (
            extensions.len() > 0,
            extensions.any(|extension| extension.is_external),
        )
    });
    let started = Instant::now();
    let is_web_function = environment.profile.is_web_function;
    let total = Duration::from_millis(match (is_web_function, has_externals) {
        (true, _) => 1000,
        (false, true) => 2000,
        (false, false) => 500,
    });
    if has_extensions || is_web_function {
        // A suspended process receives no signal but SIGKILL.
        thaw(environment);
        let timeout = match (has_externals, environment.profile.compute) {
            (true, Compute::Managed) => Duration::from_millis(600),
            (true, Compute::Standard) => Duration::from_millis(300),
            (false, _) => total,
        };
        let state = environment.lock();
        let runtime = state
            .processes
            .iter()
            .filter(|process| process.is_runtime());
        process::terminate(runtime.map(|process| process.ids.group));
        drop(state);
        wait_for_exit(environment, started + timeout, Process::is_runtime);
    }
    let subscribers: Vec<String> = environment
        .lock()
        .extensions
        .iter()
        .filter(|extension| extension.is_external && extension.shutdown)
        .map(|extension| extension.name.clone())
        .collect();
    let is_subscribed = |process: &Process| {
        let name = process.extension.as_ref();
        name.is_some_and(|name| subscribers.contains(name))
    };
    process::kill_below(&guards(environment, |process| !is_subscribed(process)));
    let deadline = started + total;
    let left = deadline.saturating_duration_since(Instant::now());
    let deadline_ms = clock::now_ms() + left.as_millis() as i64;
    environment.change(|state| state.send_shutdown(reason, deadline_ms));
    wait_for_exit(environment, deadline, is_subscribed);
    process::kill_below(&guards(environment, |_| true));
    wait_for_exit(environment, Instant::now() + KILL_TIMEOUT, |_| true);
    environment.close();
}

fn guards(environment: &Environment, matches: impl Fn(&Process) -> bool) -> Vec<u32> {
    environment.lock().guards(matches)
}

fn wait_for_exit(environment: &Environment, deadline: Instant, matches: impl Fn(&Process) -> bool) {
    environment.wait(deadline, |state| {
        let mut matching = state.processes.iter().filter(|process| matches(process));
        matching.all(|process| process.has_exited).then_some(())
    });
}
