//! One adapter as a process, and the kernel's figures about it.
//!
//! Processor time is summed over the threads from `/proc/PID/task/*/schedstat`, because
//! `/proc/PID/stat` counts in ticks of 10 ms, which is more than a whole start.

use std::fs::read_to_string;
use std::io::Result;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// The environment of an adapter whose app listens on `port`.
pub fn adapter_env(api: SocketAddr, port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench".into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512".into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench".into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".into()),
        ("AWS_REGION", "eu-west-1".into()),
        ("AWS_LWA_PORT", port.to_string()),
    ]
}

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
        let arguments: Vec<&str> = argument.into_iter().collect();
        Process::spawn(&[], program, &arguments, env, Stdio::null())
    }

    /// The same through the programs in `prefix`, which execute it; its stdout can be read.
    pub fn start_in(
        prefix: &[String],
        program: &Path,
        arguments: &[&str],
        env: &[(&str, String)],
    ) -> Result<Process> {
        Process::spawn(prefix, program, arguments, env, Stdio::piped())
    }

    fn spawn(
        prefix: &[String],
        program: &Path,
        arguments: &[&str],
        env: &[(&str, String)],
        stdout: Stdio,
    ) -> Result<Process> {
        let mut command = match prefix {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command
            .args(arguments)
            .env_clear()
            .envs(env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(stdout);
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

    /// Ends it by SIGTERM, after which it finishes what it does and exits.
    pub fn terminate(&mut self, timeout: Duration) -> Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").arg(id).status()?;
        let deadline = Instant::now() + timeout;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(std::io::Error::other("SIGTERM does not end the adapter"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What it prints, where it was started by `start_in`.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
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
