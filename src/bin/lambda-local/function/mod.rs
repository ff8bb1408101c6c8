//! The function: takes invocations one by one, keeps an environment for them, resets it when it fails, and reports each.
//!
//! Lambda would start a second environment for a second concurrent request; here the second request waits for its turn. With `--concurrency`
//! (Managed Instances) one environment takes as many at a time as its runtime polls for.

pub mod environment;
pub mod lifecycle;
pub mod memory_limit;
mod probe;
mod process;
pub mod state;
pub mod variables;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::runtime::function_arn;
use crate::cli::options::Init;
use crate::clock;
use crate::function::environment::Environment;
use crate::function::state::Answer;
use crate::function::variables::Setup;
use crate::invocation::{Fault, Invocation, Reply, Request};
use crate::log::summary::Summary;
use crate::log::{Platform, Report};

const EXIT_NEWS: Duration = Duration::from_millis(30);

pub struct Function {
    pub setup: Arc<Setup>,
    turn: Mutex<Turn>,
    /// The newest environment, also while it is still in its init: what `stop` ends.
    current: Mutex<Option<Arc<Environment>>>,
    stopping: AtomicBool,
    told_waiting: AtomicBool,
    summary: Mutex<Summary>,
}

/// Whoever holds this may use the environment.
#[derive(Default)]
struct Turn {
    environment: Option<Arc<Environment>>,
    /// The duration of an init that no REPORT has told yet.
    init: Option<Duration>,
    frozen: bool,
    restored: bool,
}

/// How an invocation ended: with the runtime done (and perhaps an error of its own), or with the environment to be thrown away.
enum Ending {
    Done(Option<String>),
    Failed(Fault),
    TimedOut,
}

impl Function {
    pub fn new(setup: Arc<Setup>) -> Arc<Function> {
        Arc::new(Function {
            setup,
            turn: Mutex::default(),
            current: Mutex::default(),
            stopping: AtomicBool::default(),
            told_waiting: AtomicBool::default(),
            summary: Mutex::default(),
        })
    }

    /// The init before any invocation, as Lambda does it when it expects one. After a failure it is tried again with the first event.
    pub fn warm_up(&self) {
        let mut turn = lock(&self.turn);
        if turn.environment.is_some() {
            // An invocation was faster, and has done this itself.
            return;
        }
        let output = &self.setup.output;
        output.platform(&Platform::InitStart {
            kind: self.setup.init_type(),
        });
        let started = Instant::now();
        let tenant = self.setup.options.tenant.clone();
        match self.init(&mut turn, tenant, lifecycle::init_limit(&self.setup)) {
            Ok(environment) => {
                turn.init = Some(started.elapsed());
                self.freeze(&mut turn, &environment);
            }
            Err(_) if self.is_stopping() => {}
            Err(fault) => {
                self.report_init(&fault, started.elapsed(), "init");
                output.warn("init will be tried again with the first invocation");
            }
        }
    }

    /// Starts an invocation; what comes back of it arrives as it is there. The channel closes when the invocation has been reported.
    pub fn invoke(self: &Arc<Self>, request: Request) -> Receiver<Reply> {
        let (sender, receiver) = sync_channel(8);
        let function = self.clone();
        std::thread::spawn(move || function.drive(request, sender));
        receiver
    }

    fn drive(&self, request: Request, reply: SyncSender<Reply>) {
        let mut turn = self.wait_for_turn();
        if self.is_stopping() {
            return;
        }
        let id = request.id.clone();
        self.setup.output.platform(&Platform::Start { id: &id });
        let mut report = Report {
            memory_size: self.setup.options.memory,
            ..Report::default()
        };
        let mut started = Instant::now();
        let environment = match self.prepare(&mut turn, &request.tenant, &mut started, &mut report)
        {
            Ok(environment) => environment,
            Err(fault) => {
                report.duration = started.elapsed();
                let ending = if fault.is_timeout() {
                    Ending::TimedOut
                } else {
                    Ending::Failed(fault)
                };
                self.answer_failure(&ending, &Answer::None, &reply);
                return self.report(&id, &ending, report);
            }
        };
        // Managed Instances: the next invocation need not wait for this one.
        let held = self.setup.options.concurrency.is_none().then_some(turn);
        let ending = self.run(
            &environment,
            request,
            &reply,
            started + self.setup.options.timeout,
        );
        report.duration = started.elapsed();
        report.max_memory = memory_limit::peak(&environment);
        self.report(&id, &ending, report);
        self.leave(held, &environment, &ending);
    }

    fn wait_for_turn(&self) -> MutexGuard<'_, Turn> {
        if let Ok(turn) = self.turn.try_lock() {
            return turn;
        }
        let busy = lock(&self.current)
            .as_ref()
            .is_some_and(|environment| environment.lock().is_busy());
        if busy && !self.told_waiting.swap(true, Ordering::Relaxed) {
            self.setup.output.note("a request waits until another is done: there is one environment, where Lambda would start more (or see --concurrency)");
        }
        lock(&self.turn)
    }

    /// Gives an environment that waits for an event: the one there is, or a new one whose init then counts as a part of this invocation.
    fn prepare(
        &self,
        turn: &mut Turn,
        tenant: &Option<String>,
        started: &mut Instant,
        report: &mut Report,
    ) -> Result<Arc<Environment>, Fault> {
        self.discard_unfit(turn, tenant);
        let environment = match turn.environment.clone() {
            Some(environment) => environment,
            None => self
                .init(turn, tenant.clone(), self.setup.options.timeout)
                .inspect_err(|fault| self.report_init(fault, started.elapsed(), "invoke"))?,
        };
        report.init = turn
            .init
            .take()
            .filter(|_| self.setup.options.init != Init::SnapStart);
        if turn.frozen {
            lifecycle::signal_all(&environment, "CONT");
            turn.frozen = false;
        }
        if self.setup.options.init == Init::SnapStart && !turn.restored {
            let restored = lifecycle::restore(&self.setup, &environment).inspect_err(|_| {
                lifecycle::shutdown(&environment, "failure");
                turn.environment = None;
            });
            report.restore = Some(restored?);
            turn.restored = true;
            *started = Instant::now();
        }
        Ok(environment)
    }

    fn init(
        &self,
        turn: &mut Turn,
        tenant: Option<String>,
        limit: Duration,
    ) -> Result<Arc<Environment>, Fault> {
        let begun = |environment: &Arc<Environment>| {
            *lock(&self.current) = Some(environment.clone());
            // `stop` may have looked before this one was there to be seen.
            environment.change(|state| state.stopping |= self.is_stopping());
        };
        let environment = lifecycle::init(&self.setup, tenant, limit, begun)?;
        lock(&self.summary).add_environment();
        *turn = Turn {
            environment: Some(environment.clone()),
            ..Turn::default()
        };
        Ok(environment)
    }

    /// An environment that has lost a process since, or that belongs to another tenant, is not used again.
    fn discard_unfit(&self, turn: &mut Turn, tenant: &Option<String>) {
        let Some(environment) = &turn.environment else {
            return;
        };
        let reason = if environment.lock().fault.is_some() {
            "failure"
        } else if environment.tenant != *tenant {
            "spindown"
        } else {
            return;
        };
        lifecycle::shutdown(environment, reason);
        turn.environment = None;
    }

    /// Gives the event to the runtime and waits until it is done with it, or can no longer be.
    fn run(
        &self,
        environment: &Environment,
        request: Request,
        reply: &SyncSender<Reply>,
        deadline: Instant,
    ) -> Ending {
        let left = deadline.saturating_duration_since(Instant::now());
        let id = request.id.clone();
        let invocation = Invocation {
            id: request.id,
            token: clock::uuid(),
            payload: request.payload,
            deadline_ms: clock::now_ms() + left.as_millis() as i64,
            trace: format!(
                "Root={};Parent={:016x};Sampled=0",
                request.trace,
                clock::random()
            ),
            client_context: request.client_context,
            tenant: request.tenant,
            reply: reply.clone(),
        };
        environment.dispatch(
            Arc::new(invocation),
            &function_arn(&self.setup.options.function_name),
        );
        let managed = environment.concurrency.is_some();
        let ended = environment.wait(deadline, |state| {
            let done = state.finished(&id, managed).map(Ending::Done);
            done.or_else(|| state.failure().map(Ending::Failed))
        });
        let ending = ended.unwrap_or(Ending::TimedOut);
        if let Ending::Done(Some(_)) = ending {
            // An app that dies is heard of through the adapter's error first, and of its exit a moment later: that is the better reason.
            let fault = environment.wait(Instant::now() + EXIT_NEWS, |state| state.failure());
            return fault.map_or(ending, Ending::Failed);
        }
        if !matches!(ending, Ending::Done(_)) {
            let answer = environment.change(|state| state.abandon(&id, managed));
            self.answer_failure(&ending, &answer, reply);
        }
        ending
    }

    /// Tells the caller what the runtime can tell no more, unless it has told enough.
    fn answer_failure(&self, ending: &Ending, answer: &Answer, reply: &SyncSender<Reply>) {
        let fault = match ending {
            Ending::Done(_) => return,
            Ending::Failed(fault) => fault.clone(),
            Ending::TimedOut => Fault::new("Sandbox.Timedout", self.timeout_text()),
        };
        let last = match answer {
            Answer::Given => return,
            Answer::None => Reply::Failed(fault),
            Answer::Begun => Reply::End(Some(fault)),
        };
        // A slow client may still be busy with earlier pieces; the life cycle does not wait for it. One that has gone hears nothing.
        let reply = reply.clone();
        std::thread::spawn(move || reply.send(last));
    }

    /// After an invocation: a failed environment is thrown away, a good one may be frozen.
    fn leave(
        &self,
        held: Option<MutexGuard<'_, Turn>>,
        environment: &Arc<Environment>,
        ending: &Ending,
    ) {
        let managed = held.is_none();
        let reason = match ending {
            Ending::Done(_) => None,
            // Managed Instances: the invocation fails, the code runs on.
            Ending::TimedOut if managed => None,
            Ending::TimedOut => Some("timeout"),
            Ending::Failed(_) => Some("failure"),
        };
        if managed && reason.is_none() {
            return;
        }
        let mut turn = held.unwrap_or_else(|| lock(&self.turn));
        match reason {
            None => self.freeze(&mut turn, environment),
            // Of several invocations that failed with one environment, the first resets it.
            Some(reason)
                if turn
                    .environment
                    .as_ref()
                    .is_some_and(|current| Arc::ptr_eq(current, environment)) =>
            {
                if !self.is_stopping() {
                    lifecycle::shutdown(environment, reason);
                }
                *turn = Turn::default();
            }
            Some(_) => {}
        }
    }

    /// What Lambda does between invocations, if it was asked for; the snapshot of SnapStart is a freeze too.
    fn freeze(&self, turn: &mut Turn, environment: &Environment) {
        let snapshot = self.setup.options.init == Init::SnapStart && !turn.restored;
        if (self.setup.options.freeze || snapshot) && !self.is_stopping() {
            lifecycle::signal_all(environment, "STOP");
            turn.frozen = true;
        }
    }

    fn report(&self, id: &str, ending: &Ending, mut report: Report) {
        let output = &self.setup.output;
        report.error = match ending {
            Ending::Done(error) => error.clone(),
            Ending::Failed(fault) => {
                output.platform(&Platform::Fault {
                    id,
                    message: &format!("Error: {}", fault.message),
                });
                Some(fault.kind.clone())
            }
            Ending::TimedOut => {
                output.platform(&Platform::Fault {
                    id,
                    message: &self.timeout_text(),
                });
                Some("timeout".to_owned())
            }
        };
        output.platform(&Platform::End { id });
        output.platform(&Platform::Report {
            id,
            report: &report,
        });
        lock(&self.summary).add(&report);
    }

    fn report_init(&self, fault: &Fault, duration: Duration, phase: &str) {
        let output = &self.setup.output;
        let error = if fault.is_timeout() {
            "timeout"
        } else {
            fault.kind.as_str()
        };
        output.platform(&Platform::InitReport {
            duration,
            kind: self.setup.init_type(),
            phase,
            error,
        });
        output.warn(&format!("init failed: {}", fault.message));
    }

    fn timeout_text(&self) -> String {
        format!(
            "Task timed out after {:.2} seconds",
            self.setup.options.timeout.as_secs_f64()
        )
    }

    /// Ends everything, whatever is going on, and gives the summary.
    pub fn stop(&self) -> String {
        self.stopping.store(true, Ordering::Relaxed);
        let current = lock(&self.current).clone();
        if let Some(environment) = current {
            lifecycle::shutdown(&environment, "spindown");
        }
        lock(&self.summary).to_string()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
