//! Resolves host names without the resolver of the C library, which is an eighth of the binary.
//!
//! The app and the Runtime API are on this machine. Their host is an address, `localhost`, or a
//! name in `/etc/hosts`.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{platform, text};

/// Both families: a server that listens on `localhost` may have chosen either.
pub const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// The addresses of `host:port`.
pub fn endpoint(address: &str) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let Some(port) = text::number(port) else {
        let problem = format!("`{address}` is not HOST:PORT");
        return Err(io::Error::new(ErrorKind::InvalidInput, problem));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    resolve(host, port)
}

/// The addresses of a host, at least one.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let with_port = |ip| SocketAddr::new(ip, port);
    if let Ok(ip) = host.parse() {
        return Ok(vec![with_port(ip)]);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(LOOPBACK.map(with_port).to_vec());
    }
    // A scratch image has no such file.
    let table = platform::read_text("/etc/hosts");
    let found: Vec<SocketAddr> = listed(&table, host).map(with_port).collect();
    if found.is_empty() {
        let problem = format!("the host `{host}` is neither an address nor in /etc/hosts");
        return Err(io::Error::new(ErrorKind::NotFound, problem));
    }
    Ok(found)
}

/// The addresses of a host in a table of hosts(5).
fn listed<'a>(table: &'a str, host: &'a str) -> impl Iterator<Item = IpAddr> {
    table.lines().filter_map(move |line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let ip = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(address: &str) -> Vec<String> {
        let found = endpoint(address).expect(address);
        found.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn addresses_and_localhost_need_no_table() {
        assert_eq!(resolved("127.0.0.1:9001"), ["127.0.0.1:9001"]);
        assert_eq!(resolved("[::1]:9001"), ["[::1]:9001"]);
        assert_eq!(resolved("LocalHost:1"), ["127.0.0.1:1", "[::1]:1"]);
    }

    #[test]
    fn an_unknown_host_is_named() {
        for (address, part) in [
            (
                "no.such.host.example:1",
                "`no.such.host.example` is neither",
            ),
            ("127.0.0.1", "`127.0.0.1` is not HOST:PORT"),
            ("127.0.0.1:99999", "is not HOST:PORT"),
        ] {
            let error = endpoint(address).expect_err(address).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_table_gives_every_address_of_a_name() {
        let table = "127.0.0.1 localhost\n169.254.76.1\tsandbox.localdomain  Sandbox # sandbox\n\
                     # 1.2.3.4 sandbox\nnonsense sandbox\nfe80::1 sandbox\n";
        let found: Vec<String> = listed(table, "sandbox").map(|ip| ip.to_string()).collect();
        assert_eq!(found, ["169.254.76.1", "fe80::1"]);
    }
}
