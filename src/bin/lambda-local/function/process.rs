//! Child processes: start and signals.
//!
//! Each extension and the runtime are started through a guard and have a process group of their
//! own, as on Lambda. SIGTERM goes to the group; what suspends or kills reaches all descendants of
//! the guard, whatever groups and sessions they are in, as the freezer of a cgroup would.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::function::output::{Filter, Output};
use crate::log::{Logger, Source};
use crate::platform;

/// The kernel ends a process within this time after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);
const KILL_INTERVAL: Duration = Duration::from_millis(1);

/// A program to start with exactly these arguments and variables.
#[derive(Debug)]
pub struct Launch<'a> {
    pub program: &'a OsStr,
    pub args: &'a [String],
    pub env: &'a [(OsString, OsString)],
    /// `None`: the working directory of lambda-local.
    pub dir: Option<&'a Path>,
    pub source: Source,
}

/// A process that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The guard, which is the parent.
    pub guard: u32,
    /// The process group; also the process itself.
    pub group: u32,
}

/// Starts a program in a process group of its own. `on_exit` is called when it has exited.
pub fn spawn(
    launch: Launch<'_>,
    logger: &Arc<Logger>,
    filter: Arc<Filter>,
    on_exit: impl FnOnce(Ids, String) + Send + 'static,
) -> io::Result<(Ids, Vec<Arc<Output>>)> {
    let (control, guards_end) = UnixStream::pair()?;
    let mut command = Command::new(platform::own_program());
    if let Some(dir) = launch.dir {
        command.current_dir(dir);
    }
    let mut guard = command
        .args(["guard", "--"])
        .arg(launch.program)
        .args(launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(guards_end)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    // The command holds the other end of the socket, whose closing must be noticed.
    drop(command);
    let mut reports = BufReader::new(control);
    let group = match read_report(&mut reports) {
        Some(Report::Started(group)) => group,
        Some(Report::Failed(errno)) => {
            guard.wait()?;
            return Err(io::Error::from_raw_os_error(errno));
        }
        _ => return Err(io::ErrorKind::BrokenPipe.into()),
    };
    let ids = Ids {
        guard: guard.id(),
        group,
    };
    let source = launch.source;
    let output =
        |pipe: OwnedFd| Output::start(pipe, source.clone(), logger.clone(), filter.clone());
    let stdout = guard.stdout.take().map(|pipe| output(pipe.into()));
    let stderr = guard.stderr.take().map(|pipe| output(pipe.into()));
    let outputs = stdout.into_iter().chain(stderr).collect();
    std::thread::spawn(move || {
        let status = match read_report(&mut reports) {
            Some(Report::Exited(status)) => describe(ExitStatus::from_raw(status)),
            _ => "unknown exit status".to_owned(),
        };
        on_exit(ids, status);
        // The guard exits when nothing is left below it.
        let _ = guard.wait();
        drop(reports);
    });
    Ok((ids, outputs))
}

/// A line from a guard.
enum Report {
    Started(u32),
    Failed(i32),
    Exited(i32),
}

fn read_report(reports: &mut impl BufRead) -> Option<Report> {
    let mut line = String::new();
    reports.read_line(&mut line).ok()?;
    let (kind, number) = line.trim_end().split_once(' ')?;
    match kind {
        "started" => Some(Report::Started(number.parse().ok()?)),
        "failed" => Some(Report::Failed(number.parse().ok()?)),
        "exited" => Some(Report::Exited(number.parse().ok()?)),
        _ => None,
    }
}

/// Formats an exit status as Lambda does.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {}", signal_name(signal)),
        (None, None) => "unknown exit status".to_owned(),
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        2 => "interrupt".to_owned(),
        6 => "aborted".to_owned(),
        9 => "killed".to_owned(),
        11 => "segmentation fault".to_owned(),
        15 => "terminated".to_owned(),
        other => other.to_string(),
    }
}

fn pid(process: u32) -> Option<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw)
}

/// Sends SIGTERM to process groups. A group that does not exist any more is not an error.
pub fn terminate(groups: impl IntoIterator<Item = u32>) {
    for group in groups.into_iter().filter_map(pid) {
        let _ = kill_process_group(group, Signal::TERM);
    }
}

/// Kills processes. A process that does not exist any more is not an error.
pub fn kill(processes: &[u32]) {
    signal_all(processes, Signal::KILL);
}

fn signal_all(processes: &[u32], signal: Signal) {
    for process in processes.iter().copied().filter_map(pid) {
        let _ = kill_process(process, signal);
    }
}

/// Kills all processes below `roots`, and those that they start meanwhile.
pub fn kill_below(roots: &[u32]) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    loop {
        let found = platform::descendants(roots);
        if found.is_empty() || Instant::now() > deadline {
            return;
        }
        kill(&found);
        std::thread::sleep(KILL_INTERVAL);
    }
}

/// Suspends all processes below `roots`, and those that they start meanwhile.
pub fn suspend_below(roots: &[u32]) {
    let mut suspended = Vec::new();
    loop {
        let found = platform::descendants(roots);
        let is_new = |process: &u32| !suspended.contains(process);
        let new: Vec<u32> = found.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        signal_all(&new, Signal::STOP);
        suspended.extend(new);
    }
}

/// Resumes all processes below `roots`.
pub fn resume_below(roots: &[u32]) {
    signal_all(&platform::descendants(roots), Signal::CONT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_have_the_format_of_lambda() {
        assert_eq!(describe(ExitStatus::from_raw(256)), "exit status 1");
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal: killed");
    }
}
