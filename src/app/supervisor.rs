//! Supervises the app as a child: forwards signals, reaps orphans, restarts it with backoff.
//!
//! The entry point of an image may be PID 1, so the adapter has the duties of an init: it
//! forwards signals to the process group of the app, reaps orphans (pid_namespaces(7)), and
//! exits with the app's exit status, or with 128 plus the signal number if a signal killed the
//! app, as shells do. One thread does all of this and sleeps until a signal arrives.
//!
//! An app that exits while serving fails the invocations in flight and is restarted, which is
//! faster than a new environment. After `MAX_FAILED_STARTS` generations in a row without a
//! response the process exits as well, and Lambda initializes the environment again.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::logger::line::{debug, info, warn};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use signal_hook::consts::*;

use crate::app::phase::{
    AfterExit, MAX_FAILED_STARTS, Phase, Process, RestartPolicy, State, exit_code,
};
use crate::app::signals::{self, Signals};
use crate::app::spawn;
use crate::app::stdio::StdioRelay;
use crate::cli::CommandLine;
use crate::error::{Class, Failure, Fatal};
use crate::logger;
use crate::platform::start_thread;
use crate::shutdown::Shutdown;

/// The exit of an app after one of these is intended, SIGCONT excepted: it is not restarted.
const FORWARDED_SIGNALS: [i32; 8] = [
    SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT,
];
/// A lost connection is noticed slightly before the exit that caused it.
const EXIT_GRACE: Duration = Duration::from_millis(20);
/// Time for a killed app to be reaped.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// The state of the app, shared by the supervisor thread and the threads that serve.
#[derive(Debug)]
pub struct Supervisor {
    state: Mutex<State>,
    exited: Condvar,
    stdio: Arc<StdioRelay>,
}

impl Supervisor {
    /// Starts the app, which shall listen on `endpoint`, and the supervisor thread.
    pub fn start(
        command: CommandLine,
        endpoint: String,
        shutdown: Arc<Shutdown>,
    ) -> Result<Arc<Supervisor>, Fatal> {
        let failed = |cause: io::Error| Fatal::NotStarted {
            program: command.program.to_string_lossy().into_owned(),
            cause: cause.to_string(),
            status: 1,
        };
        let ignored = signals::ignored();
        let forwarded = FORWARDED_SIGNALS
            .into_iter()
            .filter(|number| !ignored(*number));
        // Before the app starts: it may exit at once.
        let signals = Signals::subscribe(forwarded.chain([SIGCHLD])).map_err(failed)?;
        let supervisor = Arc::new(Supervisor {
            state: Mutex::new(State::new(Instant::now())),
            exited: Condvar::new(),
            stdio: StdioRelay::start(),
        });
        let parent = Parent {
            supervisor: Arc::clone(&supervisor),
            shutdown,
            command: command.clone(),
            endpoint,
            signals,
        };
        start_thread(128 << 10, Box::new(move || parent.run())).map_err(failed)?;
        Ok(supervisor)
    }

    /// Ends init: from now on the app is restarted when it exits and, with `restart_hung`,
    /// when a request times out.
    pub fn serve(&self, restart_hung: bool) -> Result<(), Fatal> {
        self.lock().policy = if restart_hung {
            RestartPolicy::AfterExitOrTimeout
        } else {
            RestartPolicy::AfterExit
        };
        self.stdio.stop_recording();
        self.check()
    }

    /// Returns an error once the app is stopped for good.
    pub fn check(&self) -> Result<(), Fatal> {
        match &self.lock().phase {
            Phase::Stopped { how, status } => Err(Fatal::AppExited {
                how: how.clone(),
                status: *status,
            }),
            _ => Ok(()),
        }
    }

    /// The current generation of the app, or the next one while it is down; the first is 1.
    pub fn generation(&self) -> u32 {
        self.lock().generation()
    }

    /// Relays everything the app has printed so far.
    pub fn flush(&self) {
        self.stdio.flush();
    }

    /// Waits until the app prints (true), or for `timeout`.
    pub fn wait_for_output(&self, timeout: Duration) -> bool {
        self.stdio.wait_for_output(timeout)
    }

    /// The last lines that the app printed during init.
    pub fn last_lines(&self) -> String {
        self.flush();
        self.stdio.last_lines()
    }

    /// Records a response: an exit of this generation is no failed start.
    pub fn response_received(&self) {
        self.lock().responded = true;
    }

    /// Adds the exit status to a failure if the app exited in this generation. A timeout marks
    /// the generation as hung.
    pub fn add_exit_status(&self, failure: &mut Failure, generation: u32) {
        if failure.class == Class::AppTimeout {
            self.lock().mark_hung(generation);
        }
        let status = failure
            .connection_lost
            .then(|| self.await_exit(generation, EXIT_GRACE));
        if let Some(status) = status.flatten() {
            let message = format!("the app exited ({status}): {}", failure.message);
            *failure = Failure::new(Class::AppExited, message);
        }
    }

    /// Kills the app if this generation is hung; the supervisor thread restarts it.
    pub fn kill_if_hung(&self, generation: u32) {
        let state = self.lock();
        if let Phase::Running(process) = state.phase
            && process.hung
            && state.generation() == generation
        {
            warn!("the app did not respond in time: killing and restarting it");
            signal(process.group, Signal::KILL);
            drop(state);
            self.await_exit(generation, KILL_TIMEOUT);
        }
    }

    /// Kills the app for good, before the adapter exits.
    pub fn kill(&self) {
        let mut state = self.lock();
        if let Phase::Running(process) = state.phase {
            signal(process.group, Signal::KILL);
        }
        if !matches!(state.phase, Phase::Stopped { .. }) {
            state.phase = Phase::Stopped {
                how: "the adapter exits".into(),
                status: 1,
            };
        }
        drop(state);
        self.flush();
    }

    /// Waits until a generation has exited and returns the exit status.
    fn await_exit(&self, generation: u32, timeout: Duration) -> Option<ExitStatus> {
        let runs = |state: &mut State| state.generation() <= generation;
        let waited = self.exited.wait_timeout_while(self.lock(), timeout, runs);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.exit_status(generation)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The supervisor thread, which is the parent of the app.
struct Parent {
    supervisor: Arc<Supervisor>,
    shutdown: Arc<Shutdown>,
    command: CommandLine,
    endpoint: String,
    signals: Signals,
}

impl Parent {
    /// Never returns: the kernel kills the app when its parent thread exits.
    fn run(mut self) -> ! {
        loop {
            let timeout = self.until_start();
            if timeout == Some(Duration::ZERO) {
                self.start();
                continue;
            }
            let signals: Vec<i32> = self.signals.wait(timeout).collect();
            for number in signals {
                self.forward_signal(number);
            }
            if let Some(status) = self.reap() {
                self.exited(status);
            }
        }
    }

    /// The time until the app is due to start, if it is down.
    fn until_start(&self) -> Option<Duration> {
        match self.supervisor.lock().phase {
            Phase::Down { start_at } => Some(start_at.saturating_duration_since(Instant::now())),
            _ => None,
        }
    }

    /// Starts the app. A failure is final: the next attempt would fail in the same way.
    fn start(&self) {
        let spawned = spawn::spawn(&self.command, &self.endpoint, &self.supervisor.stdio);
        let mut state = self.supervisor.lock();
        match spawned {
            // `Supervisor::kill` came while the app was started.
            Ok(group) if matches!(state.phase, Phase::Stopped { .. }) => {
                signal(group, Signal::KILL);
            }
            Ok(group) => {
                state.phase = Phase::Running(Process {
                    group,
                    signal: None,
                    hung: false,
                });
            }
            Err(fatal) => {
                let (how, status) = (fatal.to_string(), fatal.exit_status());
                if state.policy == RestartPolicy::Never {
                    state.phase = Phase::Stopped { how, status };
                } else {
                    logger::fatal(&how);
                    self.stop(&mut state, how, status);
                }
            }
        }
    }

    fn forward_signal(&self, number: i32) {
        let Some(known) = Signal::from_named_raw(number).filter(|_| number != SIGCHLD) else {
            return;
        };
        let mut state = self.supervisor.lock();
        match &mut state.phase {
            Phase::Running(process) => {
                debug!("forwarding signal {number} to the app");
                signal(process.group, known);
                if number != SIGCONT {
                    process.signal = Some(number);
                }
            }
            // There is no app to exit after it.
            Phase::Down { .. } if matches!(number, SIGTERM | SIGINT) => {
                let how = format!("received signal {number} while the app was down");
                self.stop(&mut state, how, 128 + number);
            }
            Phase::Down { .. } | Phase::Stopped { .. } => {
                debug!("ignoring signal {number}: the app is not running");
            }
        }
    }

    /// Reaps children and adopted orphans; returns the app's exit status if it has exited.
    fn reap(&self) -> Option<ExitStatus> {
        let group = match self.supervisor.lock().phase {
            Phase::Running(process) => Some(process.group),
            _ => None,
        };
        let mut app = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if Some(pid) == group {
                app = Some(ExitStatus::from_raw(status.as_raw()));
            } else {
                debug!("reaped the orphan {}", pid.as_raw_pid());
            }
        }
        app
    }

    /// Records an exit of the app, then cleans up after it and restarts or stops.
    fn exited(&self, status: ExitStatus) {
        // In the log, the app's last lines come before the adapter's.
        self.supervisor.flush();
        let mut state = self.supervisor.lock();
        let Phase::Running(process) = state.phase else {
            return;
        };
        let after = state.exited(process, status, Instant::now());
        // Other processes of the group: the port has to be free for the next generation.
        let cleanup_signal = match after {
            AfterExit::Restart(_) => Signal::KILL,
            _ => Signal::TERM,
        };
        signal(process.group, cleanup_signal);
        self.supervisor.exited.notify_all();
        let code = exit_code(status);
        match after {
            AfterExit::Restart(delay) => {
                let ms = delay.as_millis() as u64;
                warn!("the app exited ({status}): restarting it in {ms} ms");
            }
            AfterExit::StopAfterSignal(number) => {
                info!("the app exited after signal {number} ({status})");
                self.stop(&mut state, format!("the app exited ({status})"), code);
            }
            AfterExit::FailInit => {
                let how = format!("the app exited during init ({status}){}", hint(code));
                state.phase = Phase::Stopped { how, status: code };
            }
            AfterExit::GiveUp => {
                let times = format!("{MAX_FAILED_STARTS} times in a row without a response");
                let how = format!("the app exited {times} ({status})");
                logger::fatal(&how);
                self.stop(&mut state, how, code);
            }
        }
    }

    /// Stops for good; the process exits once no invocation is in flight.
    fn stop(&self, state: &mut State, how: String, status: i32) {
        state.phase = Phase::Stopped { how, status };
        self.shutdown.request(status);
    }
}

fn signal(group: Pid, signal: Signal) {
    if let Err(cause) = kill_process_group(group, signal) {
        // Expected where no process of the group is left.
        debug!("failed to signal the app: {cause}");
    }
}

/// The usual meaning of two codes, by the convention of shells.
fn hint(code: i32) -> &'static str {
    match code {
        126 => ": the command cannot be executed",
        127 => ": the command was not found",
        _ => "",
    }
}
