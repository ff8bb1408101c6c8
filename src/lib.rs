//! lambda-adapter: Lambda events in, HTTP/1.1 requests to the app, Lambda replies out.
//!
//! The path of an invocation through the modules, once a turn of the loop in [`serve`]:
//!
//! ```text
//!    Lambda                                                                  the app
//!   /next     ->  lambda  ->  translate::event, request  ->  app::client  ->  request
//!   /response <-  lambda  <-  translate::compression, reply  <-  http     <-  response
//! ```
//!
//! Before it, [`init`] registers with Lambda, reads [`config`], starts the app where the
//! adapter is the entry point, and waits until it is ready.

// Once a process, and once an invocation: they see all sides.
pub mod init;
pub mod serve;

// Lambda's side, the pure functions in between, and the app's side: none imports another.
pub mod app;
pub mod lambda;
pub mod translate;

// What the sides share, from settings down to sockets.
pub mod cli;
pub mod config;
pub mod error;
pub mod gzip;
pub mod http;
pub mod invocation;
pub mod logger;
pub mod net;
pub mod platform;
pub mod shutdown;
pub mod text;

use std::env;
use std::io::Write;

use app::spawn;
use cli::Role;
use error::Fatal;

/// Runs the adapter. Returns when it is done, or with the reason why it cannot go on.
pub fn run() -> Result<(), Fatal> {
    logger::init(&variable);
    match cli::parse(env::args_os(), &variable)? {
        Role::Extension => serve::run(init::run(None)?),
        Role::Entrypoint(command) if config::runtime_api(&variable).is_ok() => {
            serve::run(init::run(Some(command))?)
        }
        // Not on Lambda: nothing stands between the app and its caller.
        Role::Entrypoint(command) => Err(spawn::exec(&command)),
        Role::Child(parent, command) => Err(spawn::exec_as_child(&parent, &command)),
        Role::Print(text) => {
            // A closed pipe is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
    }
}

/// A variable of the process's environment.
fn variable(name: &str) -> Option<String> {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}
