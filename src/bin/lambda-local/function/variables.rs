//! From the command line to the processes: binaries, port of the app, environment variables.
//!
//! Extensions get fewer variables than the runtime ("Using Lambda environment variables" in the
//! developer guide). The difference matters for a test: an adapter that reads a variable which only
//! the runtime has would fail on Lambda.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::options::{Adapter, Init, InvokeMode, Options, Watch};
use crate::clock;
use crate::function::setup_error::SetupError;
use crate::function::startup::Startups;
use crate::function::{app_port, env_file, web_function};
use crate::log::{Format, Logger};
use crate::web::recorder::Recorder;
use crate::web::relay;

pub const ACCOUNT_ID: &str = "111122223333";

/// Variables that only the runtime gets.
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

/// Where the app of an environment listens. Environments on Lambda have a network each; here they
/// share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    pub app: u16,
    /// The port of the relay to the app, which the adapter gets instead of the app's.
    pub relay: Option<u16>,
}

impl Ports {
    /// Replaces the relay's port by the app's in a text of the adapter: the app was given this one.
    pub fn name_the_apps(&self, text: &str) -> String {
        let Some(relay) = self.relay else {
            return text.to_owned();
        };
        let (relay, app) = (relay.to_string(), self.app.to_string());
        let mut parts = text.split(relay.as_str()).peekable();
        let mut replaced = String::with_capacity(text.len());
        while let Some(part) = parts.next() {
            replaced.push_str(part);
            if let Some(next) = parts.peek() {
                let is_part = |c: char| c.is_ascii_alphanumeric();
                let is_whole = !replaced.ends_with(is_part) && !next.starts_with(is_part);
                replaced.push_str(if is_whole { &app } else { &relay });
            }
        }
        replaced
    }
}

#[derive(Debug)]
pub struct Setup {
    pub options: Options,
    pub logger: Arc<Logger>,
    /// File name of the adapter.
    pub adapter: Option<String>,
    /// External extensions, sorted by name: Lambda starts them in this order.
    pub extensions: Vec<PathBuf>,
    pub program: OsString,
    pub args: Vec<String>,
    /// Absolute path of the working directory of the app.
    pub task_root: PathBuf,
    /// The ports of each environment's app.
    pub ports: Vec<Ports>,
    pub recorder: Arc<Recorder>,
    pub startups: Arc<Startups>,
    /// `PORT` and `AWS_LWA_PORT` of the app, where they differ from the settings of the user.
    forced_ports: Vec<&'static str>,
    /// From `--env-file` and `--env`; later ones take precedence.
    settings: Vec<(String, String)>,
}

pub type Env = Vec<(OsString, OsString)>;

impl Setup {
    /// `own_port` is the port of the front end, which the app cannot have.
    pub fn new(options: Options, own_port: u16) -> Result<Setup, SetupError> {
        let mut settings = Vec::new();
        for file in &options.env_files {
            settings.extend(env_file::read(file)?);
        }
        settings.extend(options.env.iter().cloned());
        let adapter = if options.web_function {
            None
        } else {
            find_adapter(&options.adapter)?
        };
        let extensions = find_extensions(&options, adapter.as_deref())?;
        let names: Vec<String> = extensions.iter().map(|path| file_name(path)).collect();
        // The app of a Web Function is not asked to listen on $PORT.
        let lookup = |name: &str| lookup(&settings, name).filter(|_| !options.web_function);
        let holder = |port| app_port::holder(port, own_port);
        let chosen = app_port::choose(options.app_port, holder, lookup)?;
        let task_root = find_dir(options.dir.as_deref().unwrap_or(Path::new(".")))?;
        let (program, args) = match options.command.split_first() {
            Some((program, args)) => (OsString::from(program), args.to_vec()),
            None => (current_exe()?.into_os_string(), vec!["demo-app".to_owned()]),
        };
        let (recorder, startups) = (Recorder::new(options.page), Arc::default());
        let logger = Logger::new(options.format, options.color, &names, recorder.clone());
        if let Some(notice) = &chosen.notice {
            logger.warn(notice);
        }
        let host = lookup("AWS_LWA_HOST").or_else(|| lookup("HOST"));
        let is_relayed = options.page && options.adapter != Adapter::None;
        let is_relayed = is_relayed && relay::can_relay_to(host.as_deref());
        let environments = options.max_environments.unwrap_or(1);
        let ports = (0..environments).map(|number| {
            let app = if number == 0 {
                chosen.port
            } else {
                app_port::free_port().map_err(SetupError::FindFreePort)?
            };
            let relay = is_relayed.then(|| relay::start(app, &recorder, &startups));
            let relay = relay.transpose().map_err(SetupError::StartRelay)?;
            Ok(Ports { app, relay })
        });
        let ports: Vec<Ports> = ports.collect::<Result<_, SetupError>>()?;
        Ok(Setup {
            options,
            logger: Arc::new(logger),
            adapter: adapter.as_deref().map(file_name),
            extensions,
            program,
            args,
            task_root,
            ports,
            forced_ports: chosen.forced,
            recorder,
            startups,
            settings,
        })
    }

    /// Returns the directory that `--watch` names.
    pub fn watched(&self) -> Result<Option<PathBuf>, SetupError> {
        match &self.options.watch {
            Watch::Off => Ok(None),
            Watch::TaskRoot => Ok(Some(self.task_root.clone())),
            Watch::Dir(dir) => find_dir(dir).map(Some),
        }
    }

    pub fn init_type(&self) -> &'static str {
        if self.options.web_function {
            return "native-http";
        }
        match (self.options.managed_concurrency(), self.options.init) {
            (Some(_), _) => "lambda-managed-instances",
            (None, Init::OnDemand) => "on-demand",
            (None, Init::Provisioned) => "provisioned-concurrency",
            (None, Init::SnapStart) => "snap-start",
        }
    }

    /// Returns the environment variables of the runtime: those of lambda-local, those that Lambda
    /// sets, and those of the user.
    pub fn runtime_env(&self, api: SocketAddr, ports: Ports) -> Env {
        let mut env: Env = std::env::vars_os().collect();
        for (name, value) in self.lambda_variables(api, ports) {
            set(&mut env, name, &value);
        }
        if self.options.web_function {
            env.retain(|(name, _)| !app_port::VARIABLES.iter().any(|port| name == port));
        }
        for (name, value) in &self.settings {
            set(&mut env, name, value);
        }
        if self.options.web_function {
            let endpoint = web_function::endpoint(ports.app).to_string();
            set(&mut env, web_function::HTTP_ENDPOINT, &endpoint);
            return env;
        }
        // The settings of the user are for the first environment.
        let is_first = self.ports.first() == Some(&ports);
        let forced = if is_first {
            &self.forced_ports[..]
        } else {
            &app_port::VARIABLES
        };
        for name in forced {
            set(&mut env, name, &ports.app.to_string());
        }
        env
    }

    fn lambda_variables(&self, api: SocketAddr, ports: Ports) -> Vec<(&'static str, String)> {
        let options = &self.options;
        let function_name = &options.function_name;
        let log_stream = format!("local/[$LATEST]{:016x}", clock::random());
        let mut variables = vec![
            ("AWS_LAMBDA_RUNTIME_API", api.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", function_name.clone()),
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
                format!("/aws/lambda/{function_name}"),
            ),
            ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
            ("AWS_LWA_PORT", ports.app.to_string()),
            ("AWS_REGION", region()),
            ("AWS_DEFAULT_REGION", region()),
            ("PORT", ports.app.to_string()),
            ("TZ", ":UTC".to_owned()),
            ("_HANDLER", "handler".to_owned()),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
            ("LAMBDA_TASK_ROOT", self.task_root.display().to_string()),
        ];
        if options.format == Format::Json {
            variables.push(("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()));
        }
        if options.invoke_mode == InvokeMode::ResponseStream {
            variables.push(("AWS_LWA_INVOKE_MODE", "response_stream".to_owned()));
        }
        if let Some(concurrency) = options.managed_concurrency() {
            variables.push(("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string()));
        }
        variables
    }

    /// Returns the environment variables of an extension.
    pub fn extension_env(&self, api: SocketAddr, ports: Ports) -> Env {
        let mut env = self.runtime_env(api, ports);
        if let Some(port) = ports.relay {
            for name in app_port::VARIABLES {
                set(&mut env, name, &port.to_string());
            }
        }
        env.retain(|(name, _)| {
            let name = name.to_str().unwrap_or_default();
            !RUNTIME_ONLY.contains(&name)
        });
        env
    }

    /// Returns port and path of the adapter's readiness probe.
    pub fn readiness(&self, ports: Ports) -> (u16, String) {
        let first = |names: [&str; 2]| {
            let mut values = names.iter().filter_map(|name| lookup(&self.settings, name));
            values.next().unwrap_or_default()
        };
        let port = first(["AWS_LWA_READINESS_CHECK_PORT", "READINESS_CHECK_PORT"]).parse();
        let path = first(["AWS_LWA_READINESS_CHECK_PATH", "READINESS_CHECK_PATH"]);
        (
            port.unwrap_or(ports.app),
            format!("/{}", path.trim_start_matches('/')),
        )
    }
}

pub fn function_arn(function_name: &str) -> String {
    let region = region();
    format!("arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{function_name}")
}

fn region() -> String {
    std::env::var("AWS_REGION")
        .or_else(|_| std::env::var("AWS_DEFAULT_REGION"))
        .unwrap_or_else(|_| "us-east-1".to_owned())
}

/// Looks a variable up in the settings, then in the environment of lambda-local.
fn lookup(settings: &[(String, String)], name: &str) -> Option<String> {
    let mut latest_first = settings.iter().rev();
    match latest_first.find(|(key, _)| key == name) {
        Some((_, value)) => Some(value.clone()),
        None => std::env::var(name).ok(),
    }
}

fn set(env: &mut Env, name: &str, value: &str) {
    env.retain(|(key, _)| key != OsStr::new(name));
    env.push((name.into(), value.into()));
}

pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn current_exe() -> Result<PathBuf, SetupError> {
    std::env::current_exe().map_err(SetupError::FindOwnFile)
}

/// Returns the absolute paths of all extensions, the adapter among them, sorted by name.
fn find_extensions(options: &Options, adapter: Option<&Path>) -> Result<Vec<PathBuf>, SetupError> {
    let mut extensions = Vec::new();
    let others = options.extensions.iter().map(PathBuf::as_path);
    for extension in others.chain(adapter) {
        let failed = |error| SetupError::FindExtension {
            path: extension.to_owned(),
            error,
        };
        let path = std::path::absolute(extension).map_err(failed)?;
        if !path.is_file() {
            let kind = io::ErrorKind::NotFound;
            return Err(failed(io::Error::new(kind, "no such file")));
        }
        extensions.push(path);
    }
    extensions.sort_by_key(|path| file_name(path));
    let following = extensions.iter().skip(1);
    let duplicate = extensions
        .iter()
        .zip(following)
        .find(|(one, next)| one.file_name() == next.file_name());
    match duplicate {
        Some((path, _)) => Err(SetupError::DuplicateExtension {
            name: file_name(path),
        }),
        None => Ok(extensions),
    }
}

fn find_adapter(adapter: &Adapter) -> Result<Option<PathBuf>, SetupError> {
    let (path, hint) = match adapter {
        Adapter::None => return Ok(None),
        Adapter::Path(path) => (path.clone(), ""),
        Adapter::Default => (
            current_exe()?.with_file_name("lambda-adapter"),
            " (build it with `cargo build`, or choose one with --adapter PATH)",
        ),
    };
    if !path.is_file() {
        return Err(SetupError::FindAdapter { path, hint });
    }
    Ok(Some(path))
}

fn find_dir(dir: &Path) -> Result<PathBuf, SetupError> {
    let found = dir.canonicalize().and_then(|path| {
        if path.is_dir() {
            Ok(path)
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    });
    found.map_err(|error| SetupError::FindDir {
        path: dir.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_adapter_name_the_port_of_the_app() {
        let ports = Ports {
            app: 8000,
            relay: Some(40123),
        };
        for (text, expected) in [
            (
                "connect to localhost:40123: refused",
                "connect to localhost:8000: refused",
            ),
            ("40123", "8000"),
            ("40123, 40123", "8000, 8000"),
            ("id 40123a-140123-401234", "id 40123a-140123-401234"),
            ("", ""),
        ] {
            assert_eq!(ports.name_the_apps(text), expected);
        }
        let direct = Ports {
            app: 8000,
            relay: None,
        };
        assert_eq!(direct.name_the_apps("40123"), "40123");
    }

    #[test]
    fn extensions_lack_the_variables_of_the_runtime() {
        let options = Options {
            adapter: Adapter::None,
            command: vec!["x".to_owned()],
            env: vec![("MINE".to_owned(), "1".to_owned())],
            ..Options::default()
        };
        let setup = Setup::new(options, 3000).expect("setup");
        let api = SocketAddr::from(([127, 0, 0, 1], 9001));
        let ports = setup.ports[0];
        let has = |env: &Env, name: &str| env.iter().any(|(key, _)| key == OsStr::new(name));
        let (runtime, extension) = (
            setup.runtime_env(api, ports),
            setup.extension_env(api, ports),
        );
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
