//! SIGINT, SIGTERM and SIGHUP: the request to shut down.
//!
//! Each child process has a process group of its own, so Ctrl-C in a terminal reaches this program
//! alone, which then shuts the children down in the order that Lambda uses. The handler only writes
//! one byte to a socket pair.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Redirects the signals to the returned stream; they no longer end the process.
pub fn subscribe() -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        pipe::register(signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// Blocks until one of the signals arrives.
pub fn wait(mut signals: UnixStream) {
    // A stream that cannot be read cannot deliver a signal later: shut down in this case, too.
    let _ = signals.read_exact(&mut [0]);
}
