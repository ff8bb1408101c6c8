//! The command line: every option, its meaning and its default, in one place with the help that tells them.
//!
//! Parsed by hand: two dozen flags do not need a library. An option that is not known is an error (exit 2), since a misspelt `--timeout` that
//! silently does nothing would make the local Lambda lie.

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::arg_reader::{Words, parse_pair, unknown_word};

pub const HELP: &str = "\
lambda-local: AWS Lambda on your machine, for web apps. No Docker.

Usage:
  lambda-local [options] [-- command...]      run your app as a Lambda function
  lambda-local invoke FILE | --sample NAME    send one event to a running lambda-local
  lambda-local events [NAME]                  list the sample events, or print one

The command starts your app; the app must listen on $PORT (also in $AWS_LWA_PORT).
Without a command a demo app runs. Then open http://127.0.0.1:3000.

  lambda-local -- node server.js
  lambda-local --event alb --app-port 8000 -- python3 -m http.server
  lambda-local --invoke-mode response_stream --timeout 60 -- ./my-app

What comes in:
  --event KIND          what stands in front of the function [function-url]:
                        function-url, http-api, rest-api, alb, alb-multi-value, lattice
  --stage NAME          stage of an http-api or rest-api; URLs then begin with /NAME
  --invoke-mode MODE    buffered or response_stream [buffered]
  --port N              port of the front [3000]
  --host ADDRESS        address of the front [127.0.0.1]
  --tenant ID           tenant id given with each HTTP request
  Raw events: POST them to /2015-03-31/functions/function/invocations,
  or: aws lambda invoke --endpoint-url http://127.0.0.1:3000 --function-name x out.json

The function:
  --timeout SECONDS     time limit of an invocation [30; Lambda's own default is 3]
  --memory MB           memory size: reported, and the limit above which it is killed [1024]
  --env NAME=VALUE      an environment variable; may be repeated
  --env-file FILE       a file of NAME=VALUE lines; may be repeated
  --app-port N          port the app listens on [a free one, or AWS_LWA_PORT or PORT if set]
  --function-name NAME  [function]

The life cycle:
  --init TYPE           on-demand, provisioned or snap-start [on-demand]
  --concurrency N       Managed Instances: N invocations at a time in one environment;
                        without it they are taken one by one, as on classic Lambda
  --freeze              stop all processes between invocations, as Lambda does

The processes:
  --adapter PATH        the adapter binary [lambda-adapter beside this program]
  --no-adapter          no adapter: the command is a runtime that speaks the Runtime API
  --extension PATH      one more external extension; may be repeated

The output:
  --log-format FORMAT   text or json [text]
  --color WHEN          auto, always or never [auto]
  -h, --help            this text
  -V, --version         the version
";

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

#[derive(Clone, Debug, PartialEq)]
pub enum Adapter {
    Beside,
    At(PathBuf),
    None,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    pub kind: Kind,
    pub stage: Option<String>,
    pub stream: bool,
    pub host: String,
    pub port: u16,
    pub tenant: Option<String>,
    pub timeout: Duration,
    pub memory: u32,
    pub env: Vec<(String, String)>,
    pub env_files: Vec<PathBuf>,
    pub app_port: Option<u16>,
    pub function_name: String,
    pub init: Init,
    pub concurrency: Option<u32>,
    pub freeze: bool,
    pub adapter: Adapter,
    pub extensions: Vec<PathBuf>,
    pub json: bool,
    pub color: Option<bool>,
    /// Empty: the demo app.
    pub command: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            kind: Kind::FunctionUrl,
            stage: None,
            stream: false,
            host: "127.0.0.1".to_owned(),
            port: 3000,
            tenant: None,
            timeout: Duration::from_secs(30),
            memory: 1024,
            env: Vec::new(),
            env_files: Vec::new(),
            app_port: None,
            function_name: "function".to_owned(),
            init: Init::OnDemand,
            concurrency: None,
            freeze: false,
            adapter: Adapter::Beside,
            extensions: Vec::new(),
            json: false,
            color: None,
            command: Vec::new(),
        }
    }
}

/// What `lambda-local invoke` sends and where to.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    pub event: EventSource,
    pub host: String,
    pub port: u16,
    pub tenant: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventSource {
    /// `-` is standard input.
    File(PathBuf),
    Sample(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    Run(Box<Options>),
    Invoke(Send),
    Events(Option<String>),
    DemoApp,
    Help,
    Version,
}

/// What the command line asks for; the error is one line for the user.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Task, String> {
    let mut words = Words::new(args);
    match words.peek() {
        Some("invoke") => parse_invoke(words),
        Some("events") => {
            words.skip();
            let name = words.flag();
            match (name.as_deref(), words.flag()) {
                (_, Some(more)) => Err(unknown_word(&more)),
                (Some("-h" | "--help"), None) => Ok(Task::Help),
                (Some(flag), None) if flag.starts_with('-') => Err(unknown_word(flag)),
                _ => Ok(Task::Events(name)),
            }
        }
        // How the program starts its own demo app; not for people, so not in the help.
        Some("demo-app") => Ok(Task::DemoApp),
        _ => parse_run(words),
    }
}

fn parse_run(mut words: Words) -> Result<Task, String> {
    let mut options = Options::default();
    while let Some(flag) = words.flag() {
        match flag.as_str() {
            "--" => {
                options.command = words.rest();
                if options.command.is_empty() {
                    return Err(
                        "`--` must be followed by the command that starts the app".to_owned()
                    );
                }
                break;
            }
            "-h" | "--help" => return Ok(Task::Help),
            "-V" | "--version" => return Ok(Task::Version),
            "--event" => options.kind = words.one_of(&KINDS)?,
            "--stage" => options.stage = Some(words.value()?.trim_matches('/').to_owned()),
            "--invoke-mode" => {
                options.stream = words.one_of(&[("buffered", false), ("response_stream", true)])?
            }
            "--port" => options.port = words.number(0, 65_535)?,
            "--host" => options.host = words.value()?,
            "--tenant" => options.tenant = Some(words.value()?),
            "--timeout" => options.timeout = words.seconds()?,
            "--memory" => options.memory = words.number(32, 1 << 20)?,
            "--env" => options.env.push(parse_pair(&words.value()?)?),
            "--env-file" => options.env_files.push(words.value()?.into()),
            "--app-port" => options.app_port = Some(words.number(1, 65_535)?),
            "--function-name" => options.function_name = words.value()?,
            "--init" => options.init = words.one_of(&INITS)?,
            "--concurrency" => options.concurrency = Some(words.number(1, 10_000)?),
            "--freeze" => options.freeze = words.switch()?,
            "--adapter" => options.adapter = Adapter::At(words.value()?.into()),
            "--no-adapter" => {
                options.adapter = Adapter::None;
                words.switch()?;
            }
            "--extension" => options.extensions.push(words.value()?.into()),
            "--log-format" => options.json = words.one_of(&[("text", false), ("json", true)])?,
            "--color" => {
                options.color = words.one_of(&[
                    ("auto", None),
                    ("always", Some(true)),
                    ("never", Some(false)),
                ])?
            }
            unknown => return Err(unknown_word(unknown)),
        }
    }
    check(options)
}

/// Combinations that Lambda does not have are refused instead of guessed at.
fn check(options: Options) -> Result<Task, String> {
    let staged = matches!(options.kind, Kind::HttpApi | Kind::RestApi);
    if options.stage.is_some() && !staged {
        return Err("`--stage` belongs to `--event http-api` or `--event rest-api`".to_owned());
    }
    if options.stage.as_deref() == Some("") {
        return Err("`--stage` must not be empty".to_owned());
    }
    if options.stream && !matches!(options.kind, Kind::FunctionUrl | Kind::RestApi) {
        return Err("`--invoke-mode response_stream` needs `--event function-url` or `rest-api`: the others cannot stream".to_owned());
    }
    if options.concurrency.is_some() && options.init != Init::OnDemand {
        return Err(
            "`--concurrency` (Managed Instances) and `--init` exclude each other".to_owned(),
        );
    }
    if options.concurrency.is_some() && options.freeze {
        return Err(
            "`--freeze` and `--concurrency` exclude each other: Managed Instances are never frozen"
                .to_owned(),
        );
    }
    if options.adapter == Adapter::None && options.command.is_empty() {
        return Err(
            "`--no-adapter` needs a command: a runtime that speaks the Runtime API".to_owned(),
        );
    }
    Ok(Task::Run(Box::new(options)))
}

fn parse_invoke(mut words: Words) -> Result<Task, String> {
    words.skip();
    let (mut event, mut host, mut port, mut tenant) = (None, "127.0.0.1".to_owned(), 3000, None);
    while let Some(flag) = words.flag() {
        let source = match flag.as_str() {
            "-h" | "--help" => return Ok(Task::Help),
            "--host" => {
                host = words.value()?;
                continue;
            }
            "--port" => {
                port = words.number(1, 65_535)?;
                continue;
            }
            "--tenant" => {
                tenant = Some(words.value()?);
                continue;
            }
            "--sample" => EventSource::Sample(words.value()?),
            file if file == "-" || !file.starts_with('-') => EventSource::File(file.into()),
            unknown => return Err(unknown_word(unknown)),
        };
        if event.replace(source).is_some() {
            return Err("`invoke` sends one event at a time".to_owned());
        }
    }
    let event =
        event.ok_or("`invoke` needs a file, or `--sample NAME` (see `lambda-local events`)")?;
    Ok(Task::Invoke(Send {
        event,
        host,
        port,
        tenant,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Options {
        match parse(line.split_whitespace().map(str::to_owned)) {
            Ok(Task::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        parse(line.split_whitespace().map(str::to_owned)).expect_err(line)
    }

    #[test]
    fn options_come_before_the_dashes_and_the_command_after_them() {
        let options = run("--event=alb --timeout 2.5 --env A=b=c -- node server.js --port 1");
        assert_eq!(options.kind, Kind::Alb);
        assert_eq!(options.timeout, Duration::from_millis(2500));
        assert_eq!(options.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(options.command, ["node", "server.js", "--port", "1"]);
        assert_eq!(run(""), Options::default());
    }

    #[test]
    fn a_wrong_word_is_an_error_that_names_it() {
        assert!(error("--timout 3").contains("`--timout`"));
        assert!(error("node server.js").contains("lambda-local -- node"));
        assert!(error("--timeout -- x").contains("`--timeout` needs a value"));
        assert!(error("--port 70000").contains("`70000`"));
        assert!(error("--event elb").contains("alb-multi-value"));
        assert!(error("--env NAME").contains("NAME=VALUE"));
        assert!(error("--freeze=yes").contains("takes no value"));
        assert!(error("--").contains("command"));
    }

    #[test]
    fn what_lambda_does_not_have_is_refused() {
        for line in [
            "--stage live",
            "--event alb --invoke-mode response_stream",
            "--concurrency 2 --init snap-start",
            "--concurrency 2 --freeze",
            "--no-adapter",
        ] {
            assert!(!error(line).is_empty());
        }
    }

    #[test]
    fn invoke_takes_a_file_or_a_sample() {
        let sent = parse(["invoke", "--sample", "sqs", "--port", "3001"].map(str::to_owned));
        assert_eq!(
            sent,
            Ok(Task::Invoke(Send {
                event: EventSource::Sample("sqs".to_owned()),
                host: "127.0.0.1".to_owned(),
                port: 3001,
                tenant: None
            }))
        );
        assert!(error("invoke").contains("--sample"));
        assert!(error("invoke a.json b.json").contains("one event"));
    }

    #[test]
    fn the_help_and_the_parser_know_the_same_options() {
        let flags: Vec<&str> = HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  --"))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(flags.len() > 15, "{flags:?}");
        for flag in flags {
            let answer = parse([format!("--{flag}"), "1".to_owned()]);
            assert!(
                !matches!(&answer, Err(error) if error.contains("unknown option")),
                "--{flag}: {answer:?}"
            );
        }
    }
}
