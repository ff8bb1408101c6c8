//! Work after the response: a request to a hook of the app, which the app holds open while it
//! has work.
//!
//! The caller has its response once the reply is posted, and Lambda freezes the environment
//! once the next invocation is requested ("Lambda execution environment lifecycle", invoke
//! phase). The hook is requested in between. Nothing that happens in it changes the outcome of
//! the invocation, so its failures are warnings.

use std::time::Duration;

use log::{debug, warn};

use super::forward::App;
use crate::config::Config;
use crate::error::Failure;
use crate::invocation::Invocation;
use crate::net::deadline::{self, Deadline};
use crate::translate::{event, request};

/// A longer response is not read to its end; its connection is not kept then.
const MAX_RESPONSE: usize = 64 << 10;

/// Requests the hook at `path` and waits for its response, until `margin` before the deadline of
/// the invocation. `payload` is the invocation's event.
pub fn run(
    config: &Config,
    path: &str,
    app: App,
    payload: &[u8],
    invocation: &Invocation,
    margin: Duration,
) {
    if let Err(cause) = request_hook(config, path, app, payload, invocation, margin) {
        warn!("failed to run the after-response hook `{path}`: {cause}");
    }
}

fn request_hook(
    config: &Config,
    path: &str,
    app: App,
    payload: &[u8],
    invocation: &Invocation,
    margin: Duration,
) -> Result<(), String> {
    let timeout = deadline::time_left(invocation.effective_deadline_ms(), margin);
    if timeout.is_zero() {
        return Err("no time is left before the deadline".into());
    }
    let event = event::parse(payload).map_err(|failure| failure.message)?;
    let request = request::after_response(path, &event, invocation, config);
    // The only warning is that of the timeout.
    let mut deadline = Deadline::after(String::new(), timeout, timeout);
    let mut exchange = || {
        let (response, mut body) = app.client.send(&request, &mut deadline)?;
        let status = response.status;
        // The work has ended when the response has.
        body.read_to(&mut Vec::new(), MAX_RESPONSE)?;
        Ok(status)
    };
    let status = exchange().map_err(|failure: Failure| match app.supervisor {
        Some(supervisor) if failure.connection_lost => {
            supervisor.with_exit_status(failure, app.generation).message
        }
        _ => failure.message,
    })?;
    if status >= 400 {
        return Err(format!("the app responded with status {status}"));
    }
    let took = deadline.elapsed_ms();
    debug!("the after-response hook `{path}` took {took} ms");
    Ok(())
}
