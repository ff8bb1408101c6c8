//! Starts the app: in place of this process, or as its child.
//!
//! A child must not outlive the adapter: Lambda kills a hung environment with SIGKILL and
//! initializes it again, and then the port has to be free. PR_SET_PDEATHSIG has the kernel
//! kill a child when its parent exits, but the child must ask for it (PR_SET_PDEATHSIG(2const)),
//! and running code between fork and exec takes `unsafe`. So the child is this program again,
//! which makes the call and then executes the app.

use std::io::{self, ErrorKind, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, Stdio};

use crate::logger::line::debug;
use rustix::io::Errno;
use rustix::process::{Pid, getppid};

use crate::app::stdio::StdioRelay;
use crate::cli::{CHILD_OF, CommandLine, Parent};
use crate::config::settings::HTTP_ENDPOINT;
use crate::error::Fatal;
use crate::net::descriptors;
use crate::platform;

/// Replaces this process with the app; returns only on failure.
pub fn exec(command: &CommandLine) -> Fatal {
    failed(command, &app(command).exec())
}

/// Replaces this process with the app, which the kernel kills when `parent` exits. The app gets
/// the limits that the adapter had before it raised its own.
pub fn exec_as_child(parent: &Parent, command: &CommandLine) -> Fatal {
    if let Some(limit) = parent.descriptors
        && let Err(cause) = descriptors::limit_to(limit)
    {
        debug!("failed to restore the app's limit of descriptors: {cause}");
    }
    if let Err(cause) = platform::die_with_parent() {
        debug!("failed to set the parent-death signal of the app: {cause}");
    }
    // The parent may have exited before the call.
    if getppid().map(Pid::as_raw_pid) != Some(parent.id) {
        return Fatal::NotStarted {
            program: command.program.to_string_lossy().into_owned(),
            cause: "the adapter exited".into(),
            status: 1,
        };
    }
    exec(command)
}

/// Starts the app as a child in a process group of its own, and returns the group. The parent
/// is the calling thread: the kernel kills the app when that thread exits. The app learns
/// `endpoint`, where it shall listen, as in AWS Lambda Web Functions.
pub fn spawn(command: &CommandLine, endpoint: &str, stdio: &StdioRelay) -> Result<Pid, Fatal> {
    let mut own_program = Command::new(platform::own_program());
    let limit = descriptors::inherited().map_or(String::new(), |limit| format!(",{limit}"));
    own_program.arg(format!("{CHILD_OF}{}{limit}", process::id()));
    own_program.arg(&command.program).args(&command.args);
    let start = |command: &mut Command| {
        command.env(HTTP_ENDPOINT.name, endpoint);
        stdio.attach(in_own_group(command))?.spawn()
    };
    let started = start(&mut own_program).or_else(|cause| {
        debug!("failed to start the app through this program: {cause}");
        start(&mut app(command))
    });
    let child = started.map_err(|cause| failed(command, &cause))?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| failed(command, &ErrorKind::InvalidData.into()))
}

fn app(command: &CommandLine) -> Command {
    let mut app = Command::new(&command.program);
    app.args(&command.args);
    app
}

/// Lambda signals the adapter's process group: an app in the same group would get each signal
/// twice, once directly and once forwarded.
fn in_own_group(command: &mut Command) -> &mut Command {
    // The kernel stops a background process group that reads from the terminal.
    if io::stdin().is_terminal() {
        command.stdin(Stdio::null());
    }
    command.process_group(0)
}

/// The exit status is that of shells: 127 if there is no such file, 126 otherwise.
fn failed(command: &CommandLine, cause: &io::Error) -> Fatal {
    let program = command.program.to_string_lossy();
    let hint = match cause.kind() {
        ErrorKind::NotFound if program.contains('/') && Path::new(&command.program).exists() => {
            ": the file exists, but its interpreter or loader does not"
        }
        ErrorKind::PermissionDenied => ": is it an executable file (mode 755)?",
        _ if cause.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            ": is it built for another architecture, or a script without a `#!` line?"
        }
        _ => "",
    };
    Fatal::NotStarted {
        program: program.into_owned(),
        cause: format!("{cause}{hint}"),
        status: match cause.kind() {
            ErrorKind::NotFound => 127,
            _ => 126,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_program_of_another_architecture_names_the_cause() {
        let command = CommandLine {
            program: "/app".into(),
            args: Vec::new(),
        };
        let fatal = failed(&command, &Errno::NOEXEC.into());
        assert_eq!(fatal.exit_status(), 126);
        assert!(fatal.to_string().contains("architecture"), "{fatal}");
    }
}
