//! Failures of an invocation: error types, messages, and that no other invocation is affected.
//!
//! Lambda replaces error types that do not look like `Function.Name`. Types are an interface,
//! messages are for people.

use crate::harness::app::{FullQueue, Response, raw, response};
use crate::harness::events::*;
use crate::harness::scenario::{Run, invoke_once, scenario};
use serde_json::{Value, json};
use std::net::TcpListener;

/// Runs this response, then a good one; the first invocation must fail so, the second must not.
///
/// Each request has a fresh connection: `connections/` tests stale ones.
fn assert_fails(bad: Response, kind: &str, words: &[&str]) -> Run {
    let scenario = scenario().env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "0");
    let run = scenario
        .respond(bad)
        .respond(response("200 OK", "well"))
        .invoke_all([get("/first"), get("/second")])
        .run();
    run.assert_failure(1, kind, words);
    assert_eq!(run.reply(2)["body"], "well");
    run
}

/// The same for an app that leaves the connection open: it must not be used again.
fn assert_malformed(bad: &str) {
    let bad = raw(bad);
    let run = scenario()
        .respond(bad)
        .respond(response("200 OK", "well"))
        .invoke_all([get("/first"), get("/second")])
        .run();
    run.assert_failure(1, "Function.AppProtocol", &[]);
    assert_eq!(run.reply(2)["body"], "well");
    let connections: Vec<_> = run
        .app_requests()
        .into_iter()
        .filter(|(_, request)| request.target != "/")
        .map(|(entry, _)| entry.connection)
        .collect();
    assert_eq!(connections.len(), 2);
    assert_ne!(connections[0], connections[1]);
}

#[test]
fn app_that_is_down_fails_the_invocation_and_recovers() {
    let mut run = scenario().app_down().invoke(get("/")).start();
    run.start_app();
    run.finish();
    run.stop_app();
    run.invoke(get("/"));
    run.finish();
    run.assert_failure(
        2,
        "Function.AppUnreachable",
        &[&run.app_address().to_string(), "refused"],
    );
    run.restart_app();
    run.invoke(get("/"));
    run.finish();
    assert_eq!(run.reply(3)["statusCode"], 200);
}

#[test]
fn app_that_closes_before_it_answers_fails_the_invocation() {
    assert_fails(raw("").close(), "Function.AppProtocol", &[]);
}

#[test]
fn app_that_dies_within_the_head_fails_the_invocation() {
    assert_fails(
        raw("HTTP/1.1 200 OK\r\nContent-Le").close(),
        "Function.AppProtocol",
        &[],
    );
}

#[test]
fn app_that_dies_mid_body_fails_saying_how_far_it_got() {
    let sized =
        raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly these 23 bytes ...").close();
    assert_fails(sized, "Function.AppProtocol", &["23", "1000"]);
}

#[test]
fn app_that_dies_mid_chunked_body_fails_saying_how_far_it_got() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_fails(
        raw(head).send("7\r\nseven b\r\n").close(),
        "Function.AppProtocol",
        &["7"],
    );
    assert_fails(
        raw(head).send("7\r\nseven b\r\n64\r\nabcd").close(),
        "Function.AppProtocol",
        &["11"],
    );
}

#[test]
fn app_that_resets_mid_body_fails_the_invocation() {
    let reset = raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc").reset();
    assert_fails(reset, "Function.AppProtocol", &["3", "1000"]);
}

#[test]
fn malformed_heads_fail_the_invocation() {
    let heads = [
        "nonsense\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: b\rc\r\nContent-Length: 0\r\n\r\n",
    ];
    heads.into_iter().for_each(assert_malformed);
}

#[test]
fn malformed_framing_fails_the_invocation() {
    let head = "HTTP/1.1 200 OK\r\n";
    let framings = [
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "Content-Length: 2, 3\r\n\r\nok",
        "Content-Length: -2\r\n\r\nok",
        "Content-Length: +2\r\n\r\nok",
        "Content-Length: 0x2\r\n\r\nok",
        "Content-Length: 99999999999999999999999\r\n\r\nok",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nok\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n{}",
        "Transfer-Encoding: gzip, chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "Transfer-Encoding: \"chunked\"\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    framings
        .into_iter()
        .for_each(|framing| assert_malformed(&format!("{head}{framing}")));
}

#[test]
fn head_over_a_mebibyte_fails_the_invocation() {
    let line = format!("X-Long: {}\r\n", "a".repeat(1000));
    let endless = raw("HTTP/1.1 200 OK\r\n")
        .flood(&line, 1100)
        .send("\r\n")
        .close();
    assert_fails(endless, "Function.AppProtocol", &[]);
}

#[test]
fn head_that_never_ends_fails_the_invocation() {
    let endless = raw("HTTP/1.1 200 OK\r\nX-Long: ")
        .flood("a".repeat(1000), 3000)
        .hang();
    assert_fails(endless, "Function.AppProtocol", &[]);
}

#[test]
fn more_than_a_thousand_headers_fail_the_invocation() {
    let lines = "X-A: b\r\n".repeat(1001);
    assert_fails(
        raw(format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).close(),
        "Function.AppProtocol",
        &["1000"],
    );
}

#[test]
fn interim_answers_without_end_fail_the_invocation() {
    let endless = raw("")
        .flood("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 50_000)
        .close();
    assert_fails(endless, "Function.AppProtocol", &[]);
}

#[test]
fn answer_to_a_protocol_we_never_asked_for_fails_the_invocation() {
    let switched = raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n").close();
    assert_fails(switched, "Function.AppProtocol", &[]);
}

#[test]
fn error_post_is_json_with_a_message_and_a_type() {
    let run = assert_fails(raw("").close(), "Function.AppProtocol", &[]);
    let body: Value = serde_json::from_slice(&run.error(1).body).expect("JSON");
    let keys: Vec<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert!(
        keys.iter()
            .all(|key| ["errorMessage", "errorType", "stackTrace"].contains(key)),
        "{body}"
    );
}

#[test]
fn error_message_is_one_plain_sentence() {
    let (_, message) = assert_fails(raw("").close(), "Function.AppProtocol", &[]).failure(1);
    assert!(message.starts_with("failed to "), "{message}");
    assert!(
        !message.contains('\n') && !message.ends_with('.'),
        "{message}"
    );
}

#[test]
fn failure_is_logged_with_its_cause() {
    let run = assert_fails(raw("nonsense\r\n\r\n").close(), "Function.AppProtocol", &[]);
    let log = run.log();
    assert!(
        log.lines()
            .any(|line| line.contains("ERROR") && line.contains("failed to ")),
        "{log}"
    );
}

fn with_codes(codes: &str, event: Value, response: Response) -> Run {
    scenario()
        .env("AWS_LWA_ERROR_STATUS_CODES", codes)
        .respond(response)
        .invoke(event)
        .run()
}

/// The error for a status in the list: the type in the header, and the body.
fn http_status(run: &Run) -> Value {
    let message = run.error(1);
    assert_eq!(
        message.header("lambda-runtime-function-error-type"),
        Some("Function.HttpStatus")
    );
    serde_json::from_slice(&message.body).expect("JSON")
}

#[test]
fn status_in_the_error_list_fails_the_invocation() {
    for event in [get("/"), rest("GET", "/"), alb("GET", "/"), sqs()] {
        let run = with_codes(
            "500-599, 418",
            event,
            response("503 Service Unavailable", "try \"later\""),
        );
        let body = http_status(&run);
        assert_eq!(body["errorType"], "HTTP.503");
        let message: Value = serde_json::from_str(body["errorMessage"].as_str().unwrap())
            .expect("JSON in the message");
        assert_eq!(message, json!({"statusCode": 503, "body": "try \"later\""}));
    }
}

#[test]
fn error_type_of_the_apps_own_reaches_step_functions() {
    let body = r#"{"errorType":"OutOfStock","detail":1}"#;
    let run = with_codes(
        "400-599",
        get("/"),
        response("409 Conflict\nContent-Type: application/json", body),
    );
    assert_eq!(http_status(&run)["errorType"], "OutOfStock");
    let run = with_codes(
        "400-599",
        get("/"),
        response("409 Conflict", r#"{"detail":1}"#),
    );
    assert_eq!(http_status(&run)["errorType"], "HTTP.409");
}

#[test]
fn status_outside_the_error_list_is_an_ordinary_reply() {
    let run = with_codes("500-599,418", get("/"), response("404 Not Found", "no"));
    assert_eq!(run.reply(1)["statusCode"], 404);
    assert_eq!(
        invoke_once(get("/"), response("500 Oops", "no")).reply(1)["statusCode"],
        500
    );
}

#[test]
fn loop_goes_on_after_every_kind_of_failure() {
    let bad = [
        raw("").close(),
        raw("junk\r\n\r\n").close(),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx").close(),
    ];
    let scenario = bad
        .into_iter()
        .fold(scenario(), crate::harness::scenario::Scenario::respond)
        .respond(response("200 OK", "well"));
    // POST, since a GET on a stale connection is retried.
    let run = scenario
        .invoke_all(["{", ""])
        .invoke_all(vec![url("POST", "/"); 4])
        .run();
    (1..=5).for_each(|number| drop(run.failure(number)));
    assert_eq!(run.reply(6)["body"], "well");
}

#[test]
fn app_that_hangs_fails_in_time_when_a_margin_is_set() {
    let run = assert_fails_in_time(raw("").hang());
    run.assert_failure(1, "Function.AppTimeout", &["/slow"]);
}

#[test]
fn app_that_accepts_no_connection_fails_in_time() {
    let full = FullQueue::new();
    let ready = TcpListener::bind("127.0.0.1:0").unwrap();
    let ready_port = ready.local_addr().unwrap().port().to_string();
    for margin in ["(unset)", "1000"] {
        let run = scenario()
            .env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", margin)
            .env("AWS_LWA_PORT", &full.port())
            .env("AWS_LWA_READINESS_CHECK_PORT", &ready_port)
            .env("AWS_LWA_READINESS_CHECK_PROTOCOL", "tcp")
            .invoke(crate::harness::api::Invocation::from(get("/")).remaining(1500))
            .run();
        run.assert_failure(
            1,
            "Function.AppTimeout",
            &["connect", "no connection after"],
        );
        let waited = run.posts(1)[0].0.at
            - run.api_requests("/2018-06-01/runtime/invocation/next")[0]
                .0
                .at;
        // Without a margin it ends a second after the deadline.
        let most = if margin == "1000" { 1400 } else { 2900 };
        assert!(
            (200..most).contains(&waited.as_millis()),
            "{margin}: {waited:?}"
        );
    }
}

#[test]
fn body_that_stalls_fails_in_time_when_a_margin_is_set() {
    assert_fails_in_time(raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").hang());
}

#[test]
fn body_that_drips_fails_in_time_when_a_margin_is_set() {
    let head = raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    assert_fails_in_time((0..50).fold(head, |response, _| response.send("x").pause(50)));
}

#[test]
fn head_that_drips_fails_in_time_when_a_margin_is_set() {
    assert_fails_in_time(
        (0..50).fold(raw("HTTP/1.1 200 OK\r\nX-A: "), |response, _| {
            response.send("x").pause(50)
        }),
    );
}

/// An invocation with 1.5 s left and a margin of 1 s fails after half a second, and the next one
/// succeeds.
fn assert_fails_in_time(bad: Response) -> Run {
    let invocation = crate::harness::api::Invocation::from(get("/slow")).remaining(1500);
    let scenario = scenario()
        .env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "1000")
        .at("/slow", bad);
    let run = scenario.invoke(invocation).invoke(get("/")).run();
    run.assert_failure(1, "Function.AppTimeout", &[]);
    let slow = |(_, request): &&(crate::harness::record::Entry, crate::harness::http::Message)| {
        request.target == "/slow"
    };
    let requested = run
        .app_requests()
        .iter()
        .find(slow)
        .map(|(entry, _)| entry.at)
        .expect("the slow request");
    let waited = run.posts(1)[0].0.at - requested;
    assert!((200..1400).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(run.reply(2)["statusCode"], 200);
    run
}

#[test]
fn app_that_hangs_is_named_in_the_log_before_the_deadline() {
    let invocation = crate::harness::api::Invocation::from(get("/slow")).remaining(2000);
    let mut run = scenario()
        .at("/slow", raw("").hang())
        .invoke(invocation)
        .start();
    run.wait_until("a line that names the request", |run| {
        run.log()
            .lines()
            .any(|line| line.contains("WARN") && line.contains("/slow"))
    });
    let requested = run
        .app_requests()
        .iter()
        .find(|(_, request)| request.target == "/slow")
        .map(|(entry, _)| entry.at)
        .unwrap();
    assert!(
        (run.record.now() - requested).as_millis() < 2000,
        "too late to be read before Lambda kills the environment"
    );
    assert!(run.posts(1).is_empty());
}

#[test]
fn a_margin_larger_than_the_time_left_is_half_of_it() {
    // The body comes in a second read, after the time at which a margin of 5 s has passed.
    let slow = raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        .pause(100)
        .send("ok");
    for mode in ["buffered", "response_stream"] {
        let invocation = || crate::harness::api::Invocation::from(get("/slow")).remaining(3000);
        let run = scenario()
            .env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "5000")
            .env("AWS_LWA_INVOKE_MODE", mode)
            .at("/slow", slow.clone())
            .at("/hangs", raw("").hang())
            .invoke_all([invocation(), invocation()])
            .invoke(crate::harness::api::Invocation::from(get("/hangs")).remaining(1000))
            .run();
        for number in [1, 2] {
            assert!(run.response(number).trailers.is_empty(), "{mode}");
        }
        run.assert_failure(3, "Function.AppTimeout", &["/hangs"]);
        let log = run.log();
        let warning = "AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS=5000 is more than half";
        assert_eq!(log.matches(warning).count(), 1, "{log}");
    }
}

#[test]
fn a_deadline_in_the_past_counts_as_none() {
    // Longer than a wait that ends a second after the deadline.
    let slow = raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        .send("o")
        .pause(1500)
        .send("k");
    for mode in ["buffered", "response_stream"] {
        for margin in ["(unset)", "1000"] {
            let past = |path| {
                crate::harness::api::Invocation::from(get(path))
                    .header("Lambda-Runtime-Deadline-Ms", "600000")
            };
            let run = scenario()
                .env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", margin)
                .env("AWS_LWA_INVOKE_MODE", mode)
                .at("/slow", slow.clone())
                .invoke_all([past("/slow"), past("/")])
                .run();
            let response = run.response(1);
            assert!(response.complete && response.trailers.is_empty());
            assert!(response.text().contains("ok"), "{}", response.text());
            let context = run.request(1);
            let context = context.header("x-amzn-lambda-context").expect("a context");
            assert!(context.contains("600000"), "{context}");
            let log = run.log();
            assert_eq!(
                log.matches("600000, which is in the past").count(),
                1,
                "{log}"
            );
            assert!(!log.contains("not finished"), "{log}");
        }
    }
}
