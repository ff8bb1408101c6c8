//! The function: queues invocations, keeps an environment for them, resets it after a failure, and
//! reports each invocation.
//!
//! Lambda starts another environment for a concurrent invocation. Here that takes
//! `--max-environments`, beyond which an invocation is throttled; without, it waits for the first
//! to finish. With `--concurrency` (Managed Instances), one environment takes as many invocations
//! at a time as its runtime polls for. A Web Function has no invocations: see `web_function.rs`.

pub mod app_port;
pub mod async_invoke;
mod concurrency;
pub mod controls;
mod env_file;
pub mod environment;
pub mod exit;
pub mod guard;

mod lifecycle;
mod memory_limit;
mod outcome;
mod output;
mod port_hint;
mod probe;
pub mod process;
mod report;
pub mod setup_error;
pub mod startup;
pub mod state;
mod stop;
mod throttle;
pub mod variables;
pub mod watch;
pub mod web_function;

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::options::Init;
use crate::clock;
use crate::invocation::{Fault, Invocation, InvokeRequest, Reply};
use crate::log::summary::Summary;
use crate::log::{PlatformEvent, Report};
use crate::web::mark::Mark;
use crate::web::recorder::EnvironmentState;
use concurrency::{ConcurrencyUnit, WarmEnvironment};
use controls::InjectedFailure;
use environment::Environment;
use outcome::{Outcome, reply_failure, timed_out};
use state::{Compute, ResponseProgress, Running};
use stop::{Unreported, UnreportedOne};
use variables::Setup;
use web_function::Places;

#[derive(Debug)]
pub struct Function {
    pub setup: Arc<Setup>,
    units: Vec<ConcurrencyUnit>,
    is_stopping: AtomicBool,
    queue_notice_logged: AtomicBool,
    /// For the requests of a Web Function.
    places: Places,
    summary: Mutex<Summary>,
    pub unreported: Unreported,
    /// A failure that the page has requested for the next invocation.
    injected: Mutex<Option<InjectedFailure>>,
}

impl Function {
    pub fn new(setup: Arc<Setup>) -> Arc<Function> {
        let unit = setup.options.unit();
        Arc::new(Function {
            places: Places::new(&setup.options),
            units: setup.ports.iter().map(ConcurrencyUnit::new).collect(),
            setup,
            is_stopping: AtomicBool::default(),
            queue_notice_logged: AtomicBool::default(),
            summary: Mutex::new(Summary::new(unit)),
            unreported: Unreported::default(),
            injected: Mutex::default(),
        })
    }

    /// Initializes an environment before the first invocation. After a failure, init is repeated as
    /// a part of that invocation.
    pub fn init_early(&self) {
        let Some(unit) = self.units.first() else {
            return;
        };
        let mut warm = lock(&unit.warm);
        if warm.environment.is_some() {
            // An invocation came first.
            return;
        }
        let logger = &self.setup.logger;
        logger.platform(&PlatformEvent::InitStart {
            init_type: self.setup.init_type(),
        });
        let started = Instant::now();
        let tenant = self.setup.options.tenant.clone();
        match self.init(
            unit,
            &mut warm,
            tenant,
            lifecycle::init_timeout(&self.setup),
        ) {
            Ok(environment) => {
                warm.init = Some(started.elapsed());
                self.freeze(&mut warm, &environment);
            }
            Err(_) if self.is_stopping() => {}
            Err(fault) => {
                self.report_init(&fault, started.elapsed(), "init");
                let next = self.setup.options.unit();
                let retry = match self.setup.options.init {
                    Init::SnapStart => "on Lambda publishing the version fails; here init is",
                    _ => "init will be",
                };
                logger.warn(&format!("{retry} retried with the first {next}"));
            }
        }
    }

    /// Replaces the environment after a change of the app. An init or an invocation that is running
    /// fails, as the code that it runs is the old one.
    pub fn reload(&self, path: &str) {
        let logger = &self.setup.logger;
        logger.info(&format!("`{path}` has changed: starting a new environment"));
        for unit in &self.units {
            if let Some(latest) = lock(&unit.latest).clone() {
                let message = format!("`{path}` has changed");
                let fault = Fault::new("Sandbox.Reloaded", message);
                latest.change(|state| state.fault.get_or_insert(fault).clone());
            }
            let mut warm = lock(&unit.warm);
            if let Some(environment) = warm.environment.take() {
                lifecycle::shutdown(&environment, "spindown");
            }
        }
        self.init_early();
    }

    /// Starts an invocation. The channel closes after the invocation has been reported.
    pub fn invoke(self: &Arc<Self>, request: InvokeRequest) -> Receiver<Reply> {
        let (sender, receiver) = sync_channel(8);
        let function = self.clone();
        std::thread::spawn(move || function.serve(request, sender));
        receiver
    }

    fn serve(&self, request: InvokeRequest, reply: SyncSender<Reply>) {
        let Some((unit, mut warm)) = self.acquire(&request.tenant) else {
            return throttle::reply(&self.setup, &request.recording, &reply);
        };
        if self.is_stopping() {
            return;
        }
        let unreported = self.unreported.begin();
        let (id, recording) = (request.id.clone(), request.recording.clone());
        recording.start();
        let start = PlatformEvent::Start { id: &id };
        self.setup.logger.platform(&start);
        let mut report = Report {
            memory_size: self.setup.options.memory,
            ..Report::default()
        };
        let mut started = Instant::now();
        let prepared = self.prepare(unit, &mut warm, &request, &mut started, &mut report);
        let environment = match prepared {
            Ok(environment) => environment,
            Err(fault) => {
                report.duration = started.elapsed();
                let is_timeout = fault.is_timeout();
                let timeout = self.setup.options.timeout;
                let fault = if is_timeout {
                    timed_out(timeout)
                } else {
                    fault
                };
                reply_failure(&fault, ResponseProgress::NotStarted, &reply);
                self.report(&id, &Outcome::Failed(fault), report, &recording);
                return self.report_cold_start(unit.ports, &recording);
            }
        };
        // Managed Instances: the next invocation does not wait for this one.
        let warm = match environment.profile.compute {
            Compute::Standard => Some(warm),
            Compute::Managed => {
                drop(warm);
                None
            }
        };
        let deadline = started + self.setup.options.timeout;
        let (outcome, ended) = self.run(&environment, request, &reply, deadline, &unreported);
        report.duration = ended.saturating_duration_since(started);
        report.max_memory = memory_limit::peak(&environment, report.duration);
        self.flush_output(&environment, &recording);
        self.report(&id, &outcome, report, &recording);
        self.report_cold_start(unit.ports, &recording);
        drop(unreported);
        // The request is logged now, not after a reset.
        drop(reply);
        self.release(unit, warm, &environment, &outcome);
    }

    /// Returns an environment that waits for an event: the current one, or a new one whose init is
    /// then a part of this invocation.
    fn prepare(
        &self,
        unit: &ConcurrencyUnit,
        warm: &mut WarmEnvironment,
        request: &InvokeRequest,
        started: &mut Instant,
        report: &mut Report,
    ) -> Result<Arc<Environment>, Fault> {
        self.discard_unusable(warm, &request.tenant);
        let environment = match warm.environment.clone() {
            Some(environment) => environment,
            None => {
                request.recording.mark(Mark::InitStart);
                let timeout = self.setup.options.timeout;
                let init = self.init(unit, warm, request.tenant.clone(), timeout);
                request.recording.mark(Mark::InitEnd);
                init.inspect_err(|fault| self.report_init(fault, started.elapsed(), "invoke"))?
            }
        };
        let is_snap_start = self.setup.options.init == Init::SnapStart;
        report.init = warm.init.take().filter(|_| !is_snap_start);
        if warm.is_frozen {
            lifecycle::thaw(&environment);
            warm.is_frozen = false;
            self.setup.recorder.environment(EnvironmentState::Ready);
        }
        if is_snap_start && !warm.is_restored {
            request.recording.mark(Mark::InitStart);
            let restored = lifecycle::restore(&self.setup, &environment);
            request.recording.mark(Mark::InitEnd);
            let restored = restored.inspect_err(|_| {
                lifecycle::shutdown(&environment, "failure");
                warm.environment = None;
            });
            report.restore = Some(restored?);
            warm.is_restored = true;
            *started = Instant::now();
        }
        Ok(environment)
    }

    fn init(
        &self,
        unit: &ConcurrencyUnit,
        warm: &mut WarmEnvironment,
        tenant: Option<String>,
        timeout: Duration,
    ) -> Result<Arc<Environment>, Fault> {
        let on_created = |environment: &Arc<Environment>| {
            *lock(&unit.latest) = Some(environment.clone());
            // `stop` may have run before `latest` was set.
            environment.change(|state| state.is_stopping |= self.is_stopping());
        };
        let recorder = &self.setup.recorder;
        recorder.environment(EnvironmentState::Starting);
        let environment = lifecycle::init(&self.setup, unit.ports, tenant, timeout, on_created)
            .inspect_err(|_| recorder.environment(EnvironmentState::Failed))?;
        recorder.environment(EnvironmentState::Ready);
        lock(&self.summary).add_environment();
        *warm = WarmEnvironment {
            environment: Some(environment.clone()),
            ..WarmEnvironment::default()
        };
        Ok(environment)
    }

    /// Shuts an environment down that has lost a process, or that belongs to another tenant.
    fn discard_unusable(&self, warm: &mut WarmEnvironment, tenant: &Option<String>) {
        let Some(environment) = &warm.environment else {
            return;
        };
        let reason = if environment.lock().fault.is_some() {
            "failure"
        } else if environment.profile.tenant != *tenant {
            "spindown"
        } else {
            return;
        };
        lifecycle::shutdown(environment, reason);
        warm.environment = None;
    }

    /// Sends the event to the runtime and waits until the invocation is finished or has failed.
    /// Returns when it has ended, too.
    fn run(
        &self,
        environment: &Environment,
        request: InvokeRequest,
        reply: &SyncSender<Reply>,
        deadline: Instant,
        unreported: &UnreportedOne<'_>,
    ) -> (Outcome, Instant) {
        let started = Instant::now();
        let injected = self.inject(environment);
        let timeout = controls::timeout(injected, self.setup.options.timeout);
        let deadline = deadline.min(started + timeout);
        let left = deadline.saturating_duration_since(Instant::now());
        let (id, parent) = (request.id.clone(), clock::random());
        environment.dispatch(Arc::new(Invocation {
            id: request.id,
            token: clock::uuid(),
            payload: request.payload,
            deadline_ms: clock::now_ms() + left.as_millis() as i64,
            trace: format!("Root={};Parent={parent:016x};Sampled=0", request.trace),
            client_context: request.client_context,
            tenant: request.tenant,
            reply: reply.clone(),
            recording: request.recording,
        }));
        controls::crash_if(injected, environment);
        let compute = environment.profile.compute;
        let outcome = environment.wait(deadline, |state| {
            let finished = state.take_finished(&id, compute);
            let has_failed = |running: &Running| running.error_type.is_some();
            state.ending += u32::from(finished.as_ref().is_some_and(has_failed));
            finished
                .inspect(|_| unreported.finish())
                .map(|running| Outcome::Finished(running.error_type))
                .or_else(|| state.failure().map(Outcome::Failed))
                .or_else(|| state.cut_short(&id, started).map(Outcome::Failed))
        });
        let ended = Instant::now();
        // `stop` waits for an invocation that the closure has removed.
        environment.change(|_| ());
        controls::end_injection(injected, environment);
        let outcome = match outcome.unwrap_or_else(|| Outcome::Failed(timed_out(timeout))) {
            Outcome::Finished(Some(error_type)) => {
                let fault = exit::wait_for_cause(environment);
                environment.change(|state| state.ending -= 1);
                fault.map_or(Outcome::Finished(Some(error_type)), Outcome::Failed)
            }
            Outcome::Finished(None) => Outcome::Finished(None),
            Outcome::Failed(fault) => {
                let progress = environment.change(|state| state.abort(&id, compute));
                reply_failure(&fault, progress, reply);
                Outcome::Failed(fault)
            }
        };
        (outcome, ended)
    }

    /// Resets a failed environment, or freezes a usable one.
    fn release(
        &self,
        unit: &ConcurrencyUnit,
        warm: Option<MutexGuard<'_, WarmEnvironment>>,
        environment: &Arc<Environment>,
        outcome: &Outcome,
    ) {
        let is_managed = environment.profile.compute == Compute::Managed;
        let reason = match outcome {
            Outcome::Finished(_) => None,
            // Managed Instances: the invocation fails, the environment continues.
            Outcome::Failed(fault) if fault.is_timeout() && is_managed => None,
            Outcome::Failed(fault) if fault.is_timeout() => Some("timeout"),
            Outcome::Failed(_) => Some("failure"),
        };
        if is_managed && reason.is_none() {
            return;
        }
        let mut warm = warm.unwrap_or_else(|| lock(&unit.warm));
        let Some(reason) = reason else {
            return self.freeze(&mut warm, environment);
        };
        // Several invocations can fail in one environment: only the first resets it.
        let current = warm.environment.as_ref();
        if current.is_some_and(|current| Arc::ptr_eq(current, environment)) {
            self.setup.recorder.environment(EnvironmentState::None);
            if !self.is_stopping() {
                lifecycle::shutdown(environment, reason);
            }
            *warm = WarmEnvironment::default();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
