//! Work after the response: a hook of the app between the reply and the request for the next
//! invocation, when Lambda freezes the environment.

use super::entrypoint::{WAITING_APP, app, kill, shell};
use crate::harness::api::{DEADLINE, Invocation, Post, TRACE};
use crate::harness::app::{Response, raw, response};
use crate::harness::events::*;
use crate::harness::http::Message;
use crate::harness::record::Side;
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::{Value, json};
use std::time::Duration;

const HOOK: &str = "AWS_LWA_AFTER_RESPONSE_PATH";
const MARGIN: &str = "AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS";
const NEXT: &str = "/2018-06-01/runtime/invocation/next";

fn hooked() -> Scenario {
    scenario().env(HOOK, "/_after")
}

fn hooks(run: &Run) -> Vec<Message> {
    let requests = run.requests().into_iter();
    requests.filter(|m| m.target == "/_after").collect()
}

/// The requests of both sides that concern invocations, in order.
fn order(run: &Run) -> Vec<String> {
    let entries = run.entries();
    let messages = entries.iter().filter_map(|entry| entry.message());
    let targets = messages.map(|message| {
        let path = message.target.as_str();
        path.rsplit_once("/invocation/")
            .map_or(path, |(_, end)| end)
            .to_owned()
    });
    targets
        .filter(|target| target != "/" && !target.contains("/extension/"))
        .collect()
}

/// The one warning of the hook.
fn warning(run: &Run) -> String {
    let log = run.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    let named = warnings[0].contains("failed to run the after-response hook `/_after`: ");
    assert!(named && warnings[0].contains("requestId=req-1"), "{log}");
    warnings[0].to_owned()
}

/// Plays a fault of the hook; returns its warning. Neither this invocation nor the next fails.
fn fault(hook: Response, invocation: Invocation) -> String {
    let run = hooked()
        .at("/_after", hook)
        .at("/_after", response("200 OK", ""))
        .invoke_all([invocation, get("/next").into()])
        .run();
    assert!((1..=2).all(|number| run.reply(number)["body"] == "ok"));
    assert_eq!(hooks(&run).len(), 2);
    warning(&run)
}

#[test]
fn the_next_invocation_is_requested_only_after_the_hook_has_responded() {
    let held = raw("")
        .wait_for("work done")
        .send("HTTP/1.1 204 No Content\r\n\r\n");
    let mut run = hooked().at("/_after", held).invoke(get("/x")).start();
    run.wait_until("the hook", |run| !hooks(run).is_empty());
    // The caller has its response.
    assert_eq!(run.reply(1)["body"], "ok");
    assert_eq!(run.api_requests(NEXT).len(), 1);
    run.open("work done");
    run.finish();
    assert_eq!(
        order(&run),
        ["next", "/x", "req-1/response", "/_after", "next"]
    );
    assert!(!run.log().contains("WARN"), "{}", run.log());
}

#[test]
fn the_whole_response_of_the_hook_is_awaited() {
    let slow = raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        .wait_for("work done")
        .send("k");
    let mut run = hooked().at("/_after", slow).invoke(get("/x")).start();
    run.wait_until("the hook", |run| !hooks(run).is_empty());
    assert_eq!(run.api_requests(NEXT).len(), 1);
    run.open("work done");
    run.finish();
}

#[test]
fn the_hook_is_an_empty_post_with_the_contexts_of_the_invocation() {
    let run = hooked()
        .invoke(with(url("POST", "/x"), json!({"body": "b"})))
        .run();
    let hook = &hooks(&run)[0];
    assert_eq!(
        (hook.method.as_str(), hook.header("content-length")),
        ("POST", Some("0"))
    );
    assert_eq!(hook.header("x-amzn-trace-id"), Some(TRACE));
    let context = |name: &str| -> Value {
        serde_json::from_str(hook.header(name).expect("a context")).expect("JSON")
    };
    assert_eq!(context("x-amzn-lambda-context")["request_id"], "req-1");
    assert_eq!(context("x-amzn-lambda-context")["deadline"], DEADLINE);
    assert_eq!(context("x-amzn-request-context")["http"]["path"], "/x");
}

#[test]
fn it_follows_responses_streams_events_and_failures() {
    for mode in ["buffered", "response_stream"] {
        let mut events = each_kind("GET", "/x");
        events.extend([sqs(), get("/error"), get("/broken")]);
        let count = events.len();
        let run = hooked()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .env("AWS_LWA_ERROR_STATUS_CODES", "500-599")
            .at("/error", response("500 Internal Server Error", ""))
            .at(
                "/broken",
                raw("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").close(),
            )
            .invoke_all(events)
            .run();
        let ids: Vec<_> = hooks(&run)
            .iter()
            .map(|hook| {
                hook.header("x-amzn-lambda-context")
                    .expect("a context")
                    .to_owned()
            })
            .collect();
        assert_eq!(ids.len(), count, "{mode}");
        for (number, id) in (1..).zip(ids) {
            assert!(id.contains(&format!("\"req-{number}\"")), "{mode}: {id}");
        }
    }
}

#[test]
fn it_does_not_follow_what_never_reached_the_app() {
    let mut run = hooked()
        .invoke_all([url("GE T", "/x"), get("/_after"), get("/%5Fafter/x")])
        .invoke("no JSON")
        .run();
    assert_eq!(run.reply(1)["statusCode"], 400);
    assert_eq!(run.reply(2)["statusCode"], 403);
    assert_eq!(run.reply(3)["statusCode"], 403);
    run.stop_app();
    run.invoke(get("/x"));
    run.finish();
    run.assert_failure(5, "Function.AppUnreachable", &[]);
    assert!(run.requests().is_empty());
    assert!(!run.log().contains("after-response"), "{}", run.log());
}

#[test]
fn nothing_is_requested_where_no_hook_is_set() {
    let run = scenario().invoke_all([get("/x"), sqs()]).run();
    assert_eq!(run.requests().len(), 2);
}

#[test]
fn it_uses_the_connection_of_the_response() {
    let run = hooked().invoke_all([get("/x"), get("/x")]).run();
    assert_eq!((hooks(&run).len(), run.connections(Side::App)), (2, 1));
}

#[test]
fn its_path_is_closed_to_clients_in_every_kind_of_event() {
    let run = hooked().invoke_all(each_kind("POST", "/x/../_AFTER")).run();
    let count = each_kind("", "").len();
    assert!((1..=count).all(|number| run.reply(number)["statusCode"] == 403));
    assert!(run.requests().is_empty());
}

#[test]
fn it_is_not_requested_before_the_snapshot() {
    let mut run = hooked()
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
        .invoke(get("/x"))
        .start();
    run.open("restore");
    run.finish();
    let expected = [
        "/2018-06-01/runtime/restore/next",
        "next",
        "/x",
        "req-1/response",
        "/_after",
    ];
    assert_eq!(order(&run)[..expected.len()], expected);
}

#[test]
fn each_slot_of_a_managed_instance_waits_for_its_own() {
    let held = raw("")
        .wait_for("work done")
        .send("HTTP/1.1 204 No Content\r\n\r\n");
    let mut run = hooked()
        .env("AWS_LAMBDA_MAX_CONCURRENCY", "2")
        .at("/_after", held)
        .at("/_after", response("200 OK", ""))
        .invoke(get("/x"))
        .start();
    run.wait_until("the first hook", |run| hooks(run).len() == 1);
    for number in 2..5 {
        run.invoke(get("/x"));
        run.wait_until("the other slot", |run| hooks(run).len() == number);
    }
    run.open("work done");
    run.finish();
}

#[test]
fn a_hook_that_hangs_ends_at_the_margin() {
    for (margin, most) in [("(unset)", 500), ("200", 800)] {
        let mut run = hooked()
            .env(MARGIN, margin)
            .at("/_after", raw("").hang())
            .invoke(Invocation::from(get("/x")).remaining(1000))
            .start();
        run.finish();
        assert_eq!(run.reply(1)["body"], "ok");
        let warning = warning(&run);
        let (_, after) = warning.split_once("no response after ").expect("a time");
        let (ms, _) = after.split_once(" ms").expect("milliseconds");
        let ms: u64 = ms.parse().expect("a number");
        assert!(ms > 0 && ms <= most + 50, "{warning}");
        let [_, second] = &run.api_requests(NEXT)[..] else {
            panic!("two requests for invocations");
        };
        let posted = run.posts(1)[0].0.at;
        let waited = second.0.at - posted;
        assert!(waited < Duration::from_millis(most + 200), "{waited:?}");
        // Its connection is closed, so that the app can see the end.
        run.invoke(get("/x"));
        run.wait_until("another connection", |run| run.connections(Side::App) == 2);
    }
}

#[test]
fn a_hook_without_time_is_not_requested() {
    let slow = raw("")
        .pause(700)
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let run = hooked()
        .at("/slow", slow)
        .invoke(Invocation::from(get("/slow")).remaining(1000))
        .run();
    assert_eq!(run.reply(1)["body"], "ok");
    assert!(hooks(&run).is_empty());
    assert!(warning(&run).contains("no time is left"), "{}", run.log());
}

#[test]
fn a_deadline_in_the_past_leaves_the_hook_its_time() {
    let invocation = Invocation::from(get("/x"));
    let run = hooked()
        .invoke(invocation.header("Lambda-Runtime-Deadline-Ms", "600000"))
        .run();
    assert_eq!(run.reply(1)["body"], "ok");
    assert_eq!(hooks(&run).len(), 1);
    assert!(!run.log().contains("after-response"), "{}", run.log());
}

#[test]
fn a_failing_hook_is_a_warning_and_nothing_else() {
    let invocation = || Invocation::from(get("/x"));
    for (hook, words) in [
        (response("500 Internal Server Error", "no"), "status 500"),
        (response("404 Not Found", ""), "status 404"),
        (raw("").close(), "closed without a response"),
        (raw("HTTP/1.1 20").close(), "after 11 bytes of the head"),
        (
            raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab").close(),
            "after 2 of 9 bytes",
        ),
        (raw("no HTTP").hang(), "not a valid HTTP/1.1 response"),
    ] {
        let warning = fault(hook, invocation());
        assert!(warning.contains(words), "{warning}");
    }
    let warning = fault(
        raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab").hang(),
        invocation().remaining(800),
    );
    assert!(warning.contains("no end of its body after"), "{warning}");
}

#[test]
fn a_hook_that_responds_early_or_at_length_is_no_fault() {
    for hook in [
        response("302 Found\nLocation: /", ""),
        response("200 OK", "a".repeat(1 << 20)),
        response("200 OK\nConnection: close", "").close(),
    ] {
        let run = hooked()
            .at("/_after", hook)
            .invoke_all([get("/x"), get("/x")])
            .run();
        assert!((1..=2).all(|number| run.reply(number)["body"] == "ok"));
        assert!(!run.log().contains("WARN"), "{}", run.log());
    }
}

#[test]
fn an_app_that_refuses_the_hook_is_warned_about() {
    let bye = response("200 OK\nConnection: close", "ok")
        .wait_for("down")
        .close();
    let mut run = hooked()
        .respond(bye)
        .invoke(Invocation::from(get("/x")).post(Post::Hold(0, "app down".into())))
        .start();
    run.wait_until("the reply", |run| !run.posts(1).is_empty());
    run.stop_app();
    run.open("app down");
    run.finish();
    assert!(warning(&run).contains("failed to connect"), "{}", run.log());
    run.restart_app();
    run.invoke(get("/x"));
    run.finish();
    assert_eq!(run.reply(2)["body"], "ok");
}

#[test]
fn a_freeze_in_the_hook_counts_towards_its_time() {
    let mut run = hooked()
        .at("/_after", raw("").hang())
        .invoke(Invocation::from(get("/x")).remaining(1500))
        .start();
    run.wait_until("the hook", |run| !hooks(run).is_empty());
    run.signal("STOP");
    let frozen = run.record.now();
    run.wait_until("the deadline to pass", |run| {
        run.record.now() - frozen > Duration::from_millis(1500)
    });
    run.signal("CONT");
    run.finish();
    assert!(warning(&run).contains("no response after"), "{}", run.log());
}

#[test]
fn an_app_that_dies_in_the_hook_is_restarted() {
    let dies = raw("").open("in the hook").wait_for("dead").close();
    let mut run = shell(WAITING_APP)
        .env(HOOK, "/_after")
        .at("/_after", dies)
        .at("/_after", response("200 OK", ""))
        .invoke(get("/x"))
        .start();
    run.wait_until("the hook", |run| run.is_open("in the hook"));
    let first = app(&mut run, 1);
    kill("KILL", first);
    run.open("dead");
    run.finish();
    assert_eq!(run.reply(1)["body"], "ok");
    let log = run.log();
    assert!(
        log.contains("hook `/_after`: the app exited (signal: 9 (SIGKILL))"),
        "{log}"
    );
    assert_ne!(app(&mut run, 2), first);
    run.invoke(get("/x"));
    run.finish();
    assert_eq!(run.reply(2)["body"], "ok");
}

#[test]
fn the_end_after_a_signal_waits_for_the_hook() {
    let held = raw("")
        .wait_for("work done")
        .send("HTTP/1.1 204 No Content\r\n\r\n");
    let mut run = hooked().at("/_after", held).invoke(get("/x")).start();
    run.wait_until("the hook", |run| !hooks(run).is_empty());
    run.signal("TERM");
    assert_eq!(run.api_requests(NEXT).len(), 1);
    run.open("work done");
    assert_eq!(run.exit().code(), Some(0));
    assert!(!run.log().contains("WARN"), "{}", run.log());
}
