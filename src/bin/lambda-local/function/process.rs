//! Processes: started in groups of their own, listened to, signalled, measured.
//!
//! Each extension and the runtime get a process group each, as on Lambda, so that a signal reaches what they have started too. Signals are
//! sent with the shell's own `kill`: the standard library can only kill a single process, and `unsafe` is not used here. Memory is read from
//! `/proc`; where there is none, it is not reported.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use crate::log::{Output, Source};

/// Starts a program in its own group with exactly this environment; `exited` is called when it has ended. The group is returned.
pub fn spawn(
    program: &OsStr,
    args: &[String],
    env: &[(OsString, OsString)],
    source: Source,
    output: &Arc<Output>,
    exited: impl FnOnce(u32, String) + Send + 'static,
) -> io::Result<u32> {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn()?;
    let group = child.id();
    listen(child.stdout.take(), source.clone(), output);
    listen(child.stderr.take(), source, output);
    std::thread::spawn(move || {
        let ending = child
            .wait()
            .map_or_else(|error| error.to_string(), describe);
        exited(group, ending);
    });
    Ok(group)
}

fn listen(pipe: Option<impl Read + Send + 'static>, source: Source, output: &Arc<Output>) {
    let (Some(pipe), output) = (pipe, output.clone()) else {
        return;
    };
    std::thread::spawn(move || {
        let mut lines = io::BufReader::new(pipe);
        let mut line = Vec::new();
        // A line of more than 256 KiB is cut, as in Lambda's own log.
        while lines
            .by_ref()
            .take(256 << 10)
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            output.line(
                &source,
                String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']),
            );
            line.clear();
        }
    });
}

/// The words in which Lambda tells how a process ended.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal: {}", signal_name(signal)),
        (None, None) => "no reason".to_owned(),
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

/// Sends a signal (`TERM`, `KILL`, `STOP`, `CONT`) to whole groups. A group that has ended already is no error.
pub fn signal(name: &str, groups: &[u32]) {
    if groups.is_empty() {
        return;
    }
    let groups: Vec<String> = groups.iter().map(|group| format!("-{group}")).collect();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "kill -s \"$0\" -- \"$@\"", name])
        .args(groups)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Err(error) = shell.status() {
        eprintln!("lambda-local: failed to send SIG{name} through `/bin/sh`: {error}");
    }
}

/// Memory of all processes of these groups in bytes, now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// The peaks of their resident sets: what is reported.
    pub peak: u64,
    /// Their own pages (anonymous and shared memory, no mapped files): what a limit is held against.
    pub own: u64,
}

pub fn memory(groups: &[u32]) -> Memory {
    let mut total = Memory::default();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return total;
    };
    for entry in entries.flatten() {
        let is_process = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process {
            continue;
        }
        // A process may end while it is looked at; it then counts no more.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if !group_of(&stat).is_some_and(|group| groups.contains(&group)) {
            continue;
        }
        if let Ok(status) = std::fs::read_to_string(entry.path().join("status")) {
            let one = memory_of(&status);
            total = Memory {
                peak: total.peak + one.peak,
                own: total.own + one.own,
            };
        }
    }
    total
}

/// The third field after the command's name, which stands in parentheses and may itself hold anything.
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(2)?
        .parse()
        .ok()
}

fn memory_of(status: &str) -> Memory {
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next())
            .and_then(|kib| kib.parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    };
    Memory {
        peak: field("VmHWM:"),
        own: field("RssAnon:") + field("RssShmem:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_behind_any_command_name() {
        assert_eq!(
            group_of("22705 (a) b (c) S 22664 22699 22699 0 -1 4"),
            Some(22699)
        );
        assert_eq!(group_of("nonsense"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t 1024 kB\nRssFile:\t 512 kB\nRssShmem:\t 1 kB\n";
        assert_eq!(
            memory_of(status),
            Memory {
                peak: 2 << 20,
                own: 1025 << 10
            }
        );
    }

    #[test]
    fn endings_are_told_as_lambda_tells_them() {
        assert_eq!(describe(ExitStatus::from_raw(256)), "exit status 1");
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal: killed");
    }
}
