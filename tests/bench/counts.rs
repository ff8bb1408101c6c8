//! What an invocation takes that no other load on the machine changes: instructions in user mode,
//! by valgrind, and system calls, by strace. Without the tool its figures are missing.
//!
//! The adapter runs twice under each tool, with few and with many invocations: the difference
//! counts the invocations and no start.

use crate::app::App;
use crate::fake::Fake;
use crate::kinds::Kind;
use crate::ledger::Event;
use crate::measure::{self, Broken, Series, Subject};
use crate::process::{Process, adapter_env};
use std::fs;
use std::io::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How many invocations the two runs have, of a small kind and of one with megabytes.
const SMALL: [usize; 2] = [50, 250];
const LARGE: [usize; 2] = [4, 14];

struct Tool {
    metric: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    /// Before the name of the file that it writes.
    into: &'static str,
    read: fn(&str) -> Option<f64>,
}

const TOOLS: [Tool; 2] = [
    Tool {
        metric: measure::INSTRUCTIONS,
        program: "valgrind",
        arguments: &["--tool=callgrind", "--quiet"],
        into: "--callgrind-out-file=",
        read: |text| {
            let totals = text
                .lines()
                .find_map(|line| line.strip_prefix("totals: "))?;
            totals.trim().parse().ok()
        },
    },
    Tool {
        metric: measure::SYSTEM_CALLS,
        program: "strace",
        // The tracer is not the parent, so that a signal ends the adapter and not the tracer.
        arguments: &["-D", "-f", "-q"],
        into: "--output=",
        read: |text| {
            // The whole file ends with the end of the process.
            let calls = text
                .trim_end()
                .rsplit('\n')
                .next()?
                .contains("+++")
                .then(|| {
                    // A call that another thread interrupts has two lines; signals are none.
                    let is_call = |line: &&str| {
                        let others = ["resumed>", "--- SIG", "+++"];
                        !others.iter().any(|other| line.contains(other))
                    };
                    text.lines().filter(is_call).count()
                });
            calls.map(|count| count as f64)
        },
    },
];

pub fn counts(
    kind: &Kind,
    subjects: &[Subject],
    series: &mut Vec<Series>,
    broken: &mut Vec<Broken>,
) {
    for tool in &TOOLS {
        if Command::new(tool.program)
            .arg("--version")
            .output()
            .is_err()
        {
            continue;
        }
        for subject in subjects {
            let counted = |invocations| count(tool, kind, subject, invocations);
            let [few, many] = if kind.is_small() { SMALL } else { LARGE };
            let runs = counted(few).and_then(|fewer| Ok(counted(many)? - fewer));
            match runs {
                Ok(count) => {
                    let each = count / (many - few) as f64;
                    measure::note(series, (kind.name, tool.metric, subject.name), vec![each]);
                }
                Err(why) => broken.push((kind.name, subject.name, why)),
            }
        }
    }
}

/// What the tool counts in a run with so many invocations.
fn count(tool: &Tool, kind: &Kind, subject: &Subject, invocations: usize) -> Result<f64, String> {
    let text = |error: Error| error.to_string();
    // Kept, for `callgrind_annotate`.
    let name = format!("bench.{}.{}", tool.program, subject.name);
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&output);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let app = App::start(address, kind.in_flight + 6, Arc::new(kind.app())).map_err(text)?;
    let fake = Fake::start(kind.in_flight, kind.gzip).map_err(text)?;
    let mut env = adapter_env(fake.address(), app.address().port());
    env.extend(kind.env());
    if subject.argument.is_some() {
        env.push(kind.floor(None).to_env());
    }
    let mut prefix = vec![tool.program.to_owned()];
    prefix.extend(tool.arguments.iter().map(|argument| (*argument).to_owned()));
    prefix.push(format!("{}{}", tool.into, output.display()));
    let arguments: Vec<&str> = subject.argument.into_iter().collect();
    let mut adapter =
        Process::start_in(&prefix, &subject.program, &arguments, &env).map_err(text)?;
    fake.parked()?;
    let event = Arc::new(Event::new(&kind.event("/shop/item/42")));
    fake.round(&event, invocations, Duration::ZERO)?;
    adapter.terminate(Duration::from_secs(20)).map_err(text)?;
    counted(tool, &output).ok_or_else(|| format!("no count of `{}`", tool.program))
}

/// The count, as soon as the tool has written it.
fn counted(tool: &Tool, output: &Path) -> Option<f64> {
    (0..200).find_map(|_| {
        let count = fs::read_to_string(output)
            .ok()
            .and_then(|text| (tool.read)(&text));
        if count.is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        count
    })
}
