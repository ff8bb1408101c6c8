//! A batch of records, forwarded one request after the other.
//!
//! The outcome of the batch is one reply or one failure: Lambda retries the records that the
//! reply lists, or the whole batch after a failure ("Error handling for an SQS event source in
//! Lambda"). A record counts as failed until the app has responded to it with 2xx, so that none
//! is lost when time runs out or the app is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::logger::line::{debug, warn};

use super::forward::App;
use super::{DEFAULT_MARGIN, NO_TIME};
use crate::config::Config;
use crate::error::{Class, Failure};
use crate::invocation::Invocation;
use crate::lambda::deliver::Reply;
use crate::net::deadline::{self, Deadline};
use crate::translate::records::Batch;
use crate::translate::reply;

/// What partial failures need.
const ADVICE: &str = "; Lambda retries the failed records only if the event source mapping has \
     ReportBatchItemFailures; without it the whole batch counts as processed";

/// Whether the advice was logged.
static WARNED: AtomicBool = AtomicBool::new(false);

/// One batch on its way to the app.
pub struct Split<'a> {
    pub config: &'a Config,
    pub app: App<'a>,
    pub invocation: &'a Invocation,
    /// The request target of each record.
    pub target: Vec<u8>,
    /// Set if a request was sent.
    pub reached: &'a mut bool,
    /// Memory for the message and for the response of a record.
    pub message: &'a mut Vec<u8>,
    pub response: &'a mut Vec<u8>,
}

impl Split<'_> {
    /// Forwards the records and returns the reply, written to `out`.
    #[cold]
    #[inline(never)]
    pub fn forward<'o>(
        &mut self,
        batch: &mut Batch,
        out: &'o mut Vec<u8>,
    ) -> Result<Reply<'o>, Failure> {
        let deadline_ms = self.invocation.effective_deadline_ms();
        let margin = self.config.timeout_margin.unwrap_or(DEFAULT_MARGIN);
        let margin = deadline::margin_within(deadline_ms, margin);
        let mut first = None;
        while let Some(index) = batch.next_index() {
            let outcome = self.forward_record(batch, index, deadline_ms, margin);
            batch.record_outcome(index, outcome.is_ok());
            let Err(failure) = outcome else { continue };
            debug!("the record `{}` failed: {failure}", batch.id(index));
            let ends_batch = ends_batch(failure.class);
            first.get_or_insert(failure);
            if ends_batch {
                break;
            }
        }
        if let Some(mut failure) = first {
            let (count, (failed, id)) = (batch.len(), batch.failed());
            let summary = format!("{failed} of {count} records failed, the first `{id}`: ");
            if batch.fails(failed) {
                failure.message = summary + &failure.message;
                failure.connection_lost = false;
                return Err(failure);
            }
            let is_first = !WARNED.swap(true, Ordering::Relaxed);
            warn!("{summary}{failure}{}", if is_first { ADVICE } else { "" });
        }
        batch.write_reply(out);
        Ok(Reply::Buffered(out))
    }

    /// Succeeds if the app responds with 2xx, `margin` before the deadline at the latest.
    #[inline(never)]
    fn forward_record(
        &mut self,
        batch: &Batch,
        index: usize,
        deadline_ms: Option<u64>,
        margin: Duration,
    ) -> Result<(), Failure> {
        let (target, invocation, config) = (&self.target, self.invocation, self.config);
        if deadline::time_left(deadline_ms, margin).is_zero() {
            return fail(Class::AppTimeout, NO_TIME);
        }
        if batch.read_message(index, self.message).is_none() {
            let cause = "the message of the record cannot be decoded";
            return fail(Class::InvalidEvent, cause);
        }
        let request = batch.request(index, target, invocation, config, self.message);
        let mut deadline = Deadline::at(request.name(), deadline_ms, Some(margin));
        let App { client, .. } = &mut self.app;
        let status = client.exchange(&request, &mut deadline, self.response);
        *self.reached |= !is_unreachable(&status);
        match status {
            Ok(status @ 200..=299) if !config.error_statuses.contains(status) => Ok(()),
            Ok(status) => Err(reply::status_failure(status, self.response, Some(target))),
            Err(mut failure) => {
                self.app.add_exit_status(&mut failure);
                Err(failure)
            }
        }
    }
}

/// The outcome of a record that is not sent.
#[cold]
#[inline(never)]
fn fail(class: Class, cause: &str) -> Result<(), Failure> {
    Err(Failure::new(class, cause.into()))
}

/// Whether the outcome of an exchange is that no connection could be made.
pub fn is_unreachable<T>(outcome: &Result<T, Failure>) -> bool {
    matches!(outcome, Err(failure) if failure.class == Class::AppUnreachable)
}

/// Whether no later record can succeed: there is no time left, or no app.
fn ends_batch(class: Class) -> bool {
    matches!(
        class,
        Class::AppTimeout | Class::AppUnreachable | Class::AppExited
    )
}
