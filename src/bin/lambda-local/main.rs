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

mod args;
mod base64;
mod clock;
mod demo;
mod environment;
mod extensions_api;
mod front;
mod function;
mod gateway;
mod invocation;
mod invoke;
mod json;
mod lifecycle;
mod output;
mod probe;
mod process;
mod reason;
mod runtime_api;
mod samples;
mod setup;
mod signals;
mod state;
mod summary;
mod wire;
mod words;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;

use args::{Options, Task};

fn main() -> ExitCode {
    let task = match args::parse(std::env::args().skip(1)) {
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
        Task::Help => print!("{}", args::HELP),
        Task::Version => println!("lambda-local {}", env!("CARGO_PKG_VERSION")),
        Task::Events(None) => print!("{}", samples::list()),
        Task::Events(Some(name)) => print!(
            "{}",
            samples::find(&name).ok_or_else(|| format!(
                "no sample event `{name}`: there are {}",
                samples::names()
            ))?
        ),
        Task::Invoke(send) => {
            return invoke::send(&send).map(|good| {
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

fn run(options: Options) -> Result<(), String> {
    let signals = signals::catch()?;
    let address = format!("{}:{}", options.host, options.port);
    let in_use =
        |error| format!("failed to listen on `{address}`: {error} (another port: --port N)");
    let listener = TcpListener::bind(&address).map_err(in_use)?;
    let bound = listener.local_addr().map_err(in_use)?;
    let setup = Arc::new(setup::Setup::new(options)?);
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
        wire::serve(
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
    let warming = function.clone();
    std::thread::spawn(move || {
        warming.warm_up();
        warming
            .setup
            .output
            .note(&format!("listening on {url} - try: curl -i {url}/"));
    });
    signals::wait(signals);
    let summary = function.stop();
    setup.output.note(&summary);
    Ok(())
}
