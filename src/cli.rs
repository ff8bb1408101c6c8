//! The command line: which part the process is to play.
//!
//! Lambda starts an extension without arguments, and so is the `bootstrap` of a zip function,
//! which is told from it by its name alone ("Building a custom runtime"). Whatever follows the
//! options belongs to the app and is not looked at.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::Fatal;

/// What `--version` prints.
pub const VERSION: &str = concat!("lambda-adapter ", env!("CARGO_PKG_VERSION"), "\n");

/// What `--help` prints.
pub const HELP: &str = "\
lambda-adapter: run any web app on AWS Lambda

usage:
  lambda-adapter
      as Lambda starts it in /opt/extensions: serves an app that Lambda starts
  lambda-adapter [--] COMMAND [ARGS...]
      as the entrypoint of an image: on Lambda, starts the app and serves it;
      elsewhere, becomes the app
  bootstrap
      under this name in a zip function: starts the file that the handler names

options:
  --help       print this
  --version    print the version

The settings are environment variables, AWS_LWA_PORT first among them.
";

/// What stands before the parent's process id, where the process is the first of the app's.
pub const CHILD_OF: &str = "--child-of=";

/// What the process is.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// Beside an app that Lambda starts.
    Extension,
    /// In front of an app of its own.
    Entrypoint(CommandLine),
    /// About to become the app, below the process with this id.
    Child(i32, CommandLine),
    /// Prints this and is done.
    Print(&'static str),
}

/// A program and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    pub program: OsString,
    pub args: Vec<OsString>,
}

/// Reads the command line; `lookup` gives variables.
pub fn parse(
    argv: impl IntoIterator<Item = OsString>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Role, Fatal> {
    let mut argv = argv.into_iter();
    let own_name = argv.next().unwrap_or_default();
    let Some(first) = argv.next() else {
        return match Path::new(&own_name).file_name() {
            Some(name) if name == "bootstrap" => handler(lookup).map(Role::Entrypoint),
            _ => Ok(Role::Extension),
        };
    };
    match first.to_string_lossy().as_ref() {
        "--help" | "-h" => Ok(Role::Print(HELP)),
        "--version" | "-V" => Ok(Role::Print(VERSION)),
        "--" => rest(argv).map(Role::Entrypoint),
        flag => match flag.strip_prefix(CHILD_OF).map(str::parse) {
            Some(Ok(parent)) => Ok(Role::Child(parent, rest(argv)?)),
            _ if flag.starts_with('-') => Err(Fatal::Usage(format!(
                "`{}` is not an option: see --help",
                flag.escape_debug()
            ))),
            _ => Ok(Role::Entrypoint(CommandLine {
                program: first,
                args: argv.collect(),
            })),
        },
    }
}

fn rest(mut argv: impl Iterator<Item = OsString>) -> Result<CommandLine, Fatal> {
    let program = argv.next().filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| {
        Fatal::Usage("there is no command: in a Dockerfile, CMD names the app's".into())
    })?;
    Ok(CommandLine {
        program,
        args: argv.collect(),
    })
}

/// The file that a zip function names as its handler, as the layer's start script finds it.
fn handler(lookup: &dyn Fn(&str) -> Option<String>) -> Result<CommandLine, Fatal> {
    let handler = lookup("_HANDLER").filter(|handler| !handler.is_empty());
    let handler = handler.ok_or_else(|| {
        Fatal::Usage(
            "_HANDLER is not set: the function's handler must name the app's file, such as run.sh"
                .into(),
        )
    })?;
    let root = PathBuf::from(lookup("LAMBDA_TASK_ROOT").unwrap_or_else(|| "/var/task".into()));
    let program = root.join(&handler);
    // It would start itself without end. Templates often name it so.
    if program == root.join("bootstrap") {
        return Err(Fatal::Usage(format!(
            "the function's handler `{handler}` is the adapter itself: it must name the app's file, such as run.sh"
        )));
    }
    Ok(CommandLine {
        program: program.into_os_string(),
        args: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Role, String> {
        let lookup = |name: &str| match name {
            "_HANDLER" => Some("run.sh".to_owned()),
            "LAMBDA_TASK_ROOT" => Some("/var/task".to_owned()),
            _ => None,
        };
        parse(line.iter().map(OsString::from), &lookup).map_err(|fatal| {
            assert_eq!(fatal.exit_status(), 2);
            fatal.to_string()
        })
    }

    fn entrypoint(program: &str, args: &[&str]) -> Result<Role, String> {
        Ok(Role::Entrypoint(line(program, args)))
    }

    fn line(program: &str, args: &[&str]) -> CommandLine {
        CommandLine {
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
        }
    }

    #[test]
    fn without_arguments_it_is_an_extension() {
        for name in ["/opt/extensions/lambda-adapter", "x", ""] {
            assert_eq!(read(&[name]), Ok(Role::Extension));
        }
        assert_eq!(read(&[]), Ok(Role::Extension));
    }

    #[test]
    fn what_follows_the_options_is_the_command_as_it_stands() {
        assert_eq!(
            read(&["x", "node", "app.js"]),
            entrypoint("node", &["app.js"])
        );
        assert_eq!(
            read(&["x", "--", "node", "app.js"]),
            entrypoint("node", &["app.js"])
        );
        assert_eq!(read(&["x", "sh", "--help"]), entrypoint("sh", &["--help"]));
        assert_eq!(
            read(&["x", "--", "--help", "--", ""]),
            entrypoint("--help", &["--", ""])
        );
    }

    #[test]
    fn an_option_that_is_none_is_an_error() {
        for flag in [
            "-",
            "--verbose",
            "-x",
            "--child-of=",
            "--child-of=x",
            "--help=1",
        ] {
            let error = read(&["x", flag, "node"]).expect_err(flag);
            assert!(error.contains(&format!("`{flag}`")), "{error}");
        }
    }

    #[test]
    fn a_command_must_follow_the_dashes() {
        for line in [&["x", "--"][..], &["x", "--", ""], &["x", "--child-of=7"]] {
            assert!(read(line).expect_err("no command").contains("no command"));
        }
    }

    #[test]
    fn help_and_version_are_printed() {
        assert_eq!(read(&["x", "--help", "y"]), Ok(Role::Print(HELP)));
        assert_eq!(read(&["x", "--version"]), Ok(Role::Print(VERSION)));
    }

    #[test]
    fn a_bootstrap_starts_what_the_handler_names() {
        assert_eq!(
            read(&["/var/task/bootstrap"]),
            entrypoint("/var/task/run.sh", &[])
        );
        assert_eq!(read(&["bootstrap", "x"]), entrypoint("x", &[]));
        let error = parse(["bootstrap".into()], &|_| None).expect_err("no handler");
        assert!(error.to_string().contains("_HANDLER"));
    }

    #[test]
    fn a_bootstrap_never_starts_itself() {
        for handler in ["bootstrap", "./bootstrap", "/var/task/bootstrap"] {
            let lookup = |name: &str| (name == "_HANDLER").then(|| handler.to_owned());
            let error = parse(["/var/task/bootstrap".into()], &lookup).expect_err(handler);
            assert!(
                error.to_string().contains(&format!("`{handler}`")),
                "{error}"
            );
        }
        let lookup = |name: &str| (name == "_HANDLER").then(|| "app/bootstrap".to_owned());
        assert!(parse(["bootstrap".into()], &lookup).is_ok());
    }

    #[test]
    fn the_first_process_of_the_app_knows_its_parent() {
        let role = Role::Child(7, line("node", &["app.js"]));
        assert_eq!(read(&["x", "--child-of=7", "node", "app.js"]), Ok(role));
    }
}
