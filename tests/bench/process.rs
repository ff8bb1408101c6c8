//! One adapter as a process, and the kernel's figures about it.
//!
//! Processor time is summed over the threads from `/proc/PID/task/*/schedstat`, because
//! `/proc/PID/stat` counts in ticks of 10 ms, which is more than a whole start.

use std::fs::read_to_string;
use std::io::Result;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

pub struct Process {
    child: Child,
    pub started: Instant,
}

impl Process {
    /// Starts `program` with `env` as its whole environment.
    pub fn start(
        program: &Path,
        argument: Option<&str>,
        env: &[(&str, String)],
    ) -> Result<Process> {
        let mut command = Command::new(program);
        command
            .args(argument)
            .env_clear()
            .envs(env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null());
        if std::env::var_os("VERBOSE").is_none() {
            command.stderr(Stdio::null());
        }
        let started = Instant::now();
        let child = command.spawn().map_err(|e| {
            std::io::Error::new(
                e.kind(),
                format!("failed to start `{}`: {e}", program.display()),
            )
        })?;
        Ok(Process { child, started })
    }

    /// Nanoseconds on a processor, user and system, of all running threads.
    pub fn cpu(&self) -> u64 {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            return 0;
        };
        let time = |text: String| text.split(' ').next().and_then(|t| t.parse::<u64>().ok());
        tasks
            .flatten()
            .filter_map(|task| {
                read_to_string(task.path().join("schedstat"))
                    .ok()
                    .and_then(time)
            })
            .sum()
    }

    /// Kilobytes resident now, exact (the figure in `status` may be out of date).
    pub fn resident(&self) -> u64 {
        self.kilobytes("smaps_rollup", "Rss:")
    }

    /// Peak kilobytes resident so far.
    pub fn peak(&self) -> u64 {
        self.kilobytes("status", "VmHWM:")
    }

    /// Kilobytes that no other process shares and no file backs.
    pub fn anonymous(&self) -> u64 {
        self.kilobytes("smaps_rollup", "Anonymous:")
    }

    pub fn page_faults(&self) -> u64 {
        let stat = read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let field = |n: usize| after_name.split_whitespace().nth(n)?.parse::<u64>().ok();
        field(7).unwrap_or(0) + field(9).unwrap_or(0)
    }

    fn kilobytes(&self, file: &str, name: &str) -> u64 {
        let text = read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
