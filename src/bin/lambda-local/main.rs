//! `lambda-local`: AWS Lambda on localhost, for web apps and without Docker.
//!
//! It starts the adapter as an external extension and the app as the runtime process, serves the
//! Runtime and Extensions APIs to them, and emulates one of the AWS services that invoke functions
//! over HTTP:
//!
//! ```text
//! browser -> front/ -> function/ -> environment <- api/ <- adapter -> app
//! ```
//!
//! - `front/` turns an HTTP request into an event, and a reply into an HTTP response; that of a Web
//!   Function passes both on to the app.
//! - `function/` queues invocations, and starts, freezes, resets and stops the environment: its
//!   processes in the order that Lambda uses, and the state that it shares with `api/`.
//! - `api/` serves the Runtime API and the Extensions API of the environment.
//! - `log/` prints START, END and REPORT lines and the output of the processes.
//! - `cli/` parses the command line and has the `invoke` and `events` commands.
//! - `platform/` reads facts about processes from the system.
//! - `web/` has the page that shows each invocation, the relay that records for it, and the demo
//!   app.
//!
//! The adapter links none of this.

mod api;
mod cli;
mod clock;
mod front;
mod function;
mod http_server;
mod invocation;
mod json;
mod log;
mod platform;
mod signals;
mod web;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use cli::options::{self, Command, Options};
use cli::{help, invoke, samples};
use front::Front;
use front::gateway::Gateway;
use function::Function;
use function::app_port;
use function::guard;
use function::variables::Setup;
use function::watch;
use web::server::{self, Page};

fn main() -> ExitCode {
    let command = match options::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("lambda-local: {error}");
            return ExitCode::from(2);
        }
    };
    run(command).unwrap_or_else(|error| {
        eprintln!("lambda-local: {error}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Help => print(help::HELP),
        Command::Version => print(&format!("lambda-local {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Events(None) => print(&samples::list()),
        Command::Events(Some(name)) => print(samples::find(&name)?),
        Command::Invoke(options) => return Ok(invoke::run(&options)?),
        Command::Guard(command) => return Ok(guard::run(&command)?),
        Command::DemoApp => web::demo::run()?,
        Command::Run(options) => run_function(*options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) {
    // A closed pipe (`lambda-local events | head`) is not an error.
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Runs the function until a signal arrives.
fn run_function(options: Options) -> Result<(), Box<dyn Error>> {
    let signals = signals::subscribe().map_err(|error| RunError::Signals { error })?;
    let listen_error = |error| RunError::Listen {
        address: format!("{}:{}", options.host, options.port),
        error,
    };
    let bound = TcpListener::bind((options.host.as_str(), options.port));
    let listener = bound.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let setup = Arc::new(Setup::new(options, address.port())?);
    let function = Function::new(setup.clone());
    let front = Front {
        kind: setup.options.kind,
        stage: setup.options.stage.clone(),
    };
    let stage = setup.options.stage.as_ref();
    let stage = stage.map(|stage| format!("/{stage}")).unwrap_or_default();
    let page = Page {
        function: function.clone(),
        port: address.port(),
    };
    let page = setup.options.page.then(|| Arc::new(page));
    let page_notice = page
        .is_some()
        .then(|| format!("http://{address}{}", server::PATH));
    let gateway = Arc::new(Gateway {
        function: function.clone(),
        front,
        port: address.port(),
    });
    std::thread::spawn(move || {
        http_server::serve(
            listener,
            || false,
            move |exchange| match &page {
                Some(page) if server::is_page(exchange.head.path()) => page.handle(exchange),
                _ => gateway.handle(exchange),
            },
        )
    });
    let (initializing, logger) = (function.clone(), setup.logger.clone());
    std::thread::spawn(move || {
        initializing.init_early();
        if !initializing.is_stopping() {
            let url = format!("http://{address}{stage}");
            logger.info(&format!("listening on {url} - try: curl -i {url}/"));
            if let Some(page) = page_notice {
                logger.info(&format!("every invocation in detail: {page}"));
            }
        }
    });
    if let Some(root) = setup.watched()? {
        watch::start(root, function.clone());
    }
    signals::wait(signals);
    let summary = function.stop();
    setup.logger.info(&summary);
    Ok(())
}

#[derive(Debug)]
enum RunError {
    Signals { error: io::Error },
    Listen { address: String, error: io::Error },
}

impl Error for RunError {}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Signals { error } => write!(f, "failed to register signals: {error}"),
            RunError::Listen { address, error } => {
                write!(f, "failed to listen on `{address}`: {error}")?;
                let port = address
                    .rsplit_once(':')
                    .and_then(|(_, port)| port.parse().ok());
                if error.kind() == io::ErrorKind::AddrInUse
                    && let Some(process) = port.and_then(platform::listening_process)
                {
                    write!(f, " by {process}")?;
                }
                let free = app_port::free_port().map(|port| port.to_string());
                let free = free.as_deref().unwrap_or("N");
                write!(
                    f,
                    " (choose another port: --port {free}; for `make run`: ARGS=\"--port {free}\")"
                )
            }
        }
    }
}
