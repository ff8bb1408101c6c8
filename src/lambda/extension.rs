//! The extension side of the adapter: register, then one thread parked in `event/next`.
//!
//! Lambda starts the app only after every extension has registered, and ends init only when
//! every one waits for events (Extensions API, "Lambda execution environment lifecycle"). So
//! registering is the first thing the process does, and the second call never returns: the
//! adapter asks for no event, since an environment ends for it with SIGKILL either way.
//!
//! Where the adapter is the runtime's own process, it registers all the same, as an internal
//! extension: Lambda sends the runtime SIGTERM only where there is any extension.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};

use crate::error::Fatal;
use crate::lambda::{ApiError, Runtime};

/// How long a refused connection is tried again: the API may start a moment after us.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// The name of no file in `/opt/extensions`, which is what makes an extension internal.
const INTERNAL: &str = "lambda-adapter.entrypoint";

/// Registers under the file's own name, as Lambda demands of extensions in
/// `/opt/extensions`, and parks.
pub fn register(runtime: Runtime, program: Option<OsString>) -> Result<(), Fatal> {
    let name = name(program);
    join(runtime, &name).map_err(|error| Fatal::RuntimeApi {
        act: "register the extension",
        cause: format!("`{name}`: {error}"),
    })
}

/// Registers as an internal extension. Without it everything goes on, but for the warning
/// before the end.
pub fn register_internal(runtime: Runtime) {
    match join(runtime, INTERNAL) {
        Ok(()) => {}
        Err(ApiError::Status(404, _)) => debug!("no Extensions API here: SIGTERM may not come"),
        Err(error) => warn!("failed to register for SIGTERM: {error}"),
    }
}

fn join(mut runtime: Runtime, name: &str) -> Result<(), ApiError> {
    let started = Instant::now();
    let identifier = loop {
        match runtime.register(name) {
            Ok(identifier) => break identifier,
            Err(ApiError::Closed(_) | ApiError::Transport(_)) if started.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    };
    debug!("registered as the extension `{name}`");
    let park = move || match runtime.next_extension_event(&identifier) {
        Ok(()) => debug!("the Extensions API sent an event that nobody asked for"),
        Err(error) => warn!("the wait for extension events ended: {error}"),
    };
    // Little is called there, so little stack will do.
    thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(park)
        .map(|_| ())
        .map_err(|error| ApiError::Transport(format!("failed to start a thread: {error}")))
}

fn name(program: Option<OsString>) -> String {
    let name = program.as_deref().map(Path::new).and_then(Path::file_name);
    name.map_or("lambda-adapter".into(), |name| {
        name.to_string_lossy().into_owned()
    })
}
