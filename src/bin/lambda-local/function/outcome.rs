//! The end of an invocation: its outcome, and the failures that Lambda reports in place of the
//! runtime.

use std::sync::mpsc::SyncSender;
use std::time::Duration;

use crate::function::state::ResponseProgress;
use crate::invocation::{Fault, Reply};
use crate::log::Status;

#[derive(Debug)]
pub enum Outcome {
    /// The runtime has finished the invocation, perhaps with an error of this type.
    Finished(Option<String>),
    Failed(Fault),
}

/// Returns the fault of an invocation that has run into its timeout.
pub fn timed_out(after: Duration) -> Fault {
    let seconds = after.as_secs_f64();
    let message = format!("Task timed out after {seconds:.2} seconds");
    Fault::new("Sandbox.Timedout", message)
}

pub fn status_of(fault: &Fault) -> Status {
    if fault.is_timeout() {
        Status::Timeout
    } else {
        Status::Error(fault.error_type.clone())
    }
}

/// Sends the reply, or the end of the stream, that the runtime can no longer send.
pub fn reply_failure(fault: &Fault, progress: ResponseProgress, reply: &SyncSender<Reply>) {
    let last = match progress {
        ResponseProgress::NotStarted => Reply::Failed(fault.clone()),
        ResponseProgress::Started => Reply::StreamEnd(Some(fault.clone())),
        ResponseProgress::Complete => return,
    };
    // On a thread, because the channel may be full of chunks for a slow client. The error for a
    // client that has disconnected is dropped.
    let reply = reply.clone();
    std::thread::spawn(move || reply.send(last));
}
