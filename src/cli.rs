//! Parses the command line into the role of the process.
//!
//! Lambda starts both an extension and the `bootstrap` of a zip function without arguments
//! ("Building a custom runtime for AWS Lambda"), so the file name decides between the two.
//! Arguments after the options are the app's command and are not parsed.

use std::ffi::{OsStr, OsString};

use crate::error::Fatal;
use crate::text;

/// The output of `--version`.
pub const VERSION: &str = concat!("lambda-adapter ", env!("CARGO_PKG_VERSION"), "\n");

/// The output of `--help`.
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
  --help       print this help
  --version    print the version

The settings are environment variables, such as AWS_LWA_PORT.
";

/// The internal option of a child that becomes the app; [`Parent`] follows.
pub const CHILD_OF: &str = "--child-of=";

/// The role of the process.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// Serve an app that Lambda starts.
    Extension,
    /// Start the app with this command, and serve it.
    Entrypoint(CommandLine),
    /// Become the app, as a child of this process.
    Child(Parent, CommandLine),
    /// Print a text and exit.
    Print(&'static str),
}

/// The adapter that starts the app: `ID` or `ID,DESCRIPTORS`.
#[derive(Debug, PartialEq, Eq)]
pub struct Parent {
    pub id: i32,
    /// The app's soft limit of descriptors, if the parent has raised its own.
    pub descriptors: Option<u64>,
}

impl Parent {
    fn parse(text: &str) -> Option<Parent> {
        let (id, limit) = match text.split_once(',') {
            Some((id, limit)) => (id, Some(text::number(limit)?)),
            None => (text, None),
        };
        Some(Parent {
            id: text::number(id)?,
            descriptors: limit,
        })
    }
}

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    pub program: OsString,
    pub args: Vec<OsString>,
}

/// Parses the command line; `lookup` reads environment variables.
pub fn parse(
    argv: impl IntoIterator<Item = OsString>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Role, Fatal> {
    let mut argv = argv.into_iter();
    let own_name = argv.next().unwrap_or_default();
    let Some(first) = argv.next() else {
        return match file_name(&own_name).as_str() {
            "bootstrap" => handler(lookup).map(Role::Entrypoint),
            _ => Ok(Role::Extension),
        };
    };
    match first.to_string_lossy().as_ref() {
        "--help" | "-h" => Ok(Role::Print(HELP)),
        "--version" | "-V" => Ok(Role::Print(VERSION)),
        "--" => command(argv).map(Role::Entrypoint),
        flag => match flag.strip_prefix(CHILD_OF).and_then(Parent::parse) {
            Some(parent) => Ok(Role::Child(parent, command(argv)?)),
            _ if flag.starts_with('-') => Err(Fatal::Usage(format!(
                "unknown option `{}`: see --help",
                text::escaped(flag)
            ))),
            _ => Ok(Role::Entrypoint(CommandLine {
                program: first,
                args: argv.collect(),
            })),
        },
    }
}

fn command(mut argv: impl Iterator<Item = OsString>) -> Result<CommandLine, Fatal> {
    let program = argv.next().filter(|program| !program.is_empty());
    let program = program.ok_or_else(|| {
        Fatal::Usage("the app's command is missing: in a Dockerfile, set it with CMD".into())
    })?;
    Ok(CommandLine {
        program,
        args: argv.collect(),
    })
}

/// The file that the handler of a zip function names, resolved as the layer's `bootstrap`
/// script does.
fn handler(lookup: &dyn Fn(&str) -> Option<String>) -> Result<CommandLine, Fatal> {
    let handler = lookup("_HANDLER").filter(|handler| !handler.is_empty());
    let handler = handler.ok_or_else(|| {
        Fatal::Usage(
            "_HANDLER is not set: the function's handler must name the app's file, such as run.sh"
                .into(),
        )
    })?;
    let root = lookup("LAMBDA_TASK_ROOT").unwrap_or_else(|| "/var/task".into());
    let program = join(&root, &handler);
    // Common in templates; the adapter would start itself in an endless loop.
    if plain(&program) == plain(&join(&root, "bootstrap")) {
        return Err(Fatal::Usage(format!(
            "the function's handler `{handler}` is the adapter itself: \
             it must name the app's file, such as run.sh"
        )));
    }
    Ok(CommandLine {
        program: program.into(),
        args: Vec::new(),
    })
}

/// The path of `file`, seen from the folder.
fn join(folder: &str, file: &str) -> String {
    let folder = if file.starts_with('/') { "" } else { folder };
    let slash = if folder.is_empty() || folder.ends_with('/') {
        ""
    } else {
        "/"
    };
    [folder, slash, file].concat()
}

/// The path without what does not change it.
fn plain(path: &str) -> String {
    let mut plain = String::new();
    for part in path.split('/') {
        if !matches!(part, "" | ".") {
            plain.push('/');
            plain.push_str(part);
        }
    }
    plain
}

/// The name of a program's file; empty if the path has none.
pub fn file_name(program: &OsStr) -> String {
    let path = program.to_string_lossy();
    let path = path.trim_end_matches('/');
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argv: &[&str]) -> Result<Role, String> {
        let lookup = |name: &str| match name {
            "_HANDLER" => Some("run.sh".to_owned()),
            "LAMBDA_TASK_ROOT" => Some("/var/task".to_owned()),
            _ => None,
        };
        parse(argv.iter().map(OsString::from), &lookup).map_err(|fatal| {
            assert_eq!(fatal.exit_status(), 2);
            fatal.to_string()
        })
    }

    fn entrypoint(program: &str, args: &[&str]) -> Result<Role, String> {
        Ok(Role::Entrypoint(command_line(program, args)))
    }

    fn command_line(program: &str, args: &[&str]) -> CommandLine {
        CommandLine {
            program: program.into(),
            args: args.iter().map(OsString::from).collect(),
        }
    }

    #[test]
    fn without_arguments_it_is_an_extension() {
        for name in ["/opt/extensions/lambda-adapter", "x", ""] {
            assert_eq!(parsed(&[name]), Ok(Role::Extension));
        }
        assert_eq!(parsed(&[]), Ok(Role::Extension));
    }

    #[test]
    fn arguments_after_the_options_are_the_command_unchanged() {
        assert_eq!(
            parsed(&["x", "node", "app.js"]),
            entrypoint("node", &["app.js"])
        );
        assert_eq!(
            parsed(&["x", "--", "node", "app.js"]),
            entrypoint("node", &["app.js"])
        );
        assert_eq!(
            parsed(&["x", "sh", "--help"]),
            entrypoint("sh", &["--help"])
        );
        assert_eq!(
            parsed(&["x", "--", "--help", "--", ""]),
            entrypoint("--help", &["--", ""])
        );
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        for flag in [
            "-",
            "--verbose",
            "-x",
            "--child-of=",
            "--child-of=x",
            "--child-of=7,",
            "--child-of=7,x",
            "--help=1",
        ] {
            let error = parsed(&["x", flag, "node"]).expect_err(flag);
            assert!(error.contains(&format!("`{flag}`")), "{error}");
        }
    }

    #[test]
    fn a_command_must_follow_the_dashes() {
        for argv in [&["x", "--"][..], &["x", "--", ""], &["x", "--child-of=7"]] {
            let error = parsed(argv).expect_err("a missing command");
            assert!(error.contains("command is missing"), "{error}");
        }
    }

    #[test]
    fn help_and_version_are_printed() {
        assert_eq!(parsed(&["x", "--help", "y"]), Ok(Role::Print(HELP)));
        assert_eq!(parsed(&["x", "--version"]), Ok(Role::Print(VERSION)));
    }

    #[test]
    fn a_bootstrap_starts_the_file_that_the_handler_names() {
        assert_eq!(
            parsed(&["/var/task/bootstrap"]),
            entrypoint("/var/task/run.sh", &[])
        );
        assert_eq!(parsed(&["bootstrap", "x"]), entrypoint("x", &[]));
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
    fn a_child_gets_the_id_of_its_parent() {
        let role = Role::Child(
            Parent {
                id: 7,
                descriptors: None,
            },
            command_line("node", &["app.js"]),
        );
        assert_eq!(parsed(&["x", "--child-of=7", "node", "app.js"]), Ok(role));
        let parent = Parent {
            id: 7,
            descriptors: Some(1024),
        };
        let role = Role::Child(parent, command_line("node", &[]));
        assert_eq!(parsed(&["x", "--child-of=7,1024", "node"]), Ok(role));
    }
}
