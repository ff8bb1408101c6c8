//! The port of the app: chosen by the user, or a free one, and never one that is taken.
//!
//! `PORT=3000` is common in the environment and in `.env` files, and 3000 is also the default port
//! of lambda-local. With both, the adapter would take lambda-local for the app and probe it for
//! ever. It would take any other server on that port for the app, too. So the app gets a free port
//! instead, unless the port is one that the app does not learn from a variable.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::setup_error::SetupError;
use super::web_function::HTTP_ENDPOINT;
use crate::platform::{self, ProcessName};

pub const VARIABLES: [&str; 2] = ["AWS_LWA_PORT", "PORT"];
const READINESS_VARIABLES: [&str; 2] = ["AWS_LWA_READINESS_CHECK_PORT", "READINESS_CHECK_PORT"];

#[derive(Debug, PartialEq)]
pub struct AppPort {
    pub port: u16,
    /// Variables that get `port`, even if the user has set them.
    pub forced: Vec<&'static str>,
    /// Why the port is not the one that the user has set.
    pub notice: Option<String>,
}

/// The process that listens on a port before the app does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    LambdaLocal,
    /// Not known if it belongs to another user.
    Other(Option<ProcessName>),
}

impl Holder {
    /// How the user can keep the port for the app.
    pub fn remedy(&self) -> &'static str {
        match self {
            Holder::LambdaLocal => "choose another port for lambda-local with --port N",
            Holder::Other(_) => "stop that process",
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::LambdaLocal => f.write_str("the port of lambda-local itself"),
            Holder::Other(Some(process)) => write!(f, "which {process} listens on already"),
            Holder::Other(None) => f.write_str("which another process listens on already"),
        }
    }
}

/// Finds the holder of a port that the app could not listen on.
pub fn holder(port: u16, own_port: u16) -> Option<Holder> {
    if port == own_port {
        return Some(Holder::LambdaLocal);
    }
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let is_in_use = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
    // On macOS, a listener on all addresses leaves each single one free.
    let is_taken = bound.as_ref().is_err_and(is_in_use) || !cfg!(target_os = "linux");
    drop(bound);
    let process = is_taken.then(|| platform::listening_process(port))?;
    (process.is_some() || cfg!(target_os = "linux")).then_some(Holder::Other(process))
}

/// Chooses the port from the command line, else from the settings, else a free one.
pub fn choose(
    option: Option<u16>,
    holder: impl Fn(u16) -> Option<Holder>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<AppPort, SetupError> {
    let refuse = |source, port| match holder(port) {
        Some(holder) => Err(SetupError::PortTaken {
            source,
            port,
            holder,
        }),
        None => Ok(()),
    };
    for variable in READINESS_VARIABLES {
        if let Some(port) = lookup(variable).and_then(|value| value.parse().ok()) {
            refuse(variable, port)?;
        }
    }
    if let Some(port) = option {
        refuse("--app-port", port)?;
        return Ok(AppPort {
            port,
            forced: VARIABLES.to_vec(),
            notice: None,
        });
    }
    let (mut chosen, mut taken) = (None, Vec::new());
    for variable in VARIABLES {
        let Some(value) = lookup(variable) else {
            continue;
        };
        match value.parse() {
            Ok(port) if port > 0 => match holder(port) {
                Some(holder) => taken.push((variable, port, holder)),
                None => chosen = chosen.or(Some(port)),
            },
            _ if chosen.is_some() => {}
            _ => return Err(SetupError::InvalidPort { variable, value }),
        }
    }
    // An app for Web Functions listens where its endpoint says.
    let endpoint = lookup(HTTP_ENDPOINT).unwrap_or_default();
    let endpoint = endpoint
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    if let (None, Some(port)) = (chosen, endpoint) {
        refuse(HTTP_ENDPOINT, port)?;
        chosen = Some(port);
    }
    let port = match chosen {
        Some(port) => port,
        None => free_port().map_err(SetupError::FindFreePort)?,
    };
    let notice = taken.first().map(|(variable, set, holder)| {
        let remedy = holder.remedy();
        format!(
            "{variable} is {set}, {holder}: the app gets {variable}={port} instead (to keep it, \
             {remedy})"
        )
    });
    Ok(AppPort {
        port,
        forced: taken.iter().map(|(variable, ..)| *variable).collect(),
        notice,
    })
}

pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(option: Option<u16>, settings: &[(&str, &str)]) -> Result<AppPort, SetupError> {
        let holder = |port| match port {
            3000 => Some(Holder::LambdaLocal),
            5000 => Some(Holder::Other(Some(ProcessName {
                id: 7,
                name: "node".to_owned(),
            }))),
            _ => None,
        };
        choose(option, holder, |name| {
            let found = settings.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_port_comes_from_the_option_or_from_a_setting() {
        let port = |option, settings: &[_]| chosen(option, settings).expect("a port").port;
        assert_eq!(port(Some(8000), &[("PORT", "9000")]), 8000);
        assert_eq!(port(None, &[("PORT", "9000")]), 9000);
        assert_eq!(port(None, &[("PORT", "9000"), ("AWS_LWA_PORT", "80")]), 80);
        assert!(port(None, &[]) > 0);
        let endpoint = ("AWS_LAMBDA_HTTP_ENDPOINT", "0.0.0.0:8000");
        assert_eq!(port(None, &[endpoint]), 8000);
        assert_eq!(port(None, &[endpoint, ("PORT", "9000")]), 9000);
        assert!(chosen(None, &[("PORT", "x")]).is_err());
    }

    #[test]
    fn the_app_never_gets_the_port_of_lambda_local() {
        let moved = chosen(None, &[("PORT", "3000")]).expect("a port");
        assert_ne!(moved.port, 3000);
        assert_eq!(moved.forced, ["PORT"]);
        assert!(
            moved
                .notice
                .is_some_and(|notice| notice.contains("--port N"))
        );
        let other = chosen(None, &[("PORT", "3000"), ("AWS_LWA_PORT", "80")]).expect("a port");
        assert_eq!((other.port, other.forced), (80, vec!["PORT"]));
        assert!(chosen(Some(3000), &[]).is_err());
        let readiness = [("AWS_LWA_READINESS_CHECK_PORT", "3000")];
        assert!(chosen(None, &readiness).is_err());
        let endpoint = [("AWS_LAMBDA_HTTP_ENDPOINT", "0.0.0.0:3000")];
        assert!(chosen(None, &endpoint).is_err());
    }

    #[test]
    fn the_app_never_gets_the_port_of_another_server() {
        let moved = chosen(None, &[("PORT", "5000")]).expect("a port");
        assert_ne!(moved.port, 5000);
        assert_eq!(moved.forced, ["PORT"]);
        let notice = moved.notice.expect("a notice");
        let expected = "PORT is 5000, which `node` (process 7) listens on already: the app gets";
        assert!(notice.starts_with(expected), "{notice}");
        let error = chosen(Some(5000), &[]).expect_err("taken").to_string();
        assert!(
            error.starts_with("`--app-port` is 5000, which `node`"),
            "{error}"
        );
        assert!(chosen(None, &[("READINESS_CHECK_PORT", "5000")]).is_err());
    }

    #[test]
    fn a_port_is_held_while_a_process_listens_on_it() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(address).expect("a listener");
            let port = listener.local_addr().expect("an address").port();
            let found = holder(port, 1);
            let id = std::process::id();
            assert!(
                matches!(&found, Some(Holder::Other(Some(process))) if process.id == id),
                "{found:?}"
            );
            drop(listener);
            assert_eq!(holder(port, 1), None);
        }
    }
}
