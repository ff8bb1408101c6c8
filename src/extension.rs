//! The extension side of the adapter: register, then one thread parked in `event/next`.
//!
//! Lambda starts the app only after every extension has registered, and ends init only when
//! every one waits for events (Extensions API, "Lambda execution environment lifecycle"). So
//! registering is the first thing the process does, and the second call never returns: the
//! adapter asks for no event, since an environment ends for it with SIGKILL either way.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};

use crate::error::Fatal;
use crate::runtime::{ApiError, Runtime};

/// How long a refused connection is tried again: the API may start a moment after us.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

/// Registers under the file's own name, as Lambda demands of extensions in
/// `/opt/extensions`, and parks.
pub fn register(mut runtime: Runtime, program: Option<OsString>) -> Result<(), Fatal> {
    let name = name(program);
    let started = Instant::now();
    let identifier = loop {
        match runtime.register(&name) {
            Ok(identifier) => break identifier,
            Err(ApiError::Closed(_) | ApiError::Transport(_)) if started.elapsed() < PATIENCE => {
                thread::sleep(PAUSE);
            }
            Err(error) => {
                return Err(Fatal::RuntimeApi {
                    act: "register the extension",
                    cause: format!("`{name}`: {error}"),
                });
            }
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
        .map_err(|error| Fatal::RuntimeApi {
            act: "start the extension's thread",
            cause: error.to_string(),
        })
}

fn name(program: Option<OsString>) -> String {
    let name = program.as_deref().map(Path::new).and_then(Path::file_name);
    name.map_or("lambda-adapter".into(), |name| {
        name.to_string_lossy().into_owned()
    })
}
