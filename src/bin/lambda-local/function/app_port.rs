//! The port of the app: chosen by the user, or a free one, and never that of lambda-local itself.
//!
//! `PORT=3000` is common in the environment and in `.env` files, and 3000 is also the default port
//! of lambda-local. With both, the adapter would take lambda-local for the app and probe it for
//! ever, so the app gets a free port instead.

use std::io;
use std::net::TcpListener;

use super::setup_error::SetupError;

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

/// Chooses the port from the command line, else from the settings, else a free one.
pub fn choose(
    option: Option<u16>,
    own_port: u16,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<AppPort, SetupError> {
    let own = |source| SetupError::OwnPort {
        source,
        port: own_port,
    };
    let set = |name: &&&str| lookup(name).and_then(|value| value.parse().ok()) == Some(own_port);
    if let Some(variable) = READINESS_VARIABLES.iter().find(set) {
        return Err(own(variable));
    }
    let taken: Vec<&'static str> = VARIABLES.iter().filter(set).copied().collect();
    if let Some(port) = option {
        if port == own_port {
            return Err(own("--app-port"));
        }
        return Ok(AppPort {
            port,
            forced: VARIABLES.to_vec(),
            notice: None,
        });
    }
    for variable in VARIABLES {
        let Some(value) = lookup(variable).filter(|_| !taken.contains(&variable)) else {
            continue;
        };
        return match value.parse() {
            Ok(port) if port > 0 => Ok(AppPort {
                port,
                notice: notice(&taken, own_port, port),
                forced: taken,
            }),
            _ => Err(SetupError::InvalidPort { variable, value }),
        };
    }
    let port = free_port().map_err(SetupError::FindFreePort)?;
    Ok(AppPort {
        port,
        notice: notice(&taken, own_port, port),
        forced: taken,
    })
}

fn notice(taken: &[&str], own_port: u16, port: u16) -> Option<String> {
    let variable = taken.first()?;
    Some(format!(
        "{variable} is {own_port}, the port of lambda-local itself: the app gets {variable}={port} \
         instead (to keep it, choose another port for lambda-local with --port N)"
    ))
}

pub fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(option: Option<u16>, settings: &[(&str, &str)]) -> Result<AppPort, SetupError> {
        choose(option, 3000, |name| {
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
    }
}
