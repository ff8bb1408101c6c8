//! File descriptors: enough for all invocations that Lambda may send at once, or fewer threads.

use crate::harness::app::raw;
use crate::harness::events::get;
use crate::harness::scenario::{Renamed, Run, Scenario, scenario};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// The adapter under limits of descriptors, which the shell's options name.
struct Limited(Renamed);

impl Limited {
    fn by(ulimit: &str) -> Limited {
        let link = Renamed::link("limited-adapter");
        let path = link.path.with_extension("sh");
        let adapter = link.path.display();
        fs::write(
            &path,
            format!("#!/bin/sh\n{ulimit}\nexec {adapter} \"$@\"\n"),
        )
        .expect("a script");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("an executable");
        Limited(link)
    }

    fn scenario(&self, concurrency: usize) -> Scenario {
        scenario()
            .binary(self.0.path.with_extension("sh"))
            .env("AWS_LAMBDA_MAX_CONCURRENCY", &concurrency.to_string())
    }
}

fn slow(scenario: Scenario) -> Scenario {
    scenario.respond(
        raw("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nst")
            .wait_for("go")
            .send("op"),
    )
}

fn assert_all_stop(run: &Run, count: usize) {
    for number in 1..=count {
        let body = run.response(number).body;
        assert!(body.ends_with(b"stop"), "{number}: {}", body.escape_ascii());
    }
}

#[test]
fn soft_limit_is_raised_for_all_streams_at_once() {
    let limited = Limited::by("ulimit -Sn 40");
    let scenario = slow(limited.scenario(100)).env("AWS_LWA_INVOKE_MODE", "response_stream");
    let mut run = scenario.invoke_all(vec![get("/x"); 100]).start();
    run.wait_until("all at the app", |run| run.requests().len() == 100);
    run.open("go");
    run.finish();
    assert_all_stop(&run, 100);
    assert!(!run.log().contains("threads, not"), "{}", run.log());
}

#[test]
fn hard_limit_below_the_need_means_fewer_threads_and_a_reply_to_each() {
    let limited = Limited::by("ulimit -n 48");
    for mode in ["buffered", "response_stream"] {
        let scenario = slow(limited.scenario(100)).env("AWS_LWA_INVOKE_MODE", mode);
        let mut run = scenario.invoke_all(vec![get("/x"); 100]).start();
        run.wait_until("eight at the app", |run| run.requests().len() == 8);
        run.open("go");
        run.finish();
        if mode == "response_stream" {
            assert_all_stop(&run, 100);
        }
        let text = "serving with 8 threads, not 100: the limit of descriptors is too low";
        assert!(run.log().contains(text), "{}", run.log());
    }
}

#[test]
fn app_keeps_the_limit_that_the_adapter_was_started_with() {
    let limited = Limited::by("ulimit -Sn 40");
    let mut run = limited
        .scenario(100)
        .args(["sh", "-c", "echo limit=$(ulimit -Sn); sleep 0.1; exit 3"])
        .start();
    // Restarted some times, then given up.
    assert_eq!(run.exit().code(), Some(3));
    let log = run.log();
    let limits: Vec<_> = log.lines().filter(|line| line.contains("limit=")).collect();
    assert!(limits.len() > 2, "{log}");
    assert!(
        limits.iter().all(|line| line.ends_with("limit=40")),
        "{log}"
    );
}
