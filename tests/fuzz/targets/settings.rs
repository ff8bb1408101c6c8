//! Any environment gives either valid settings or one line that names every invalid one.

use lambda_adapter::config::{self, Config, SETTINGS};
use lambda_adapter::error::Fatal;

use super::bytes::Bytes;
use super::strict::is_token;

/// Each line is a byte that selects a setting, and its value.
pub fn check(data: &[u8]) {
    let names: Vec<&str> = SETTINGS
        .iter()
        .flat_map(|setting| {
            [setting.name]
                .into_iter()
                .chain(setting.deprecated.iter().copied())
        })
        .chain([
            "PORT",
            "HOST",
            "AWS_LAMBDA_MAX_CONCURRENCY",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        ])
        .collect();
    let mut bytes = Bytes(data);
    let mut given: Vec<(&str, String)> = Vec::new();
    while !bytes.0.is_empty() {
        let (first, rest) = bytes.0.split_first().expect("not empty");
        bytes = Bytes(rest);
        given.push((names[usize::from(*first) % names.len()], bytes.text()));
    }
    let lookup = |name: &str| {
        let found = given.iter().find(|(given, _)| *given == name);
        match name {
            "AWS_LAMBDA_RUNTIME_API" => Some("127.0.0.1:9001".to_owned()),
            _ => found.map(|(_, value)| value.clone()),
        }
    };
    let mut warnings = Vec::new();
    match Config::from_env(&lookup, &mut warnings) {
        Ok(config) => check_usable(&config),
        Err(Fatal::Settings(bad)) => {
            assert!(!bad.is_empty());
            for bad in &bad {
                let value = lookup(bad.name);
                assert!(value.is_some_and(|value| value == bad.value), "{bad:?}");
            }
            let line = Fatal::Settings(bad).to_string();
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        Err(other) => panic!("{other}"),
    }
    assert!(
        warnings
            .iter()
            .all(|warning| !warning.contains(char::is_control))
    );
    let text = String::from_utf8_lossy(&data[..data.len().min(40)]).into_owned();
    let unknown = config::unknown_name(&format!("AWS_LWA_{text}"));
    if let Some(warning) = unknown {
        assert!(
            warning.contains("did you mean ") || warning.ends_with("has no effect"),
            "{warning}"
        );
    }
}

/// Values that are copied into a request line or a header are valid there.
fn check_usable(config: &Config) {
    for path in [&config.pass_through_path, &config.readiness.path] {
        assert!(
            path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#'),
            "{path:?}"
        );
    }
    for path in &config.prime.paths {
        assert!(path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
    }
    for base in &config.base_path {
        assert!(
            base.starts_with('/') && base.len() > 1 && !base.ends_with('/'),
            "{base:?}"
        );
    }
    let source = config.authorization_source.as_deref();
    assert!(
        source.is_none_or(|name| is_token(name.as_bytes()) && name.to_ascii_lowercase() == name)
    );
    let host = config.app.to_string();
    assert!(host.bytes().all(|b| b.is_ascii_graphic()), "{host:?}");
    assert!(
        config.runtime_api.bytes().all(|b| b.is_ascii_graphic()),
        "{:?}",
        config.runtime_api
    );
    assert!(config.app.port > 0 && config.readiness.port > 0);
    assert!((1..=4096).contains(&config.concurrency));
}
