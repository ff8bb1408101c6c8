//! The hint for an app that does not listen where the adapter expects it.
//!
//! Most often such an app ignores `$PORT` and listens on a port of its own, or listens on `::1`
//! alone. Lambda would only report a timeout; here the processes are on this machine, so the ports
//! that they listen on are known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::function::environment::Environment;
use crate::function::probe;
use crate::function::state::{Process, Restore, State};
use crate::function::variables::Setup;
use crate::platform::{self, Listener};

const INTERVAL: Duration = Duration::from_secs(2);

/// Why an app is not ready, as far as its sockets show it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hint {
    /// None of its processes listens.
    NoPort,
    OtherPorts(Vec<u16>),
    /// It listens on the port, but a connection to 127.0.0.1 does not reach it.
    OtherAddress(String),
    /// It listens, and has not responded yet.
    NoResponse,
    /// It has responded to the readiness probe with this status.
    Status(u16),
}

impl Hint {
    fn of(listeners: &[Listener], port: u16) -> Hint {
        let mut there = listeners.iter().filter(|listener| listener.port == port);
        if there.clone().any(Listener::accepts_ipv4_loopback) {
            return Hint::NoResponse;
        }
        if let Some(listener) = there.next() {
            return Hint::OtherAddress(listener.ip.to_string());
        }
        let ports: BTreeSet<u16> = listeners.iter().map(|listener| listener.port).collect();
        if ports.is_empty() {
            Hint::NoPort
        } else {
            Hint::OtherPorts(ports.into_iter().collect())
        }
    }

    fn message(&self, port: u16, path: &str) -> String {
        match self {
            Hint::NoPort => format!(
                "the app is not ready yet: none of its processes listens on a port; it must \
                 listen on $PORT, which is {port}"
            ),
            Hint::OtherPorts(ports) => {
                let first = ports.first().map_or("N".to_owned(), u16::to_string);
                let ports = list(ports);
                format!(
                    "the app is not ready: it must listen on $PORT, which is {port}, but its \
                     processes listen on {ports}; make it use $PORT, or start lambda-local \
                     with --app-port {first}"
                )
            }
            Hint::OtherAddress(address) => format!(
                "the app is not ready: it listens on port {port} of {address} only, and the \
                 adapter connects to 127.0.0.1; make it listen on 127.0.0.1 or 0.0.0.0"
            ),
            Hint::NoResponse => format!(
                "the app is not ready yet: it listens on port {port}, but has not responded to \
                 GET {path}"
            ),
            Hint::Status(status) => {
                format!("the app is not ready yet: it responds to GET {path} with status {status}")
            }
        }
    }
}

/// Returns the ports that the app listens on, for a message.
pub fn describe_ports(environment: &Environment) -> String {
    let guards = environment.lock().guards(Process::is_runtime);
    let listeners = platform::listeners(&platform::descendants(&guards));
    match Hint::of(&listeners, 0) {
        Hint::OtherPorts(ports) => list(&ports),
        _ => "no port".to_owned(),
    }
}

/// Returns `port 80` or `ports 80, 81`.
fn list(ports: &[u16]) -> String {
    let list: Vec<String> = ports.iter().map(u16::to_string).collect();
    let noun = if list.len() == 1 { "port" } else { "ports" };
    format!("{noun} {}", list.join(", "))
}

/// Starts a thread that logs a hint when the app is not ready within two seconds, and whenever the
/// hint changes.
pub fn watch(setup: &Arc<Setup>, environment: &Arc<Environment>) {
    let (setup, environment) = (setup.clone(), environment.clone());
    std::thread::spawn(move || {
        let mut logged = None;
        while environment
            .wait(Instant::now() + INTERVAL, is_over)
            .is_none()
        {
            let (port, path) = setup.readiness(environment.profile.ports);
            let hint = current(&setup, &environment, port);
            // It may have become ready meanwhile.
            let is_current = environment.wait(Instant::now(), is_over).is_none();
            if let Some(hint) = hint.filter(|hint| is_current && logged.as_ref() != Some(hint)) {
                setup.logger.warn(&hint.message(port, &path));
                logged = Some(hint);
            }
        }
    });
}

/// Returns the hint for the app as it is now; `None` after a healthy response to the probe: the
/// adapter waits for priming or for a hook then, and logs that itself.
fn current(setup: &Setup, environment: &Environment, port: u16) -> Option<Hint> {
    let guards = environment.lock().guards(Process::is_runtime);
    let listeners = platform::listeners(&platform::descendants(&guards));
    let hint = Hint::of(&listeners, port);
    let ports = environment.profile.ports;
    if hint != Hint::NoResponse {
        return Some(hint);
    }
    if ports.relay.is_none() {
        let is_healthy = probe::repeat(setup, ports).is_healthy;
        return (!is_healthy).then_some(hint);
    }
    match environment.last_own_request() {
        Some((request, _)) if !request.is_probe() => None,
        Some((request, _)) => match request.status {
            Some(status @ 400..) => Some(Hint::Status(status)),
            Some(_) => None,
            None => Some(hint),
        },
        None => Some(hint),
    }
}

/// Returns a value if the app has become ready or will not any more.
fn is_over(state: &mut State) -> Option<()> {
    let is_ready = state.has_polled || state.restore != Restore::NotRequested;
    (is_ready || state.is_stopping || state.failure().is_some()).then_some(())
}

/// Returns a hint for a command in which `$PORT` was expanded too early: the shell of the user has
/// no such variable, so that the option is left without a value.
pub fn missing_value(args: &[String]) -> Option<String> {
    let is_port_option = |arg: &String| arg == "--port" || arg == "-p";
    let index = args.iter().position(is_port_option)?;
    let value = args.get(index + 1);
    let option = args.get(index)?;
    value.is_none_or(|value| value.starts_with('-')).then(|| {
        format!(
            "`{option}` of the command has no value: if it was $PORT, your shell has replaced it; \
             use sh -c '... {option} $PORT'"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(addresses: &[&str]) -> String {
        let listeners: Vec<Listener> = addresses
            .iter()
            .map(|address| {
                let address: std::net::SocketAddr = address.parse().expect("an address");
                Listener {
                    port: address.port(),
                    ip: address.ip(),
                }
            })
            .collect();
        Hint::of(&listeners, 8080).message(8080, "/")
    }

    #[test]
    fn an_option_that_lost_its_value_to_the_shell_is_named() {
        let hint = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            missing_value(&args)
        };
        let message = hint(&["main:app", "--port"]).expect("a hint");
        assert!(
            message.ends_with("use sh -c '... --port $PORT'"),
            "{message}"
        );
        assert!(hint(&["-p", "--reload"]).is_some());
        assert_eq!(hint(&["--port", "8000"]), None);
        assert_eq!(hint(&["server.js"]), None);
    }

    #[test]
    fn the_hint_names_the_ports_that_the_app_listens_on() {
        let other = hint(&["0.0.0.0:8000", "[::]:8000", "127.0.0.1:9229"]);
        assert!(other.contains("on ports 8000, 9229;"), "{other}");
        assert!(other.contains("--app-port 8000"), "{other}");
        assert!(hint(&[]).contains("none of its processes listens"));
        assert!(hint(&["[::1]:8080"]).contains("port 8080 of ::1 only"));
        assert!(hint(&["127.0.0.1:8080"]).contains("has not responded to GET /"));
        assert!(hint(&["[::]:8080"]).contains("has not responded to GET /"));
    }
}
