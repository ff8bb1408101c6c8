//! Compares the adapter with another one over mutated responses of real servers.
//!
//! An app that works behind the other adapter must work behind this one: a response that only the
//! other one carries is a bug, unless `reasons.rs` has it. Those reasons are also in
//! docs/differences.md.
//!
//! `make differential PEER=/path/to/adapter SECS=60`. `SEED=7` makes other mutations, `ADAPTER=`
//! names another binary of our own.

mod adapter;
mod corpus;
mod reasons;
mod report;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use adapter::Adapter;
use corpus::Random;
use report::Report;

fn main() -> ExitCode {
    let Some(peer) = env::var_os("PEER").filter(|peer| !peer.is_empty()) else {
        eprintln!("set PEER=/path/to/another/adapter");
        return ExitCode::FAILURE;
    };
    let number = |name, default| {
        let text = env::var(name).unwrap_or_default();
        text.parse().unwrap_or(default)
    };
    let ours = env::var_os("ADAPTER").unwrap_or(env!("CARGO_BIN_EXE_lambda-adapter").into());
    let mut ours = Adapter::new(PathBuf::from(ours));
    let mut peer = Adapter::new(PathBuf::from(peer));
    let (seconds, mut random) = (number("SECS", 60), Random::new(number("SEED", 1)));
    let (start, mut report) = (Instant::now(), Report::default());
    let seeds = corpus::responses();
    let mut minutes = 0;
    for count in 0.. {
        let elapsed = start.elapsed();
        if elapsed >= Duration::from_secs(seconds) {
            break;
        }
        let wire = match seeds.get(count) {
            Some(seed) => seed.clone(),
            None => corpus::mutate(&seeds, &mut random),
        };
        let method = if count % 8 == 7 { "HEAD" } else { "GET" };
        let (mine, theirs) = thread::scope(|scope| {
            let mine = scope.spawn(|| ours.play(method, &wire));
            let theirs = peer.play(method, &wire);
            (mine.join().expect("an outcome"), theirs)
        });
        report.add(method, &wire, mine, theirs);
        if elapsed.as_secs() / 60 > minutes {
            minutes = elapsed.as_secs() / 60;
            println!("{minutes} min: {}", report.summary());
        }
    }
    report.print();
    if report.is_explained() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
