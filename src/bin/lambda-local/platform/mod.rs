//! Facts about processes that each system offers in its own way: descendants, memory, ports.
//!
//! Linux has them in `/proc`, and a process that adopts the orphans among its descendants. On
//! other systems, such as macOS, the programs `ps` and `lsof` print them, and an orphan is found
//! only by its process group.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

#[cfg(target_os = "linux")]
pub use linux::{
    acknowledge_at_once, adopt_orphans, descendants, is_running, listeners, listening_process,
    memory, own_program,
};
#[cfg(not(target_os = "linux"))]
pub use portable::{
    acknowledge_at_once, adopt_orphans, descendants, is_running, listeners, listening_process,
    memory, own_program,
};

/// Memory of processes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Sum of the peak resident sets: the value for REPORT lines.
    pub peak: u64,
    /// Anonymous and shared memory without mapped files: the value that the limit applies to.
    pub private: u64,
}

/// An address that a process listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    pub port: u16,
    pub ip: IpAddr,
}

/// A process, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessName {
    pub id: u32,
    pub name: String,
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {})", self.name, self.id)
    }
}

impl Listener {
    /// Returns true if a connection to 127.0.0.1 reaches it. A socket on `::` accepts IPv4, too,
    /// unless the app has asked otherwise.
    pub fn accepts_ipv4_loopback(&self) -> bool {
        match self.ip {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_unspecified(),
        }
    }
}

/// Returns the processes below `roots`, found by `children`, in the order of their depth.
fn walk(roots: &[u32], children: impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut level = roots.to_vec();
    while !level.is_empty() {
        let below: Vec<u32> = level
            .iter()
            .flat_map(|process| children(*process))
            .collect();
        level = below
            .into_iter()
            .filter(|process| seen.insert(*process))
            .collect();
        found.extend_from_slice(&level);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_each_descendant_once() {
        let children = |process| match process {
            1 => vec![2, 3],
            2 => vec![4],
            3 => vec![4, 1],
            _ => Vec::new(),
        };
        assert_eq!(walk(&[1], children), [2, 3, 4, 1]);
    }

    #[test]
    fn the_ports_of_a_process_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let found = listeners(&[std::process::id()]);
        let expected = Listener {
            port: address.port(),
            ip: address.ip(),
        };
        assert!(found.contains(&expected), "{found:?}");
    }

    #[test]
    fn the_process_that_listens_on_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let found = listening_process(port).map(|process| process.id);
        assert_eq!(found, Some(std::process::id()));
        drop(listener);
        assert_eq!(listening_process(port), None);
    }

    #[test]
    fn the_descendants_of_a_process_have_memory() {
        let mut shell = std::process::Command::new("sh");
        let mut shell = shell
            .args(["-c", "sleep 60 & echo $!; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(shell.stdout.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
        let sleep: u32 = line.trim().parse().expect("a process");
        let found = descendants(&[shell.id()]);
        assert_eq!(found, [sleep]);
        assert!(memory(&found).peak > 0);
        crate::function::process::kill(&found);
        shell.wait().expect("the exit");
    }
}
