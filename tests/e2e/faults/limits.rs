//! The limits of what is posted and logged: error pages of any size and content, and a log that
//! nothing reads.

use crate::harness::app::response;
use crate::harness::events::*;
use crate::harness::run::Run;
use crate::harness::scenario::{Output, Scenario, scenario};
use crate::lifecycle::entrypoint::shell;
use std::time::Duration;

const MAX_LINE: usize = 8 << 10;

/// Asserts that no line of the log is too long, and returns the longest.
fn longest_line(run: &Run) -> String {
    let log = run.log();
    let longest = log.lines().max_by_key(|line| line.len());
    let longest = longest.unwrap_or_default();
    assert!(longest.len() < MAX_LINE, "{} bytes", longest.len());
    longest.to_owned()
}

/// Failures enough to fill any pipe and socket, one after the other and sixteen at once.
fn assert_log_holds_nothing(scenario: Scenario) {
    let invocations = 300;
    let mut run = scenario
        .env("AWS_LWA_ERROR_STATUS_CODES", "500-599")
        .at("/fault", response("500 Oops", "x".repeat(114_000)))
        .invoke_all((0..invocations).map(|number| get(["/fault", "/"][number % 2])))
        .start();
    run.finish();
    let posts = run.all_posts();
    let took = posts.iter().map(|(entry, _)| entry.at).max();
    assert!(took < Some(Duration::from_secs(10)), "{took:?}");
    assert_eq!(run.log(), "");
    // Once the log is read again, the next line is written, and the lines that are missing are
    // counted.
    run.open(Output::READ);
    run.wait_until("the count", |run| run.log().contains("lines were dropped"));
    run.invoke(get("/fault"));
    run.finish();
    let last = format!("requestId=req-{}", invocations + 1);
    run.wait_until("the next line", |run| run.log().contains(&last));
    let log = run.log();
    let count = |line: &str| -> Option<usize> {
        let words = line.strip_prefix("lambda-adapter WARN ")?;
        words
            .strip_suffix(" log lines were dropped, because stderr was full")?
            .parse()
            .ok()
    };
    let dropped: usize = log.lines().filter_map(count).sum();
    let failures = log
        .lines()
        .filter(|line| line.contains("invocation failed"))
        .count();
    assert_eq!(failures + dropped, invocations / 2 + 1, "{dropped} dropped");
    longest_line(&run);
}

#[test]
fn a_log_that_nothing_reads_holds_no_invocation() {
    for output in [Output::UnreadPipe, Output::UnreadSocket] {
        for concurrency in ["1", "16"] {
            assert_log_holds_nothing(
                scenario()
                    .output(output)
                    .env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency),
            );
        }
    }
}

#[test]
fn output_of_the_app_that_nothing_reads_holds_no_invocation() {
    for output in [Output::UnreadPipe, Output::UnreadSocket] {
        let script = "seq 200000; echo up; read line";
        let mut run = shell(script)
            .output(output)
            .env("AWS_LAMBDA_LOG_LEVEL", "error")
            .invoke_all(vec![get("/"); 100])
            .start();
        run.finish();
        let took = run.all_posts().iter().map(|(entry, _)| entry.at).max();
        assert!(took < Some(Duration::from_secs(10)), "{took:?}");
        run.open(Output::READ);
        run.wait_until("the last line", |run| run.log().ends_with("up\n"));
        let expected: String = (1..=200_000).map(|i| format!("{i}\n")).collect();
        assert!(run.log() == expected + "up\n", "the log differs");
    }
}
