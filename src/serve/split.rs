//! A batch of records, forwarded one request after the other.
//!
//! The outcome of the batch is one reply or one failure: Lambda retries the records that the
//! reply lists, or the whole batch after a failure ("Error handling for an SQS event source in
//! Lambda"). A record counts as failed until the app has responded to it with 2xx, so that none
//! is lost when time runs out or the app is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::{debug, warn};

use super::DEFAULT_MARGIN;
use super::forward::App;
use crate::config::Config;
use crate::error::{Class, Failure};
use crate::invocation::Invocation;
use crate::lambda::deliver::Reply;
use crate::net::deadline::{self, Deadline};
use crate::translate::records::{Batch, Progress};
use crate::translate::reply;

/// A longer response is not read to its end; its connection is not kept then.
const MAX_RESPONSE: usize = 64 << 10;

/// Whether the setting that partial failures need was named in the log.
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
    pub fn forward<'o>(
        mut self,
        batch: &Batch,
        out: &'o mut Vec<u8>,
    ) -> Result<Reply<'o>, Failure> {
        let mut progress = Progress::new(batch);
        let deadline_ms = self.invocation.effective_deadline_ms();
        let margin = self.config.timeout_margin.unwrap_or(DEFAULT_MARGIN);
        let margin = deadline::margin_within(deadline_ms, margin);
        let mut first: Option<(usize, Failure)> = None;
        while let Some(index) = progress.next_index() {
            let outcome = self.forward_record(batch, index, margin);
            progress.record(index, outcome.is_ok());
            let Err(failure) = outcome else { continue };
            debug!("the record `{}` failed: {failure}", batch.id(index));
            let ends_batch = ends_batch(failure.class);
            first.get_or_insert((index, failure));
            if ends_batch {
                break;
            }
        }
        if let Some((index, failure)) = first {
            let (count, id) = (batch.len(), batch.id(index).escape_debug());
            let failed = progress.failed().count();
            let summary = format!("{failed} of {count} records failed, the first `{id}`");
            if progress.fails() {
                return Err(Failure {
                    message: format!("{summary}: {}", failure.message),
                    connection_lost: false,
                    ..failure
                });
            }
            warn!("{summary}: {failure}");
            if !WARNED.swap(true, Ordering::Relaxed) {
                warn!(
                    "Lambda retries the failed records only if the event source mapping has \
                     ReportBatchItemFailures; without it the whole batch counts as processed"
                );
            }
        }
        progress.write_reply(out);
        Ok(Reply::Buffered(out))
    }

    /// Succeeds if the app responds with 2xx, `margin` before the deadline at the latest.
    fn forward_record(
        &mut self,
        batch: &Batch,
        index: usize,
        margin: Duration,
    ) -> Result<(), Failure> {
        let App {
            client,
            supervisor,
            generation,
        } = &mut self.app;
        let deadline_ms = self.invocation.effective_deadline_ms();
        if deadline::time_left(deadline_ms, margin).is_zero() {
            let message = "no time is left before the deadline".into();
            return Err(Failure::new(Class::AppTimeout, message));
        }
        let request = batch
            .request(
                index,
                &self.target,
                self.invocation,
                self.config,
                self.message,
            )
            .map_err(|message| Failure::new(Class::InvalidEvent, message))?;
        let subject = format!("POST {}", request.target.escape_ascii());
        let mut deadline = Deadline::at(subject, deadline_ms, Some(margin));
        let response = &mut *self.response;
        response.clear();
        let mut exchange = || {
            let (head, mut body) = client.send(&request, &mut deadline)?;
            let status = head.status;
            body.read_to(response, MAX_RESPONSE)?;
            Ok(status)
        };
        let status = exchange();
        *self.reached |= !is_unreachable(&status);
        let errors = &self.config.error_statuses;
        match (status, supervisor) {
            (Ok(status @ 200..=299), _) if !errors.contains(status) => Ok(()),
            (Ok(status), _) => Err(reply::status_failure(status, response, None)),
            (Err(failure), Some(supervisor)) => {
                Err(supervisor.with_exit_status(failure, *generation))
            }
            (Err(failure), None) => Err(failure),
        }
    }
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
