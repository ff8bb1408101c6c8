//! The parent of one process of an environment, which ends everything below it with lambda-local.
//!
//! The app may start processes in groups and sessions of their own, and lambda-local may be killed.
//! So each extension and the app are started by this program again, as a guard. It adopts the
//! orphans below it, so that all its descendants are found, and kills them when lambda-local is no
//! longer at the other end of its standard input, which is a socket. Otherwise it reports on the
//! socket, one line each: `started PID` or `failed ERRNO`, then `exited STATUS`.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};

use crate::function::process;
use crate::platform;

pub fn run(command: &[String]) -> io::Result<ExitCode> {
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    platform::adopt_orphans()?;
    let mut parts = command.iter();
    let child = Command::new(parts.next().map_or("", String::as_str))
        .args(parts)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn();
    let child = match child {
        Ok(child) => child.id(),
        Err(error) => {
            writeln!(
                control,
                "failed {}",
                error.raw_os_error().unwrap_or_default()
            )?;
            return Ok(ExitCode::FAILURE);
        }
    };
    writeln!(control, "started {child}")?;
    let mut end = control.try_clone()?;
    std::thread::spawn(move || {
        // Nothing is ever sent: a read returns when lambda-local is gone.
        let _ = end.read(&mut [0]);
        process::kill_below(&[std::process::id()]);
        std::process::exit(0);
    });
    reap(child, &mut control);
    Ok(ExitCode::SUCCESS)
}

/// Reaps children and adopted orphans until none is left; reports the exit of `child`.
fn reap(child: u32, control: &mut UnixStream) {
    let child = i32::try_from(child).ok().and_then(Pid::from_raw);
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((process, status))) if Some(process) == child => {
                // If lambda-local is gone, the other thread ends this process.
                let _ = writeln!(control, "exited {}", status.as_raw());
            }
            Ok(_) | Err(Errno::INTR) => {}
            // No child is left.
            Err(_) => return,
        }
    }
}
