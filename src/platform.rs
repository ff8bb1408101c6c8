//! Threads and small files, and the calls that only Linux has with their replacements on other
//! systems.
//!
//! Lambda runs Linux. On macOS the adapter runs under `lambda-local`, where it may be slower, and
//! where `lambda-local` itself ends every process.

pub use system::{
    CONNECTS_AGAIN, acknowledge_at_once, die_with_parent, ignored_signals, own_program,
    stream_socket, use_plain_congestion_control,
};

use std::fs::File;
use std::io::{self, Read};
use std::thread::Builder;

/// Starts a thread with a stack of so many bytes. What starts a thread is in the binary once for
/// each type of closure, so there is one.
pub fn start_thread(stack: usize, run: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    Builder::new().stack_size(stack).spawn(run)?;
    Ok(())
}

/// The text of a file; as much as can be read.
pub fn read_text(path: &str) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    if let Ok(mut file) = File::open(path) {
        while let Ok(count @ 1..) = file.read(&mut buffer) {
            text.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::OsString;
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;
    use std::os::linux::net::TcpStreamExt;

    use rustix::net::sockopt::set_tcp_congestion;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use rustix::process::{Signal, set_parent_process_death_signal};

    /// Whether a socket can connect again after a refusal.
    pub const CONNECTS_AGAIN: bool = true;

    /// Returns a socket that the app does not inherit.
    pub fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC;
        Ok(socket_with(family, SocketType::STREAM, flags, None)?)
    }

    /// Acknowledges the data that is received next without a delay (TCP_QUICKACK).
    pub fn acknowledge_at_once(stream: &TcpStream) -> io::Result<()> {
        stream.set_quickack(true)
    }

    /// Selects a congestion control that does not pace; every Linux has it.
    pub fn use_plain_congestion_control(stream: &TcpStream) -> io::Result<()> {
        Ok(set_tcp_congestion(stream, "reno")?)
    }

    /// Has the kernel kill this process when its parent exits.
    pub fn die_with_parent() -> io::Result<()> {
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    }

    /// Returns the path that starts this program again, even if its file has been replaced.
    pub fn own_program() -> OsString {
        "/proc/self/exe".into()
    }

    /// Returns the set of signals that this process ignores; bit 0 is signal 1.
    pub fn ignored_signals() -> u64 {
        ignored_set(&crate::platform::read_text("/proc/self/status"))
    }

    /// The set in `/proc/self/status` (proc_pid_status(5)).
    fn ignored_set(status: &str) -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
            .unwrap_or(0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use rustix::net::sockopt::tcp_congestion;
        use std::net::TcpListener;

        #[test]
        fn ignored_signals_are_read_from_the_status_of_the_process() {
            let status = "Name:\tsh\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000001001\n";
            assert_eq!(ignored_set(status), 1 << 12 | 1);
            assert_eq!(ignored_set(""), 0);
        }

        #[test]
        fn the_congestion_control_does_not_pace() {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            let stream = TcpStream::connect(address).expect("a connection");
            use_plain_congestion_control(&stream).expect("an option");
            assert_eq!(tcp_congestion(&stream).expect("an option"), "reno");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::ffi::OsString;
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::OwnedFd;

    use rustix::io::ioctl_fioclex;
    use rustix::net::{AddressFamily, SocketType, socket};

    /// POSIX leaves the state of a refused socket open.
    pub const CONNECTS_AGAIN: bool = false;

    /// Returns a socket that the app does not inherit.
    pub fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
        let socket = socket(family, SocketType::STREAM, None)?;
        ioctl_fioclex(&socket)?;
        Ok(socket)
    }

    /// There is no such option: a response in several segments may be delayed.
    pub fn acknowledge_at_once(_stream: &TcpStream) -> io::Result<()> {
        Ok(())
    }

    pub fn use_plain_congestion_control(_stream: &TcpStream) -> io::Result<()> {
        Ok(())
    }

    pub fn die_with_parent() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the path that starts this program again.
    pub fn own_program() -> OsString {
        std::env::current_exe()
            .map(OsString::from)
            .unwrap_or_default()
    }

    /// The set is not known: a signal that was ignored is forwarded.
    pub fn ignored_signals() -> u64 {
        0
    }
}
