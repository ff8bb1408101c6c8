//! macOS and other systems: processes as `ps` and `lsof` print them.
//!
//! Nothing there adopts orphans, so descendants are also those that are in the process group of a
//! descendant.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::process::{Command, Stdio};

use super::{Listener, Memory, ProcessName};

pub fn adopt_orphans() -> io::Result<()> {
    Ok(())
}

/// There is no such option: a response in several segments may be delayed.
pub fn acknowledge_at_once(_stream: &TcpStream) -> io::Result<()> {
    Ok(())
}

/// Returns the path that starts this program again.
pub fn own_program() -> OsString {
    std::env::current_exe().unwrap_or_default().into_os_string()
}

struct Row {
    process: u32,
    parent: u32,
    group: u32,
    resident: u64,
}

/// Returns the output of a program; nothing if it cannot be started.
fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).into_owned()
}

fn processes() -> Vec<Row> {
    let table = output("ps", &["-A", "-o", "pid=,ppid=,pgid=,rss="]);
    table.lines().filter_map(parse_row).collect()
}

fn parse_row(line: &str) -> Option<Row> {
    let mut fields = line.split_whitespace();
    let mut number = || fields.next()?.parse().ok();
    Some(Row {
        process: number()?,
        parent: number()?,
        group: number()?,
        resident: u64::from(number()?) << 10,
    })
}

pub fn descendants(roots: &[u32]) -> Vec<u32> {
    let rows = processes();
    super::walk(roots, |root| {
        let is_below = |row: &&Row| row.parent == root || row.group == root;
        let below = rows.iter().filter(is_below);
        let below = below.map(|row| row.process);
        below.filter(|process| !roots.contains(process)).collect()
    })
}

/// Returns false for a process that has exited, even if its exit status has not been read yet.
pub fn is_running(process: u32) -> bool {
    let state = output("ps", &["-o", "state=", "-p", &process.to_string()]);
    let state = state.trim();
    !state.is_empty() && !state.starts_with('Z')
}

/// The peak is not known; the resident set counts mapped files, too.
pub fn memory(processes: &[u32]) -> Memory {
    let rows = self::processes();
    let wanted = rows.iter().filter(|row| processes.contains(&row.process));
    let resident = wanted.map(|row| row.resident).sum();
    Memory {
        peak: resident,
        private: resident,
    }
}

/// Returns the TCP addresses that these processes listen on.
pub fn listeners(processes: &[u32]) -> Vec<Listener> {
    let list: Vec<String> = processes.iter().map(u32::to_string).collect();
    let list = list.join(",");
    let args = ["-nP", "-a", "-iTCP", "-sTCP:LISTEN", "-Fn", "-p", &list];
    let mut found: Vec<Listener> = output("lsof", &args)
        .lines()
        .filter_map(|line| parse_name(line.strip_prefix('n')?))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the process that listens on a port, unless it belongs to another user.
pub fn listening_process(port: u16) -> Option<ProcessName> {
    let list = format!("-iTCP:{port}");
    parse_process(&output(
        "lsof",
        &["-nP", "-a", &list, "-sTCP:LISTEN", "-Fpc"],
    ))
}

/// Parses a line `p1234` and the next one, `cnode`.
fn parse_process(fields: &str) -> Option<ProcessName> {
    let field = |key| fields.lines().find_map(|line| line.strip_prefix(key));
    Some(ProcessName {
        id: field('p')?.parse().ok()?,
        name: field('c')?.to_owned(),
    })
}

/// Parses `*:8000`, `127.0.0.1:8000` or `[::1]:8000`.
fn parse_name(name: &str) -> Option<Listener> {
    let (ip, port) = name.rsplit_once(':')?;
    let ip = match ip {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "[::]" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ip => ip.trim_matches(['[', ']']).parse().ok()?,
    };
    let port = port.parse().ok()?;
    Some(Listener { port, ip })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_lsof_prints_them() {
        let listener = parse_name("*:8000").expect("a listener");
        assert_eq!(listener.port, 8000);
        assert!(listener.accepts_ipv4_loopback());
        let local = parse_name("[::1]:3000").expect("a listener");
        assert!(!local.accepts_ipv4_loopback());
        assert_eq!(parse_name("nonsense"), None);
    }

    #[test]
    fn a_process_is_read_as_lsof_prints_it() {
        let process = parse_process("p1234\ncnode\nf20\n").expect("a process");
        assert_eq!(process.to_string(), "`node` (process 1234)");
        assert_eq!(parse_process(""), None);
    }

    #[test]
    fn a_row_of_ps_has_four_numbers() {
        let row = parse_row("  501   1  501   2048").expect("a row");
        assert_eq!((row.process, row.parent, row.group), (501, 1, 501));
        assert_eq!(row.resident, 2 << 20);
    }
}
