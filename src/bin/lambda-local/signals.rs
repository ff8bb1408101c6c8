//! Ctrl-C and its kin: the request to end.
//!
//! Every process that is started here has a group of its own, so a terminal's Ctrl-C reaches this program alone, which then ends the others in
//! Lambda's order. The handler only writes a byte into a socket; whoever waits reads it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// From here on the signals no longer kill; they end the wait of the one who reads this.
pub fn catch() -> Result<UnixStream, String> {
    let register = || -> io::Result<UnixStream> {
        let (reader, writer) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            pipe::register(signal, writer.try_clone()?)?;
        }
        Ok(reader)
    };
    register().map_err(|error| format!("failed to catch signals: {error}"))
}

/// Blocks until one of the signals has come.
pub fn wait(mut caught: UnixStream) {
    // A wait that cannot go on is over, too.
    let _ = caught.read_exact(&mut [0]);
}
