//! Which binary is judged, and the one table of what another adapter does otherwise on purpose.
//!
//! `ADAPTER=/path/to/other cargo test --test e2e` judges another adapter by this suite. The tests in the table are then
//! run against our own, with a line that says so, and thus what fails is a difference nobody intended. With
//! `ADAPTER_DIFFERENCES=all` they are run against the other one as well, to see whether the table is still true.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::thread;

/// AWS Lambda Web Adapter 1.0: a test (without its file) and what that adapter does instead.
const DIFFERENCES: &[(&str, &str)] = &[];

/// Kinds of event the other adapter does not take for HTTP requests; each has tests of its own.
const LACKS: &[&str] = &["Lattice"];

/// Whether the adapter that is judged lacks a kind of event altogether.
pub fn lacks(kind: &str) -> bool {
    env::var_os("ADAPTER").is_some() && LACKS.contains(&kind)
}

/// The binary to judge in the test that calls this.
pub fn adapter() -> PathBuf {
    let ours = PathBuf::from(env!("CARGO_BIN_EXE_lambda-adapter"));
    let Some(other) = env::var_os("ADAPTER") else {
        return ours;
    };
    let thread = thread::current();
    let name = thread.name().unwrap_or_default();
    let test = name.rsplit("::").next().unwrap_or_default();
    match DIFFERENCES.iter().find(|(known, _)| *known == test) {
        Some((_, reason)) if env::var_os("ADAPTER_DIFFERENCES").is_none() => {
            // Written past the test harness, which would swallow it.
            let _ = writeln!(
                std::io::stderr(),
                "{name}: judged on ours, since the other adapter {reason}"
            );
            ours
        }
        _ => other.into(),
    }
}
