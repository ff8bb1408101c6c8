//! The start of the app's command: in our place, or as our child.
//!
//! A child must not outlive us: Lambda ends a hung environment with SIGKILL, starts us anew in
//! it, and the port has to be free then. The kernel ends a child with its parent if the child
//! asks for that (PR_SET_PDEATHSIG), but between fork and exec the standard library runs no
//! code of ours without `unsafe`. So this program starts itself, asks, and becomes the app.

use std::io::{self, ErrorKind, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Command, Stdio};

use log::debug;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::app::stdio::Output;
use crate::cli::{CHILD_OF, CommandLine};
use crate::error::Fatal;

/// Becomes the app; comes back only with the reason why not.
pub fn exec(line: &CommandLine) -> Fatal {
    failed(line, &command(line).exec())
}

/// Becomes the app that ends when its parent does.
pub fn exec_as_child(parent: i32, line: &CommandLine) -> Fatal {
    if let Err(cause) = set_parent_process_death_signal(Some(Signal::KILL)) {
        debug!("failed to tie the app to the life of the adapter: {cause}");
    }
    // The parent may have ended before it could be asked for.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Fatal::NotStarted {
            program: line.program.to_string_lossy().into_owned(),
            cause: "the adapter has ended".into(),
            status: 1,
        };
    }
    exec(line)
}

/// Starts the app as our child, in a process group of its own. The calling thread counts as
/// the parent: the app ends when the thread does.
pub fn spawn(line: &CommandLine, output: &Output) -> Result<Pid, Fatal> {
    let mut first = Command::new("/proc/self/exe");
    first.arg(format!("{CHILD_OF}{}", process::id()));
    first.arg(&line.program).args(&line.args);
    let start = |command: &mut Command| output.give_to(in_own_group(command))?.spawn();
    let started = start(&mut first).or_else(|cause| {
        debug!("failed to start the app through `/proc/self/exe`: {cause}");
        start(&mut command(line))
    });
    let child = started.map_err(|cause| failed(line, &cause))?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| failed(line, &ErrorKind::InvalidData.into()))
}

fn command(line: &CommandLine) -> Command {
    let mut command = Command::new(&line.program);
    command.args(&line.args);
    command
}

/// Lambda signals our process group, and what we pass on would come twice if the app were in
/// it.
fn in_own_group(command: &mut Command) -> &mut Command {
    // A group in the background is stopped when it reads from the terminal.
    if io::stdin().is_terminal() {
        command.stdin(Stdio::null());
    }
    command.process_group(0)
}

/// The statuses are those of every shell: 127 for what is not there, 126 for the rest.
fn failed(line: &CommandLine, cause: &io::Error) -> Fatal {
    let program = line.program.to_string_lossy();
    let hint = match cause.kind() {
        ErrorKind::NotFound if program.contains('/') && Path::new(&line.program).exists() => {
            ": the file is there, but the interpreter or loader that it names is not"
        }
        ErrorKind::PermissionDenied => ": is it a file of mode 755?",
        _ if cause.raw_os_error() == Some(EXEC_FORMAT) => {
            ": is it made for this architecture, and does a script begin with `#!`?"
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

/// ENOEXEC of errno(3).
const EXEC_FORMAT: i32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_another_architecture_is_told_as_such() {
        let line = CommandLine {
            program: "/app".into(),
            args: Vec::new(),
        };
        let fatal = failed(&line, &io::Error::from_raw_os_error(EXEC_FORMAT));
        assert_eq!(fatal.exit_status(), 126);
        assert!(fatal.to_string().contains("architecture"), "{fatal}");
    }
}
