//! Delivers the outcome of an invocation: a reply, a streamed reply, or a failure.
//!
//! A refused delivery ends this invocation and nothing else. It is logged, since the caller
//! gets no more than a generic error.

use log::error;

use super::{ApiError, Runtime};
use crate::error::Failure;
use crate::http::body_reader::BodyReader;
use crate::invocation::Invocation;

/// A reply, ready to be posted to `/response`.
pub enum Reply<'a> {
    Buffered(&'a [u8]),
    Streamed {
        prelude: &'a [u8],
        body: Box<dyn BodyReader + 'a>,
    },
}

/// Posts the reply to `/response`, or the failure to `/error`.
pub fn deliver(runtime: &mut Runtime, invocation: &Invocation, outcome: Result<Reply, Failure>) {
    let (subject, delivered) = match outcome {
        Ok(Reply::Buffered(reply)) => (
            "the reply",
            with_retry(|| runtime.respond(invocation, reply)),
        ),
        // Not retried: what has been read of the body is gone.
        Ok(Reply::Streamed { prelude, mut body }) => (
            "the rest of a streamed response",
            runtime.respond_streaming(invocation, prelude, &mut *body),
        ),
        Err(failure) => {
            error!("invocation failed: {failure}");
            let delivered = with_retry(|| runtime.fail(invocation, &failure));
            ("the failure", delivered)
        }
    };
    if let Err(cause) = delivered {
        error!("{subject} is lost: the Runtime API did not accept it: {cause}");
    }
}

/// Posts once more, on a new connection, where the first one broke. That repeats nothing: the
/// API accepts one reply to each invocation.
fn with_retry(mut post: impl FnMut() -> Result<(), ApiError>) -> Result<(), ApiError> {
    match post() {
        Err(ApiError::Closed(_) | ApiError::Transport(_)) => post(),
        posted => posted,
    }
}
