//! The command line: each option with its default and its parser; its help is in `help.rs`.
//!
//! Parsed by hand: two dozen flags do not need a library. An unknown option is an error (exit 2): a
//! misspelt `--timeout` must not be ignored silently.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::arg_reader::{ArgReader, UsageError, parse_pair};
use crate::cli::contradictions;
use crate::log::{Color, Format};

/// Event kind: the service in front of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    FunctionUrl,
    HttpApi,
    RestApi,
    Alb,
    AlbMultiValue,
    Lattice,
}

pub const KINDS: [(&str, Kind); 6] = [
    ("function-url", Kind::FunctionUrl),
    ("http-api", Kind::HttpApi),
    ("rest-api", Kind::RestApi),
    ("alb", Kind::Alb),
    ("alb-multi-value", Kind::AlbMultiValue),
    ("lattice", Kind::Lattice),
];

pub fn kind_name(kind: Kind) -> &'static str {
    let mut kinds = KINDS.iter();
    let found = kinds.find(|(_, known)| *known == kind);
    found.map_or("", |(name, _)| name)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeMode {
    Buffered,
    ResponseStream,
}

const INVOKE_MODES: [(&str, InvokeMode); 2] = [
    ("buffered", InvokeMode::Buffered),
    ("response_stream", InvokeMode::ResponseStream),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    OnDemand,
    Provisioned,
    SnapStart,
}

const INITS: [(&str, Init); 3] = [
    ("on-demand", Init::OnDemand),
    ("provisioned", Init::Provisioned),
    ("snap-start", Init::SnapStart),
];

const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];

const COLORS: [(&str, Color); 3] = [
    ("auto", Color::Auto),
    ("always", Color::Always),
    ("never", Color::Never),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    None,
    /// The phases of each cold start.
    ColdStart,
}

const REPORTS: [(&str, Details); 1] = [("cold-start", Details::ColdStart)];

#[derive(Clone, Debug, PartialEq)]
pub enum Watch {
    Off,
    /// The working directory of the app.
    TaskRoot,
    Dir(PathBuf),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Adapter {
    /// `lambda-adapter` in the directory of this program.
    Default,
    Path(PathBuf),
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub kind: Kind,
    /// Requests go to the app itself, and `kind` has no meaning.
    pub web_function: bool,
    pub stage: Option<String>,
    pub invoke_mode: InvokeMode,
    pub host: String,
    pub port: u16,
    pub tenant: Option<String>,
    /// Serve the page at `/__lambda/`.
    pub page: bool,
    pub timeout: Duration,
    pub memory: u32,
    pub env: Vec<(String, String)>,
    pub env_files: Vec<PathBuf>,
    /// Working directory of the app; `None` for that of lambda-local.
    pub dir: Option<PathBuf>,
    pub app_port: Option<u16>,
    pub function_name: String,
    pub init: Init,
    pub concurrency: Option<u32>,
    pub max_environments: Option<u32>,
    pub dead_letter: Option<PathBuf>,
    pub freeze: bool,
    pub watch: Watch,
    pub adapter: Adapter,
    pub extensions: Vec<PathBuf>,
    /// What is logged after a REPORT line.
    pub report: Details,
    pub format: Format,
    pub color: Color,
    /// Empty: the demo app.
    pub command: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            kind: Kind::FunctionUrl,
            web_function: false,
            stage: None,
            invoke_mode: InvokeMode::Buffered,
            host: "127.0.0.1".to_owned(),
            port: 3000,
            tenant: None,
            page: true,
            timeout: Duration::from_secs(30),
            memory: 1024,
            env: Vec::new(),
            env_files: Vec::new(),
            dir: None,
            app_port: None,
            function_name: "function".to_owned(),
            init: Init::OnDemand,
            concurrency: None,
            max_environments: None,
            dead_letter: None,
            freeze: false,
            watch: Watch::Off,
            adapter: Adapter::Default,
            extensions: Vec::new(),
            report: Details::None,
            format: Format::Text,
            color: Color::Auto,
            command: Vec::new(),
        }
    }
}

impl Options {
    /// The number of invocations at a time on Managed Instances.
    pub fn managed_concurrency(&self) -> Option<u32> {
        self.concurrency.filter(|_| !self.web_function)
    }

    /// The noun for a request of a client that reaches the function.
    pub fn unit(&self) -> &'static str {
        if self.web_function {
            "request"
        } else {
            "invocation"
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventSource {
    /// `-` is standard input.
    File(PathBuf),
    Sample(String),
}

/// The options of `lambda-local invoke`.
#[derive(Clone, Debug, PartialEq)]
pub struct InvokeOptions {
    pub event: EventSource,
    /// The number of records in a sample event.
    pub batch: Option<usize>,
    pub host: String,
    pub port: u16,
    pub tenant: Option<String>,
}

#[derive(Debug, PartialEq)]
pub enum Command {
    Run(Box<Options>),
    Invoke(InvokeOptions),
    /// Print the sample event of this name, or the list of all.
    Events(Option<String>),
    DemoApp,
    /// Start this program as the parent of a process of an environment.
    Guard(Vec<String>),
    Help,
    Version,
}

pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, UsageError> {
    let mut args = ArgReader::new(args);
    match args.peek() {
        Some("invoke") => parse_invoke(args),
        Some("events") => {
            args.skip();
            let name = args.option();
            match (name.as_deref(), args.option()) {
                (_, Some(more)) => Err(UsageError::unknown(&more)),
                (Some("-h" | "--help"), None) => Ok(Command::Help),
                (Some(option), None) if option.starts_with('-') => Err(UsageError::unknown(option)),
                _ => Ok(Command::Events(name)),
            }
        }
        // Not in the help: lambda-local starts its own demo app with it.
        Some("demo-app") => Ok(Command::DemoApp),
        // Not in the help either: each process is started through it.
        Some("guard") => {
            args.skip();
            args.skip();
            Ok(Command::Guard(args.rest()))
        }
        _ => parse_run(args),
    }
}

fn parse_run(mut args: ArgReader) -> Result<Command, UsageError> {
    let mut options = Options::default();
    while let Some(option) = args.option() {
        match option.as_str() {
            "--" => {
                options.command = args.rest();
                if options.command.is_empty() {
                    return Err(UsageError::Invalid(
                        "`--` must be followed by the command that starts the app",
                    ));
                }
                break;
            }
            "-h" | "--help" => return Ok(Command::Help),
            "-V" | "--version" => return Ok(Command::Version),
            "--event" => {
                let kinds = KINDS.map(|(name, kind)| (name, Some(kind)));
                let kind = args.one_of(&[&kinds[..], &[("web-function", None)]].concat())?;
                options.web_function = kind.is_none();
                options.kind = kind.unwrap_or(Kind::FunctionUrl);
            }
            "--stage" => options.stage = Some(args.value()?.trim_matches('/').to_owned()),
            "--invoke-mode" => options.invoke_mode = args.one_of(&INVOKE_MODES)?,
            "--port" => options.port = args.number(0, 65_535)?,
            "--host" => options.host = args.value()?,
            "--tenant" => options.tenant = Some(args.value()?),
            "--no-page" => {
                args.no_value()?;
                options.page = false;
            }
            "--timeout" => options.timeout = args.seconds()?,
            "--memory" => options.memory = args.number(32, 1 << 20)?,
            "--env" => options.env.push(parse_pair(&args.value()?)?),
            "--env-file" => options.env_files.push(args.value()?.into()),
            "--dir" => options.dir = Some(args.value()?.into()),
            "--app-port" => options.app_port = Some(args.number(1, 65_535)?),
            "--function-name" => options.function_name = args.value()?,
            "--init" => options.init = args.one_of(&INITS)?,
            "--concurrency" => options.concurrency = Some(args.number(1, 10_000)?),
            "--max-environments" => options.max_environments = Some(args.number(1, 100)?),
            "--dead-letter" => options.dead_letter = Some(args.value()?.into()),
            "--freeze" => {
                args.no_value()?;
                options.freeze = true;
            }
            "--watch" => {
                let dir = args.optional_value();
                options.watch = dir.map_or(Watch::TaskRoot, |dir| Watch::Dir(dir.into()));
            }
            "--adapter" => options.adapter = Adapter::Path(args.value()?.into()),
            "--no-adapter" => {
                args.no_value()?;
                options.adapter = Adapter::None;
            }
            "--extension" => options.extensions.push(args.value()?.into()),
            "--report" => options.report = args.one_of(&REPORTS)?,
            "--log-format" => options.format = args.one_of(&FORMATS)?,
            "--color" => options.color = args.one_of(&COLORS)?,
            unknown => return Err(UsageError::unknown(unknown)),
        }
    }
    // Without events there is nothing to show.
    options.page &= !options.web_function;
    match contradictions::find(&options) {
        Some(error) => Err(UsageError::Invalid(error)),
        None => Ok(Command::Run(Box::new(options))),
    }
}

fn parse_invoke(mut args: ArgReader) -> Result<Command, UsageError> {
    args.skip();
    let (mut event, mut host, mut port, mut tenant) = (None, "127.0.0.1".to_owned(), 3000, None);
    let mut batch = None;
    while let Some(option) = args.option() {
        let source = match option.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--host" => {
                host = args.value()?;
                continue;
            }
            "--port" => {
                port = args.number(1, 65_535)?;
                continue;
            }
            "--tenant" => {
                tenant = Some(args.value()?);
                continue;
            }
            "--batch" => {
                batch = Some(args.number(1, 10_000)?);
                continue;
            }
            "--sample" => EventSource::Sample(args.value()?),
            file if file == "-" || !file.starts_with('-') => EventSource::File(file.into()),
            unknown => return Err(UsageError::unknown(unknown)),
        };
        if event.replace(source).is_some() {
            return Err(UsageError::Invalid("`invoke` sends one event at a time"));
        }
    }
    let event = event.ok_or(UsageError::Invalid(
        "`invoke` needs a file, or `--sample NAME` (see `lambda-local events`)",
    ))?;
    if batch.is_some() && !matches!(event, EventSource::Sample(_)) {
        return Err(UsageError::Invalid("`--batch` needs `--sample`"));
    }
    Ok(Command::Invoke(InvokeOptions {
        event,
        batch,
        host,
        port,
        tenant,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::help::HELP;

    fn run(line: &str) -> Options {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Command::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        let error = parse(line.split_whitespace().map(str::to_owned)).expect_err(line);
        error.to_string()
    }

    #[test]
    fn options_come_before_the_dashes_and_the_command_after_them() {
        let options = run("--event=alb --timeout 2.5 --env A=b=c -- node server.js --port 1");
        assert_eq!(options.kind, Kind::Alb);
        assert_eq!(options.timeout, Duration::from_millis(2500));
        assert_eq!(options.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(options.command, ["node", "server.js", "--port", "1"]);
        assert_eq!(run("--watch -- x").watch, Watch::TaskRoot);
        assert_eq!(run("--watch src --freeze").watch, Watch::Dir("src".into()));
        assert_eq!(run(""), Options::default());
        let web = run("--event web-function --concurrency 128");
        assert!(web.web_function && !web.page && web.managed_concurrency().is_none());
        assert!(!run("--event web-function --event alb").web_function);
    }

    #[test]
    fn an_invalid_argument_is_named_in_the_error() {
        assert!(error("--timout 3").contains("`--timout`"));
        assert!(error("node server.js").contains("lambda-local -- node"));
        assert!(error("--timeout -- x").contains("`--timeout` needs a value"));
        assert!(error("--port 70000").contains("`70000`"));
        assert!(error("--event elb").contains("alb-multi-value"));
        assert!(error("--report warm").contains("cold-start"));
        assert!(error("--env NAME").contains("NAME=VALUE"));
        assert!(error("--freeze=yes").contains("takes no value"));
        assert!(error("--").contains("command"));
    }

    #[test]
    fn options_that_lambda_does_not_combine_are_rejected() {
        for line in [
            "--stage live",
            "--event alb --invoke-mode response_stream",
            "--concurrency 2 --init snap-start",
            "--concurrency 2 --freeze",
            "--no-adapter",
            "--max-environments 2 --app-port 80",
            "--max-environments 2 --concurrency 2",
            "--event web-function --adapter x",
            "--event web-function --extension x",
            "--event web-function --concurrency 129",
            "--event web-function --init snap-start",
            "--event web-function --invoke-mode response_stream",
            "--event web-function --stage live",
            "--event web-function --freeze",
            "--event web-function --report cold-start",
        ] {
            assert!(!error(line).is_empty());
        }
    }

    #[test]
    fn invoke_takes_a_file_or_a_sample() {
        let sent = parse(["invoke", "--sample", "sqs", "--port", "3001"].map(str::to_owned));
        assert_eq!(
            sent,
            Ok(Command::Invoke(InvokeOptions {
                event: EventSource::Sample("sqs".to_owned()),
                batch: None,
                host: "127.0.0.1".to_owned(),
                port: 3001,
                tenant: None
            }))
        );
        assert!(error("invoke").contains("--sample"));
        assert!(error("invoke a.json b.json").contains("one event"));
        assert!(error("invoke a.json --batch 2").contains("`--sample`"));
        assert!(error("invoke --sample sqs --batch 0").contains("10000"));
    }

    #[test]
    fn the_parser_knows_every_option_of_the_help() {
        let flags: Vec<&str> = HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  --"))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(flags.len() > 15, "{flags:?}");
        for flag in flags {
            let parsed = parse([format!("--{flag}"), "1".to_owned()]);
            assert!(
                !matches!(parsed, Err(UsageError::UnknownOption(_))),
                "--{flag}"
            );
        }
    }
}
