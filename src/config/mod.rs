//! The settings: environment variables in, one [`Config`] out, once during init.
//!
//! [`SETTINGS`] is the one table of names, defaults and accepted values; a test compares the
//! documentation with it. An invalid value fails init with the variable's name instead of
//! falling back to the default, which would be hard to notice. The environment is passed in as
//! a function, so that no test changes the environment of its process.

pub mod settings;
mod values;

use std::fmt;
use std::time::Duration;

use settings::*;
pub use settings::{SETTINGS, Setting, unknown_name};
pub use values::Statuses;

use crate::error::{BadSetting, Fatal};
use crate::gzip;
use crate::http::path_guard;
use crate::text;

/// The `HOST:PORT` of the Runtime API; always set on Lambda.
pub const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";
/// How Lambda initializes this environment ("Defined runtime environment variables").
const INITIALIZATION_TYPE: &str = "AWS_LAMBDA_INITIALIZATION_TYPE";

/// All settings, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The Runtime API for invocations, or the proxy in front of it.
    pub runtime_api: String,
    pub app: Address,
    /// `AWS_LAMBDA_HTTP_ENDPOINT` for an app that the adapter starts: the user's, or `app`.
    pub http_endpoint: String,
    pub readiness: Readiness,
    pub async_init: bool,
    /// The spellings of the base path, without a trailing slash; none of them is empty.
    pub base_path: Vec<String>,
    /// The source of the event takes the place of each `{source}`.
    pub pass_through_path: String,
    /// Whether each record of a batch is a request of its own.
    pub split_batches: bool,
    /// The header that is sent on as `Authorization`; in lower case.
    pub authorization_source: Option<String>,
    pub error_statuses: Statuses,
    /// Whether responses are streamed to the clients whose front end supports it.
    pub streaming: bool,
    /// Compresses responses for the clients that accept it.
    pub compression: Option<gzip::Level>,
    /// How long before its deadline an invocation fails if the app has not responded.
    pub timeout_margin: Option<Duration>,
    pub context_headers: bool,
    /// Whether requests carry the trace ID as a W3C `traceparent`, too.
    pub traceparent: bool,
    pub snapstart: SnapStart,
    pub prime: Prime,
    /// The path of the app's hook that is requested after each response.
    pub after_response: Option<String>,
    /// How long an idle connection to the app is reused.
    pub pool_idle: Duration,
    /// The number of invocations that Lambda may send to this environment at once.
    pub concurrency: usize,
    pub function: Function,
}

/// The address of the app. Displayed as `host:port`, as in a `Host` header (RFC 9110 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `None` if it is not set: the loopback address of either family.
    pub host: Option<String>,
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match self.host.as_deref() {
            None => write!(f, "127.0.0.1:{port}"),
            Some(ipv6) if ipv6.contains(':') => write!(f, "[{ipv6}]:{port}"),
            Some(host) => write!(f, "{host}:{port}"),
        }
    }
}

/// When the app counts as ready.
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
    /// Whether Lambda takes a snapshot of this environment after init.
    pub active: bool,
    /// The path of the app's hook before the checkpoint.
    pub before: Option<String>,
    /// The path of the app's hook after the restore.
    pub after: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Prime {
    /// The targets to request before the first invocation; empty where this init does not.
    pub paths: Vec<String>,
    /// Whether init has more than ten seconds.
    pub long_init: bool,
}

/// The part of `x-amzn-lambda-context` that describes the function.
#[derive(Debug, Clone, Default)]
pub struct Function {
    pub name: String,
    pub version: String,
    pub memory: u64,
    pub log_group: String,
    pub log_stream: String,
}

/// Returns the address of the Runtime API. Init needs it before any setting, to report its
/// failures.
pub fn runtime_api(lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Fatal> {
    lookup(RUNTIME_API)
        .filter(|value| !value.is_empty())
        .ok_or(Fatal::NotOnLambda { name: RUNTIME_API })
}

impl Config {
    /// Reads every setting; fails with all invalid ones together. Warnings are returned
    /// instead of logged, so that this function has no side effects.
    pub fn from_env(
        lookup: &dyn Fn(&str) -> Option<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Config, Fatal> {
        let mut settings = Settings {
            lookup,
            warnings,
            bad: Vec::new(),
        };
        let settings = &mut settings;
        let app = read_app(settings);
        let readiness = read_readiness(settings, app.port);
        let initialization = settings.get(INITIALIZATION_TYPE).unwrap_or_default();
        let pass_through_path = settings
            .read(&PASS_THROUGH_PATH, values::pass_through_path)
            .unwrap_or("/events".into());
        let hook = |path: &str| hook_path(path, [&readiness.path, &pass_through_path]);
        let config = Config {
            async_init: read_async_init(settings, &initialization),
            base_path: settings
                .read(&REMOVE_BASE_PATH, values::base_path)
                .unwrap_or_default(),
            split_batches: settings
                .read(&SPLIT_BATCHES, values::boolean)
                .unwrap_or(false),
            authorization_source: settings.read(&AUTHORIZATION_SOURCE, values::header_name),
            error_statuses: settings
                .read(&ERROR_STATUS_CODES, Statuses::parse)
                .unwrap_or_default(),
            streaming: settings
                .read(&INVOKE_MODE, values::invoke_mode)
                .unwrap_or(false),
            compression: settings.read(&COMPRESSION, values::compression).flatten(),
            timeout_margin: settings.read(&INVOKE_TIMEOUT_MARGIN, values::millis),
            context_headers: settings
                .read(&CONTEXT_HEADERS, values::context_headers)
                .unwrap_or(true),
            traceparent: settings
                .read(&TRACEPARENT, values::boolean)
                .unwrap_or(false),
            snapstart: SnapStart {
                active: initialization == "snap-start",
                before: settings.read_by(&BEFORE_CHECKPOINT, hook),
                after: settings.read_by(&AFTER_RESTORE, hook),
            },
            prime: read_prime(settings, &initialization),
            after_response: settings.read_by(&AFTER_RESPONSE, hook),
            runtime_api: match settings.read(&RUNTIME_API_PROXY, values::endpoint) {
                Some(proxy) => proxy,
                None => runtime_api(lookup)?,
            },
            pool_idle: settings
                .read(&POOL_IDLE, values::seconds)
                .unwrap_or(Duration::from_secs(4)),
            concurrency: read_concurrency(settings),
            function: read_function(settings),
            http_endpoint: read_http_endpoint(settings, &app),
            app,
            readiness,
            pass_through_path,
        };
        if settings.bad.is_empty() {
            Ok(config)
        } else {
            Err(Fatal::Settings(std::mem::take(&mut settings.bad)))
        }
    }

    /// The paths that only the adapter may request, whether a snapshot is taken or not.
    pub fn hooks(&self) -> impl Iterator<Item = &str> {
        let SnapStart { before, after, .. } = &self.snapstart;
        let hooks = before.iter().chain(after).chain(&self.after_response);
        hooks.map(String::as_str)
    }
}

/// Fails if the app's host is a name that does not resolve: init would wait for nothing.
pub fn check_host(
    app: &Address,
    resolves: impl Fn(&str) -> bool,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), Fatal> {
    let Some(host) = app.host.as_deref().filter(|host| !resolves(host)) else {
        return Ok(());
    };
    let given = |name: &&str| lookup(name).is_some_and(|value| !value.trim().is_empty());
    let mut names = [HOST.name, PLAIN_HOST].into_iter();
    Err(Fatal::Settings(vec![BadSetting {
        name: names.find(given).unwrap_or(HOST.name),
        value: host.to_owned(),
        accepted: A_HOST,
    }]))
}

fn read_app(settings: &mut Settings) -> Address {
    let host = match settings.get(PLAIN_HOST) {
        Some(value) if settings.get(HOST.name).is_none() => {
            settings.accept(PLAIN_HOST, value, A_HOST, values::host)
        }
        _ => settings.read(&HOST, values::host),
    };
    let port = if settings.get(PORT.name).is_some() {
        settings.read(&PORT, values::port)
    } else if let Some(value) = settings.get(PLAIN_PORT) {
        settings.accept(PLAIN_PORT, value, A_PORT, values::port)
    } else {
        settings.read_by(&HTTP_ENDPOINT, |text| {
            values::endpoint_port(text, host.as_deref())
        })
    };
    Address {
        host,
        port: port.unwrap_or(8080),
    }
}

/// The address that the adapter gives to an app that it starts.
fn read_http_endpoint(settings: &mut Settings, app: &Address) -> String {
    let Some(given) = settings.get(HTTP_ENDPOINT.name) else {
        return app.to_string();
    };
    let given = given.trim();
    let port = given
        .rsplit_once(':')
        .and_then(|(_, port)| values::port(port));
    if port.is_some_and(|port| port != app.port) {
        settings.warnings.push(format!(
            "{}=`{}` has no effect on the adapter, which takes port {}: the port that is set by \
             AWS_LWA_PORT or PORT",
            HTTP_ENDPOINT.name,
            text::escaped(given),
            app.port
        ));
    }
    given.to_owned()
}

fn read_readiness(settings: &mut Settings, app_port: u16) -> Readiness {
    Readiness {
        port: settings
            .read(&READINESS_PORT, values::port)
            .unwrap_or(app_port),
        path: settings
            .read(&READINESS_PATH, values::path)
            .unwrap_or("/".into()),
        protocol: settings
            .read(&READINESS_PROTOCOL, values::protocol)
            .unwrap_or(Protocol::Http),
        healthy: settings
            .read(&READINESS_STATUS, Statuses::parse)
            .or_else(|| read_min_unhealthy(settings))
            .unwrap_or(Statuses::range(100, 499)),
        timeout: read_readiness_timeout(settings),
    }
}

fn read_readiness_timeout(settings: &mut Settings) -> Option<Duration> {
    let timeout = settings.read(&READINESS_TIMEOUT, values::limit)?;
    if timeout.is_none() {
        let name = READINESS_TIMEOUT.name;
        let value = settings.get(name).unwrap_or_default();
        settings.warnings.push(format!(
            "{name}=`{}` means no limit: init waits for the app as long as Lambda allows",
            value.trim()
        ));
    }
    timeout
}

/// The replaced setting N, which meant that statuses from 100 to N-1 are healthy.
fn read_min_unhealthy(settings: &mut Settings) -> Option<Statuses> {
    let healthy = settings.read(&MIN_UNHEALTHY, |text| match text::number(text) {
        Some(first @ 101..=1000) => Some(Statuses::range(100, first - 1)),
        _ => None,
    })?;
    settings.warn_deprecated(MIN_UNHEALTHY.name, READINESS_STATUS.name);
    Some(healthy)
}

/// Returns true where no client waits for init, and init is not limited to ten seconds.
fn has_long_init(initialization: &str) -> bool {
    matches!(
        initialization,
        "snap-start" | "provisioned-concurrency" | "lambda-managed-instances"
    )
}

/// The app must be ready at the end of an init that has time for it.
fn read_async_init(settings: &mut Settings, initialization: &str) -> bool {
    let async_init = settings.read(&ASYNC_INIT, values::boolean).unwrap_or(false);
    if !async_init || !has_long_init(initialization) {
        return async_init;
    }
    settings.warnings.push(format!(
        "{} is ignored: with {initialization}, init waits for the app",
        ASYNC_INIT.name
    ));
    false
}

/// On demand, a client waits for init.
fn read_prime(settings: &mut Settings, initialization: &str) -> Prime {
    let long_init = has_long_init(initialization);
    let paths = settings.read(&PRIME_PATHS, values::paths);
    let always = settings.read(&PRIME, values::prime).unwrap_or(false);
    Prime {
        paths: paths.filter(|_| long_init || always).unwrap_or_default(),
        long_init,
    }
}

/// A hook's path must not cover `other_paths`: its guard would reject their requests.
fn hook_path(path: &str, other_paths: [&String; 2]) -> Option<String> {
    let covers = |other: &&String| path_guard::matches(path, other.as_bytes());
    let is_usable = path_guard::is_plain(path) && !other_paths.iter().any(covers);
    is_usable.then(|| path.to_owned())
}

/// Set on Lambda Managed Instances.
fn read_concurrency(settings: &Settings) -> usize {
    let concurrency = settings.get("AWS_LAMBDA_MAX_CONCURRENCY");
    let concurrency = concurrency.and_then(|number| text::number(&number));
    usize::clamp(concurrency.unwrap_or(1), 1, MAX_THREADS)
}

/// Far above Lambda's limits; keeps a typing error from starting a million threads.
const MAX_THREADS: usize = 4096;

fn read_function(settings: &Settings) -> Function {
    let text = |name| settings.get(name).unwrap_or_default();
    let memory = text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    Function {
        name: text("AWS_LAMBDA_FUNCTION_NAME"),
        version: text("AWS_LAMBDA_FUNCTION_VERSION"),
        memory: text::number(&memory).unwrap_or(0),
        log_group: text("AWS_LAMBDA_LOG_GROUP_NAME"),
        log_stream: text("AWS_LAMBDA_LOG_STREAM_NAME"),
    }
}

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
        (Config::from_env(&lookup, &mut warnings), warnings)
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
            assert!(!config.async_init && config.base_path.is_empty());
            assert_eq!(
                (config.pass_through_path.as_str(), config.concurrency),
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
            ("AWS_LWA_PRIME", "true"),
            ("AWS_LWA_PRIME_PATHS", "/a,/b#c"),
            ("AWS_LWA_PRIME_PATHS", "/a,,/b"),
            ("AWS_LWA_PRIME_PATHS", ","),
            ("AWS_LWA_HOST", "a b"),
            ("READINESS_CHECK_PORT", "-1"),
            ("AWS_LWA_READINESS_CHECK_PATH", "/a#b"),
            ("AWS_LWA_READINESS_CHECK_PATH", "/a\tb"),
            ("AWS_LWA_READINESS_CHECK_PROTOCOL", "grpc"),
            ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "2xx"),
            ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "300-200"),
            ("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", ","),
            ("AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS", "100"),
            ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1.5s"),
            ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1."),
            ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "--1"),
            ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "inf"),
            ("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "4294967296"),
            ("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "-1"),
            ("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "+1"),
            ("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "1e3"),
            ("AWS_LWA_ASYNC_INIT", "maybe"),
            ("AWS_LWA_REMOVE_BASE_PATH", "/a\u{85}b"),
            ("AWS_LWA_PASS_THROUGH_PATH", "/events/{sauce}"),
            ("AWS_LWA_PASS_THROUGH_PATH", "/events/{source"),
            ("AWS_LWA_PASS_THROUGH_PATH", "/{source}/a#b"),
            ("AWS_LWA_SPLIT_BATCHES", "sqs"),
            ("AWS_LWA_AUTHORIZATION_SOURCE", "x y"),
            ("AWS_LWA_ERROR_STATUS_CODES", "99"),
            ("AWS_LWA_CONTEXT_HEADERS", "some"),
            ("AWS_LWA_TRACEPARENT", "maybe"),
            ("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH", "/a;b"),
            ("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH", "/events"),
            ("AWS_LWA_AFTER_RESPONSE_PATH", "/"),
            ("AWS_LWA_AFTER_RESPONSE_PATH", "/events/"),
            ("AWS_LWA_AFTER_RESPONSE_PATH", "after"),
            ("AWS_LWA_AFTER_RESPONSE_PATH", "/a?b=c"),
            ("AWS_LWA_AFTER_RESPONSE_PATH", "/a b"),
            ("AWS_LWA_INVOKE_MODE", "stream"),
            ("AWS_LWA_ENABLE_COMPRESSION", "gzip"),
            ("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "0.5"),
            ("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", "127.0.0.1"),
            ("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", "127.0.0.1: 9001"),
            ("AWS_LWA_PORT", "+80"),
            ("AWS_LAMBDA_HTTP_ENDPOINT", "3000"),
            ("AWS_LAMBDA_HTTP_ENDPOINT", ":3000"),
            ("AWS_LAMBDA_HTTP_ENDPOINT", "0.0.0.0:0"),
            ("AWS_LAMBDA_HTTP_ENDPOINT", "10.0.0.1:3000"),
            ("AWS_LAMBDA_HTTP_ENDPOINT", "http://127.0.0.1:3000"),
        ] {
            let error = read(&[(name, value)]).0.expect_err(name).to_string();
            let value = value.escape_debug();
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
        for list in [" 500-502 , 404", "500-502,404,", ",404,,500-502"] {
            let codes = accepted(&[("AWS_LWA_ERROR_STATUS_CODES", list)]).error_statuses;
            assert!(codes.contains(501) && codes.contains(404) && !codes.contains(503));
        }
        for base in ["api", "/api", "/api/"] {
            let config = accepted(&[("AWS_LWA_REMOVE_BASE_PATH", base)]);
            assert_eq!(config.base_path, ["/api"]);
        }
        for root in ["/", "//"] {
            let config = accepted(&[("AWS_LWA_REMOVE_BASE_PATH", root)]);
            assert!(config.base_path.is_empty());
        }
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
    fn the_endpoint_of_web_functions_names_the_port_that_is_not_set_otherwise() {
        const ENDPOINT: &str = "AWS_LAMBDA_HTTP_ENDPOINT";
        let port = |variables: &[(&str, &str)]| accepted(variables).app.port;
        for value in [
            "0.0.0.0:3000",
            "127.0.0.1:3000",
            "localhost:3000",
            "[::1]:3000",
        ] {
            assert_eq!(port(&[(ENDPOINT, value)]), 3000, "{value}");
            assert_eq!(port(&[(ENDPOINT, value), ("AWS_LWA_PORT", "1")]), 1);
            assert_eq!(port(&[(ENDPOINT, value), ("PORT", "2")]), 2);
            let blank = format!(" {value} ");
            assert_eq!(accepted(&[(ENDPOINT, &blank)]).http_endpoint, value);
        }
        for (value, host) in [
            ("10.0.0.1:3000", "10.0.0.1"),
            ("[::1]:3000", "::1"),
            ("0.0.0.0:3000", "127.0.0.1"),
            ("127.0.0.1:3000", "0.0.0.0"),
            ("localhost:3000", "127.0.0.1"),
        ] {
            assert_eq!(port(&[(ENDPOINT, value), ("AWS_LWA_HOST", host)]), 3000);
        }
        let other = [(ENDPOINT, "127.0.0.1:3000"), ("AWS_LWA_HOST", "10.0.0.1")];
        let error = read(&other).0.expect_err("unreachable").to_string();
        assert!(
            error.starts_with("AWS_LAMBDA_HTTP_ENDPOINT=`127.0.0.1:3000`"),
            "{error}"
        );
    }

    #[test]
    fn an_app_without_an_endpoint_gets_that_of_the_port() {
        for (variables, expected) in [
            (&[][..], "127.0.0.1:8080"),
            (
                &[("PORT", "3000"), ("AWS_LAMBDA_HTTP_ENDPOINT", " ")],
                "127.0.0.1:3000",
            ),
            (&[("AWS_LWA_PORT", "1"), ("AWS_LWA_HOST", "::1")], "[::1]:1"),
        ] {
            assert_eq!(accepted(variables).http_endpoint, expected);
        }
    }

    #[test]
    fn paths_are_percent_encoded_as_the_url_standard_does() {
        let text = "/caf\u{e9} \u{1f980}/%20%zz\"<>`?q=a b";
        let path = "/caf%C3%A9%20%F0%9F%A6%80/%20%zz%22%3C%3E%60?q=a%20b";
        let config = accepted(&[
            ("AWS_LWA_READINESS_CHECK_PATH", &format!("{text}{{}}")),
            ("AWS_LWA_PASS_THROUGH_PATH", &format!("{text}{{source}}")),
            ("AWS_LWA_PRIME_PATHS", &format!("{text}, {text}")),
            ("AWS_LWA_PRIME", "always"),
        ]);
        assert_eq!(config.readiness.path, format!("{path}%7B%7D"));
        assert_eq!(config.pass_through_path, format!("{path}{{source}}"));
        assert_eq!(config.prime.paths, [path, path]);
        let base = accepted(&[("AWS_LWA_REMOVE_BASE_PATH", "caf\u{e9}/")]).base_path;
        assert_eq!(base, ["/caf%C3%A9", "/caf\u{e9}"]);
    }

    #[test]
    fn seconds_have_fractions_and_zero_or_less_is_no_limit() {
        let idle = |value| accepted(&[("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", value)]).pool_idle;
        assert_eq!(idle("0.5"), Duration::from_millis(500));
        assert_eq!(idle("2.25"), Duration::from_millis(2250));
        assert_eq!(idle("0.0000000019"), Duration::from_nanos(1));
        assert_eq!(idle("0"), Duration::ZERO);
        for (value, expected) in [
            ("0.5", Some(Duration::from_millis(500))),
            ("30", Some(Duration::from_secs(30))),
            ("0", None),
            ("0.0", None),
            ("-1", None),
            ("-0.5", None),
        ] {
            let name = "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS";
            let (config, warnings) = read(&[(name, value)]);
            assert_eq!(config.expect("accepted").readiness.timeout, expected);
            assert_eq!(warnings.len(), usize::from(expected.is_none()), "{value}");
            let named = |warning: &String| warning.contains(name) && warning.contains("no limit");
            assert!(warnings.iter().all(named), "{warnings:?}");
        }
    }

    #[test]
    fn a_host_that_does_not_resolve_is_refused_under_the_name_it_was_given() {
        for (given, named) in [("AWS_LWA_HOST", "AWS_LWA_HOST"), ("HOST", "HOST")] {
            let variables = [(given, "no-such-host")];
            let config = accepted(&variables);
            let lookup = |name: &str| (name == given).then(|| "no-such-host".to_owned());
            assert!(check_host(&config.app, |_| true, &lookup).is_ok());
            let error = check_host(&config.app, |_| false, &lookup).expect_err("refused");
            let expected = format!("{named}=`no-such-host` is not valid: expected an address");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        let unset = accepted(&[]).app;
        assert!(check_host(&unset, |_| false, &|_| None).is_ok());
    }

    #[test]
    fn a_build_without_compression_rejects_the_setting() {
        let config = |value| read(&[("AWS_LWA_ENABLE_COMPRESSION", value)]).0;
        assert_eq!(config("off").expect("accepted").compression, None);
        if cfg!(feature = "compression") {
            assert!(config("on").expect("accepted").compression.is_some());
        } else {
            let fatal = config("on").expect_err("rejected").to_string();
            assert!(fatal.ends_with("has no compression"), "{fatal}");
        }
    }

    #[test]
    fn a_warning_about_an_unknown_setting_names_the_nearest_one() {
        let names = [
            "AWS_LWA_PROT",
            "AWS_LWA_PORT",
            "AWS_REGION",
            "AWS_LWA_READYNESS_CHECK_PATH",
            "AWS_LWA_LOG_LEVEL",
            "AWS_LWA_",
        ];
        let warnings: Vec<_> = names.into_iter().filter_map(unknown_name).collect();
        assert_eq!(warnings.len(), 4);
        for far in &warnings[2..] {
            assert!(far.ends_with("has no effect"), "{far}");
        }
        assert!(
            warnings[0].contains("AWS_LWA_PROT ") && warnings[0].ends_with("mean AWS_LWA_PORT?")
        );
        assert!(warnings[1].ends_with("mean AWS_LWA_READINESS_CHECK_PATH?"));
    }

    #[test]
    fn an_address_is_displayed_as_in_a_host_header() {
        for (host, expected) in [
            (None, "127.0.0.1:8080"),
            (Some("localhost"), "localhost:8080"),
            (Some("10.0.0.1"), "10.0.0.1:8080"),
            (Some("::1"), "[::1]:8080"),
        ] {
            let address = Address {
                host: host.map(str::to_owned),
                port: 8080,
            };
            assert_eq!(address.to_string(), expected);
        }
    }
}
