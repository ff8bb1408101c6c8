//! Work after the response: a request to a hook of the app, which the app holds open while it
//! has work.
//!
//! The caller has its response once the reply is posted, and Lambda freezes the environment
//! once the next invocation is requested ("Lambda execution environment lifecycle", invoke
//! phase). The hook is requested in between. Nothing that happens in it changes the outcome of
//! the invocation, so its failures are warnings.

use std::time::Duration;

use crate::logger::line::{debug, warn};

use super::NO_TIME;
use super::forward::App;
use crate::config::Config;
use crate::invocation::Invocation;
use crate::net::deadline::{self, Deadline};
use crate::translate::{context_headers, source};

/// Lambda always gives a deadline; an emulator may not, or one that is past.
const WITHOUT_DEADLINE: Duration = Duration::from_secs(60);

/// Requests the hook at `path` and waits for its response, until `margin` before the deadline of
/// the invocation. `payload` is the invocation's event.
#[cold]
#[inline(never)]
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
    let deadline_ms = invocation.effective_deadline_ms();
    let timeout = match deadline_ms {
        Some(_) => deadline::time_left(deadline_ms, margin),
        None => WITHOUT_DEADLINE,
    };
    if timeout.is_zero() {
        return Err(NO_TIME.into());
    }
    let mut request = app.client.own_request("POST", path);
    let event = source::members(payload);
    let context = event.member("requestContext");
    context_headers::add(&mut request.headers, context, invocation, config);
    // The only warning is that of the timeout.
    let mut deadline = Deadline::after(String::new(), timeout, timeout);
    let status = app
        .client
        .exchange(&request, &mut deadline, &mut Vec::new());
    match status {
        Ok(status @ 400..) => Err(format!("the app responded with status {status}")),
        Ok(_) => {
            let took = deadline.elapsed_ms();
            debug!("the after-response hook `{path}` took {took} ms");
            Ok(())
        }
        Err(mut failure) => {
            // A hook that takes too long does not have the app killed.
            if failure.connection_lost {
                app.add_exit_status(&mut failure);
            }
            Err(failure.message)
        }
    }
}
