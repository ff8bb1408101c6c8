//! Delivers the outcome of an invocation: a reply, a streamed reply, or a failure.
//!
//! A refused delivery ends this invocation and nothing else. It is logged, since the caller
//! gets no more than a generic error.

use crate::logger::line::error;

use super::{ApiError, Runtime};
use crate::error::{Class, Failure};
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
        Ok(Reply::Streamed { prelude, mut body }) => {
            match runtime.respond_streaming(invocation, prelude, &mut *body) {
                Err(ApiError::Unconnected(cause)) => {
                    // Closes the connection to the app, whose descriptor may be the missing one.
                    drop(body);
                    let message = format!("failed to connect to the Runtime API: {cause}");
                    let failure = Failure::new(Class::AppUnreachable, message);
                    ("the failure", fail(runtime, invocation, &failure))
                }
                delivered => ("the rest of a streamed response", delivered),
            }
        }
        Err(failure) => ("the failure", fail(runtime, invocation, &failure)),
    };
    if let Err(cause) = delivered {
        error!("{subject} is lost: the Runtime API did not accept it: {cause}");
    }
}

fn fail(runtime: &mut Runtime, invocation: &Invocation, failure: &Failure) -> Result<(), ApiError> {
    error!("invocation failed: {failure}");
    with_retry(|| runtime.fail(invocation, failure))
}

/// Posts once more, on a new connection, where the first one broke. That repeats nothing: the
/// API accepts one reply to each invocation.
fn with_retry(mut post: impl FnMut() -> Result<(), ApiError>) -> Result<(), ApiError> {
    match post() {
        Err(error) if error.is_retryable() => post(),
        posted => posted,
    }
}
