//! Throttling: an invocation that finds all environments in use.
//!
//! "Lambda function scaling" in the developer guide. A throttled request never becomes an
//! invocation, so Lambda logs nothing about it.

use std::sync::mpsc::SyncSender;

use super::variables::Setup;
use crate::invocation::{Fault, Reply, THROTTLED};
use crate::web::recorder::Recording;

pub fn reply(setup: &Setup, recording: &Recording, reply: &SyncSender<Reply>) {
    let limit = setup.options.max_environments.unwrap_or_default();
    let message = format!("all {limit} environments are in use (--max-environments)");
    setup
        .logger
        .warn(&format!("a request was throttled: {message}"));
    let fault = Fault::new(THROTTLED, message);
    recording.refused(&fault);
    // The client may have disconnected.
    let _ = reply.send(Reply::Failed(fault));
}
