//! Linux: processes in `/proc` (proc(5)), orphans by `PR_SET_CHILD_SUBREAPER`.
//!
//! `/proc/PID/task/TID/children` leads from a process to its children, so that a walk reads a few
//! files; reading the parent of every process of the machine took half of each request.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::linux::net::TcpStreamExt;
use std::path::Path;

use rustix::process::{getpid, set_child_subreaper};

use super::{Listener, Memory, ProcessName};

/// Makes this process the parent of all orphans below it.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Acknowledges the data that is received next without a delay (TCP_QUICKACK).
pub fn acknowledge_at_once(stream: &TcpStream) -> io::Result<()> {
    stream.set_quickack(true)
}

/// Returns the path that starts this program again, even if its file has been replaced.
pub fn own_program() -> OsString {
    "/proc/self/exe".into()
}

pub fn descendants(roots: &[u32]) -> Vec<u32> {
    if Path::new("/proc/thread-self/children").exists() {
        return super::walk(roots, children);
    }
    // A kernel without CONFIG_PROC_CHILDREN.
    let parents: Vec<(u32, u32)> = numbers("/proc")
        .into_iter()
        .filter_map(|process| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            Some((process, parse_parent(&stat)?))
        })
        .collect();
    super::walk(roots, |root| {
        let children = parents.iter().filter(|(_, parent)| *parent == root);
        children.map(|(process, _)| *process).collect()
    })
}

/// Returns the children of all threads of a process. A process that exits meanwhile has none.
fn children(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for thread in numbers(&format!("/proc/{process}/task")) {
        let path = format!("/proc/{process}/task/{thread}/children");
        let list = fs::read_to_string(path).unwrap_or_default();
        found.extend(
            list.split_whitespace()
                .filter_map(|child| child.parse::<u32>().ok()),
        );
    }
    found
}

/// Returns the names in a directory that are numbers.
fn numbers(directory: &str) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Returns the second field after the command name, which is in parentheses and may contain any
/// character.
fn parse_parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Returns false for a process that has exited, even if its exit status has not been read yet.
pub fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().next());
    state.is_some_and(|state| !matches!(state, "Z" | "X"))
}

pub fn memory(processes: &[u32]) -> Memory {
    let mut total = Memory::default();
    for process in processes {
        if let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) {
            let memory = parse_memory(&status);
            total.peak += memory.peak;
            total.private += memory.private;
        }
    }
    total
}

fn parse_memory(status: &str) -> Memory {
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0) * 1024
    };
    Memory {
        peak: field("VmHWM:"),
        private: field("RssAnon:") + field("RssShmem:"),
    }
}

/// Returns the TCP addresses that these processes listen on.
pub fn listeners(processes: &[u32]) -> Vec<Listener> {
    let mut found = Vec::new();
    for process in processes {
        let sockets = sockets(*process);
        for table in ["tcp", "tcp6"] {
            let path = format!("/proc/{process}/net/{table}");
            let table = fs::read_to_string(path).unwrap_or_default();
            let rows = table.lines().filter_map(parse_row);
            let owned = rows.filter(|(_, inode)| sockets.contains(inode));
            found.extend(owned.map(|(listener, _)| listener));
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the process that listens on a port, unless it belongs to another user.
pub fn listening_process(port: u16) -> Option<ProcessName> {
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")));
    let rows = tables.iter().flatten().flat_map(|table| table.lines());
    let inodes: Vec<u64> = rows
        .filter_map(parse_row)
        .filter(|(listener, _)| listener.port == port)
        .map(|(_, inode)| inode)
        .collect();
    let is_owner = |process: &u32| {
        let mut sockets = sockets(*process).into_iter();
        sockets.any(|inode| inodes.contains(&inode))
    };
    let id = numbers("/proc").into_iter().find(is_owner)?;
    let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    let name = name.trim_end().to_owned();
    Some(ProcessName { id, name })
}

/// Returns the inodes of the sockets that a process has open.
fn sockets(process: u32) -> Vec<u64> {
    let links = fs::read_dir(format!("/proc/{process}/fd"));
    let links = links.into_iter().flatten().flatten();
    links
        .filter_map(|link| {
            let target = fs::read_link(link.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

/// Parses a row of `/proc/net/tcp` or `tcp6` in the state LISTEN; returns the inode, too.
fn parse_row(row: &str) -> Option<(Listener, u64)> {
    const LISTEN: &str = "0A";
    let mut fields = row.split_whitespace();
    let (ip, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    // Words of 32 bits in the byte order of the machine.
    let words: Option<Vec<u8>> = (0..ip.len() / 8)
        .map(|word| u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok())
        .map(|word| word.map(u32::to_ne_bytes))
        .collect::<Option<Vec<[u8; 4]>>>()
        .map(|words| words.concat());
    let bytes = words?;
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((Listener { port, ip }, inode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_name_may_contain_parentheses() {
        let stat = "22705 (a) b (c) S 22664 22699 22699 0 -1 4";
        assert_eq!(parse_parent(stat), Some(22664));
        assert_eq!(parse_parent("nonsense"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t 1024 kB\n\
            RssFile:\t 512 kB\nRssShmem:\t 1 kB\n";
        let expected = Memory {
            peak: 2 << 20,
            private: 1025 << 10,
        };
        assert_eq!(parse_memory(status), expected);
    }

    #[test]
    fn only_rows_of_listening_sockets_are_read() {
        let row = |state| {
            format!(
                "   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 \
                 00000000  1000        0 44821 1 0000000000000000 100 0 0 10 0"
            )
        };
        assert_eq!(parse_row(&row("01")), None);
        let (listener, inode) = parse_row(&row("0A")).expect("a listener");
        assert_eq!((listener.port, inode), (8080, 44821));
        assert!(cfg!(target_endian = "big") || listener.accepts_ipv4_loopback());
    }
}
