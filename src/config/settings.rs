//! The table of settings, and the lookup of one under its current and deprecated names.

use crate::error::BadSetting;
use crate::gzip;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    /// Former names: they still work, with a warning that names the current one.
    pub deprecated: &'static [&'static str],
    /// As the documentation shows it; empty if the setting is off by default.
    pub default: &'static str,
    /// Follows "expected" in the message about an invalid value.
    pub accepted: &'static str,
}

const fn setting(
    name: &'static str,
    deprecated: &'static [&'static str],
    default: &'static str,
    accepted: &'static str,
) -> Setting {
    Setting {
        name,
        deprecated,
        default,
        accepted,
    }
}

const BOOLEAN: &str = "true or false";
pub const A_PORT: &str = "a port from 1 to 65535";
pub const A_HOST: &str = "an address, localhost, or a name in /etc/hosts";
const A_PATH: &str = "a path without control characters and #";
const A_HOOK_PATH: &str = "a path such as /snapstart/before, of letters, digits and -._~ \
    between single slashes, not contained in the readiness or pass-through path";
const PATHS: &str = "paths without control characters and #, such as /,/items?x=1";
const STATUSES: &str = "status codes and ranges, such as 200-399,404";
const SECONDS: &str = "a number of seconds, such as 10 or 0.5";

pub static PORT: Setting = setting("AWS_LWA_PORT", &[], "8080", A_PORT);
/// Not deprecated: many platforms and frameworks use these names.
pub const PLAIN_PORT: &str = "PORT";
pub const PLAIN_HOST: &str = "HOST";
/// Names the port where neither name above does, as in AWS Lambda Web Functions.
pub static HTTP_ENDPOINT: Setting = setting(
    "AWS_LAMBDA_HTTP_ENDPOINT",
    &[],
    "",
    "HOST:PORT, where HOST is localhost, 127.0.0.1, 0.0.0.0 or the value of AWS_LWA_HOST",
);
pub static HOST: Setting = setting("AWS_LWA_HOST", &[], "127.0.0.1", A_HOST);
pub static READINESS_PORT: Setting = setting(
    "AWS_LWA_READINESS_CHECK_PORT",
    &["READINESS_CHECK_PORT"],
    "the app's port",
    A_PORT,
);
pub static READINESS_PATH: Setting = setting(
    "AWS_LWA_READINESS_CHECK_PATH",
    &["READINESS_CHECK_PATH"],
    "/",
    A_PATH,
);
pub static READINESS_PROTOCOL: Setting = setting(
    "AWS_LWA_READINESS_CHECK_PROTOCOL",
    &["READINESS_CHECK_PROTOCOL"],
    "http",
    "http or tcp",
);
pub static READINESS_STATUS: Setting = setting(
    "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS",
    &[],
    "100-499",
    STATUSES,
);
/// Replaced by the list of healthy statuses: N means that 100 to N-1 are healthy.
pub static MIN_UNHEALTHY: Setting = setting(
    "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS",
    &["READINESS_CHECK_MIN_UNHEALTHY_STATUS"],
    "",
    "a status code from 101 to 1000",
);
pub static READINESS_TIMEOUT: Setting =
    setting("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", &[], "", SECONDS);
pub static ASYNC_INIT: Setting = setting("AWS_LWA_ASYNC_INIT", &["ASYNC_INIT"], "false", BOOLEAN);
pub static REMOVE_BASE_PATH: Setting = setting(
    "AWS_LWA_REMOVE_BASE_PATH",
    &["REMOVE_BASE_PATH"],
    "",
    A_PATH,
);
pub static PASS_THROUGH_PATH: Setting = setting(
    "AWS_LWA_PASS_THROUGH_PATH",
    &[],
    "/events",
    "a path without control characters and #, and without braces but in {source}",
);
pub static SPLIT_BATCHES: Setting = setting("AWS_LWA_SPLIT_BATCHES", &[], "false", BOOLEAN);
pub static AUTHORIZATION_SOURCE: Setting =
    setting("AWS_LWA_AUTHORIZATION_SOURCE", &[], "", "a header name");
pub static ERROR_STATUS_CODES: Setting = setting("AWS_LWA_ERROR_STATUS_CODES", &[], "", STATUSES);
pub static INVOKE_MODE: Setting = setting(
    "AWS_LWA_INVOKE_MODE",
    &[],
    "buffered",
    "buffered or response_stream",
);
pub static COMPRESSION: Setting = setting(
    "AWS_LWA_ENABLE_COMPRESSION",
    &[],
    "false",
    match gzip::LEVEL {
        Some(_) => BOOLEAN,
        None => "false: this build of lambda-adapter has no compression",
    },
);
pub static INVOKE_TIMEOUT_MARGIN: Setting = setting(
    "AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS",
    &[],
    "",
    "a whole number of milliseconds",
);
pub static CONTEXT_HEADERS: Setting =
    setting("AWS_LWA_CONTEXT_HEADERS", &[], "full", "full or off");
pub static TRACEPARENT: Setting = setting("AWS_LWA_TRACEPARENT", &[], "false", BOOLEAN);
pub static BEFORE_CHECKPOINT: Setting = setting(
    "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH",
    &[],
    "",
    A_HOOK_PATH,
);
pub static AFTER_RESTORE: Setting =
    setting("AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH", &[], "", A_HOOK_PATH);
pub static PRIME_PATHS: Setting = setting("AWS_LWA_PRIME_PATHS", &[], "", PATHS);
pub static PRIME: Setting = setting("AWS_LWA_PRIME", &[], "auto", "auto or always");
pub static AFTER_RESPONSE: Setting = setting("AWS_LWA_AFTER_RESPONSE_PATH", &[], "", A_HOOK_PATH);
pub static RUNTIME_API_PROXY: Setting =
    setting("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", &[], "", "HOST:PORT");
pub static POOL_IDLE: Setting = setting("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", &[], "4", SECONDS);

/// Read by the layer's `bootstrap` script, not by the adapter.
pub static EXEC_WRAPPER: Setting = setting("AWS_LWA_EXEC_WRAPPER", &[], "", "the path of a file");

/// All settings, in the order of the documentation.
pub const SETTINGS: &[&Setting] = &[
    &PORT,
    &HOST,
    &HTTP_ENDPOINT,
    &READINESS_PORT,
    &READINESS_PATH,
    &READINESS_PROTOCOL,
    &READINESS_STATUS,
    &READINESS_TIMEOUT,
    &ASYNC_INIT,
    &REMOVE_BASE_PATH,
    &PASS_THROUGH_PATH,
    &SPLIT_BATCHES,
    &AUTHORIZATION_SOURCE,
    &ERROR_STATUS_CODES,
    &INVOKE_MODE,
    &COMPRESSION,
    &INVOKE_TIMEOUT_MARGIN,
    &CONTEXT_HEADERS,
    &TRACEPARENT,
    &BEFORE_CHECKPOINT,
    &AFTER_RESTORE,
    &PRIME_PATHS,
    &PRIME,
    &AFTER_RESPONSE,
    &RUNTIME_API_PROXY,
    &POOL_IDLE,
    &EXEC_WRAPPER,
    &MIN_UNHEALTHY,
];

/// The environment, with the warnings and errors found while reading it.
pub struct Settings<'a> {
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    pub warnings: &'a mut Vec<String>,
    /// All invalid settings, so that they can be corrected together.
    pub bad: Vec<BadSetting>,
}

impl Settings<'_> {
    /// Reads the setting under its name or a deprecated one. An empty value counts as unset.
    ///
    /// A function pointer has this code in the binary once for each type, not for each setting.
    pub fn read<T>(&mut self, setting: &Setting, parse: fn(&str) -> Option<T>) -> Option<T> {
        self.read_by(setting, parse)
    }

    /// The same for a parser that depends on other settings.
    pub fn read_by<T>(
        &mut self,
        setting: &Setting,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (name, value) = self.find(setting)?;
        self.accept(name, value, setting.accepted, parse)
    }

    /// The name that is set, and its value.
    #[inline(never)]
    fn find(&mut self, setting: &Setting) -> Option<(&'static str, String)> {
        let mut found = self.get(setting.name).map(|value| (setting.name, value));
        for old in setting.deprecated {
            if found.is_none()
                && let Some(value) = self.get(old)
            {
                self.warn_deprecated(old, setting.name);
                found = Some((old, value));
            }
        }
        found
    }

    /// Parses the value, or records it as invalid.
    pub fn accept<T>(
        &mut self,
        name: &'static str,
        value: String,
        accepted: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(value.trim());
        if parsed.is_none() {
            self.reject(name, value, accepted);
        }
        parsed
    }

    #[cold]
    #[inline(never)]
    fn reject(&mut self, name: &'static str, value: String, accepted: &'static str) {
        self.bad.push(BadSetting {
            name,
            value,
            accepted,
        });
    }

    /// Returns the variable, unless it is blank.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.trim().is_empty())
    }

    pub fn warn_deprecated(&mut self, old: &str, new: &str) {
        self.warnings
            .push(format!("{old} is deprecated: use {new} instead"));
    }
}

/// Returns a warning for an `AWS_LWA_*` name that is not a setting, with a name that is near.
pub fn unknown_name(name: &str) -> Option<String> {
    if !name.starts_with("AWS_LWA_") {
        return None;
    }
    let mut nearest = (usize::MAX, "");
    for setting in SETTINGS {
        for known in setting.deprecated.iter().chain([&setting.name]) {
            if *known == name {
                return None;
            }
            nearest = nearest.min((distance(known, name), known));
        }
    }
    let (distance, nearest) = nearest;
    Some(if is_near(distance, name) {
        format!("{name} is not a setting of lambda-adapter: did you mean {nearest}?")
    } else {
        format!("{name} is not a setting of lambda-adapter, and has no effect")
    })
}

/// Whether a name may be a misspelling: two letters, or a quarter of them, differ.
fn is_near(distance: usize, name: &str) -> bool {
    distance <= usize::max(2, name.len().saturating_sub("AWS_LWA_".len()) / 4)
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let replace = diagonal + usize::from(x != y);
            diagonal = *slot;
            left = replace.min(diagonal + 1).min(left + 1);
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
