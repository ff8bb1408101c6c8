//! lambda-adapter: AWS Lambda events in, HTTP/1.1 to the app, Lambda responses out.
//!
//! One invocation meets the rooms in this order, and data flows one way; `serve` turns the
//! handle:
//!
//! ```text
//!   invocation -> event -> request -> app -> encoding -> reply -> post
//!      /next      shape     HTTP     HTTP     gzip       JSON    /response or /error
//! ```

pub mod app;
pub mod cli;
pub mod config;
pub mod error;
pub mod gzip;
pub mod http;
pub mod init;
pub mod invocation;
pub mod lambda;
pub mod logger;
pub mod net;
pub mod serve;
pub mod shutdown;
pub mod translate;

use std::env;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use log::warn;

use app::client::App;
use app::supervisor::Child;
use cli::{CommandLine, Role};
use config::Config;
use error::Fatal;
use lambda::Runtime;
use shutdown::Stop;

/// With asynchronous init, how long init itself waits for the app: Lambda ends it at 10 s.
const ASYNC_INIT: Duration = Duration::from_millis(9800);

/// Runs the adapter; comes back only when it cannot go on.
pub fn run() -> Fatal {
    logger::init(&variable);
    match cli::parse(env::args_os(), &variable) {
        Ok(Role::Extension) => adapt(None),
        Ok(Role::Entrypoint(line)) => match config::runtime_api(&variable) {
            Ok(_) => adapt(Some(line)),
            // Not on Lambda: nothing is to stand between the app and whoever started it.
            Err(_) => app::spawn::exec(&line),
        },
        Ok(Role::Child(parent, line)) => app::spawn::exec_as_child(parent, &line),
        Ok(Role::Print(text)) => {
            // Whoever closes the pipe does not want to know.
            let _ = std::io::stdout().write_all(text.as_bytes());
            std::process::exit(0)
        }
        Err(fatal) => fatal,
    }
}

/// Serves an app that Lambda starts, or one that we start with this command.
fn adapt(command: Option<CommandLine>) -> Fatal {
    match start(command) {
        Ok(Ready {
            config,
            stop,
            runtime,
            app,
            ready,
            child,
        }) => serve::run(&config, &stop, runtime, app, ready, child.as_deref()),
        Err(fatal) => fatal,
    }
}

/// What init leaves to the loop.
struct Ready {
    config: Config,
    stop: Arc<Stop>,
    runtime: Runtime,
    app: App,
    ready: bool,
    child: Option<Arc<Child>>,
}

/// Init: register before anything else, then the settings, then the app. An app of our own
/// comes before registering, since nothing waits for that.
fn start(command: Option<CommandLine>) -> Result<Ready, Fatal> {
    let api = config::runtime_api(&variable)?;
    let stop = match command {
        Some(_) => Stop::default(),
        None => {
            lambda::extension::register(Runtime::new(&api), env::args_os().next())?;
            Stop::listen()
        }
    };
    let stop = Arc::new(stop);
    let mut child = None;
    let init = || {
        let config = settings()?;
        if let Some(line) = command {
            child = Some(Child::start(line, Arc::clone(&stop))?);
            lambda::extension::register_internal(Runtime::new(&api));
        }
        let mut runtime = Runtime::new(&config.runtime_api);
        if !config.snapstart.active {
            runtime.prepare();
        }
        let mut app = App::new(config.app.clone(), config.pool_idle);
        let patience = match config.async_init {
            true => ASYNC_INIT,
            false => Duration::MAX,
        };
        let ready = app::readiness::wait(&mut app, &config, patience, child.as_deref())?;
        if config.snapstart.active {
            let mut runtime = Runtime::new(&api);
            init::snapstart::checkpoint(&mut app, &config, &mut runtime, child.as_deref())?;
        }
        if let Some(child) = &child {
            // Of several invocations in flight, one that is late does not speak for the others.
            child.serve(config.timeout_margin.is_some() && config.concurrency == 1)?;
        }
        Ok((config, runtime, app, ready))
    };
    let (config, runtime, app, ready) = init().inspect_err(|fatal| {
        // Lambda shows it to whoever invokes; the log line is written in any case.
        let printed = child.as_deref().map(Child::last_lines).unwrap_or_default();
        if let Err(refusal) = Runtime::new(&api).report(fatal, &printed) {
            warn!("failed to report why init failed: {refusal}");
        }
        if let Some(child) = &child {
            child.kill();
        }
    })?;
    Ok(Ready {
        config,
        stop,
        runtime,
        app,
        ready,
        child,
    })
}

fn settings() -> Result<Config, Fatal> {
    let mut warnings = Vec::new();
    let config = Config::from(&variable, &mut warnings);
    let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    warnings.extend(config::unknown(names));
    for warning in warnings {
        warn!("{warning}");
    }
    config
}

fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The one way out: the reason, in one line.
pub fn end(fatal: &Fatal) -> ! {
    logger::fatal(&fatal.to_string());
    std::process::exit(fatal.exit_status())
}
