//! SnapStart: Lambda takes a snapshot of the initialized environment and serves from copies
//! of it ("Lambda SnapStart", "Runtime hooks for custom runtimes").
//!
//! The snapshot is taken while `restore/next` blocks. A connection in it would be open at one
//! end only, or at the same end in many copies, so none is kept over it; and the app may do
//! through its hooks what a copy must not share: close its own before, and draw new random
//! seeds and credentials after.

use std::time::{Duration, Instant, SystemTime};

use log::info;

use crate::app::client::App;
use crate::app::readiness;
use crate::app::supervisor::Child;
use crate::config::Config;
use crate::error::Fatal;
use crate::http::headers::Headers;
use crate::lambda::{Runtime, USER_AGENT};
use crate::net::connection::Watch;
use crate::translate::request::{self, Request};

/// Init never gets longer, whatever the function's own limit.
const BEFORE: Duration = Duration::from_secs(900);
/// Lambda ends a restore that takes 10 s; by then we must have said why.
const AFTER: Duration = Duration::from_millis(9800);
/// How often a hook that takes long is told of.
const REPORT: Duration = Duration::from_secs(2);
/// More than this of a hook's answer is not read.
const ANSWER: usize = 64 << 10;

/// Goes through checkpoint and restore with a ready app, and leaves one that is ready again.
///
/// `runtime` is Lambda's own API, also where a proxy for invocations is set: nothing that
/// such a proxy is for passes here, and not every one knows the route.
pub fn checkpoint(
    app: &mut App,
    config: &Config,
    runtime: &mut Runtime,
    child: Option<&Child>,
) -> Result<(), Fatal> {
    if let Some(path) = &config.snapstart.before {
        post(app, config, "before-checkpoint", path, BEFORE).map_err(|cause| {
            Fatal::BeforeCheckpoint {
                path: path.clone(),
                cause,
            }
        })?;
    }
    app.disconnect();
    if let Some(child) = child {
        child.settle();
    }
    info!("ready for the snapshot");
    let checkpoint = SystemTime::now();
    runtime.restore_next().map_err(|error| Fatal::RuntimeApi {
        act: "wait for the restore",
        cause: error.to_string(),
    })?;
    let restored = Instant::now();
    let age = checkpoint.elapsed().unwrap_or_default().as_millis();
    info!("restored from the snapshot of {age} ms ago");
    resume(app, config, child, restored).map_err(|cause| Fatal::AfterRestore { cause })?;
    let took = restored.elapsed().as_millis();
    info!("ready {took} ms after the restore");
    Ok(())
}

fn resume(
    app: &mut App,
    config: &Config,
    child: Option<&Child>,
    restored: Instant,
) -> Result<(), String> {
    if let Some(path) = &config.snapstart.after {
        post(app, config, "after-restore", path, AFTER)
            .map_err(|cause| format!("the after-restore hook `{path}` failed: {cause}"))?;
    }
    let left = AFTER.saturating_sub(restored.elapsed());
    match readiness::wait(app, config, left, child) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "the app is not ready {} ms after the restore",
            restored.elapsed().as_millis()
        )),
        Err(fatal) => Err(fatal.to_string()),
    }
}

/// Runs a hook: an empty POST that must be answered with success.
fn post(
    app: &mut App,
    config: &Config,
    hook: &str,
    path: &str,
    patience: Duration,
) -> Result<(), String> {
    // It must not be sent twice, so not on a connection that the app may just be closing.
    app.disconnect();
    let started = Instant::now();
    let mut headers = Headers::new();
    headers.push(b"host", request::host(config).as_bytes());
    headers.push(b"user-agent", USER_AGENT.as_bytes());
    headers.push(b"content-length", b"0");
    let request = Request {
        method: "POST".into(),
        target: path.as_bytes().to_vec(),
        headers,
        body: Default::default(),
    };
    let mut watch = Watch::lasting(format!("the {hook} hook `{path}`"), REPORT, patience);
    let mut response = app
        .exchange(&request, &mut watch)
        .map_err(|failure| failure.message)?;
    let status = response.head.status;
    if !(200..300).contains(&status) {
        return Err(format!("the app answered with status {status}"));
    }
    // The hook is over when its answer is.
    response
        .body
        .read_to(&mut Vec::new(), ANSWER)
        .map_err(|failure| failure.message)?;
    let took = started.elapsed().as_millis();
    info!("the {hook} hook `{path}` took {took} ms");
    Ok(())
}
