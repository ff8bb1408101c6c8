//! The life of one environment: init, the waits of an invocation, shutdown.
//!
//! The order and the times are those of "Understand the Lambda execution environment lifecycle" in the developer guide: all external
//! extensions are started and registered before the runtime is started; init ends when runtime and extensions wait for their first event; at
//! shutdown the runtime gets SIGTERM and a part of the time, then extensions that asked for SHUTDOWN get the rest, and nobody gets more.

use std::ffi::OsString;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{memory_limit, probe};
use crate::api::{extensions, runtime};
use crate::cli::options::Init;
use crate::clock;
use crate::function::environment::Environment;
use crate::function::process;
use crate::function::state::{Process, State};
use crate::function::variables::{Env, Setup, file_name};
use crate::http_server;
use crate::invocation::Fault;
use crate::log::{Platform, Source};

const RESTORE_LIMIT: Duration = Duration::from_secs(10);

/// How long init may take before Lambda gives up and tries again within the first invocation.
pub fn init_limit(setup: &Setup) -> Duration {
    match (setup.options.concurrency, setup.options.init) {
        (Some(_), _) => Duration::from_secs(15 * 60),
        (None, Init::OnDemand) => Duration::from_secs(10),
        (None, _) => setup.options.timeout.max(Duration::from_secs(130)),
    }
}

/// Starts everything and waits for the end of init. On failure all of it has been ended again.
pub fn init(
    setup: &Arc<Setup>,
    tenant: Option<String>,
    limit: Duration,
    begun: impl FnOnce(&Arc<Environment>),
) -> Result<Arc<Environment>, Fault> {
    let deadline = Instant::now() + limit;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| {
        Fault::new(
            "Sandbox.Failure",
            format!("failed to open the Runtime API: {error}"),
        )
    })?;
    let address = listener.local_addr().map_err(|error| {
        Fault::new(
            "Sandbox.Failure",
            format!("failed to open the Runtime API: {error}"),
        )
    })?;
    let externals: Vec<String> = setup
        .extensions
        .iter()
        .map(|path| file_name(path))
        .collect();
    let snap_start = setup.options.init == Init::SnapStart;
    let environment = Environment::new(
        address,
        setup.options.function_name.clone(),
        setup.options.concurrency,
        snap_start,
        externals,
        tenant,
    );
    let environment = Arc::new(environment);
    begun(&environment);
    serve_apis(listener, &environment);
    let result = start_all(setup, &environment, deadline);
    match result {
        Ok(()) => Ok(environment),
        Err(fault) => {
            shutdown(&environment, "failure");
            Err(fault)
        }
    }
}

fn serve_apis(listener: TcpListener, environment: &Arc<Environment>) {
    let (watched, served) = (environment.clone(), environment.clone());
    std::thread::spawn(move || {
        http_server::serve(
            listener,
            move || watched.lock().is_over(),
            move |head, body, stream| {
                if head.path().starts_with("/2018-06-01/") {
                    runtime::handle(&served, head, body, stream)
                } else {
                    extensions::handle(&served, head, body, stream)
                }
            },
        );
    });
}

fn start_all(
    setup: &Arc<Setup>,
    environment: &Arc<Environment>,
    deadline: Instant,
) -> Result<(), Fault> {
    let env = setup.extension_env(environment.address);
    for extension in &setup.extensions {
        let name = file_name(extension);
        start(
            setup,
            environment,
            Some(name),
            extension.clone().into_os_string(),
            &[],
            &env,
        )?;
    }
    memory_limit::watch(setup, environment);
    let late = || {
        Fault::new(
            "Sandbox.Timedout",
            "no registration of every extension in time",
        )
    };
    wait_or_fault(environment, deadline, late, |state| {
        state.all_registered(&environment.externals)
    })?;
    start(
        setup,
        environment,
        None,
        setup.program.clone(),
        &setup.args,
        &setup.runtime_env(environment.address),
    )?;
    let late = || {
        Fault::new(
            "Sandbox.Timedout",
            format!(
                "the runtime has not asked for an event in time{}",
                last_probe(setup)
            ),
        )
    };
    wait_or_fault(environment, deadline, late, |state| {
        state.runtime_parked() || state.restore_parked()
    })?;
    environment.change(|state| state.close_registration());
    let late = || {
        Fault::new(
            "Sandbox.Timedout",
            format!(
                "no event/next in time from extension {}",
                environment.lock().unparked().join(", ")
            ),
        )
    };
    wait_or_fault(environment, deadline, late, |state| {
        state.extensions_parked()
    })
}

/// An init that takes too long with an adapter in it mostly means an app that does not listen where it should: ask it once more, and say.
fn last_probe(setup: &Setup) -> String {
    if setup.extensions.is_empty() {
        return String::new();
    }
    let (port, path) = setup.readiness();
    let told = probe::get(port, &path);
    format!("; last readiness probe: GET http://127.0.0.1:{port}{path}: {told}")
}

pub fn wait_or_fault(
    environment: &Environment,
    deadline: Instant,
    late: impl FnOnce() -> Fault,
    mut ready: impl FnMut(&State) -> bool,
) -> Result<(), Fault> {
    let outcome = environment.wait(deadline, |state| {
        let stopped = || Fault::new("Sandbox.Terminated", "lambda-local is being stopped");
        let failure = state.failure().or_else(|| state.stopping.then(stopped));
        failure.map(Err).or_else(|| ready(state).then_some(Ok(())))
    });
    outcome.unwrap_or_else(|| Err(late()))
}

fn start(
    setup: &Setup,
    environment: &Arc<Environment>,
    extension: Option<String>,
    program: OsString,
    args: &[String],
    env: &Env,
) -> Result<(), Fault> {
    let source = extension.clone().map_or(Source::App, Source::Extension);
    let (watched, name, output) = (environment.clone(), extension.clone(), setup.output.clone());
    let exited = move |group: u32, ending: String| {
        if let Some(fault) = note_exit(&watched, group, name.as_deref(), &ending) {
            output.warn(&format!(
                "{}: a new environment will be started for the next invocation",
                fault.message
            ));
        }
    };
    // The lock is held while the process starts, so that its end cannot be noted before its start, nor its start follow a shutdown.
    environment.change(|state| {
        if state.stopping {
            return Err(Fault::new(
                "Sandbox.Terminated",
                "lambda-local is being stopped",
            ));
        }
        match process::spawn(&program, args, env, source, &setup.output, exited) {
            Ok(group) => {
                state.processes.push(Process {
                    extension: extension.clone(),
                    group,
                    exited: false,
                });
                Ok(())
            }
            Err(error) => {
                let kind = if extension.is_some() {
                    "Extension.LaunchError"
                } else {
                    "Runtime.InvalidEntrypoint"
                };
                Err(Fault::new(
                    kind,
                    format!("failed to start `{}`: {error}", program.to_string_lossy()),
                ))
            }
        }
    })
}

/// Any end of a process that nobody asked for fails the environment, also one with exit code 0. Gives the fault when nobody else will tell it,
/// since nothing is going on.
fn note_exit(
    environment: &Environment,
    group: u32,
    extension: Option<&str>,
    ending: &str,
) -> Option<Fault> {
    environment.change(|state| {
        for process in state
            .processes
            .iter_mut()
            .filter(|process| process.group == group)
        {
            process.exited = true;
        }
        if state.stopping || state.fault.is_some() {
            return None;
        }
        let fault = match extension {
            _ if state.out_of_memory => Fault::new(
                "Runtime.OutOfMemory",
                "Runtime exited with error: signal: killed",
            ),
            Some(name) => Fault::new(
                "Extension.Crash",
                format!("extension {name} ended: {ending}"),
            ),
            None if ending == "exit status 0" => Fault::new(
                "Runtime.ExitError",
                "Runtime exited without providing a reason",
            ),
            None => Fault::new(
                "Runtime.ExitError",
                format!("Runtime exited with error: {ending}"),
            ),
        };
        state.fault = Some(fault.clone());
        state.is_idle().then_some(fault)
    })
}

/// The process groups of those processes that are wanted.
pub fn groups(environment: &Environment, wanted: impl Fn(&Process) -> bool) -> Vec<u32> {
    environment
        .lock()
        .processes
        .iter()
        .filter(|process| wanted(process))
        .map(|process| process.group)
        .collect()
}

/// Tells a runtime that waits for it that it has been restored, and waits until it asks for an event.
pub fn restore(setup: &Setup, environment: &Environment) -> Result<Duration, Fault> {
    setup.output.platform(&Platform::RestoreStart);
    let started = Instant::now();
    environment.change(|state| state.release_restore());
    let text = "the runtime has not asked for an event within 10 seconds of the restore";
    let late = || Fault::new("Sandbox.Timedout", text);
    wait_or_fault(environment, started + RESTORE_LIMIT, late, |state| {
        state.runtime_parked()
    })?;
    let duration = started.elapsed();
    setup.output.platform(&Platform::RestoreReport { duration });
    Ok(duration)
}

/// `STOP` or `CONT` for all of it: what Lambda's freeze looks like to the processes.
pub fn signal_all(environment: &Environment, signal: &str) {
    process::signal(signal, &groups(environment, |process| !process.exited));
}

/// Ends everything, in Lambda's order and within Lambda's times.
pub fn shutdown(environment: &Environment, reason: &str) {
    let (registered, external) = environment.change(|state| {
        state.stopping = true;
        (
            !state.extensions.is_empty(),
            state.extensions.iter().any(|extension| extension.external),
        )
    });
    let started = Instant::now();
    let total = Duration::from_millis(if external { 2000 } else { 500 });
    if registered {
        // What is stopped gets no signal but SIGKILL.
        signal_all(environment, "CONT");
        let grace = match (external, environment.concurrency) {
            (true, Some(_)) => Duration::from_millis(600),
            (true, None) => Duration::from_millis(300),
            (false, _) => total,
        };
        process::signal(
            "TERM",
            &groups(environment, |process| process.extension.is_none()),
        );
        wait_for_exit(environment, started + grace, |process| {
            process.extension.is_none()
        });
    }
    process::signal(
        "KILL",
        &groups(environment, |process| process.extension.is_none()),
    );
    let subscribers: Vec<String> = environment
        .lock()
        .extensions
        .iter()
        .filter(|extension| extension.external && extension.shutdown)
        .map(|extension| extension.name.clone())
        .collect();
    let subscribed = |process: &Process| {
        process
            .extension
            .as_ref()
            .is_some_and(|name| subscribers.contains(name))
    };
    process::signal("KILL", &groups(environment, |process| !subscribed(process)));
    let deadline = started + total;
    let left = deadline.saturating_duration_since(Instant::now());
    environment
        .change(|state| state.announce_shutdown(reason, clock::now_ms() + left.as_millis() as i64));
    wait_for_exit(environment, deadline, subscribed);
    process::signal("KILL", &groups(environment, |_| true));
    wait_for_exit(environment, Instant::now() + Duration::from_secs(2), |_| {
        true
    });
    environment.close();
}

fn wait_for_exit(environment: &Environment, deadline: Instant, wanted: impl Fn(&Process) -> bool) {
    environment.wait(deadline, |state| {
        state
            .processes
            .iter()
            .filter(|process| wanted(process))
            .all(|process| process.exited)
            .then_some(())
    });
}
