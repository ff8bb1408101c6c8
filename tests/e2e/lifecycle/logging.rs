//! Log lines: one line each, by Lambda's level and format, so that Lambda's own filters work.
//!
//! JSON as in the AWS page "Configuring JSON and plain text log formats": `timestamp`, `level`,
//! `message`, `requestId`.

use crate::harness::app::raw;
use crate::harness::events::get;
use crate::harness::scenario::{Run, Scenario, scenario};
use serde_json::Value;

fn failing() -> Scenario {
    scenario()
        .respond(raw("nonsense\r\n\r\n").close())
        .invoke(get("/"))
}

fn lines(run: &Run) -> Vec<Value> {
    let log = run.log();
    let parse =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    log.lines().map(parse).collect()
}

#[test]
fn json_lines_have_what_lambda_filters_by() {
    for format in ["JSON", "json"] {
        let run = failing().env("AWS_LAMBDA_LOG_FORMAT", format).run();
        let lines = lines(&run);
        assert!(!lines.is_empty());
        for line in &lines {
            let time = line["timestamp"].as_str().expect("a timestamp");
            assert!(
                time.len() >= 20 && time.as_bytes()[10] == b'T' && time.ends_with('Z'),
                "{time}"
            );
            assert!(
                ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
                    .contains(&line["level"].as_str().unwrap()),
                "{line}"
            );
            assert!(line["message"].is_string(), "{line}");
        }
        let failure = lines
            .iter()
            .find(|line| line["level"] == "ERROR")
            .expect("the failure");
        assert_eq!(failure["requestId"], "req-1");
    }
}

#[test]
fn text_lines_carry_the_level_and_the_request_id() {
    let run = failing().run();
    let log = run.log();
    assert!(
        log.lines()
            .any(|line| line.contains("ERROR") && line.contains("req-1")),
        "{log}"
    );
    assert!(log.lines().all(|line| !line.starts_with('{')), "{log}");
}

#[test]
fn level_is_lambdas() {
    let quiet = failing().env("AWS_LAMBDA_LOG_LEVEL", "FATAL").run().log();
    assert_eq!(quiet, "");
    let errors = failing().env("AWS_LAMBDA_LOG_LEVEL", "ERROR").run().log();
    assert!(
        errors.lines().all(|line| line.contains("ERROR")) && !errors.is_empty(),
        "{errors}"
    );
    let ordinary = failing().run().log();
    let debug = failing().env("AWS_LAMBDA_LOG_LEVEL", "debug").run().log();
    assert!(debug.lines().count() > ordinary.lines().count(), "{debug}");
    assert!(!ordinary.contains("DEBUG"), "{ordinary}");
}

#[test]
fn line_ends_in_what_is_logged_do_not_make_new_lines() {
    let scenario = scenario()
        .env("AWS_LWA_NEW\nLINE", "1")
        .env("AWS_LAMBDA_LOG_LEVEL", "DEBUG");
    let event = crate::harness::events::with(
        get("/"),
        serde_json::json!({"headers": {"x-a\nFORGED": "1", "x-b": "a\nFORGED"}}),
    );
    let log = scenario.invoke(event).run().log();
    assert!(
        log.lines()
            .all(|line| !line.starts_with("FORGED") && !line.starts_with("LINE")),
        "{log}"
    );
}

#[test]
fn an_invocation_that_goes_well_is_silent_at_the_default_level() {
    let mut run = scenario().invoke(get("/")).run();
    let before = run.log();
    run.invoke(get("/"));
    run.finish();
    assert_eq!(run.log(), before);
}

#[test]
fn secrets_are_not_logged() {
    let scenario = scenario()
        .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
        .env("AWS_SECRET_ACCESS_KEY", "s3cr3t-key");
    let event = crate::harness::events::with(
        get("/"),
        serde_json::json!({"headers": {"authorization": "Bearer s3cr3t-key",
            "cookie": "sid=s3cr3t-key"}}),
    );
    let log = scenario.invoke(event).run().log();
    assert!(!log.contains("s3cr3t-key"), "{log}");
}
