//! One execution environment: the calls of the Runtime API and the Extensions API, and the waits of
//! the lifecycle.
//!
//! The APIs and the lifecycle share one `State` behind one lock and one condition variable: pollers
//! block on it, `lifecycle.rs` waits for changes. An environment exists from init to shutdown. A
//! reset drops it with its listener and creates a new one, so no process of the old environment can
//! reach the new one.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock;
use crate::function::startup::{OwnRequest, Startups, Step};
use crate::function::state::{Compute, Extension, Phase, Restore, Running, State};
use crate::function::variables::{Ports, function_arn};
use crate::invocation::{ApiError, Fault, Invocation, Reply};
use crate::json::object;

const MAX_EXTENSIONS: usize = 10;

#[derive(Debug)]
pub struct Environment {
    /// Address of the APIs.
    pub address: SocketAddr,
    pub profile: Profile,
    /// The steps of the start of this environment are recorded there.
    startups: Arc<Startups>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The properties of an environment that do not change.
#[derive(Clone, Debug)]
pub struct Profile {
    pub function_name: String,
    pub compute: Compute,
    /// The app gets requests, not events.
    pub is_web_function: bool,
    pub snap_start: bool,
    /// File names of the external extensions. One that registers under another name is internal.
    pub externals: Vec<String>,
    pub tenant: Option<String>,
    pub ports: Ports,
}

impl Environment {
    pub fn new(address: SocketAddr, profile: Profile, startups: Arc<Startups>) -> Environment {
        startups.begin(profile.ports.app, profile.ports.relay.is_some());
        Environment {
            address,
            profile,
            startups,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Records a step of the start.
    pub fn step(&self, step: Step) {
        self.startups.step(self.profile.ports.app, step);
    }

    /// Returns the last request of the adapter's own to the app, and whether it is in flight.
    /// `None` without a relay.
    pub fn last_own_request(&self) -> Option<(OwnRequest, bool)> {
        self.startups.last_request(self.profile.ports.app)
    }

    pub fn function_arn(&self) -> String {
        function_arn(&self.profile.function_name)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all waiting threads.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `ready` returns a value; `None` if the deadline passes first.
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

    /// Blocks until the state changes. The caller notifies of its own changes only once and before
    /// this: pollers that notify in a loop would wake one another for ever.
    fn block<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// `GET /runtime/invocation/next`: blocks until there is an event. Returns `None` if the
    /// environment is closed, or if the caller has disconnected.
    pub fn next(&self, caller: &TcpStream) -> Option<Arc<Invocation>> {
        let mut state = self.lock();
        self.step(match state.restore {
            Restore::Released => Step::Restored,
            Restore::NotRequested | Restore::Requested => Step::Ready,
        });
        state.has_polled = true;
        if self.profile.compute == Compute::Standard
            && let Some(running) = state.running.first()
            && running.phase != Phase::Responded
        {
            // Lambda sends the current event again to a runtime that polls without a response.
            return Some(running.invocation.clone());
        }
        state.pollers += 1;
        self.changed.notify_all();
        let next = loop {
            if state.is_closed || (!state.queue.is_empty() && is_disconnected(caller)) {
                break None;
            }
            if let Some(invocation) = state.queue.pop_front() {
                state.running.push(Running {
                    invocation: invocation.clone(),
                    phase: Phase::Sent,
                    error_type: None,
                    has_reply: false,
                    is_cut_short: false,
                });
                break Some(invocation);
            }
            state = self.block(state);
        };
        state.pollers -= 1;
        drop(state);
        self.changed.notify_all();
        next
    }

    /// The start of `POST /response` or `/error`: checks that the invocation is running and has no
    /// response yet.
    pub fn begin_response(
        &self,
        id: &str,
        token: Option<&str>,
    ) -> Result<Arc<Invocation>, ApiError> {
        self.change(|state| {
            if let Some(index) = state.expired.iter().position(|expired| expired == id) {
                state.expired.remove(index);
                return Err(ApiError::InvokeTimeout);
            }
            let running = state
                .running
                .iter_mut()
                .find(|running| running.invocation.id == id && running.phase == Phase::Sent)
                .ok_or(ApiError::InvalidRequestId)?;
            if token.is_some_and(|token| token != running.invocation.token) {
                return Err(ApiError::InvokeTimeout);
            }
            running.phase = Phase::Responding;
            self.step(Step::Responded);
            Ok(running.invocation.clone())
        })
    }

    /// Sends the whole reply, or the end of one. The client may send its next request at once.
    pub fn reply(&self, invocation: &Invocation, reply: Reply) {
        self.change(|state| state.set_has_reply(&invocation.id));
        invocation.send(reply);
    }

    /// The end of `POST /response` or `/error`.
    pub fn finish_response(&self, id: &str, error_type: Option<String>) {
        self.change(|state| {
            let mut running = state.running.iter_mut();
            if let Some(running) = running.find(|running| running.invocation.id == id) {
                running.phase = Phase::Responded;
                running.error_type = error_type;
            }
        });
    }

    /// `POST /runtime/init/error`, allowed only before the first `/next`.
    pub fn init_error(&self, fault: Fault) -> Result<(), ApiError> {
        self.change(|state| {
            if state.has_polled {
                return Err(state.invalid_transition("InitError"));
            }
            state.fault.get_or_insert(fault);
            Ok(())
        })
    }

    /// `GET /runtime/restore/next`: blocks until the restore; `None` if the environment is closed
    /// before it.
    pub fn restore_next(&self) -> Result<Option<()>, ApiError> {
        let mut state = self.lock();
        if state.has_polled || state.restore != Restore::NotRequested {
            return Err(state.invalid_transition("RestoreReady"));
        }
        state.restore = Restore::Requested;
        self.step(Step::Ready);
        self.changed.notify_all();
        while state.restore != Restore::Released && !state.is_closed {
            state = self.block(state);
        }
        Ok((!state.is_closed).then_some(()))
    }

    /// `POST /extension/register`: returns the identifier of the extension.
    pub fn register(&self, name: &str, events: &[String]) -> Result<String, ApiError> {
        self.step(Step::Registering);
        let is_external = self.profile.externals.iter().any(|known| known == name);
        let subscribes = |event: &str| events.iter().any(|subscribed| subscribed == event);
        let is_known = |event: &String| event == "INVOKE" || event == "SHUTDOWN";
        self.change(|state| {
            if state.registration_closed {
                return Err(ApiError::RegistrationClosed);
            }
            let mut names = state.extensions.iter().map(|extension| &extension.name);
            if names.any(|known| known == name) {
                return Err(ApiError::AlreadyRegistered);
            }
            if state.extensions.len() >= MAX_EXTENSIONS {
                return Err(ApiError::TooManyExtensions);
            }
            if !events.iter().all(is_known)
                || (self.profile.compute == Compute::Managed && subscribes("INVOKE"))
                || (!is_external && subscribes("SHUTDOWN"))
            {
                return Err(ApiError::InvalidEventType);
            }
            let id = clock::uuid();
            state.extensions.push(Extension {
                id: id.clone(),
                name: name.to_owned(),
                is_external,
                invoke: subscribes("INVOKE"),
                shutdown: subscribes("SHUTDOWN"),
                is_polling: false,
                events: VecDeque::new(),
            });
            self.step(Step::Registered);
            Ok(id)
        })
    }

    /// `GET /extension/event/next`: blocks until there is an event; `None` if the environment is
    /// closed.
    pub fn event_next(&self, id: &str) -> Result<Option<String>, ApiError> {
        let mut state = self.lock();
        loop {
            let is_closed = state.is_closed;
            let extension = state.extension(id)?;
            if is_closed {
                return Ok(None);
            }
            if let Some(event) = extension.events.pop_front() {
                extension.is_polling = false;
                return Ok(Some(event));
            }
            if !extension.is_polling {
                extension.is_polling = true;
                self.changed.notify_all();
            }
            state = self.block(state);
        }
    }

    /// `POST /extension/init/error` and `/extension/exit/error`.
    pub fn extension_error(&self, id: &str, fault: Fault) -> Result<(), ApiError> {
        self.change(|state| {
            state.extension(id)?;
            state.fault.get_or_insert(fault);
            Ok(())
        })
    }

    /// Queues an event for the runtime, and for each extension that subscribed to INVOKE.
    pub fn dispatch(&self, invocation: Arc<Invocation>) {
        let tracing = object([
            ("type", "X-Amzn-Trace-Id".into()),
            ("value", invocation.trace.as_str().into()),
        ]);
        let event = object([
            ("eventType", "INVOKE".into()),
            ("deadlineMs", invocation.deadline_ms.into()),
            ("requestId", invocation.id.as_str().into()),
            ("invokedFunctionArn", self.function_arn().into()),
            ("tracing", tracing),
        ]);
        self.step(Step::Sent);
        self.change(|state| {
            for extension in &mut state.extensions {
                if extension.invoke {
                    extension.is_polling = false;
                    extension.events.push_back(event.to_string());
                }
            }
            state.queue.push_back(invocation);
        });
    }

    /// Ends all polls and stops the listener.
    pub fn close(&self) {
        self.change(|state| state.is_closed = true);
        // The listener blocks in accept; one more connection makes it check for the stop.
        let _ = TcpStream::connect(self.address);
    }

    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }
}

/// Returns true if the client has closed the connection: an event must not be lost on it.
fn is_disconnected(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let disconnected = match stream.peek(&mut [0]) {
        Ok(read) => read == 0,
        // `WouldBlock`: the connection is open and there is nothing to read.
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).is_err() || disconnected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::recorder::Recording;
    use std::net::TcpListener;
    use std::sync::mpsc::sync_channel;

    fn environment(compute: Compute) -> Environment {
        let profile = Profile {
            function_name: "f".to_owned(),
            compute,
            is_web_function: false,
            snap_start: true,
            externals: vec!["adapter".to_owned()],
            tenant: None,
            ports: Ports {
                app: 1,
                relay: None,
            },
        };
        let environment = Environment::new(
            SocketAddr::from(([127, 0, 0, 1], 9)),
            profile,
            Arc::default(),
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
            recording: Recording::default(),
        };
        environment.dispatch(Arc::new(invocation));
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

    fn status<T>(result: Result<T, ApiError>) -> u16 {
        result.map_or_else(|error| error.status(), |_| 202)
    }

    #[test]
    fn a_response_is_accepted_once_and_only_for_a_running_invocation() {
        let environment = environment(Compute::Standard);
        assert_eq!(
            status(environment.begin_response("r1", None)),
            400,
            "not handed out yet"
        );
        assert_eq!(next(&environment).as_deref(), Some("r1"));
        assert_eq!(status(environment.begin_response("r2", None)), 400);
        assert_eq!(status(environment.begin_response("r1", Some("other"))), 410);
        assert_eq!(status(environment.begin_response("r1", Some("t1"))), 202);
        assert_eq!(status(environment.begin_response("r1", Some("t1"))), 400);
    }

    #[test]
    fn a_standard_runtime_that_polls_again_gets_the_same_event() {
        let environment = environment(Compute::Standard);
        assert_eq!(next(&environment).as_deref(), Some("r1"));
        assert_eq!(next(&environment).as_deref(), Some("r1"));
    }

    #[test]
    fn a_late_response_of_a_managed_instance_gets_410_and_then_400() {
        let environment = environment(Compute::Managed);
        next(&environment);
        environment.change(|state| state.abort("r1", Compute::Managed));
        assert_eq!(status(environment.begin_response("r1", None)), 410);
        assert_eq!(status(environment.begin_response("r1", None)), 400);
    }

    #[test]
    fn only_the_invocations_that_run_are_cut_short() {
        let environment = environment(Compute::Managed);
        let started = Instant::now();
        let is_cut_short = || environment.change(|state| state.cut_short("r1", started).is_some());
        environment.change(State::cut_all_short);
        next(&environment);
        assert!(!is_cut_short());
        environment.change(State::cut_all_short);
        assert!(is_cut_short());
    }

    #[test]
    fn init_error_and_restore_next_are_rejected_after_the_first_event() {
        let environment = environment(Compute::Standard);
        next(&environment);
        let error = environment
            .init_error(Fault::new("Runtime.X", "x"))
            .expect_err("rejected");
        assert_eq!(
            (error.status(), error.error_type()),
            (403, "InvalidStateTransition")
        );
        let message = error.to_string();
        assert!(message.contains("from Running to InitError"), "{message}");
        assert_eq!(status(environment.restore_next()), 403);
    }

    #[test]
    fn registrations_follow_the_rules_of_lambda() {
        let standard = environment(Compute::Standard);
        let events = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(status(standard.register("adapter", &[])), 202);
        assert_eq!(status(standard.register("adapter", &[])), 403, "twice");
        assert_eq!(
            status(standard.register("internal", &events(&["SHUTDOWN"]))),
            403,
            "internal extensions get no SHUTDOWN"
        );
        assert_eq!(
            status(standard.register("internal", &events(&["INVOKE"]))),
            202
        );
        assert_eq!(status(standard.register("other", &events(&["LUNCH"]))), 403);
        standard.change(|state| state.registration_closed = true);
        assert_eq!(status(standard.register("late", &[])), 403);
        assert_eq!(
            status(environment(Compute::Managed).register("adapter", &events(&["INVOKE"]))),
            403,
            "Managed Instances have no INVOKE events"
        );
        assert_eq!(status(standard.event_next("unknown")), 403);
    }
}
