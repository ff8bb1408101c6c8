//! The output of an app that the adapter starts: all of it is relayed, and an init error contains
//! its last lines.

use crate::harness::events::get;
use crate::harness::run::Run;
use crate::harness::scenario::Scenario;
use crate::lifecycle::entrypoint::{INIT_ERROR, WAITING_APP, app, kill, shell};
use serde_json::Value;
use std::fs;

/// Only the app prints, to a pipe.
fn quiet(script: &str) -> Scenario {
    shell(script).piped().env("AWS_LAMBDA_LOG_LEVEL", "error")
}

/// The message of the one init error.
fn init_error(run: &Run) -> String {
    let (_, error) = &run.api_requests(INIT_ERROR)[0];
    let error: Value = serde_json::from_str(&error.text()).expect("JSON");
    error["errorMessage"]
        .as_str()
        .expect("a message")
        .to_owned()
}

#[test]
fn where_the_streams_are_a_file_the_app_gets_that_and_no_other() {
    let script = "echo fds: $(cd /proc/self/fd; readlink 0 1 2 3); read line";
    let mut run = shell(script).start();
    run.wait_until("a list of files", |run| run.log().contains("fds:"));
    let links = [0, 1, 2].map(|fd| {
        let link = fs::read_link(format!("/proc/{}/fd/{fd}", run.pid()));
        let link = link.expect("a standard stream").display().to_string();
        link.replace(" (deleted)", "")
    });
    // In $( ) standard output is the shell's own pipe.
    // The log is a file that its own test has removed already.
    let log = run.log().replace(" (deleted)", "");
    let line = log.lines().find(|line| line.starts_with("fds:"));
    let seen: Vec<_> = line.unwrap_or_default().split(' ').skip(1).collect();
    assert_eq!(
        (seen.len(), seen[0], seen[2]),
        (3, &*links[0], &*links[2]),
        "{log}"
    );
}

#[test]
fn where_the_streams_are_a_pipe_all_is_passed_on_in_its_order() {
    let script = "for i in $(seq 500); do echo out $i; echo err $i >&2; done; seq 100000; echo \
        up; read line";
    let mut run = quiet(script).invoke(get("/")).run();
    app(&mut run, 1);
    let mut expected: String = (1..=500).map(|i| format!("out {i}\nerr {i}\n")).collect();
    expected.extend((1..=100_000).map(|i| format!("{i}\n")));
    assert!(
        run.log() == expected + "up\n",
        "the log differs from the output"
    );
}

#[test]
fn the_app_may_open_its_streams_by_name() {
    let script = "echo by name >/dev/stdout; echo so too >/dev/stderr; read line";
    let mut run = quiet(script).start();
    run.wait_until("both lines", |run| run.log().contains("by name\nso too\n"));
}

#[test]
fn the_last_lines_of_an_app_that_ends_during_init_are_in_the_error() {
    let script = "seq 20; echo 'No module named \"flask\"' >&2; exit 3";
    let mut run = shell(script).piped().app_down().start();
    assert_eq!(run.exit().code(), Some(3));
    let last: String = (12..=20).map(|i| format!("{i}\n")).collect();
    let expected = format!("; the app printed last:\n{last}No module named \"flask\"");
    let message = init_error(&run);
    assert!(message.contains("exit status: 3"), "{message}");
    assert!(message.ends_with(&expected), "{message}");
    // The log has each line once, followed by the adapter's.
    run.wait_until("the adapter's last line", |run| run.log().contains("FATAL"));
    let (printed, ours) = {
        let log = run.log();
        let at = log.find("lambda-adapter FATAL").expect("the line");
        (log[..at].to_owned(), log[at..].to_owned())
    };
    assert!(
        printed.contains("\n20\nNo module named \"flask\"\n"),
        "{printed}"
    );
    assert_eq!(ours.lines().count(), 1, "{ours}");
    assert!(!ours.contains("flask"), "{ours}");
}

#[test]
fn a_command_that_cannot_be_started_is_in_the_error_with_the_cause() {
    let scenario = crate::harness::scenario::scenario().args(["--", "/no/such/app"]);
    let mut run = scenario.piped().app_down().start();
    assert_eq!(run.exit().code(), Some(127));
    let message = init_error(&run);
    assert!(
        message.contains("`/no/such/app`: No such file"),
        "{message}"
    );
}

#[test]
fn an_app_that_is_never_ready_is_told_with_its_last_lines() {
    let mut run = shell("echo listening on 3000; read line")
        .env("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1")
        .piped()
        .app_down()
        .start();
    run.exit();
    let message = init_error(&run);
    assert!(message.contains("is not ready after"), "{message}");
    assert!(
        message.ends_with("printed last:\nlistening on 3000"),
        "{message}"
    );
}

#[test]
fn an_app_that_printed_nothing_is_told_without() {
    let mut run = shell("exit 3").piped().app_down().start();
    run.exit();
    assert!(
        !init_error(&run).contains("printed"),
        "{}",
        init_error(&run)
    );
}

#[test]
fn each_life_of_the_app_is_heard() {
    let mut run = shell(WAITING_APP).piped().invoke(get("/")).run();
    let first = app(&mut run, 1);
    kill("KILL", first);
    app(&mut run, 2);
}
