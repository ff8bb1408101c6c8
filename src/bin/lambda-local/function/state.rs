//! The state of an environment: its extensions and processes, the invocations in flight, the error.
//!
//! Queries and small changes only; blocking and locking are in `environment.rs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::function::outcome::timed_out;
use crate::function::output::Output;
use crate::function::process::Ids;
use crate::invocation::{ApiError, Fault, Invocation};
use crate::json::{Json, object};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// One invocation at a time.
    Standard,
    /// Managed Instances: as many invocations at a time as the runtime polls for.
    Managed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The runtime has the event.
    Sent,
    /// The runtime is posting its response.
    Responding,
    /// The response is complete. A standard runtime has finished the invocation only when it polls
    /// for the next event.
    Responded,
}

/// How much of a response was posted when its invocation was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseProgress {
    NotStarted,
    Started,
    Complete,
}

/// An invocation that the runtime has received.
#[derive(Debug)]
pub struct Running {
    pub invocation: Arc<Invocation>,
    pub phase: Phase,
    pub error_type: Option<String>,
    /// The client has the whole reply, or will have it at once.
    pub has_reply: bool,
    /// It times out before its deadline.
    pub is_cut_short: bool,
}

#[derive(Debug)]
pub struct Extension {
    pub id: String,
    pub name: String,
    pub is_external: bool,
    /// Subscribed to INVOKE events.
    pub invoke: bool,
    /// Subscribed to SHUTDOWN events.
    pub shutdown: bool,
    pub is_polling: bool,
    pub events: VecDeque<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restore {
    #[default]
    NotRequested,
    /// The runtime blocks in `/restore/next`.
    Requested,
    Released,
}

#[derive(Debug)]
pub struct Process {
    /// File name of an extension; `None` for the runtime.
    pub extension: Option<String>,
    pub ids: Ids,
    pub outputs: Vec<Arc<Output>>,
    pub has_exited: bool,
}

impl Process {
    pub fn is_runtime(&self) -> bool {
        self.extension.is_none()
    }
}

#[derive(Debug, Default)]
pub struct State {
    pub extensions: Vec<Extension>,
    pub processes: Vec<Process>,
    pub registration_closed: bool,
    /// The runtime has polled for an event at least once.
    pub has_polled: bool,
    /// Threads that are blocked in `/next`.
    pub pollers: u32,
    pub restore: Restore,
    pub queue: VecDeque<Arc<Invocation>>,
    pub running: Vec<Running>,
    /// Managed Instances: invocations that timed out; the first late response to each gets a 410.
    pub expired: Vec<String>,
    /// Invocations that have ended with an error and are not reported yet.
    pub ending: u32,
    pub fault: Option<Fault>,
    pub is_stopping: bool,
    pub is_out_of_memory: bool,
    pub peak_memory: u64,
    pub is_closed: bool,
}

impl State {
    pub fn extension(&mut self, id: &str) -> Result<&mut Extension, ApiError> {
        self.extensions
            .iter_mut()
            .find(|extension| extension.id == id)
            .ok_or(ApiError::UnknownExtensionId)
    }

    /// Returns the error for a call that is not allowed in the current state of the runtime.
    pub fn invalid_transition(&self, to: &'static str) -> ApiError {
        let from = match self.running.first().map(|running| running.phase) {
            Some(Phase::Sent) => "Running",
            Some(Phase::Responding) => "InvocationResponse",
            Some(Phase::Responded) => "RuntimeResponseSentState",
            None if self.has_polled => "Ready",
            None if self.restore != Restore::NotRequested => "RestoreReady",
            None => "Started",
        };
        ApiError::InvalidStateTransition { from, to }
    }

    pub fn all_registered(&self, externals: &[String]) -> bool {
        let names = self.extensions.iter().map(|extension| &extension.name);
        externals
            .iter()
            .all(|external| names.clone().any(|name| name == external))
    }

    pub fn runtime_is_polling(&self) -> bool {
        self.pollers > 0
    }

    pub fn restore_is_requested(&self) -> bool {
        self.restore == Restore::Requested
    }

    /// Returns the names of the extensions that do not poll for an event.
    pub fn extensions_not_polling(&self) -> Vec<String> {
        self.extensions
            .iter()
            .filter(|extension| !extension.is_polling)
            .map(|extension| extension.name.clone())
            .collect()
    }

    /// Returns the guards of the processes that match.
    pub fn guards(&self, matches: impl Fn(&Process) -> bool) -> Vec<u32> {
        let matching = self.processes.iter().filter(|process| matches(process));
        matching.map(|process| process.ids.guard).collect()
    }

    /// Removes an invocation that the runtime, and each extension that received its INVOKE event,
    /// has finished.
    pub fn take_finished(&mut self, id: &str, compute: Compute) -> Option<Running> {
        if self.queue.iter().any(|invocation| invocation.id == id) {
            return None;
        }
        let index = self.running_index(id)?;
        let running = self.running.get(index)?;
        let mut subscribers = self.extensions.iter().filter(|extension| extension.invoke);
        let is_finished = running.phase == Phase::Responded
            && subscribers.all(|extension| extension.is_polling)
            && (compute == Compute::Managed || self.runtime_is_polling());
        is_finished.then(|| self.running.remove(index))
    }

    /// Removes an invocation that has failed or timed out.
    pub fn abort(&mut self, id: &str, compute: Compute) -> ResponseProgress {
        self.queue.retain(|invocation| invocation.id != id);
        let index = self.running_index(id);
        let phase = index.map(|index| self.running.remove(index).phase);
        if compute == Compute::Managed && phase == Some(Phase::Sent) {
            self.expired.push(id.to_owned());
        }
        match phase {
            None | Some(Phase::Sent) => ResponseProgress::NotStarted,
            Some(Phase::Responding) => ResponseProgress::Started,
            Some(Phase::Responded) => ResponseProgress::Complete,
        }
    }

    fn running_index(&self, id: &str) -> Option<usize> {
        let mut running = self.running.iter();
        running.position(|running| running.invocation.id == id)
    }

    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// Returns true during init and invocations.
    pub fn is_working(&self) -> bool {
        !self.is_idle()
    }

    /// Returns true between two invocations.
    pub fn is_idle(&self) -> bool {
        let is_empty = self.running.is_empty() && self.queue.is_empty();
        self.has_polled && is_empty && self.ending == 0
    }

    /// Returns true if every invocation has its reply.
    pub fn is_finishing(&self) -> bool {
        let mut running = self.running.iter();
        self.has_polled && self.queue.is_empty() && running.all(|running| running.has_reply)
    }

    /// Returns true if an invocation has its reply, and the runtime has not finished it.
    pub fn has_replied(&self) -> bool {
        let is_usable = !self.is_closed && self.fault.is_none();
        is_usable && self.running.iter().any(|running| running.has_reply)
    }

    pub fn set_has_reply(&mut self, id: &str) {
        let mut running = self.running.iter_mut();
        if let Some(running) = running.find(|running| running.invocation.id == id) {
            running.has_reply = true;
        }
    }

    /// Returns the error that makes this environment unusable.
    pub fn failure(&self) -> Option<Fault> {
        let stopped = || Fault::new("Sandbox.Terminated", "lambda-local was stopped");
        self.fault.clone().or_else(|| self.is_closed.then(stopped))
    }

    /// Lets all running invocations time out.
    pub fn cut_all_short(&mut self) {
        for running in &mut self.running {
            running.is_cut_short = true;
        }
    }

    /// Returns the time-out of an invocation that the page has ended.
    pub fn cut_short(&self, id: &str, started: Instant) -> Option<Fault> {
        let running = self.running.get(self.running_index(id)?)?;
        running.is_cut_short.then(|| timed_out(started.elapsed()))
    }

    /// Queues a SHUTDOWN event for each extension that subscribed to it.
    pub fn send_shutdown(&mut self, reason: &str, deadline_ms: i64) {
        let event = object([
            ("eventType", "SHUTDOWN".into()),
            ("deadlineMs", Json::Int(deadline_ms)),
            ("shutdownReason", reason.into()),
        ]);
        for extension in &mut self.extensions {
            if extension.shutdown {
                extension.events.push_back(event.to_string());
            }
        }
    }
}
