//! One execution environment: what the Runtime API and the Extensions API may do to it, and who waits for what.
//!
//! Everything the two APIs share is one `State` (`state.rs`) behind one lock and one condition: pollers park in it, the life cycle (`lifecycle.rs`) watches
//! it. An environment lives from init to shutdown; a reset throws it away, listener and all, and makes a new one, so nothing of the old
//! processes can reach the new ones. The rules are those of the Runtime API and Extensions API pages of the Lambda developer guide.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock;
use crate::function::state::{Extension, Phase, Restore, Running, State, wrong_state};
use crate::invocation::{Fault, Invocation, Refusal};
use crate::json::object;

/// The life of one environment, from init to shutdown.
pub struct Environment {
    pub address: SocketAddr,
    pub function_name: String,
    /// Managed Instances: this many invocations at once. `None`: classic, one at a time.
    pub concurrency: Option<u32>,
    pub snap_start: bool,
    /// File names of the external extensions: a registration under any other name is an internal one.
    pub externals: Vec<String>,
    pub tenant: Option<String>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Environment {
    pub fn new(
        address: SocketAddr,
        function_name: String,
        concurrency: Option<u32>,
        snap_start: bool,
        externals: Vec<String>,
        tenant: Option<String>,
    ) -> Environment {
        Environment {
            address,
            function_name,
            concurrency,
            snap_start,
            externals,
            tenant,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `ready` gives something; `None` when the deadline comes first.
    pub fn wait<T>(
        &self,
        deadline: Instant,
        mut ready: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&mut state) {
                return Some(result);
            }
            let left = deadline
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Sleeps until something changes. Whoever has changed something before must have said so: parkers that woke each other would never rest.
    fn park<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// `GET /runtime/invocation/next`: blocks until there is an event; `None` when there will be none for this caller.
    pub fn next(&self, caller: &TcpStream) -> Option<Arc<Invocation>> {
        let mut state = self.lock();
        state.started = true;
        if self.concurrency.is_none() {
            // The classic core hands the running event to whoever asks again, rather than let it wait.
            if let Some(running) = state
                .running
                .first()
                .filter(|running| running.phase != Phase::Answered)
            {
                return Some(running.invocation.clone());
            }
        }
        state.parked += 1;
        self.changed.notify_all();
        let found = loop {
            if state.over {
                break None;
            }
            if !state.waiting.is_empty() {
                if is_closed(caller) {
                    break None;
                }
                if let Some(invocation) = state.waiting.pop_front() {
                    state.running.push(Running {
                        invocation: invocation.clone(),
                        phase: Phase::Sent,
                        error: None,
                    });
                    break Some(invocation);
                }
            }
            state = self.park(state);
        };
        state.parked -= 1;
        drop(state);
        self.changed.notify_all();
        found
    }

    /// The start of a `/response` or `/error`: whose answer is it, and may it be given?
    pub fn begin_answer(&self, id: &str, token: Option<&str>) -> Result<Arc<Invocation>, Refusal> {
        self.change(|state| {
            if let Some(place) = state.expired.iter().position(|expired| expired == id) {
                state.expired.remove(place);
                return Err(Refusal {
                    status: 410,
                    kind: "InvokeTimeout",
                    message: "Invoke timeout".to_owned(),
                });
            }
            let running = state
                .running
                .iter_mut()
                .find(|running| running.invocation.id == id && running.phase == Phase::Sent);
            let running = running.ok_or_else(|| Refusal {
                status: 400,
                kind: "InvalidRequestID",
                message: "Invalid request ID".to_owned(),
            })?;
            if token.is_some_and(|token| token != running.invocation.token) {
                return Err(Refusal {
                    status: 410,
                    kind: "InvokeTimeout",
                    message: "Invoke timeout".to_owned(),
                });
            }
            running.phase = Phase::Answering;
            Ok(running.invocation.clone())
        })
    }

    /// The end of an answer, with the type of its error if it is one.
    pub fn finish_answer(&self, id: &str, error: Option<String>) {
        self.change(|state| {
            for running in state
                .running
                .iter_mut()
                .filter(|running| running.invocation.id == id)
            {
                running.phase = Phase::Answered;
                running.error.clone_from(&error);
            }
        });
    }

    /// `POST /runtime/init/error`, allowed only before the first `/next`.
    pub fn init_error(&self, fault: Fault) -> Result<(), Refusal> {
        self.change(|state| {
            if state.started {
                return Err(wrong_state(state.runtime_state(), "InitError"));
            }
            state.fault.get_or_insert(fault);
            Ok(())
        })
    }

    /// `GET /runtime/restore/next`: blocks until the restore; false when there will be none.
    pub fn restore_next(&self) -> Result<bool, Refusal> {
        let mut state = self.lock();
        if state.started || state.restore != Restore::NotAsked {
            return Err(wrong_state(state.runtime_state(), "RestoreReady"));
        }
        state.restore = Restore::Parked;
        self.changed.notify_all();
        while state.restore != Restore::Released && !state.over {
            state = self.park(state);
        }
        Ok(!state.over)
    }

    pub fn register(&self, name: &str, events: &[String]) -> Result<String, Refusal> {
        let external = self.externals.iter().any(|external| external == name);
        let refuse = |kind, message: &str| {
            Err(Refusal {
                status: 403,
                kind,
                message: message.to_owned(),
            })
        };
        self.change(|state| {
            if state.registration_closed {
                return refuse(
                    "Extension.RegistrationClosed",
                    "Extension registration closed already",
                );
            }
            if state
                .extensions
                .iter()
                .any(|extension| extension.name == name)
            {
                return refuse(
                    "Extension.InvalidExtensionState",
                    "Extension is registered already",
                );
            }
            if state.extensions.len() >= 10 {
                return refuse(
                    "Extension.TooManyExtensions",
                    "Extension limit (10) reached",
                );
            }
            let wants = |event: &str| events.iter().any(|wanted| wanted == event);
            let known = events
                .iter()
                .all(|event| event == "INVOKE" || event == "SHUTDOWN");
            let managed = self.concurrency.is_some();
            if !known || (managed && wants("INVOKE")) || (!external && wants("SHUTDOWN")) {
                return refuse(
                    "Extension.InvalidEventType",
                    "An event of this type cannot be subscribed here",
                );
            }
            let extension = Extension {
                id: clock::uuid(),
                name: name.to_owned(),
                external,
                invoke: wants("INVOKE"),
                shutdown: wants("SHUTDOWN"),
                parked: false,
                events: VecDeque::new(),
            };
            let id = extension.id.clone();
            state.extensions.push(extension);
            Ok(id)
        })
    }

    /// `GET /extension/event/next`: blocks until there is an event; `None` when there will be none.
    pub fn event_next(&self, id: &str) -> Result<Option<String>, Refusal> {
        let mut state = self.lock();
        loop {
            let over = state.over;
            let extension = state.extension(id)?;
            if over {
                return Ok(None);
            }
            if let Some(event) = extension.events.pop_front() {
                extension.parked = false;
                return Ok(Some(event));
            }
            if !extension.parked {
                extension.parked = true;
                self.changed.notify_all();
            }
            state = self.park(state);
        }
    }

    /// `POST /extension/init/error` and `/extension/exit/error`.
    pub fn extension_error(&self, id: &str, fault: Fault) -> Result<(), Refusal> {
        self.change(|state| {
            state.extension(id)?;
            state.fault.get_or_insert(fault);
            Ok(())
        })
    }

    /// Hands an event to the runtime and to the extensions that want to know of it.
    pub fn dispatch(&self, invocation: Arc<Invocation>, function_arn: &str) {
        let event = object([
            ("eventType", "INVOKE".into()),
            ("deadlineMs", invocation.deadline_ms.into()),
            ("requestId", invocation.id.as_str().into()),
            ("invokedFunctionArn", function_arn.into()),
            (
                "tracing",
                object([
                    ("type", "X-Amzn-Trace-Id".into()),
                    ("value", invocation.trace.as_str().into()),
                ]),
            ),
        ]);
        self.change(|state| {
            for extension in state
                .extensions
                .iter_mut()
                .filter(|extension| extension.invoke)
            {
                extension.parked = false;
                extension.events.push_back(event.to_string());
            }
            state.waiting.push_back(invocation);
        });
    }

    /// Ends every wait: nobody will be served here any more.
    pub fn close(&self) {
        self.change(|state| state.over = true);
        // The listener sleeps in accept; a connection wakes it, so that it sees that its time has come.
        let _ = TcpStream::connect(self.address);
    }
}

/// Has the peer closed this connection? Asked before an event is handed to a poller that may be gone.
fn is_closed(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let closed = match stream.peek(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).is_err() || closed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc::sync_channel;

    fn environment(concurrency: Option<u32>) -> Environment {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let environment = Environment::new(
            address,
            "f".to_owned(),
            concurrency,
            true,
            vec!["adapter".to_owned()],
            None,
        );
        let (reply, _) = sync_channel(8);
        let invocation = Invocation {
            id: "r1".to_owned(),
            token: "t1".to_owned(),
            payload: b"{}".to_vec(),
            deadline_ms: 0,
            trace: String::new(),
            client_context: None,
            tenant: None,
            reply,
        };
        environment.dispatch(Arc::new(invocation), "arn");
        environment
    }

    fn next(environment: &Environment) -> Option<String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (caller, _peer) = (
            TcpStream::connect(address).expect("a connection"),
            listener.accept().expect("a peer"),
        );
        environment
            .next(&caller)
            .map(|invocation| invocation.id.clone())
    }

    fn status<T>(answer: Result<T, Refusal>) -> u16 {
        answer.map_or_else(|refusal| refusal.status, |_| 202)
    }

    #[test]
    fn an_answer_is_taken_once_and_only_for_what_runs() {
        let environment = environment(None);
        assert_eq!(
            status(environment.begin_answer("r1", None)),
            400,
            "not handed out yet"
        );
        assert_eq!(next(&environment).as_deref(), Some("r1"));
        assert_eq!(status(environment.begin_answer("r2", None)), 400);
        assert_eq!(status(environment.begin_answer("r1", Some("other"))), 410);
        assert_eq!(status(environment.begin_answer("r1", Some("t1"))), 202);
        assert_eq!(status(environment.begin_answer("r1", Some("t1"))), 400);
    }

    #[test]
    fn a_classic_runtime_that_asks_again_gets_the_same_event_again() {
        let environment = environment(None);
        assert_eq!(next(&environment).as_deref(), Some("r1"));
        assert_eq!(next(&environment).as_deref(), Some("r1"));
    }

    #[test]
    fn a_late_answer_of_a_managed_instance_is_gone_and_then_unknown() {
        let environment = environment(Some(2));
        next(&environment);
        environment.change(|state| state.abandon("r1", true));
        assert_eq!(status(environment.begin_answer("r1", None)), 410);
        assert_eq!(status(environment.begin_answer("r1", None)), 400);
    }

    #[test]
    fn init_errors_and_restores_come_before_the_first_event() {
        let environment = environment(None);
        next(&environment);
        let refusal = environment
            .init_error(Fault::new("Runtime.X", "x"))
            .expect_err("refused");
        assert_eq!(
            (refusal.status, refusal.kind),
            (403, "InvalidStateTransition")
        );
        assert!(
            refusal.message.contains("from Running to InitError"),
            "{}",
            refusal.message
        );
        assert_eq!(
            environment
                .restore_next()
                .err()
                .map(|refusal| refusal.status),
            Some(403)
        );
    }

    #[test]
    fn registrations_follow_lambdas_rules() {
        let classic = environment(None);
        let events = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(status(classic.register("adapter", &[])), 202);
        assert_eq!(status(classic.register("adapter", &[])), 403, "twice");
        assert_eq!(
            status(classic.register("internal", &events(&["SHUTDOWN"]))),
            403,
            "internal extensions get no SHUTDOWN"
        );
        assert_eq!(
            status(classic.register("internal", &events(&["INVOKE"]))),
            202
        );
        assert_eq!(status(classic.register("other", &events(&["LUNCH"]))), 403);
        classic.change(|state| state.close_registration());
        assert_eq!(status(classic.register("late", &[])), 403);
        assert_eq!(
            status(environment(Some(2)).register("adapter", &events(&["INVOKE"]))),
            403,
            "Managed Instances have no INVOKE events"
        );
        assert_eq!(status(classic.event_next("nobody")), 403);
    }
}
