//! The last step of an invocation: its reply to `/response`, or its failure to `/error`.

use log::{error, warn};

use crate::error::Failure;
use crate::invocation::Invocation;
use crate::runtime::{ApiError, Runtime, error_body};

/// Posts the reply. A refusal ends this invocation and nothing else; it is told, since the
/// caller gets no more than a generic error.
pub fn reply(runtime: &Runtime, invocation: &Invocation, body: &[u8]) {
    let mut posted = runtime.respond(invocation, body);
    // The kept connection may have gone stale. A second post cannot do harm: the API takes
    // one answer for each invocation.
    if let Err(ApiError::Transport(_)) = posted {
        posted = runtime.respond(invocation, body);
    }
    if let Err(refusal) = posted {
        error!("the answer is lost: the Runtime API did not take it: {refusal}");
    }
}

/// Posts the failure.
pub fn failure(runtime: &Runtime, invocation: &Invocation, failure: &Failure) {
    warn!("invocation failed: {failure}");
    let body = error_body(&failure.error_type, &failure.message);
    let class = failure.class.name();
    let mut posted = runtime.fail(invocation, class, &body);
    if let Err(ApiError::Transport(_)) = posted {
        posted = runtime.fail(invocation, class, &body);
    }
    if let Err(refusal) = posted {
        error!("the failure is lost: the Runtime API did not take it: {refusal}");
    }
}
