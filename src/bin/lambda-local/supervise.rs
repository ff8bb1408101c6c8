//! Ctrl-C: how this program hears of the signals that end it, without handling one.
//!
//! The standard library has no signal handling and `unsafe` is not used here, but every system with `sh` has a program that can trap signals.
//! So the process that the user started becomes a shell, which starts the true one and waits for it. The true one reads a pipe of which the
//! shell holds the only writing end: a trapped signal closes it, and so does any other end of the shell, SIGKILL included. End of file then
//! means: shut down, in order. The true one leaves the terminal's process group, so that Ctrl-C reaches the shell alone.
//!
//! It costs three `exec`s of a small file at the start, and no library.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::clock;
use crate::setup::current_exe;

/// Which of the three this is; never shown to the app or to extensions.
pub const STAGE: &str = "LAMBDA_LOCAL_STAGE";

const SCRIPT: &str = r#"
mkfifo "$1" || exit 1
exec 3<>"$1"
exec 4>"$1" 5<"$1" 3>&-
rm -f "$1"
shift
trap 'exec 4>&-' INT TERM HUP
"$@" <&5 4>&- 5<&- &
child=$!
exec 5<&-
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || exit "$code"
done
"#;

/// Returns in the process that is to do the work; the others become something else on the way.
pub fn enter() -> Result<(), String> {
    let program = current_exe()?;
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let error = match std::env::var(STAGE).as_deref() {
        Ok("2") => return Ok(()),
        Ok("1") => Command::new(program)
            .args(arguments)
            .env(STAGE, "2")
            .process_group(0)
            .exec(),
        _ => {
            let pipe = std::env::temp_dir().join(format!("lambda-local-{:016x}", clock::random()));
            Command::new("/bin/sh")
                .args(["-c", SCRIPT, "lambda-local"])
                .arg(pipe)
                .arg(program)
                .args(arguments)
                .env(STAGE, "1")
                .exec()
        }
    };
    Err(format!("failed to start under `/bin/sh`: {error}"))
}

/// Blocks until the shell has been told to end, or has ended.
pub fn wait_for_the_end() {
    let mut pipe = std::io::stdin();
    while pipe.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
}
