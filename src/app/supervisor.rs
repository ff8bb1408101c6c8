//! The app as our child: signals passed on, its end noticed and told, a new life given.
//!
//! Where the adapter is the process that Lambda started, everything that an init does for a
//! container falls to it too: a signal goes to the app's whole group, whoever has lost its
//! parent is reaped, and the app's exit status becomes ours (128 and the signal's number
//! where it was killed, as in a shell). One thread does it all, parked until a signal comes.
//!
//! An app that ends while it serves costs the invocations that it had, and is started again:
//! a new environment would take longer. Not for ever, though: after a few lives in a row that
//! answered nothing the process ends too, and Lambda makes everything anew.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use signal_hook::consts::*;

use crate::app::signals::{self, Signals};
use crate::app::spawn;
use crate::app::stdio::Output;
use crate::cli::CommandLine;
use crate::error::{Class, Failure, Fatal};
use crate::logger;
use crate::shutdown::Stop;

/// What anyone sends to a server; an app that ends after one of them was meant to end.
const PASSED_ON: [i32; 8] = [
    SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT,
];
/// How many lives in a row may pass without an answer.
const LIVES: u32 = 5;
/// The pause before the second such life; it doubles from life to life.
const PAUSE: Duration = Duration::from_millis(100);
/// A connection that broke is seen a moment before the end of the app that it broke by.
const GRACE: Duration = Duration::from_millis(20);
/// How long a killed app may take to be gone.
const BURIAL: Duration = Duration::from_secs(2);

/// What the threads of the adapter know of the app, and may do to it.
#[derive(Debug, Default)]
pub struct Child {
    state: Mutex<State>,
    ended: Condvar,
    /// Whether the app has answered anything in this life.
    answered: AtomicBool,
    output: Arc<Output>,
}

#[derive(Debug, Default)]
struct State {
    /// The process group, under the id of its first process; none while the app is down.
    group: Option<Pid>,
    /// How often the app has ended.
    ends: u32,
    last: Option<ExitStatus>,
    /// Until then, an end is for init to tell, and final.
    serving: bool,
    restart_hung: bool,
    hung: bool,
    signal: Option<i32>,
    fruitless: u32,
    /// Why the app is not started again, and what the process is to exit with.
    over: Option<(String, i32)>,
}

impl Child {
    /// Starts the app, and the thread that looks after it.
    pub fn start(line: CommandLine, stop: Arc<Stop>) -> Result<Arc<Child>, Fatal> {
        let unable = |cause: io::Error| Fatal::NotStarted {
            program: line.program.to_string_lossy().into_owned(),
            cause: cause.to_string(),
            status: 1,
        };
        let ignored = signals::ignored();
        let wanted = PASSED_ON.into_iter().filter(|number| !ignored(*number));
        // First, so that not even the shortest life goes unnoticed.
        let signals = Signals::listen(wanted.chain([SIGCHLD])).map_err(unable)?;
        let child = Arc::new(Child {
            output: Output::start(),
            ..Child::default()
        });
        let supervisor = Supervisor {
            child: Arc::clone(&child),
            stop,
            line: line.clone(),
            signals,
        };
        thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || supervisor.run())
            .map_err(unable)?;
        Ok(child)
    }

    /// Init is over: from now on the app is started again when it ends, and with
    /// `restart_hung` also when it does not answer in time.
    pub fn serve(&self, restart_hung: bool) -> Result<(), Fatal> {
        let mut state = self.lock();
        state.serving = true;
        state.restart_hung = restart_hung;
        drop(state);
        self.output.forget();
        self.check()
    }

    /// Comes back once all that the app has printed by now is where it was to go.
    pub fn settle(&self) {
        self.output.settle();
    }

    /// The last lines that the app printed, while init lasts.
    pub fn last_lines(&self) -> String {
        self.settle();
        self.output.last_lines()
    }

    /// Which life the app is in, or will be next: the first is 1.
    pub fn life(&self) -> u32 {
        self.lock().ends.saturating_add(1)
    }

    /// Fails once the app is not started again.
    pub fn check(&self) -> Result<(), Fatal> {
        match self.lock().over.clone() {
            Some((how, status)) => Err(Fatal::AppExited { how, status }),
            None => Ok(()),
        }
    }

    pub fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// A failure in the light of what has become of the app since `life`.
    pub fn explain(&self, failure: Failure, life: u32) -> Failure {
        if failure.class == Class::AppTimeout {
            let mut state = self.lock();
            state.hung = state.restart_hung;
        }
        match failure.cut_off.then(|| self.await_end(life, GRACE)) {
            Some(Some(status)) => Failure::new(
                Class::AppExited,
                format!("the app ended ({status}): {}", failure.message),
            ),
            _ => failure,
        }
    }

    /// Ends an app that has been found hung; a new life follows.
    pub fn end_hung(&self, life: u32) {
        let mut state = self.lock();
        if std::mem::take(&mut state.hung) && state.ends.saturating_add(1) == life {
            warn!("the app hangs: it is killed and started again");
            signal(state.group, Signal::KILL);
            drop(state);
            self.await_end(life, BURIAL);
        }
    }

    /// Ends the app for good, since the process ends.
    pub fn kill(&self) {
        let mut state = self.lock();
        state
            .over
            .get_or_insert_with(|| ("the adapter ends".into(), 1));
        signal(state.group, Signal::KILL);
        drop(state);
        self.settle();
    }

    /// Waits until that life has ended, and says how.
    fn await_end(&self, life: u32, patience: Duration) -> Option<ExitStatus> {
        let lives_on = |state: &mut State| state.ends < life;
        let waited = self
            .ended
            .wait_timeout_while(self.lock(), patience, lives_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.last.filter(|_| state.ends >= life)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group
        && let Err(cause) = kill_process_group(group, signal)
    {
        // Mostly there is nobody left.
        debug!("failed to signal the app: {cause}");
    }
}

/// The thread that is the app's parent.
struct Supervisor {
    child: Arc<Child>,
    stop: Arc<Stop>,
    line: CommandLine,
    signals: Signals,
}

impl Supervisor {
    /// Never returns: with its parent, the app would end.
    fn run(mut self) {
        self.launch();
        let mut due: Option<Instant> = None;
        loop {
            let patience = due.map(|due| due.saturating_duration_since(Instant::now()));
            let signals: Vec<i32> = self.signals.wait(patience).collect();
            for number in signals {
                self.pass_on(number);
            }
            if let Some(status) = self.reap() {
                due = self.ended(status);
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                due = None;
                self.launch();
            }
        }
    }

    fn pass_on(&self, number: i32) {
        let mut state = self.child.lock();
        let Some(known) = Signal::from_named_raw(number).filter(|_| number != SIGCHLD) else {
            return;
        };
        debug!("signal {number} goes to the app");
        signal(state.group, known);
        if number != SIGCONT {
            state.signal = Some(number);
        }
        // Between two lives the signal is for us.
        if state.group.is_none() && matches!(number, SIGTERM | SIGINT) {
            let how = format!("signal {number} came while the app was down");
            self.finish(&mut state, how, 128 + number);
        }
    }

    /// Buries all the dead, whose parent we are or have become; says how the app ended.
    fn reap(&self) -> Option<ExitStatus> {
        let group = self.child.lock().group;
        let mut app = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            match Some(pid) == group {
                true => app = Some(ExitStatus::from_raw(status.as_raw())),
                false => debug!("reaped the orphan {}", pid.as_raw_pid()),
            }
        }
        app
    }

    /// Takes note of the app's end; says when to start it again, if so.
    fn ended(&self, status: ExitStatus) -> Option<Instant> {
        let child = &self.child;
        // Its last words come before ours.
        child.settle();
        let mut state = child.lock();
        let group = state.group.take();
        state.ends = state.ends.saturating_add(1);
        state.last = Some(status);
        state.fruitless = match child.answered.swap(false, Ordering::Relaxed) {
            true => 0,
            false => state.fruitless.saturating_add(1),
        };
        let code = status
            .code()
            .unwrap_or_else(|| status.signal().map_or(1, |number| 128 + number));
        let lives_again = state.over.is_none()
            && state.signal.is_none()
            && state.serving
            && state.fruitless < LIVES;
        // What the app has left behind must not keep its port.
        let farewell = match lives_again {
            true => Signal::KILL,
            false => Signal::TERM,
        };
        signal(group, farewell);
        child.ended.notify_all();
        if lives_again {
            let pause = match state.fruitless {
                0 => Duration::ZERO,
                number => PAUSE * 2_u32.pow(number - 1),
            };
            warn!(
                "the app ended ({status}): it is started again in {} ms",
                pause.as_millis()
            );
            return Some(Instant::now() + pause);
        }
        if state.over.is_some() {
            return None;
        }
        if let Some(number) = state.signal {
            info!("the app ended after signal {number} ({status})");
            self.finish(&mut state, format!("the app ended ({status})"), code);
        } else if state.serving {
            let how = format!("the app ended {LIVES} times without an answer ({status})");
            logger::fatal(&how);
            self.finish(&mut state, how, code);
        } else {
            let how = format!("the app ended before init did ({status}){}", hint(code));
            state.over = Some((how, code));
        }
        None
    }

    /// Starts the app; if that fails, there is no other try.
    fn launch(&self) {
        let started = spawn::spawn(&self.line, &self.child.output);
        let mut state = self.child.lock();
        match started {
            Ok(group) => {
                state.group = Some(group);
                // It may have come too late.
                if state.over.is_some() {
                    signal(state.group, Signal::KILL);
                }
            }
            Err(fatal) if state.serving => {
                logger::fatal(&fatal.to_string());
                self.finish(&mut state, fatal.to_string(), fatal.exit_status());
            }
            Err(fatal) => state.over = Some((fatal.to_string(), fatal.exit_status())),
        }
    }

    /// The process ends as soon as nothing is in flight any more.
    fn finish(&self, state: &mut State, how: String, status: i32) {
        state.over = Some((how, status));
        self.stop.end(status);
    }
}

/// What two statuses mostly mean, shells having agreed on them.
fn hint(code: i32) -> &'static str {
    match code {
        126 => ": its command cannot be executed",
        127 => ": its command was not found",
        _ => "",
    }
}
