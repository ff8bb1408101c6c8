//! Every setting: its name, its old names, what it accepts, and what it is when unset.
//!
//! [`SETTINGS`] is the one table; README shows it and a test holds the two together. A value
//! that is not accepted fails init with the variable's name, since a setting silently taken
//! for its default costs its owner a day. The environment comes in as a function, so that no
//! test touches the process's own.

mod settings;
mod values;

use std::time::Duration;

use settings::*;
pub use settings::{SETTINGS, Setting, unknown};
pub use values::Statuses;

use crate::error::Fatal;
use crate::gzip;
use crate::http::path_guard;

/// Where the Runtime API listens; on Lambda always set.
pub const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// What the adapter does, decided once at init.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Runtime API for invocations: a proxy in front of it, where one is set.
    pub runtime_api: String,
    pub app: Address,
    pub readiness: Readiness,
    pub async_init: bool,
    /// Without a trailing slash; never empty.
    pub base_path: Option<String>,
    pub pass_through_path: String,
    /// Lower case.
    pub authorization_source: Option<String>,
    pub error_statuses: Statuses,
    /// Answers go out as they come in, where the event's front end can take that.
    pub streaming: bool,
    /// Answers are compressed, for clients that take it.
    pub compression: Option<gzip::Level>,
    /// How long before its deadline an unanswered invocation is failed.
    pub timeout_margin: Option<Duration>,
    pub context_headers: bool,
    /// Whether the app gets the invocation's trace id in W3C form too.
    pub traceparent: bool,
    pub snapstart: SnapStart,
    pub pool_idle: Duration,
    /// How many invocations Lambda may have in flight here at once.
    pub concurrency: usize,
    pub function: Function,
}

/// Where the app listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `None`: not set, so the loopback of either family will do.
    pub host: Option<String>,
    pub port: u16,
}

#[derive(Debug, Clone)]
pub struct Readiness {
    pub port: u16,
    pub path: String,
    pub protocol: Protocol,
    pub healthy: Statuses,
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Tcp,
}

#[derive(Debug, Clone, Default)]
pub struct SnapStart {
    /// Whether this environment is to become a snapshot.
    pub active: bool,
    /// Paths of the app's hooks.
    pub before: Option<String>,
    pub after: Option<String>,
}

impl SnapStart {
    /// The paths that only we may ask for, whether a snapshot is taken or not.
    pub fn hooks(&self) -> impl Iterator<Item = &str> {
        self.before.iter().chain(&self.after).map(String::as_str)
    }
}

/// What `x-amzn-lambda-context` says of the function.
#[derive(Debug, Clone, Default)]
pub struct Function {
    pub name: String,
    pub version: String,
    pub memory: u64,
    pub log_group: String,
    pub log_stream: String,
}

/// The address of the Runtime API, needed before anything else can fail.
pub fn runtime_api(lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Fatal> {
    lookup(RUNTIME_API)
        .filter(|value| !value.is_empty())
        .ok_or(Fatal::NotOnLambda { name: RUNTIME_API })
}

impl Config {
    /// Reads every setting. Warnings are collected, not logged: this room is pure.
    pub fn from(
        lookup: &dyn Fn(&str) -> Option<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Config, Fatal> {
        let mut settings = Settings {
            lookup,
            warnings,
            bad: Vec::new(),
        };
        let port = settings.read(&PORT, values::port).or_else(|| {
            let value = settings.plain(PLAIN_PORT)?;
            settings.accept(PLAIN_PORT, value, A_PORT, values::port)
        });
        let port = port.unwrap_or(8080);
        let healthy = match settings.read(&READINESS_STATUS, Statuses::parse) {
            Some(statuses) => statuses,
            None => settings
                .read(&MIN_UNHEALTHY, |text| match text.parse() {
                    Ok(first @ 101..=1000) => Some(Statuses::range(100, first - 1)),
                    _ => None,
                })
                .inspect(|_| settings.replaced(MIN_UNHEALTHY.name, READINESS_STATUS.name))
                .unwrap_or(Statuses::range(100, 499)),
        };
        let text = |name| (settings.lookup)(name).unwrap_or_default();
        let function = Function {
            name: text("AWS_LAMBDA_FUNCTION_NAME"),
            version: text("AWS_LAMBDA_FUNCTION_VERSION"),
            memory: text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").parse().unwrap_or(0),
            log_group: text("AWS_LAMBDA_LOG_GROUP_NAME"),
            log_stream: text("AWS_LAMBDA_LOG_STREAM_NAME"),
        };
        let concurrency = text("AWS_LAMBDA_MAX_CONCURRENCY").parse().unwrap_or(1);
        let initialization = text("AWS_LAMBDA_INITIALIZATION_TYPE");
        let mut async_init = settings.read(&ASYNC_INIT, values::boolean).unwrap_or(false);
        // Both give init the time it takes, and a snapshot or a warm environment whose app is
        // not ready would be of no use.
        if async_init && matches!(&*initialization, "snap-start" | "provisioned-concurrency") {
            async_init = false;
            settings.warnings.push(format!(
                "{} is ignored: with {initialization}, init waits for the app",
                ASYNC_INIT.name
            ));
        }
        let readiness_path = settings.read(&READINESS_PATH, values::path);
        let readiness_path = readiness_path.unwrap_or("/".into());
        let pass_through_path = settings.read(&PASS_THROUGH_PATH, values::path);
        let pass_through_path = pass_through_path.unwrap_or("/events".into());
        let hook = |path: &str| {
            let ours = [&readiness_path, &pass_through_path];
            let is_ours = |ours: &&String| path_guard::refuses(path, ours.as_bytes());
            let guardable = path_guard::is_guardable(path) && !ours.iter().any(is_ours);
            guardable.then(|| path.to_owned())
        };
        let snapstart = SnapStart {
            active: initialization == "snap-start",
            before: settings.read(&BEFORE_CHECKPOINT, hook),
            after: settings.read(&AFTER_RESTORE, hook),
        };
        let config = Config {
            runtime_api: match settings.read(&RUNTIME_API_PROXY, values::endpoint) {
                Some(proxy) => proxy,
                None => runtime_api(lookup)?,
            },
            app: Address {
                host: settings.read(&HOST, values::host),
                port,
            },
            readiness: Readiness {
                port: settings.read(&READINESS_PORT, values::port).unwrap_or(port),
                path: readiness_path,
                protocol: settings
                    .read(&READINESS_PROTOCOL, values::protocol)
                    .unwrap_or(Protocol::Http),
                healthy,
                timeout: settings.read(&READINESS_TIMEOUT, values::seconds),
            },
            async_init,
            base_path: settings
                .read(&REMOVE_BASE_PATH, values::path)
                .map(|path| path.trim_end_matches('/').to_owned())
                .filter(|path| !path.is_empty()),
            pass_through_path,
            authorization_source: settings.read(&AUTHORIZATION_SOURCE, values::header_name),
            error_statuses: settings
                .read(&ERROR_STATUS_CODES, Statuses::parse)
                .unwrap_or_default(),
            streaming: settings
                .read(&INVOKE_MODE, |text| {
                    values::one_of(text, [("buffered", false), ("response_stream", true)])
                })
                .unwrap_or(false),
            compression: settings
                .read(&COMPRESSION, |text| match values::boolean(text)? {
                    true => gzip::LEVEL.map(Some),
                    false => Some(None),
                })
                .flatten(),
            timeout_margin: settings.read(&INVOKE_TIMEOUT_MARGIN, values::millis),
            context_headers: settings
                .read(&CONTEXT_HEADERS, |text| {
                    values::one_of(text, [("full", true), ("off", false)])
                })
                .unwrap_or(true),
            traceparent: settings
                .read(&TRACEPARENT, values::boolean)
                .unwrap_or(false),
            snapstart,
            pool_idle: settings
                .read(&POOL_IDLE, values::seconds)
                .unwrap_or(Duration::from_secs(4)),
            concurrency: usize::clamp(concurrency, 1, MAX_THREADS),
            function,
        };
        match settings.bad.is_empty() {
            true => Ok(config),
            false => Err(Fatal::Settings(settings.bad)),
        }
    }
}

/// Far above what Lambda gives one environment; keeps a typo from starting a million threads.
const MAX_THREADS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Result<Config, Fatal>, Vec<String>) {
        let mut warnings = Vec::new();
        let lookup = |name: &str| {
            let found = variables.iter().find(|(given, _)| *given == name);
            match found {
                None if name == RUNTIME_API => Some("127.0.0.1:9001".to_owned()),
                found => found.map(|(_, value)| (*value).to_owned()),
            }
        };
        (Config::from(&lookup, &mut warnings), warnings)
    }

    fn accepted(variables: &[(&str, &str)]) -> Config {
        read(variables).0.expect("accepted")
    }

    #[test]
    fn unset_and_empty_mean_the_defaults() {
        for variables in [
            &[][..],
            &[("AWS_LWA_PORT", ""), ("AWS_LWA_ASYNC_INIT", " ")],
        ] {
            let (config, warnings) = read(variables);
            let config = config.expect("defaults");
            assert_eq!(
                config.app,
                Address {
                    host: None,
                    port: 8080
                }
            );
            assert_eq!(
                (config.readiness.port, &*config.readiness.path),
                (8080, "/")
            );
            assert!(
                config.readiness.healthy.contains(499) && !config.readiness.healthy.contains(500)
            );
            assert!(!config.async_init && config.base_path.is_none());
            assert_eq!(
                (&*config.pass_through_path, config.concurrency),
                ("/events", 1)
            );
            assert!(warnings.is_empty());
        }
    }

    #[test]
    fn the_new_name_wins_and_each_old_one_is_warned_about_once() {
        assert_eq!(
            accepted(&[("AWS_LWA_PORT", "1"), ("PORT", "2")]).app.port,
            1
        );
        assert_eq!(accepted(&[("PORT", "2")]).app.port, 2);
        for setting in SETTINGS
            .iter()
            .filter(|setting| setting.name != MIN_UNHEALTHY.name)
        {
            for old in setting.deprecated {
                let (config, warnings) = read(&[(old, "1")]);
                if config.is_ok() {
                    assert_eq!(
                        warnings,
                        [format!("{old} is deprecated: use {} instead", setting.name)]
                    );
                }
            }
        }
        let (config, warnings) = read(&[("AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS", "400")]);
        let healthy = config.expect("accepted").readiness.healthy;
        assert!(healthy.contains(100) && healthy.contains(399) && !healthy.contains(400));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS"));
    }

    #[test]
    fn a_bad_value_names_the_variable_the_value_and_what_is_accepted() {
        for (name, value) in [
            ("AWS_LWA_PORT", "0"),
            ("PORT", "99999"),
            ("AWS_LWA_PORT", "http"),
            ("AWS_LWA_HOST", "a b"),
            ("READINESS_CHECK_PORT", "-1"),
            ("AWS_LWA_READINESS_CHECK_PATH", "/a b"),
            ("AWS_LWA_READINESS_CHECK_PROTOCOL", "grpc"),
            ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "2xx"),
            ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "300-200"),
            ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "200,"),
            ("AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS", "100"),
            ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1.5s"),
            ("AWS_LWA_ASYNC_INIT", "maybe"),
            ("AWS_LWA_REMOVE_BASE_PATH", "/caf\u{e9}"),
            ("AWS_LWA_AUTHORIZATION_SOURCE", "x y"),
            ("AWS_LWA_ERROR_STATUS_CODES", "99"),
            ("AWS_LWA_CONTEXT_HEADERS", "some"),
            ("AWS_LWA_TRACEPARENT", "maybe"),
            ("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH", "/a;b"),
            ("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH", "/events"),
            ("AWS_LWA_INVOKE_MODE", "stream"),
            ("AWS_LWA_ENABLE_COMPRESSION", "gzip"),
            ("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "0.5"),
            ("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", "127.0.0.1"),
            ("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", "127.0.0.1: 9001"),
            ("AWS_LWA_PORT", "+80"),
        ] {
            let error = read(&[(name, value)]).0.expect_err(name).to_string();
            assert!(
                error.starts_with(&format!("{name}=`{value}` is not valid: expected ")),
                "{error}"
            );
        }
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        for yes in ["1", "TRUE", "Yes", "on"] {
            assert!(accepted(&[("AWS_LWA_ASYNC_INIT", yes)]).async_init);
        }
        let codes = accepted(&[("AWS_LWA_ERROR_STATUS_CODES", " 500-502 , 404")]).error_statuses;
        assert!(codes.contains(501) && codes.contains(404) && !codes.contains(503));
        for base in ["api", "/api", "/api/"] {
            let config = accepted(&[("AWS_LWA_REMOVE_BASE_PATH", base)]);
            assert_eq!(config.base_path.as_deref(), Some("/api"));
        }
        assert_eq!(
            accepted(&[("AWS_LWA_REMOVE_BASE_PATH", "/")]).base_path,
            None
        );
        for proxy in [
            "127.0.0.1:9002",
            "http://127.0.0.1:9002",
            "http://127.0.0.1:9002/",
        ] {
            let config = accepted(&[("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", proxy)]);
            assert_eq!(config.runtime_api, "127.0.0.1:9002");
        }
        let config = accepted(&[
            ("AWS_LWA_READINESS_CHECK_PROTOCOL", "TCP"),
            ("AWS_LWA_PORT", "80"),
        ]);
        assert_eq!(config.readiness.protocol, Protocol::Tcp);
    }

    #[test]
    fn a_build_without_compression_refuses_to_switch_it_on() {
        let switched = |value| read(&[("AWS_LWA_ENABLE_COMPRESSION", value)]).0;
        assert_eq!(switched("off").expect("accepted").compression, None);
        match (cfg!(feature = "compression"), switched("on")) {
            (true, on) => assert!(on.expect("accepted").compression.is_some()),
            (false, on) => {
                let fatal = on.expect_err("refused").to_string();
                assert!(fatal.ends_with("has no compression"), "{fatal}");
            }
        }
    }

    #[test]
    fn an_unknown_setting_is_told_with_its_nearest() {
        let names = [
            "AWS_LWA_PROT",
            "AWS_LWA_PORT",
            "AWS_REGION",
            "AWS_LWA_READYNESS_CHECK_PATH",
        ];
        let warnings = unknown(names.into_iter().map(str::to_owned));
        assert_eq!(warnings.len(), 2);
        assert!(
            warnings[0].contains("AWS_LWA_PROT ") && warnings[0].ends_with("mean AWS_LWA_PORT?")
        );
        assert!(warnings[1].ends_with("mean AWS_LWA_READINESS_CHECK_PATH?"));
    }
}
