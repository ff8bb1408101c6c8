//! SnapStart: hooks around the snapshot, no connection that survives it, and hook paths closed to
//! clients.
//!
//! As in the AWS page "Lambda SnapStart runtime hooks" and the custom runtime's
//! `/runtime/restore/next`.

use crate::harness::app::{raw, response};
use crate::harness::events::*;
use crate::harness::record::{Entry, EntryKind, Side};
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

const BEFORE: &str = "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH";
const AFTER: &str = "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH";
const RESTORE: &str = "/2018-06-01/runtime/restore/next";
const RESTORE_ERROR: &str = "/2018-06-01/runtime/restore/error";
const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";
const NEXT: &str = "/2018-06-01/runtime/invocation/next";

fn snapping() -> Scenario {
    scenario().env("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
}

fn is_parked(run: &Run) -> bool {
    !run.api_requests(RESTORE).is_empty()
}

fn restore(run: &mut Run) {
    run.wait_until("restore/next", is_parked);
    run.open("restore");
}

/// The index of the first such entry in the record.
fn index_of(run: &Run, is_it: impl Fn(&Entry) -> bool) -> usize {
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

/// With both hooks, but not yet with SnapStart.
fn hooked() -> Scenario {
    scenario()
        .env(BEFORE, "/snap/before")
        .env(AFTER, "/snap/after")
}

fn snapstart() -> Scenario {
    hooked().env("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
}

/// Runs until the snapshot may be taken.
fn checkpoint(scenario: Scenario) -> Run {
    let mut run = scenario.start();
    run.wait_until("restore/next", is_parked);
    run
}

fn restored(scenario: Scenario) -> Run {
    let mut run = checkpoint(scenario);
    run.open("restore");
    run.finish();
    run
}

/// All requests of both sides, in order, without the extension's registration.
fn order(run: &Run) -> Vec<String> {
    let entries = run.entries();
    let messages = entries.iter().filter_map(|entry| entry.message());
    messages
        .filter(|message| !message.target.contains("/extension/"))
        .map(|message| format!("{} {}", message.method, message.target))
        .collect()
}

/// The connections of one side that are open.
fn open(run: &Run, side: Side) -> HashSet<usize> {
    let mut open = HashSet::new();
    for entry in run.entries().iter().filter(|entry| entry.side == side) {
        match entry.kind {
            EntryKind::Opened => drop(open.insert(entry.connection)),
            EntryKind::Closed => drop(open.remove(&entry.connection)),
            EntryKind::Received(_) => {}
        }
    }
    open
}

/// The adapter exits with one report to this path, of this type, with these words.
fn assert_reported_exit(run: &mut Run, path: &str, kind: &str, words: &[&str]) {
    assert_eq!(run.exit().code(), Some(1));
    let errors = ["/init/error", "/restore/error"].map(|end| format!("/2018-06-01/runtime{end}"));
    let reports: Vec<_> = errors
        .iter()
        .flat_map(|target| run.api_requests(target))
        .map(|(_, message)| message)
        .collect();
    assert_eq!(reports.len(), 1, "{:?}", run.api_calls());
    assert_eq!(reports[0].target, path);
    let body: Value = serde_json::from_slice(&reports[0].body).expect("JSON");
    assert_eq!(body["errorType"], kind);
    let header = reports[0].header("lambda-runtime-function-error-type");
    assert_eq!(header, Some(kind));
    for word in words {
        let message = body["errorMessage"].as_str().expect("a message");
        assert!(message.contains(word), "{message:?} lacks {word:?}");
        assert!(run.log().contains(word), "{:?} lacks {word:?}", run.log());
    }
    assert!(run.api_requests(NEXT).is_empty());
}

#[test]
fn snapshot_is_asked_for_after_readiness_and_before_any_invocation() {
    let mut run = snapping().invoke(get("/x")).start();
    restore(&mut run);
    run.finish();
    let ready = index_of(&run, |entry| entry.side == Side::App);
    let restore_poll = index_of(&run, is_request("GET", RESTORE));
    assert!(ready < restore_poll && restore_poll < index_of(&run, is_request("GET", NEXT)));
    assert_eq!(run.api_requests(RESTORE).len(), 1);
}

#[test]
fn no_connection_to_the_app_lives_through_the_snapshot() {
    let mut run = snapping().env(BEFORE, "/before").invoke(get("/x")).start();
    run.wait_until("restore/next", is_parked);
    run.wait_until("the app's connections closed", |run| {
        let entries = run.entries();
        let ended = |connection| {
            entries
                .iter()
                .any(|e| e.connection == connection && matches!(e.kind, EntryKind::Closed))
        };
        let opened = entries
            .iter()
            .filter(|entry| entry.side == Side::App && matches!(entry.kind, EntryKind::Opened));
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
    let snapshot = index_of(&run, is_request("GET", RESTORE));
    let (before, after) = (
        index_of(&run, is_request("POST", "/before")),
        index_of(&run, is_request("POST", "/after")),
    );
    assert!(
        before < snapshot && snapshot < after && after < index_of(&run, is_request("GET", NEXT))
    );
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
        .probe(response("200 OK", ""))
        .probe(response("503 Busy", ""))
        .probe(response("200 OK", ""));
    let mut run = run.invoke(get("/x")).start();
    restore(&mut run);
    run.finish();
    assert_eq!(run.probes().len(), 3);
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
        // Servers that decode twice or drop parameters treat the last ones as the hook too.
        assert_eq!(run.reply(number)["statusCode"], 403, "{spelling}");
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
fn hook_paths_are_closed_as_routes_in_the_query_and_in_headers() {
    let with_header = |name: &str, value: &str| with(get("/"), json!({"headers": {name: value}}));
    let mut query = rest("GET", "/index.php");
    query["queryStringParameters"] = json!({"rest.route": "/hooks/after"});
    query["multiValueQueryStringParameters"] = Value::Null;
    let refused = [
        get("/index.php?+r=/hooks/after"),
        get("/index.php?r%00x=/hooks/after"),
        get("/index.php?/hooks/after?x=1"),
        get("/?a=1;r=hooks/after"),
        query,
        with_header("X-Original-URL", "/hooks/after"),
        with_header("x_rewrite_url", "http://h/hooks/%61fter?x=1"),
    ];
    let forwarded = [get("/?r=hooks"), with_header("X-Original-URL", "/hooks")];
    let run = scenario()
        .env(AFTER, "/hooks/after")
        .invoke_all(refused.iter().chain(&forwarded).cloned())
        .run();
    let status = |number: usize| run.reply(number)["statusCode"].clone();
    for (number, event) in (1..).zip(&refused) {
        assert_eq!(status(number), 403, "{event}");
    }
    assert_eq!((status(8), status(9)), (json!(200), json!(200)));
    assert_eq!(run.requests().len(), 2);
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
fn readiness_hook_restore_hook_readiness_and_only_then_invocations() {
    let run = restored(snapstart().invoke(get("/x")));
    let expected = [
        "GET /",
        "POST /snap/before",
        "GET /2018-06-01/runtime/restore/next",
        "POST /snap/after",
        "GET /",
        "GET /2018-06-01/runtime/invocation/next",
        "GET /x",
    ];
    assert_eq!(order(&run)[..expected.len()], expected);
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn nothing_of_it_happens_without_snap_start() {
    for kind in [
        "(unset)",
        "on-demand",
        "provisioned-concurrency",
        "lambda-managed-instances",
    ] {
        let scenario = hooked().env("AWS_LAMBDA_INITIALIZATION_TYPE", kind);
        let run = scenario.invoke(get("/x")).run();
        assert!(run.api_requests(RESTORE).is_empty(), "{kind}");
        assert_eq!(run.requests().len(), 1, "{kind}: a hook was run");
    }
}

#[test]
fn no_connection_outlives_the_checkpoint() {
    let mut run = checkpoint(snapstart().invoke(get("/x")));
    // Two long polls remain on Lambda's side: the extension's, and the one for the restore.
    let parked = "/2020-01-01/extension/event/next";
    run.wait_until("the connections are closed", |run| {
        open(run, Side::App).is_empty()
            && open(run, Side::Api).len() == 2
            && !run.api_requests(parked).is_empty()
    });
    let before: HashSet<usize> = run.entries().iter().map(|entry| entry.connection).collect();
    run.open("restore");
    run.finish();
    let entries = run.entries();
    let after = entries
        .iter()
        .skip_while(|entry| entry.message().is_none_or(|m| m.target != RESTORE))
        .skip(1)
        .filter(|entry| entry.message().is_some_and(|m| m.target != parked));
    for entry in after {
        assert!(
            !before.contains(&entry.connection),
            "{:?} #{}",
            entry.side,
            entry.connection
        );
    }
}

#[test]
fn any_2xx_is_success_for_a_hook() {
    let scenario = snapstart()
        .at("/snap/before", raw("HTTP/1.1 204 No Content\r\n\r\n"))
        .at("/snap/after", response("202 Accepted", "later"));
    let run = restored(scenario.invoke(get("/x")));
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn refused_snapshot_is_an_init_error() {
    let refused = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".to_vec();
    let mut run = checkpoint(snapstart().api(|api| api.restore = refused));
    run.open("restore");
    assert_reported_exit(
        &mut run,
        INIT_ERROR,
        "Runtime.ApiError",
        &["restore", "403"],
    );
}

#[test]
fn what_takes_too_long_after_the_restore_is_told_before_lambda_ends_it() {
    let hang = || raw("").hang();
    let ready = || snapstart().probe(response("200 OK", ""));
    // All in parallel, since each takes its ten seconds.
    let runs = [
        snapstart().at("/snap/after", hang()),
        ready().probe(response("503 Service Unavailable", "")),
        ready().probe(hang()),
    ]
    .map(|scenario| {
        let run = checkpoint(scenario);
        let restored = run.record.now();
        run.open("restore");
        (run, restored)
    });
    for (mut run, restored) in runs {
        let kind = "Runtime.AfterRestoreError";
        assert_reported_exit(&mut run, RESTORE_ERROR, kind, &["ms"]);
        let text = run.api_requests(RESTORE_ERROR)[0].0.at - restored;
        assert!(text < Duration::from_secs(10), "{text:?}");
    }
}

#[test]
fn log_says_what_happened_and_how_long_it_took() {
    let log = restored(snapstart().invoke(get("/x"))).log();
    for words in [
        &["before-checkpoint hook `/snap/before` took", "ms"][..],
        &["ready for the snapshot"],
        &["restored from the snapshot", "ms"],
        &["after-restore hook `/snap/after` took", "ms"],
        &["after the restore", "ms"],
    ] {
        let mut lines = log.lines();
        let found = lines.any(|line| words.iter().all(|word| line.contains(word)));
        assert!(found, "{words:?} in {log}");
    }
}

#[test]
fn sigterm_while_the_snapshot_is_awaited_ends_with_exit_code_0() {
    let mut run = checkpoint(snapstart());
    run.signal("TERM");
    assert_eq!(run.exit().code(), Some(0));
}

#[test]
fn every_thread_serves_after_the_restore() {
    let scenario = snapstart().env("AWS_LAMBDA_MAX_CONCURRENCY", "4");
    let run = restored(scenario.invoke_all((0..8).map(|_| get("/x"))));
    assert!((1..=8).all(|number| run.reply(number)["statusCode"] == 200));
    assert_eq!(run.api_requests(RESTORE).len(), 1);
}

#[test]
fn async_init_is_ignored_with_a_warning_where_init_has_time() {
    // All in parallel, since each takes eleven seconds.
    let kinds = [
        "snap-start",
        "provisioned-concurrency",
        "lambda-managed-instances",
    ];
    let runs = kinds.map(|kind| {
        let scenario = scenario()
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
            .env("AWS_LWA_ASYNC_INIT", "true");
        scenario.app_down().invoke(get("/")).start()
    });
    for mut run in runs {
        // Past the moment at which asynchronous init would continue without the app.
        run.wait_until("eleven seconds", |run| {
            run.record.now() > Duration::from_secs(11)
        });
        for target in [NEXT, RESTORE] {
            assert!(run.api_requests(target).is_empty(), "{:?}", run.api_calls());
        }
        run.open("restore");
        run.start_app();
        run.finish();
        let log = run.log();
        let warnings = log.lines().filter(|line| line.contains("WARN"));
        let ours = warnings.filter(|line| line.contains("AWS_LWA_ASYNC_INIT"));
        assert_eq!(ours.count(), 1, "{log}");
    }
}

#[test]
fn hook_paths_are_closed_to_each_kind_of_http_event() {
    for path in [
        "/snap/before",
        "/snap/after/",
        "/Snap//./after",
        "/x/../snap/before",
        "/snap/before;x=1",
        "/snap%2Fafter",
        "/%2573nap/before",
        "/snap\\after",
        "//host/snap/before",
        "/index.php/snap/before",
        "/stage/snap/after/more",
    ] {
        let kinds = http_kinds("POST", path);
        let events = kinds.iter().map(|(_, event)| event.clone());
        let run = hooked().invoke_all(events).run();
        for (number, (kind, _)) in (1..).zip(&kinds) {
            let reply = run.reply(number);
            assert_eq!(reply["statusCode"], 403, "{kind} {path}");
            let text = reply["body"].as_str().expect("a text");
            assert!(!text.is_empty() && !text.contains("snap"), "{text}");
        }
        assert!(run.requests().is_empty(), "{path}");
    }
}

#[test]
fn hook_paths_are_closed_to_any_method_and_to_streaming() {
    let methods = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "PURGE"];
    let events = methods.map(|method| url(method, "/snap/before"));
    let run = hooked().invoke_all(events).run();
    assert!((1..=methods.len()).all(|number| run.reply(number)["statusCode"] == 403));
    assert!(run.requests().is_empty());

    let scenario = hooked().env("AWS_LWA_INVOKE_MODE", "response_stream");
    let run = scenario.invoke(url("POST", "/snap/after")).run();
    let text = run.response(1).text();
    assert!(text.contains("\"statusCode\":403"), "{text}");
    assert!(run.requests().is_empty());
}

#[test]
fn hook_paths_are_closed_where_the_base_path_has_been_removed() {
    let scenario = hooked().env("AWS_LWA_REMOVE_BASE_PATH", "/api");
    let run = scenario
        .invoke_all(["/api/snap/before", "/api%2fsnap/x", "/api/x"].map(|path| url("POST", path)))
        .run();
    let statuses: Vec<_> = (1..=3)
        .map(|number| run.reply(number)["statusCode"].clone())
        .collect();
    assert_eq!(statuses, [403, 200, 200]);
}

#[test]
fn other_paths_stay_open_where_hooks_are_set() {
    let paths = [
        "/",
        "/snap",
        "/snap/beforehand",
        "/snap/x/before",
        "/?to=/snap/beforehand",
    ];
    let run = hooked().invoke_all(paths.map(get)).invoke(sqs()).run();
    let targets: Vec<_> = run.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(targets[..paths.len()], paths);
    assert_eq!(targets[paths.len()], "/events");
}

#[test]
fn hook_path_that_cannot_be_guarded_fails_init() {
    for name in [BEFORE, AFTER] {
        for value in [
            "/", "hook", "/a?b", "/a#b", "/a%62", "/a;b", "/a\\b", "/a/../b", "/./a", "//a",
            "/a//b", "/health", "/queue", "/QUEUE/",
        ] {
            let mut run = scenario()
                .env("AWS_LWA_READINESS_CHECK_PATH", "/health?deep=1")
                .env("AWS_LWA_PASS_THROUGH_PATH", "/queue")
                .env(name, value)
                .start();
            let value = value.escape_debug().to_string();
            let kind = "Runtime.InvalidSetting";
            assert_reported_exit(&mut run, INIT_ERROR, kind, &[name, &value]);
        }
    }
}
#[test]
fn failing_hook_before_the_snapshot_is_an_init_error() {
    for (bad, words) in [
        (response("500 Internal Server Error", "no"), "500"),
        (response("302 Found\nLocation: /", ""), "302"),
        (response("404 Not Found", ""), "404"),
        (raw("").close(), "closed"),
        (
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").close(),
            "4",
        ),
    ] {
        let mut run = snapstart().at("/snap/before", bad).start();
        let kind = "Runtime.BeforeSnapshotError";
        assert_reported_exit(&mut run, INIT_ERROR, kind, &["/snap/before", words]);
        assert!(run.api_requests(RESTORE).is_empty());
    }
}

#[test]
fn failing_hook_after_the_restore_is_a_restore_error() {
    for (bad, words) in [
        (response("503 Service Unavailable", ""), "503"),
        (raw("").close(), "closed"),
    ] {
        let mut run = checkpoint(snapstart().at("/snap/after", bad));
        run.open("restore");
        let kind = "Runtime.AfterRestoreError";
        assert_reported_exit(&mut run, RESTORE_ERROR, kind, &["/snap/after", words]);
    }
}
