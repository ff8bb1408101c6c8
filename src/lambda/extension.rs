//! The adapter as an extension: registers, then one thread waits in `event/next`.
//!
//! Lambda starts the app only after every extension has registered, and ends init only when
//! every one waits for events (Extensions API, "Lambda execution environment lifecycle"). So
//! registering is the first thing the process does, and the second call never returns: the
//! adapter registers for no events, since Lambda ends it with SIGKILL either way.
//!
//! As the entry point the adapter registers as an internal extension: Lambda sends the runtime
//! process SIGTERM only where any extension is registered.

use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use crate::logger::line::{debug, warn};
use crate::platform::start_thread;

use super::{ApiError, Runtime};
use crate::cli::file_name;
use crate::error::Fatal;

/// How long a refused connection is retried: the API may start a moment after the adapter.
const RETRY_FOR: Duration = Duration::from_secs(2);
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
const STACK: usize = 128 << 10;

/// A name without a file in `/opt/extensions`, which is what makes an extension internal.
const INTERNAL: &str = "lambda-adapter.entrypoint";

/// Registers under the name of the program's file, as Lambda demands of extensions in
/// `/opt/extensions`.
pub fn register(runtime: Runtime, program: Option<OsString>) -> Result<(), Fatal> {
    let mut name = program.as_deref().map(file_name).unwrap_or_default();
    if name.is_empty() {
        name = "lambda-adapter".into();
    }
    register_as(runtime, &name).map_err(|error| Fatal::RuntimeApi {
        act: "register the extension",
        cause: format!("`{name}`: {error}"),
    })
}

/// Registers as an internal extension. If that fails, only SIGTERM is missing.
pub fn register_internal(runtime: Runtime) {
    match register_as(runtime, INTERNAL) {
        Ok(()) => {}
        Err(ApiError::Status(404, _)) => debug!("no Extensions API here: SIGTERM may not come"),
        Err(error) => warn!("failed to register for SIGTERM: {error}"),
    }
}

fn register_as(mut runtime: Runtime, name: &str) -> Result<(), ApiError> {
    let started = Instant::now();
    let identifier = loop {
        match runtime.register(name) {
            Ok(identifier) => break identifier,
            Err(error) if error.is_retryable() && started.elapsed() < RETRY_FOR => {
                thread::sleep(RETRY_INTERVAL);
            }
            Err(error) => return Err(error),
        }
    };
    debug!("registered as the extension `{name}`");
    let wait = move || match runtime.next_extension_event(&identifier) {
        Ok(()) => debug!("the Extensions API sent an event that was not registered for"),
        Err(error) => warn!("the wait for extension events ended: {error}"),
    };
    start_thread(STACK, Box::new(wait))
        .map_err(|error| ApiError::Transport(format!("failed to start a thread: {error}")))
}
