//! Throttling: an invocation that finds all environments in use.
//!
//! "Lambda function scaling" in the developer guide. A throttled request never becomes an
//! invocation, so Lambda logs nothing about it.

use std::sync::mpsc::SyncSender;

use super::variables::Setup;
use crate::invocation::{Fault, Reply, THROTTLED};

pub fn reply(setup: &Setup, reply: &SyncSender<Reply>) {
    let limit = setup.options.max_environments.unwrap_or_default();
    let message = format!("all {limit} environments are in use (--max-environments)");
    setup
        .logger
        .warn(&format!("a request was throttled: {message}"));
    // The client may have disconnected.
    let _ = reply.send(Reply::Failed(Fault::new(THROTTLED, message)));
}
