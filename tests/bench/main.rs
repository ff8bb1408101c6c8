//! The bench: any adapter, beside the peer and the floor, in one run on one machine.
//!
//!     cargo bench --bench bench
//!
//! `ADAPTER` is the adapter to measure (the release build without it), `PEER` another to
//! set beside it. `ONLY` keeps the kind of that name, or else those whose name holds it;
//! `SECS` is the time for each subject and kind, `RUNS` the number of starts. `VERBOSE`
//! lets the adapters' own stderr through. A wrong reply ends its subject's part,
//! and the exit code is 1.
//!
//! With two processors most of a small invocation is one waking the other, and how long
//! that takes depends on what else runs; under `taskset -c 1` what is left is the work
//! itself, which is also what a function with less than one vCPU sees. Look at both.
//!
//! kinds (the invocations) -> measure (in turns) -> fake + app (both sides of the adapter)
//! -> process (the adapter, or the floor) -> check (the replies) -> report.

#![forbid(unsafe_code)]

mod app;
mod check;
mod counts;
mod fake;
mod floor;
mod grid;
mod kinds;
mod ledger;
mod measure;
mod payload;
mod process;
mod report;
mod wire;

use measure::Subject;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--floor") {
        // The bench ends the floor by killing it, so an error only matters when it fails.
        return floor::run().map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &arguments[..]
        && first == "--app"
    {
        return grid::run_app(rest).map_or_else(failed, |()| ExitCode::SUCCESS);
    }
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => failed(e),
    }
}

fn bench() -> std::io::Result<bool> {
    let subjects = subjects()?;
    let seconds = number("SECS", 3.0);
    let runs = number("RUNS", 40.0) as usize;
    let only = std::env::var("ONLY").unwrap_or_default();
    let exact = kinds::KINDS.iter().any(|kind| kind.name == only);
    let wanted = |name: &str| {
        if exact {
            name == only
        } else {
            name.contains(&only)
        }
    };
    let (mut series, mut broken) = (Vec::new(), Vec::new());
    for subject in &subjects {
        println!("{}: {}", subject.name, subject.program.display());
    }
    print!("{}", report::COLUMNS);
    for cold in measure::COLD.iter().filter(|c| wanted(c.name)) {
        let from = series.len();
        measure::cold(cold, &subjects, runs, &mut series, &mut broken);
        print!("{}", report::lines(&series[from..]));
    }
    let done = |new: Vec<measure::Series>| {
        print!("{}", report::lines(&new));
        series.extend(new);
    };
    grid::grid(&subjects, runs, wanted, done, &mut broken);
    for kind in kinds::KINDS.iter().filter(|k| wanted(k.name)) {
        let from = series.len();
        if kind.is_counted() {
            counts::counts(kind, &subjects, &mut series, &mut broken);
        }
        // In turns with the others, so that its latency can be compared with theirs.
        let with_hook = (kind.name == "small").then(|| Subject {
            name: report::HOOK,
            has_hook: true,
            ..subjects[0].clone()
        });
        let subjects: Vec<Subject> = subjects.iter().cloned().chain(with_hook).collect();
        measure::steady(kind, &subjects, seconds, &mut series, &mut broken);
        print!("{}", report::lines(&series[from..]));
    }
    print!(
        "\n{}\n{}\n{}",
        report::gzip(&series),
        report::bars(&series),
        report::broken(&broken)
    );
    let (path, csv) = report::csv(&series);
    if only.is_empty() {
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        std::fs::write(&path, csv)?;
        println!("raw figures: {}", path.display());
    }
    Ok(broken.is_empty())
}

fn subjects() -> std::io::Result<Vec<Subject>> {
    let ours =
        std::env::var_os("ADAPTER").unwrap_or_else(|| env!("CARGO_BIN_EXE_lambda-adapter").into());
    let mut subjects = vec![Subject {
        name: "ours",
        program: PathBuf::from(ours),
        argument: None,
        has_hook: false,
    }];
    if let Some(peer) = std::env::var_os("PEER") {
        subjects.push(Subject {
            name: "peer",
            program: PathBuf::from(peer),
            argument: None,
            has_hook: false,
        });
    }
    subjects.push(Subject {
        name: "floor",
        program: std::env::current_exe()?,
        argument: Some("--floor"),
        has_hook: false,
    });
    Ok(subjects)
}

fn number(name: &str, default: f64) -> f64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn failed(e: std::io::Error) -> ExitCode {
    eprintln!("{e}");
    ExitCode::FAILURE
}
