//! From the command line to what the processes get: which binaries, which port, which environment variables.
//!
//! Lambda gives the runtime more variables than the extensions ("Using Lambda environment variables" in the developer guide lists them); an
//! adapter that reads one of the others works here only if it would work there.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::arg_reader::parse_pair;
use crate::cli::options::{Adapter, Init, Options};
use crate::clock;
use crate::log::Output;

/// What an extension does not see, though the runtime does.
const RUNTIME_ONLY: [&str; 11] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

pub struct Setup {
    pub options: Options,
    pub output: Arc<Output>,
    /// External extensions in the order of their names, as Lambda starts them.
    pub extensions: Vec<PathBuf>,
    pub program: OsString,
    pub args: Vec<String>,
    pub app_port: u16,
    /// Of `--env` and `--env-file`, in order: later ones win.
    settings: Vec<(String, String)>,
}

pub type Env = Vec<(OsString, OsString)>;

impl Setup {
    pub fn new(options: Options) -> Result<Setup, String> {
        let mut settings = Vec::new();
        for file in &options.env_files {
            settings.extend(read_env_file(file)?);
        }
        settings.extend(options.env.iter().cloned());
        let mut extensions = options.extensions.clone();
        if let Some(adapter) = find_adapter(&options.adapter)? {
            extensions.push(adapter);
        }
        for extension in &mut extensions {
            *extension = std::path::absolute(&extension).map_err(|error| {
                format!(
                    "failed to find extension `{}`: {error}",
                    extension.display()
                )
            })?;
            if !extension.is_file() {
                return Err(format!(
                    "failed to find extension `{}`: no such file",
                    extension.display()
                ));
            }
        }
        extensions.sort_by_key(|path| file_name(path));
        let names: Vec<String> = extensions.iter().map(|path| file_name(path)).collect();
        if let Some(name) = names
            .iter()
            .zip(names.iter().skip(1))
            .find_map(|(one, next)| (one == next).then_some(one))
        {
            return Err(format!(
                "two extensions have the name `{name}`: names must differ"
            ));
        }
        let app_port = choose_app_port(&options, &settings)?;
        let (program, args) = match options.command.split_first() {
            Some((program, args)) => (OsString::from(program), args.to_vec()),
            None => (current_exe()?.into_os_string(), vec!["demo-app".to_owned()]),
        };
        let output = Arc::new(Output::new(options.json, options.color, &names));
        Ok(Setup {
            options,
            output,
            extensions,
            program,
            args,
            app_port,
            settings,
        })
    }

    pub fn init_type(&self) -> &'static str {
        match (self.options.concurrency, self.options.init) {
            (Some(_), _) => "lambda-managed-instances",
            (None, Init::OnDemand) => "on-demand",
            (None, Init::Provisioned) => "provisioned-concurrency",
            (None, Init::SnapStart) => "snap-start",
        }
    }

    /// The environment of the runtime process.
    pub fn runtime_env(&self, api: SocketAddr) -> Env {
        let mut env: Env = std::env::vars_os().collect();
        let options = &self.options;
        let mut set = |name: &str, value: &str| replace(&mut env, name, value);
        for (name, value) in [
            ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", options.function_name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            (
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                options.memory.to_string(),
            ),
            (
                "AWS_LAMBDA_INITIALIZATION_TYPE",
                self.init_type().to_owned(),
            ),
            (
                "AWS_LAMBDA_LOG_GROUP_NAME",
                format!("/aws/lambda/{}", options.function_name),
            ),
            (
                "AWS_LAMBDA_LOG_STREAM_NAME",
                format!("local/[$LATEST]{:016x}", clock::random()),
            ),
            ("AWS_LWA_PORT", self.app_port.to_string()),
            ("PORT", self.app_port.to_string()),
            ("TZ", ":UTC".to_owned()),
            ("_HANDLER", "handler".to_owned()),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
            (
                "LAMBDA_TASK_ROOT",
                std::env::current_dir()
                    .unwrap_or_default()
                    .display()
                    .to_string(),
            ),
        ] {
            set(name, &value);
        }
        if options.json {
            set("AWS_LAMBDA_LOG_FORMAT", "JSON");
        }
        if options.stream {
            set("AWS_LWA_INVOKE_MODE", "response_stream");
        }
        if let Some(concurrency) = options.concurrency {
            set("AWS_LAMBDA_MAX_CONCURRENCY", &concurrency.to_string());
        }
        let region = std::env::var("AWS_REGION")
            .or_else(|_| std::env::var("AWS_DEFAULT_REGION"))
            .unwrap_or_else(|_| "us-east-1".to_owned());
        set("AWS_REGION", &region);
        set("AWS_DEFAULT_REGION", &region);
        for (name, value) in &self.settings {
            set(name, value);
        }
        env
    }

    /// The environment of an extension.
    pub fn extension_env(&self, api: SocketAddr) -> Env {
        let mut env = self.runtime_env(api);
        env.retain(|(name, _)| {
            !name
                .to_str()
                .is_some_and(|name| RUNTIME_ONLY.contains(&name))
        });
        env
    }

    /// Port and path at which the adapter asks whether the app is ready.
    pub fn readiness(&self) -> (u16, String) {
        let first = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|name| self.setting(name))
                .unwrap_or_default()
        };
        let port = first(["AWS_LWA_READINESS_CHECK_PORT", "READINESS_CHECK_PORT"]).parse();
        let path = first(["AWS_LWA_READINESS_CHECK_PATH", "READINESS_CHECK_PATH"]);
        (
            port.unwrap_or(self.app_port),
            format!("/{}", path.trim_start_matches('/')),
        )
    }

    fn setting(&self, name: &str) -> Option<String> {
        lookup(&self.settings, name)
    }
}

fn lookup(settings: &[(String, String)], name: &str) -> Option<String> {
    let given = settings
        .iter()
        .rev()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.clone());
    given.or_else(|| std::env::var(name).ok())
}

fn replace(env: &mut Env, name: &str, value: &str) {
    env.retain(|(key, _)| key != OsStr::new(name));
    env.push((name.into(), value.into()));
}

pub fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

pub fn current_exe() -> Result<PathBuf, String> {
    std::env::current_exe()
        .map_err(|error| format!("failed to find this program's own file: {error}"))
}

fn find_adapter(adapter: &Adapter) -> Result<Option<PathBuf>, String> {
    let (path, hint) = match adapter {
        Adapter::None => return Ok(None),
        Adapter::At(path) => (path.clone(), ""),
        Adapter::Beside => (
            current_exe()?.with_file_name("lambda-adapter"),
            " (build it with `cargo build`, or name it with --adapter PATH)",
        ),
    };
    if path.is_file() {
        Ok(Some(path))
    } else {
        Err(format!(
            "failed to find the adapter `{}`: no such file{hint}",
            path.display()
        ))
    }
}

/// The app's port: what the command line says, else what the environment says, else a free one.
fn choose_app_port(options: &Options, settings: &[(String, String)]) -> Result<u16, String> {
    if let Some(port) = options.app_port {
        return Ok(port);
    }
    if let Some((name, value)) = ["AWS_LWA_PORT", "PORT"]
        .iter()
        .find_map(|name| Some((name, lookup(settings, name)?)))
    {
        return value
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("`{name}` must be a port, not `{value}`"));
    }
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.map(|address| address.port())
        .map_err(|error| format!("failed to find a free port for the app: {error}"))
}

fn read_env_file(path: &Path) -> Result<Vec<(String, String)>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read `{}`: {error}", path.display()))?;
    parse_env_file(&text).map_err(|error| format!("failed to read `{}`: {error}", path.display()))
}

/// Lines of `NAME=VALUE`, with blank lines, `#` comments, a leading `export`, and quotes around a value.
fn parse_env_file(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) =
            parse_pair(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        let value = value.trim();
        let bare = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
            .unwrap_or(value);
        pairs.push((name, bare.to_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_may_hold_comments_quotes_and_exports() {
        let pairs =
            parse_env_file("# c\n\nA=1\nexport B = \"x y\" \nC='q'\nD=a=b#c\nE=\n").expect("pairs");
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("A", "1"),
                ("B", "x y"),
                ("C", "q"),
                ("D", "a=b#c"),
                ("E", "")
            ]
        );
    }

    #[test]
    fn a_line_without_a_name_is_named_by_its_number() {
        assert!(
            parse_env_file("A=1\nnonsense\n")
                .expect_err("error")
                .starts_with("line 2")
        );
    }

    #[test]
    fn extensions_lack_what_only_the_runtime_gets() {
        let options = Options {
            adapter: Adapter::None,
            command: vec!["x".to_owned()],
            env: vec![("MINE".to_owned(), "1".to_owned())],
            ..Options::default()
        };
        let setup = Setup::new(options).expect("setup");
        let api = SocketAddr::from(([127, 0, 0, 1], 9001));
        let has = |env: &Env, name: &str| env.iter().any(|(key, _)| key == OsStr::new(name));
        let (runtime, extension) = (setup.runtime_env(api), setup.extension_env(api));
        for name in ["_HANDLER", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_LOG_GROUP_NAME"] {
            assert!(has(&runtime, name) && !has(&extension, name), "{name}");
        }
        for name in [
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LWA_PORT",
            "MINE",
        ] {
            assert!(has(&runtime, name) && has(&extension, name), "{name}");
        }
    }
}
