//! Init: what happens once a process, from its start to the first `/next`.
//!
//! An extension registers before anything else, since Lambda starts the app only after that.
//! As the entry point the adapter starts the app first, since registering can wait.

mod prime;
pub mod snapstart;

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::logger::line::warn;

use crate::app::client::Client;
use crate::app::readiness;
use crate::app::supervisor::Supervisor;
use crate::cli::CommandLine;
use crate::config::{self, Config};
use crate::error::Fatal;
use crate::lambda::{Runtime, extension};
use crate::net::resolve;
use crate::shutdown::Shutdown;

/// How long init waits for the app with asynchronous init: Lambda ends it after 10 s.
const ASYNC_INIT_TIMEOUT: Duration = Duration::from_millis(9800);

/// An initialized environment.
pub struct Environment {
    pub config: Config,
    pub shutdown: Arc<Shutdown>,
    pub runtime: Runtime,
    pub app: Client,
    /// False only with asynchronous init: then the first invocation waits for the app.
    pub app_is_ready: bool,
    pub supervisor: Option<Arc<Supervisor>>,
}

/// Initializes an environment whose app Lambda starts, or one that starts it by `command`. A
/// failure is reported to Lambda.
pub fn run(command: Option<CommandLine>) -> Result<Environment, Fatal> {
    let api = config::runtime_api(&crate::variable)?;
    let mut supervisor = None;
    let shutdown = Arc::new(match command {
        Some(_) => Shutdown::default(),
        None => {
            extension::register(Runtime::new(&api), env::args_os().next())?;
            Shutdown::listen()
        }
    });
    initialize(&api, command, shutdown, &mut supervisor)
        .inspect_err(|fatal| report(fatal, &api, supervisor.as_deref()))
}

fn initialize(
    api: &str,
    command: Option<CommandLine>,
    shutdown: Arc<Shutdown>,
    supervisor: &mut Option<Arc<Supervisor>>,
) -> Result<Environment, Fatal> {
    let started = Instant::now();
    let config = read_config()?;
    if let Some(command) = command {
        *supervisor = Some(Supervisor::start(
            command,
            config.http_endpoint.clone(),
            Arc::clone(&shutdown),
        )?);
        extension::register_internal(Runtime::new(api));
    }
    let child = supervisor.as_deref();
    let mut runtime = Runtime::new(&config.runtime_api);
    if !config.snapstart.active {
        runtime.connect_ahead();
    }
    let mut app = Client::new(config.app.clone(), config.pool_idle);
    let timeout = if config.async_init {
        ASYNC_INIT_TIMEOUT
    } else {
        Duration::MAX
    };
    let mut app_is_ready = readiness::wait(&mut app, &config, timeout, child)?;
    if app_is_ready && !config.prime.paths.is_empty() {
        if prime::run(&mut app, &config, started) {
            let left = timeout.saturating_sub(started.elapsed());
            app_is_ready = readiness::wait(&mut app, &config, left, child)?;
        }
        // An app that has ended must not be in the snapshot.
        child.map_or(Ok(()), Supervisor::check)?;
    }
    if config.snapstart.active {
        snapstart::checkpoint(&mut app, &config, &mut Runtime::new(api), child)?;
    }
    if let Some(child) = child {
        // With several invocations in flight, one that is late says nothing of the others.
        child.serve(config.timeout_margin.is_some() && config.concurrency == 1)?;
    }
    Ok(Environment {
        config,
        shutdown,
        runtime,
        app,
        app_is_ready,
        supervisor: supervisor.clone(),
    })
}

/// Reads the settings and logs their warnings, also where they are refused.
fn read_config() -> Result<Config, Fatal> {
    let mut warnings = Vec::new();
    let config = Config::from_env(&crate::variable, &mut warnings).and_then(|config| {
        let resolves = |host: &str| resolve::resolve(host, config.app.port).is_ok();
        config::check_host(&config.app, resolves, &crate::variable)?;
        Ok(config)
    });
    for (name, _) in env::vars_os() {
        if let Some(warning) = config::unknown_name(&name.to_string_lossy()) {
            warnings.push(warning);
        }
    }
    for warning in warnings {
        warn!("{warning}");
    }
    config
}

/// Posts the failure of init, which Lambda shows to the invoker, and ends the app.
fn report(fatal: &Fatal, api: &str, supervisor: Option<&Supervisor>) {
    let printed = supervisor.map(Supervisor::last_lines).unwrap_or_default();
    if let Err(cause) = Runtime::new(api).report(fatal, &printed) {
        warn!("failed to report why init failed: {cause}");
    }
    if let Some(supervisor) = supervisor {
        supervisor.kill();
    }
}
