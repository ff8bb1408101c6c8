//! Child processes: start, output, signals, memory.
//!
//! Each extension and the runtime have a process group of their own, as on Lambda, so that a signal
//! reaches their children, too. Signals are sent by the shell's `kill`: the standard library can
//! only kill a single process, and `unsafe` is forbidden. Memory is read from `/proc`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use crate::log::{Logger, Source};

/// Lambda splits longer log lines, too.
const LINE_LIMIT: u64 = 256 << 10;

/// A program to start with exactly these arguments and variables.
#[derive(Debug)]
pub struct Launch<'a> {
    pub program: &'a OsStr,
    pub args: &'a [String],
    pub env: &'a [(OsString, OsString)],
    pub source: Source,
}

/// Starts a program in a process group of its own and returns the group. `on_exit` is called when
/// the program has exited.
pub fn spawn(
    launch: Launch<'_>,
    logger: &Arc<Logger>,
    on_exit: impl FnOnce(u32, String) + Send + 'static,
) -> io::Result<u32> {
    let mut child = Command::new(launch.program)
        .args(launch.args)
        .env_clear()
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = child.id();
    relay(child.stdout.take(), launch.source.clone(), logger);
    relay(child.stderr.take(), launch.source, logger);
    std::thread::spawn(move || {
        let status = child.wait();
        on_exit(
            group,
            status.map_or_else(|error| error.to_string(), describe),
        );
    });
    Ok(group)
}

/// Logs each line of a pipe.
fn relay(pipe: Option<impl Read + Send + 'static>, source: Source, logger: &Arc<Logger>) {
    let Some(pipe) = pipe else { return };
    let logger = logger.clone();
    std::thread::spawn(move || {
        let mut reader = io::BufReader::new(pipe);
        let mut line = Vec::new();
        let mut read_line = |line: &mut Vec<u8>| {
            let mut limited = reader.by_ref().take(LINE_LIMIT);
            limited.read_until(b'\n', line).is_ok_and(|read| read > 0)
        };
        while read_line(&mut line) {
            let text = String::from_utf8_lossy(&line);
            logger.line(&source, text.trim_end_matches(['\n', '\r']));
            line.clear();
        }
    });
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

#[derive(Clone, Copy, Debug)]
pub enum Signal {
    Terminate,
    Kill,
    Stop,
    Continue,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Terminate => "TERM",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        })
    }
}

/// Sends a signal to process groups. A group that does not exist any more is not an error.
pub fn signal(signal: Signal, groups: &[u32]) {
    if groups.is_empty() {
        return;
    }
    let groups: Vec<String> = groups.iter().map(|group| format!("-{group}")).collect();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "kill -s \"$0\" -- \"$@\"", &signal.to_string()])
        .args(groups)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Err(error) = shell.status() {
        eprintln!("lambda-local: failed to send SIG{signal} through `/bin/sh`: {error}");
    }
}

/// Memory of process groups, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Sum of the peak resident sets: the value for REPORT lines.
    pub peak: u64,
    /// Anonymous and shared memory without mapped files: the value that the limit applies to.
    pub private: u64,
}

pub fn memory(groups: &[u32]) -> Memory {
    let mut total = Memory::default();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return total;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process that exits meanwhile is skipped.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        if !parse_group(&stat).is_some_and(|group| groups.contains(&group)) {
            continue;
        }
        if let Ok(status) = std::fs::read_to_string(entry.path().join("status")) {
            let memory = parse_memory(&status);
            total.peak += memory.peak;
            total.private += memory.private;
        }
    }
    total
}

/// Returns the third field after the command name, which is in parentheses and may contain any
/// character.
fn parse_group(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok()
}

fn parse_memory(status: &str) -> Memory {
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    };
    Memory {
        peak: field("VmHWM:"),
        private: field("RssAnon:") + field("RssShmem:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_name_may_contain_parentheses() {
        assert_eq!(
            parse_group("22705 (a) b (c) S 22664 22699 22699 0 -1 4"),
            Some(22699)
        );
        assert_eq!(parse_group("nonsense"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t 1024 kB\n\
            RssFile:\t 512 kB\nRssShmem:\t 1 kB\n";
        assert_eq!(
            parse_memory(status),
            Memory {
                peak: 2 << 20,
                private: 1025 << 10
            }
        );
    }

    #[test]
    fn exit_statuses_have_the_format_of_lambda() {
        assert_eq!(describe(ExitStatus::from_raw(256)), "exit status 1");
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal: killed");
    }
}
