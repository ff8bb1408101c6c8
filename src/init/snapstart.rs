//! SnapStart: Lambda takes a snapshot of the initialized environment and serves from copies
//! of it ("Lambda SnapStart", "Runtime hooks for custom runtimes").
//!
//! The snapshot is taken while `/restore/next` blocks. A connection in it would be open at one
//! end only, or at the same end in many copies, so none is kept. The app's hooks do the rest:
//! close connections before the snapshot, draw new random seeds and credentials after it.

use std::time::{Duration, Instant, SystemTime};

use crate::logger::line::info;

use crate::app::client::Client;
use crate::app::readiness;
use crate::app::supervisor::Supervisor;
use crate::config::Config;
use crate::error::Fatal;
use crate::lambda::Runtime;
use crate::net::deadline::Deadline;

/// Init with SnapStart never gets longer, whatever the function's own limit.
const BEFORE_TIMEOUT: Duration = Duration::from_secs(900);
/// Lambda ends a restore after 10 s; its failure must be reported by then.
const AFTER_TIMEOUT: Duration = Duration::from_millis(9800);
/// When a slow hook is logged.
const WARN_AFTER: Duration = Duration::from_secs(2);

/// Takes a ready app through checkpoint and restore.
///
/// `runtime` is Lambda's own API, also where a proxy for invocations is set: not every proxy
/// knows the route.
pub fn checkpoint(
    app: &mut Client,
    config: &Config,
    runtime: &mut Runtime,
    child: Option<&Supervisor>,
) -> Result<(), Fatal> {
    if let Some(path) = &config.snapstart.before {
        run_hook(app, "before-checkpoint", path, BEFORE_TIMEOUT).map_err(|cause| {
            Fatal::BeforeCheckpoint {
                path: path.clone(),
                cause,
            }
        })?;
    }
    app.disconnect();
    if let Some(child) = child {
        child.flush();
    }
    info!("ready for the snapshot");
    let checkpoint = SystemTime::now();
    runtime.restore_next().map_err(|error| Fatal::RuntimeApi {
        act: "wait for the restore",
        cause: error.to_string(),
    })?;
    let restored = Instant::now();
    let age = checkpoint.elapsed().unwrap_or_default().as_millis() as u64;
    info!("restored from the snapshot of {age} ms ago");
    resume(app, config, child, restored).map_err(|cause| Fatal::AfterRestore { cause })?;
    let took = restored.elapsed().as_millis() as u64;
    info!("ready {took} ms after the restore");
    Ok(())
}

fn resume(
    app: &mut Client,
    config: &Config,
    child: Option<&Supervisor>,
    restored: Instant,
) -> Result<(), String> {
    if let Some(path) = &config.snapstart.after {
        run_hook(app, "after-restore", path, AFTER_TIMEOUT)
            .map_err(|cause| format!("the after-restore hook `{path}` failed: {cause}"))?;
    }
    let left = AFTER_TIMEOUT.saturating_sub(restored.elapsed());
    match readiness::wait(app, config, left, child) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "the app is not ready {} ms after the restore",
            restored.elapsed().as_millis() as u64
        )),
        Err(fatal) => Err(fatal.to_string()),
    }
}

/// Sends a hook's empty POST, which must succeed.
fn run_hook(app: &mut Client, hook: &str, path: &str, timeout: Duration) -> Result<(), String> {
    // A hook must not be sent twice, so not on a connection that the app may be closing.
    app.disconnect();
    let started = Instant::now();
    let request = app.own_request("POST", path);
    let mut deadline = Deadline::after(format!("the {hook} hook `{path}`"), WARN_AFTER, timeout);
    let status = app
        .exchange(&request, &mut deadline, &mut Vec::new())
        .map_err(|failure| failure.message)?;
    if !(200..300).contains(&status) {
        return Err(format!("the app responded with status {status}"));
    }
    let took = started.elapsed().as_millis() as u64;
    info!("the {hook} hook `{path}` took {took} ms");
    Ok(())
}
