//! What is known of an environment at a moment: its extensions and processes, what runs, what waits, what has failed.
//!
//! Questions and small changes only; who may ask and who waits is the business of `environment.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::invocation::{Fault, Invocation, Refusal};
use crate::json::{Json, object};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The event is with the runtime.
    Sent,
    /// The answer is arriving.
    Answering,
    /// The answer is complete; classic runtimes are done with it when they ask for the next event.
    Answered,
}

/// How far the answer to an invocation has come.
pub enum Answer {
    None,
    Begun,
    Given,
}

pub struct Running {
    pub invocation: Arc<Invocation>,
    pub phase: Phase,
    pub error: Option<String>,
}

pub struct Extension {
    pub id: String,
    pub name: String,
    pub external: bool,
    pub invoke: bool,
    pub shutdown: bool,
    pub parked: bool,
    pub events: VecDeque<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Restore {
    #[default]
    NotAsked,
    Parked,
    Released,
}

pub struct Process {
    /// The file name of an extension; `None` is the runtime.
    pub extension: Option<String>,
    pub group: u32,
    pub exited: bool,
}

#[derive(Default)]
pub struct State {
    pub extensions: Vec<Extension>,
    pub processes: Vec<Process>,
    pub registration_closed: bool,
    /// Has the runtime asked for an event before?
    pub started: bool,
    pub parked: u32,
    pub restore: Restore,
    pub waiting: VecDeque<Arc<Invocation>>,
    pub running: Vec<Running>,
    /// Managed Instances: what timed out, and may still be answered once with a 410.
    pub expired: Vec<String>,
    pub fault: Option<Fault>,
    pub stopping: bool,
    pub out_of_memory: bool,
    pub peak_memory: u64,
    pub over: bool,
}

impl State {
    pub fn extension(&mut self, id: &str) -> Result<&mut Extension, Refusal> {
        let refusal = || Refusal {
            status: 403,
            kind: "Extension.UnknownExtensionIdentifier",
            message: "Unknown extension identifier".to_owned(),
        };
        self.extensions
            .iter_mut()
            .find(|extension| extension.id == id)
            .ok_or_else(refusal)
    }

    pub fn runtime_state(&self) -> &'static str {
        match self.running.first().map(|running| running.phase) {
            Some(Phase::Sent) => "Running",
            Some(Phase::Answering) => "InvocationResponse",
            Some(Phase::Answered) => "RuntimeResponseSentState",
            None if self.started => "Ready",
            None if self.restore != Restore::NotAsked => "RestoreReady",
            None => "Started",
        }
    }

    pub fn all_registered(&self, externals: &[String]) -> bool {
        externals.iter().all(|name| {
            self.extensions
                .iter()
                .any(|extension| extension.name == *name)
        })
    }

    /// Is the runtime waiting for an event?
    pub fn runtime_parked(&self) -> bool {
        self.parked > 0
    }

    /// Does the runtime wait for a restore (SnapStart)?
    pub fn restore_parked(&self) -> bool {
        self.restore == Restore::Parked
    }

    pub fn release_restore(&mut self) {
        self.restore = Restore::Released;
    }

    pub fn close_registration(&mut self) {
        self.registration_closed = true;
    }

    pub fn extensions_parked(&self) -> bool {
        self.extensions.iter().all(|extension| extension.parked)
    }

    /// The names of the extensions that have not asked for an event yet.
    pub fn unparked(&self) -> Vec<String> {
        self.extensions
            .iter()
            .filter(|extension| !extension.parked)
            .map(|extension| extension.name.clone())
            .collect()
    }

    /// Is the runtime done with this invocation, and with what error type? Extensions that were told of it must be done too.
    pub fn finished(&mut self, id: &str, managed: bool) -> Option<Option<String>> {
        if self.waiting.iter().any(|invocation| invocation.id == id) {
            return None;
        }
        let place = self
            .running
            .iter()
            .position(|running| running.invocation.id == id)?;
        let running = self.running.get(place)?;
        let parked = self
            .extensions
            .iter()
            .all(|extension| !extension.invoke || extension.parked);
        let done = running.phase == Phase::Answered && parked && (managed || self.parked > 0);
        done.then(|| self.running.remove(place).error)
    }

    /// Takes an invocation away from the runtime; tells how far its answer had come.
    pub fn abandon(&mut self, id: &str, managed: bool) -> Answer {
        self.waiting.retain(|invocation| invocation.id != id);
        let phase = self
            .running
            .iter()
            .find(|running| running.invocation.id == id)
            .map(|running| running.phase);
        self.running.retain(|running| running.invocation.id != id);
        if managed && phase == Some(Phase::Sent) {
            self.expired.push(id.to_owned());
        }
        match phase {
            None | Some(Phase::Sent) => Answer::None,
            Some(Phase::Answering) => Answer::Begun,
            Some(Phase::Answered) => Answer::Given,
        }
    }

    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// Why nothing can be expected of this environment any more.
    pub fn failure(&self) -> Option<Fault> {
        let stopped = || Fault::new("Sandbox.Terminated", "lambda-local was stopped");
        self.fault.clone().or_else(|| self.over.then(stopped))
    }

    /// Has init ended, and is no invocation going on?
    pub fn is_idle(&self) -> bool {
        self.started && self.running.is_empty() && self.waiting.is_empty()
    }

    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Tells the subscribers of it that the end is near.
    pub fn announce_shutdown(&mut self, reason: &str, deadline_ms: i64) {
        let event = object([
            ("eventType", "SHUTDOWN".into()),
            ("deadlineMs", Json::Int(deadline_ms)),
            ("shutdownReason", reason.into()),
        ]);
        for extension in self
            .extensions
            .iter_mut()
            .filter(|extension| extension.shutdown)
        {
            extension.events.push_back(event.to_string());
        }
    }
}

pub fn wrong_state(from: &str, to: &str) -> Refusal {
    let message = format!(
        "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
    );
    Refusal {
        status: 403,
        kind: "InvalidStateTransition",
        message,
    }
}
