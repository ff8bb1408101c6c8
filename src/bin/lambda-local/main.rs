//! `lambda-local`: a small, honest AWS Lambda on localhost.
//!
//! It starts the adapter as an external extension and the app as the runtime process, speaks the Runtime and Extensions APIs to them, and
//! stands in front of them as one of AWS's HTTP front ends:
//!
//! ```text
//! browser -> gateway (front/) -> function -> environment <- runtime_api    <- adapter -> app
//!                                               lifecycle <- extensions_api <-
//! ```
//!
//! `gateway` takes HTTP and asks `front` for the event; `function` gives it an environment and a turn; `environment` is what the two APIs share;
//! `lifecycle` starts and ends processes in Lambda's order. The adapter never links any of this.

mod api;
mod base64;
mod cli;
mod clock;
mod front;
mod function;
mod http_server;
mod invocation;
mod json;
mod log;
mod reason;
mod signals;
mod web;

use std::io::Write;
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use cli::options::{self, Options, Task};
use cli::samples;
use front::{gateway, invoke_api};
use web::demo;

fn main() -> ExitCode {
    let task = match options::parse(std::env::args().skip(1)) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("lambda-local: {error}");
            return ExitCode::from(2);
        }
    };
    match perform(task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lambda-local: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<ExitCode, String> {
    match task {
        Task::Help => show(options::HELP),
        Task::Version => show(&format!("lambda-local {}\n", env!("CARGO_PKG_VERSION"))),
        Task::Events(None) => show(&samples::list()),
        Task::Events(Some(name)) => show(samples::find(&name)?),
        Task::Invoke(send) => {
            return invoke_api::send(&send).map(|good| {
                if good {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                }
            });
        }
        Task::DemoApp => demo::run()?,
        Task::Run(options) => run(*options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(text: &str) {
    // Whoever has seen enough (`| head`) may close the pipe.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn run(options: Options) -> Result<(), String> {
    let signals = signals::catch()?;
    let (host, port) = (options.host.as_str(), options.port);
    let in_use =
        |error| format!("failed to listen on `{host}:{port}`: {error} (another port: --port N)");
    let listener = TcpListener::bind((host, port)).map_err(in_use)?;
    let bound = listener.local_addr().map_err(in_use)?;
    let setup = Arc::new(function::variables::Setup::new(options)?);
    let function = function::Function::new(setup.clone());
    let front = front::Front {
        kind: setup.options.kind,
        stage: setup.options.stage.clone(),
    };
    let gateway = Arc::new(gateway::Gateway {
        function: function.clone(),
        front,
        port: bound.port(),
    });
    std::thread::spawn(move || {
        http_server::serve(
            listener,
            || false,
            move |head, body, stream| gateway.handle(head, body, stream),
        )
    });
    let url = format!(
        "http://{bound}{}",
        setup
            .options
            .stage
            .as_ref()
            .map(|stage| format!("/{stage}"))
            .unwrap_or_default()
    );
    let (warming, output) = (function.clone(), setup.output.clone());
    std::thread::spawn(move || {
        warming.warm_up();
        if !warming.is_stopping() {
            output.note(&format!("listening on {url} - try: curl -i {url}/"));
        }
    });
    signals::wait(signals);
    let summary = function.stop();
    setup.output.note(&summary);
    Ok(())
}
