//! The life cycle of the app as a child: a state machine without processes, threads or logs.
//!
//! `supervisor.rs` owns the process and reports its starts and exits here; the decision whether
//! an exit is followed by a restart is made in [`State::exited`] alone.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Pid;

/// Generations in a row that may exit without a response.
pub const MAX_FAILED_STARTS: u32 = 5;
/// The delay after the first of them; doubled after each further one.
const RESTART_BACKOFF: Duration = Duration::from_millis(100);

/// The current phase, and what the next decision depends on.
#[derive(Debug)]
pub struct State {
    pub phase: Phase,
    pub policy: RestartPolicy,
    /// A response was received since the last exit.
    pub responded: bool,
    exits: u32,
    last_status: Option<ExitStatus>,
    failed_starts: u32,
}

#[derive(Debug)]
pub enum Phase {
    /// There is no process; the next one is due.
    Down {
        start_at: Instant,
    },
    Running(Process),
    /// The app is not started again, and the process is to exit with `status`.
    Stopped {
        how: String,
        status: i32,
    },
}

/// One generation of the app.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Its id is that of the first process in it.
    pub group: Pid,
    /// The last signal that was forwarded, apart from SIGCONT.
    pub signal: Option<i32>,
    pub hung: bool,
}

/// When the app is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// During init, where an exit is an init error.
    Never,
    AfterExit,
    AfterExitOrTimeout,
}

/// The consequence of an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExit {
    Restart(Duration),
    /// The app exited after this signal: so does the adapter.
    StopAfterSignal(i32),
    FailInit,
    /// The app is not expected to respond after yet another start.
    GiveUp,
}

impl State {
    pub fn new(start_at: Instant) -> State {
        State {
            phase: Phase::Down { start_at },
            policy: RestartPolicy::Never,
            responded: false,
            exits: 0,
            last_status: None,
            failed_starts: 0,
        }
    }

    /// The current generation, or the next one while the app is down; the first is 1.
    pub fn generation(&self) -> u32 {
        self.exits.saturating_add(1)
    }

    /// The exit status of the last generation, if this or a later one.
    pub fn exit_status(&self, generation: u32) -> Option<ExitStatus> {
        self.last_status.filter(|_| self.exits >= generation)
    }

    /// Marks the generation as hung where the policy has it killed then.
    pub fn mark_hung(&mut self, generation: u32) {
        if self.policy == RestartPolicy::AfterExitOrTimeout
            && self.generation() == generation
            && let Phase::Running(process) = &mut self.phase
        {
            process.hung = true;
        }
    }

    /// Records an exit and decides about a restart. If there is none, the caller stops the app.
    pub fn exited(&mut self, process: Process, status: ExitStatus, now: Instant) -> AfterExit {
        self.exits = self.exits.saturating_add(1);
        self.last_status = Some(status);
        self.failed_starts = if std::mem::take(&mut self.responded) {
            0
        } else {
            self.failed_starts.saturating_add(1)
        };
        if let Some(number) = process.signal {
            AfterExit::StopAfterSignal(number)
        } else if self.policy == RestartPolicy::Never {
            AfterExit::FailInit
        } else if self.failed_starts >= MAX_FAILED_STARTS {
            AfterExit::GiveUp
        } else {
            let delay = backoff(self.failed_starts);
            let start_at = now + delay;
            self.phase = Phase::Down { start_at };
            AfterExit::Restart(delay)
        }
    }
}

fn backoff(failed_starts: u32) -> Duration {
    match failed_starts.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => RESTART_BACKOFF * 2_u32.saturating_pow(doublings),
    }
}

/// The exit code that a shell reports for this status.
pub fn exit_code(status: ExitStatus) -> i32 {
    let killed = || status.signal().map_or(1, |number| 128 + number);
    status.code().unwrap_or_else(killed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use AfterExit::*;

    const PROCESS: Process = Process {
        group: Pid::INIT,
        signal: None,
        hung: false,
    };

    fn running(policy: RestartPolicy) -> State {
        State {
            phase: Phase::Running(PROCESS),
            policy,
            ..State::new(Instant::now())
        }
    }

    fn exit(state: &mut State, process: Process) -> AfterExit {
        state.exited(process, ExitStatus::from_raw(0), Instant::now())
    }

    #[test]
    fn an_exit_during_init_is_final() {
        assert_eq!(exit(&mut running(RestartPolicy::Never), PROCESS), FailInit);
    }

    #[test]
    fn an_exit_after_a_signal_is_final() {
        let signalled = Process {
            signal: Some(15),
            ..PROCESS
        };
        for policy in [RestartPolicy::Never, RestartPolicy::AfterExit] {
            let after = exit(&mut running(policy), signalled);
            assert_eq!(after, StopAfterSignal(15), "{policy:?}");
        }
    }

    #[test]
    fn restarts_without_a_response_slow_down_and_end() {
        let mut state = running(RestartPolicy::AfterExit);
        for ms in [100, 200, 400, 800] {
            let delay = Duration::from_millis(ms);
            assert_eq!(exit(&mut state, PROCESS), Restart(delay));
        }
        assert_eq!(exit(&mut state, PROCESS), GiveUp);
    }

    #[test]
    fn a_response_resets_the_backoff() {
        let mut state = running(RestartPolicy::AfterExit);
        exit(&mut state, PROCESS);
        state.responded = true;
        assert_eq!(exit(&mut state, PROCESS), Restart(Duration::ZERO));
        let first = Duration::from_millis(100);
        assert_eq!(exit(&mut state, PROCESS), Restart(first));
    }

    #[test]
    fn only_the_current_generation_is_marked_as_hung() {
        let hung = |policy, generation| {
            let mut state = running(policy);
            state.mark_hung(generation);
            matches!(state.phase, Phase::Running(Process { hung: true, .. }))
        };
        assert!(hung(RestartPolicy::AfterExitOrTimeout, 1));
        assert!(!hung(RestartPolicy::AfterExitOrTimeout, 2));
        assert!(!hung(RestartPolicy::AfterExit, 1));
    }

    #[test]
    fn exit_codes_are_those_of_shells() {
        for (raw, code) in [(0, 0), (7 << 8, 7), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(exit_code(ExitStatus::from_raw(raw)), code, "{raw:#x}");
        }
    }
}
