//! lambda-adapter: AWS Lambda events in, HTTP/1.1 to the app, Lambda responses out.
//!
//! One invocation meets the rooms in this order, and data flows one way; `serve` turns the
//! handle:
//!
//! ```text
//!   invocation -> event -> request -> app -> encoding -> reply -> post
//!      /next      shape     HTTP     HTTP     gzip       JSON    /response or /error
//! ```

pub mod config;
pub mod extension;
pub mod logger;
pub mod readiness;
pub mod runtime;
pub mod serve;
pub mod snapstart;
pub mod stop;

pub mod invocation;

pub mod event;

pub mod request;

pub mod app;

pub mod encoding;

pub mod reply;

pub mod post;

// Leaves: know nothing of Lambda's life cycle.
pub mod base64;
pub mod error;
pub mod guard;
pub mod gzip;
pub mod headers;
pub mod hosts;
pub mod http1;
pub mod json;
pub mod source;
pub mod trace;
pub mod wire;

use std::env;
use std::time::Duration;

use log::warn;

use app::App;
use config::Config;
use error::Fatal;
use runtime::Runtime;
use stop::Stop;

/// With asynchronous init, how long init itself waits for the app: Lambda ends it at 10 s.
const ASYNC_INIT: Duration = Duration::from_millis(9800);

/// Runs the adapter; comes back only when it cannot go on.
pub fn run() -> Fatal {
    logger::init(&variable);
    match start() {
        Ok((config, stop, app, ready)) => serve::run(&config, &stop, app, ready),
        Err(fatal) => fatal,
    }
}

/// Init: register before anything else, then the settings, then the app.
fn start() -> Result<(Config, Stop, App, bool), Fatal> {
    let api = config::runtime_api(&variable)?;
    extension::register(Runtime::new(&api), env::args_os().next())?;
    let stop = Stop::listen();
    let init = || {
        let config = settings()?;
        let mut app = App::new(config.app.clone(), config.pool_idle);
        let patience = match config.async_init {
            true => ASYNC_INIT,
            false => Duration::MAX,
        };
        let ready = readiness::wait(&mut app, &config, patience)?;
        if config.snapstart.active {
            snapstart::checkpoint(&mut app, &config, &mut Runtime::new(&api))?;
        }
        Ok((config, stop, app, ready))
    };
    init().inspect_err(|fatal| {
        // Lambda shows it to whoever invokes; the log line is written in any case.
        if let Err(refusal) = Runtime::new(&api).report(fatal) {
            warn!("failed to report why init failed: {refusal}");
        }
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
    std::process::exit(1)
}
