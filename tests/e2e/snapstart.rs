//! SnapStart: hooks around the snapshot, no connection that lives through it, and hook paths closed to the outside.
//!
//! As in the AWS page "Lambda SnapStart runtime hooks" and the custom runtime's `/runtime/restore/next`.

use crate::events::*;
use crate::fakes::app::{answer, raw};
use crate::fakes::record::{Entry, Side, What};
use crate::run::Run;
use crate::scenario::{Scenario, scenario};
use serde_json::json;

const BEFORE: &str = "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH";
const AFTER: &str = "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH";
const RESTORE: &str = "/2018-06-01/runtime/restore/next";
const NEXT: &str = "/2018-06-01/runtime/invocation/next";

fn snapping() -> Scenario {
    scenario().env("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
}

fn is_parked(run: &Run) -> bool {
    !run.api_requests(RESTORE).is_empty()
}

fn restore(run: &mut Run) {
    run.until("restore/next", is_parked);
    run.open("restore");
}

/// The place of the first entry like this in the conversation.
fn place(run: &Run, is_it: impl Fn(&Entry) -> bool) -> usize {
    run.entries()
        .iter()
        .position(is_it)
        .expect("in the conversation")
}

fn is_request(method: &'static str, target: &'static str) -> impl Fn(&Entry) -> bool {
    move |entry| {
        entry
            .message()
            .is_some_and(|message| message.method == method && message.target == target)
    }
}

#[test]
fn snapshot_is_asked_for_after_readiness_and_before_any_invocation() {
    let mut run = snapping().invoke(get("/x")).start();
    restore(&mut run);
    run.finish();
    let ready = place(&run, |entry| entry.side == Side::App);
    let asked = place(&run, is_request("GET", RESTORE));
    assert!(ready < asked && asked < place(&run, is_request("GET", NEXT)));
    assert_eq!(run.api_requests(RESTORE).len(), 1);
}

#[test]
fn no_connection_to_the_app_lives_through_the_snapshot() {
    let mut run = snapping().env(BEFORE, "/before").invoke(get("/x")).start();
    run.until("restore/next", is_parked);
    run.until("the app's connections closed", |run| {
        let entries = run.entries();
        let ended = |connection| {
            entries
                .iter()
                .any(|e| e.connection == connection && matches!(e.what, What::Closed))
        };
        let opened = entries
            .iter()
            .filter(|entry| entry.side == Side::App && matches!(entry.what, What::Opened));
        opened.into_iter().all(|entry| ended(entry.connection))
    });
    let before = run.connections(Side::App);
    run.open("restore");
    run.finish();
    assert!(run.connections(Side::App) > before);
}

#[test]
fn invocations_use_a_fresh_connection_to_lambda_after_the_restore() {
    let mut run = snapping().invoke(get("/x")).start();
    restore(&mut run);
    run.finish();
    assert_ne!(
        run.api_requests(RESTORE)[0].0.connection,
        run.api_requests(NEXT)[0].0.connection
    );
}

#[test]
fn hooks_are_empty_posts_on_either_side_of_the_snapshot() {
    let mut run = snapping()
        .env(BEFORE, "/before")
        .env(AFTER, "/after")
        .invoke(get("/x"))
        .start();
    restore(&mut run);
    run.finish();
    let snapshot = place(&run, is_request("GET", RESTORE));
    let (before, after) = (
        place(&run, is_request("POST", "/before")),
        place(&run, is_request("POST", "/after")),
    );
    assert!(before < snapshot && snapshot < after && after < place(&run, is_request("GET", NEXT)));
    let hook = run
        .app_requests()
        .into_iter()
        .find(|(_, request)| request.target == "/before")
        .unwrap()
        .1;
    assert_eq!((hook.header("content-length"), hook.length), (Some("0"), 0));
}

#[test]
fn readiness_is_checked_again_after_the_restore() {
    let run = snapping()
        .probe(answer("200 OK", ""))
        .probe(answer("503 Busy", ""))
        .probe(answer("200 OK", ""));
    let mut run = run.invoke(get("/x")).start();
    restore(&mut run);
    run.finish();
    assert_eq!(run.probes().len(), 3);
}

#[test]
fn failing_hook_before_the_snapshot_is_an_init_error() {
    for bad in [
        answer("500 Oops", "no"),
        answer("302 Found", ""),
        raw("").close(),
    ] {
        let mut run = snapping().env(BEFORE, "/before").at("/before", bad).start();
        assert_ne!(run.exit().code(), Some(0));
        let errors = run.api_requests("/2018-06-01/runtime/init/error");
        assert!(
            errors[0].1.text().contains("/before"),
            "{}",
            errors[0].1.text()
        );
        assert!(run.api_requests(RESTORE).is_empty());
    }
}

#[test]
fn failing_hook_after_the_restore_is_a_restore_error() {
    let mut run = snapping()
        .env(AFTER, "/after")
        .at("/after", answer("500 Oops", "no"))
        .start();
    restore(&mut run);
    assert_ne!(run.exit().code(), Some(0));
    let errors = run.api_requests("/2018-06-01/runtime/restore/error");
    assert!(
        errors[0].1.text().contains("/after"),
        "{}",
        errors[0].1.text()
    );
    let kind = errors[0]
        .1
        .header("lambda-runtime-function-error-type")
        .expect("an error type");
    assert!(
        kind.starts_with("Runtime.") || kind.starts_with("Function."),
        "{kind}"
    );
}

#[test]
fn refused_snapshot_is_an_init_error() {
    let refusal = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec();
    let mut run = snapping().api(|api| api.restore = refusal).start();
    restore(&mut run);
    assert_ne!(run.exit().code(), Some(0));
    assert_eq!(run.api_requests("/2018-06-01/runtime/init/error").len(), 1);
}

#[test]
fn hook_paths_are_closed_to_the_outside_however_they_are_spelled() {
    let spellings = [
        "/hooks/before",
        "/hooks/%62efore",
        "/hooks/./before",
        "/x/../hooks/before",
        "//hooks//before",
        "/hooks/before/",
        "/hooks/before?x=1",
        "/hooks%2Fbefore",
        "/%2e/hooks/x/%2E%2e/before",
        "/hooks/%2562efore",
        "/hooks\\before",
        "/hooks/before;x",
    ];
    let scenario = snapping().env(BEFORE, "/hooks/before");
    let mut run = scenario
        .invoke_all(spellings.map(|spelling| url("POST", spelling)))
        .start();
    restore(&mut run);
    run.finish();
    for (number, spelling) in (1..).zip(spellings) {
        // What is another path to every server may pass; what any server may take for the hook may not.
        let allowed = matches!(spelling, "/hooks/%2562efore" | "/hooks/before;x");
        let status = run.reply(number)["statusCode"].as_u64().unwrap();
        assert!(status == 403 || allowed, "{spelling}: {status}");
    }
    let inside = run
        .requests()
        .into_iter()
        .filter(|request| request.method == "POST" && request.target == "/hooks/before");
    assert_eq!(inside.count(), 1, "the hook itself");
}

#[test]
fn hook_paths_are_closed_in_every_kind_of_event_and_without_snap_start() {
    let run = scenario()
        .env(AFTER, "/after")
        .invoke_all(each_kind("GET", "/after"))
        .run();
    assert!((1..=each_kind("", "").len()).all(|number| run.reply(number)["statusCode"] == 403));
    assert!(run.requests().is_empty());
}

#[test]
fn hook_path_is_closed_behind_the_base_path_too() {
    let scenario = scenario()
        .env(AFTER, "/after")
        .env("AWS_LWA_REMOVE_BASE_PATH", "/api");
    let run = scenario
        .invoke_all([get("/api/after"), get("/api/%61fter")])
        .run();
    assert_eq!(
        (&run.reply(1)["statusCode"], &run.reply(2)["statusCode"]),
        (&json!(403), &json!(403))
    );
}

#[test]
fn hook_path_that_cannot_be_guarded_fails_init() {
    // Every request would be the hook's, or the hook would be where events go.
    for value in ["/", "/events"] {
        let mut run = scenario().env(BEFORE, value).start();
        assert_eq!(run.exit().code(), Some(1), "{value}");
        let log = run.log();
        assert!(log.contains(BEFORE), "{value}: {log}");
    }
}

#[test]
fn async_init_is_ignored_with_a_warning_where_init_has_time() {
    for kind in ["snap-start", "provisioned-concurrency"] {
        let scenario = scenario()
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
            .env("AWS_LWA_ASYNC_INIT", "true");
        let mut run = scenario.probe(answer("503 Busy", "")).start();
        run.until("a warning", |run| {
            run.log()
                .lines()
                .any(|line| line.contains("WARN") && line.contains("AWS_LWA_ASYNC_INIT"))
        });
    }
}

#[test]
fn nothing_of_it_happens_without_snap_start() {
    let run = scenario()
        .env(BEFORE, "/before")
        .env(AFTER, "/after")
        .invoke(get("/x"))
        .run();
    assert!(run.api_requests(RESTORE).is_empty());
    assert!(
        run.app_requests()
            .iter()
            .all(|(_, request)| request.method == "GET")
    );
}
