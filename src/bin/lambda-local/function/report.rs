//! The report of an invocation or of a failed init, and which part of it is logged where.

use std::thread;
use std::time::Duration;

use super::outcome::{Outcome, status_of};
use super::variables::Ports;
use super::{Function, lock, output, port_hint};
use crate::cli::options::{Details, Init};
use crate::function::environment::Environment;
use crate::invocation::{Fault, RESPONSE_TOO_LARGE, TRUNCATED_RESPONSE};
use crate::log::{PlatformEvent, Report, Status};
use crate::web::recorder::Recording;

/// An app may print the cause of a server error only after the response, as Express and Uvicorn do.
const TRACEBACK_DELAY: Duration = Duration::from_millis(200);

impl Function {
    /// Logs what the processes have written, so that it stands before the report. A freeze ends
    /// the output as on Lambda.
    pub(super) fn flush_output(&self, environment: &Environment, recording: &Recording) {
        if recording.is_server_error() && !self.setup.options.freeze {
            thread::sleep(TRACEBACK_DELAY);
        }
        output::flush(environment);
    }

    pub(super) fn report(
        &self,
        id: &str,
        outcome: &Outcome,
        mut report: Report,
        recording: &Recording,
    ) {
        let logger = &self.setup.logger;
        report.status = match outcome {
            Outcome::Finished(None) => Status::Success,
            Outcome::Finished(Some(error_type)) => Status::Error(error_type.clone()),
            Outcome::Failed(fault) => {
                recording.fault(fault);
                let error = if fault.is_timeout() { "" } else { "Error: " };
                let message = &format!("{error}{}", fault.message);
                logger.platform(&PlatformEvent::Fault { id, message });
                status_of(fault)
            }
        };
        logger.platform(&PlatformEvent::End { id });
        let event = PlatformEvent::Report {
            id,
            report: &report,
        };
        logger.platform(&event);
        recording.report(&report);
        lock(&self.summary).add(&report);
    }

    pub(super) fn report_init(&self, fault: &Fault, duration: Duration, phase: &str) {
        let logger = &self.setup.logger;
        logger.platform(&PlatformEvent::InitReport {
            duration,
            init_type: self.setup.init_type(),
            phase,
            status: &status_of(fault),
        });
        // A failure during an invocation is logged with its report, but a timeout only as one of
        // the invocation.
        if phase == "init" || fault.is_timeout() {
            logger.warn(&format!("init failed: {}", fault.message));
            if let Some(hint) = self.init_hint(fault, phase) {
                logger.warn(&hint);
            }
        }
    }

    /// Reports the start of an environment with its first invocation.
    pub(super) fn report_cold_start(&self, ports: Ports, recording: &Recording) {
        let Some(cold_start) = self.setup.startups.finish(ports.app) else {
            return;
        };
        if self.setup.options.report == Details::ColdStart {
            self.setup.logger.cold_start(&cold_start);
        }
        recording.cold_start(&cold_start);
    }

    fn init_hint(&self, fault: &Fault, phase: &str) -> Option<String> {
        if !fault.is_timeout() {
            return port_hint::missing_value(&self.setup.args);
        }
        // An app that responds with something else does listen in time.
        let is_slow_start =
            phase == "init" && self.setup.adapter.is_some() && fault.message.contains("refused");
        (is_slow_start && self.setup.options.init == Init::OnDemand).then(|| {
            "if the app only takes longer to start than Lambda's 10 s for an init, it needs \
             AWS_LWA_ASYNC_INIT=true: the first request then waits for it"
                .to_owned()
        })
    }

    /// Logs the cause of a failed invocation, unless it is logged elsewhere: a `Fault` line is a
    /// part of the report, and the adapter logs the errors that it posts.
    pub fn log_fault(&self, fault: &Fault) {
        let is_posted = fault.body.is_some() || fault.error_type == RESPONSE_TOO_LARGE;
        let is_truncated = fault.error_type == TRUNCATED_RESPONSE;
        if is_truncated || (is_posted && self.setup.adapter.is_none()) {
            let warning = format!("the invocation failed: {fault}");
            self.setup.logger.warn(&warning);
        }
    }
}
