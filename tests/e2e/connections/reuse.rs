//! Reuse of connections to the app, and requests on a connection that has gone stale.
//!
//! A request is sent again only where that cannot do a thing twice (RFC 9110 9.2.2).

use crate::harness::api::Invocation;
use crate::harness::app::{Response, raw, response};
use crate::harness::events::*;
use crate::harness::record::Side;
use crate::harness::scenario::{Run, scenario};
use serde_json::json;

fn ok() -> Response {
    response("200 OK", "ok")
}

/// The connection of each invocation's request, retries included.
fn connections(run: &Run) -> Vec<usize> {
    let requests = run
        .app_requests()
        .into_iter()
        .filter(|(_, request)| request.target != "/");
    requests.map(|(entry, _)| entry.connection).collect()
}

#[test]
fn one_connection_serves_all_invocations() {
    let run = scenario().invoke_all(vec![get("/x"); 5]).run();
    assert_eq!(run.connections(Side::App), 1);
}

#[test]
fn one_connection_to_lambda_serves_all_invocations() {
    let run = scenario().invoke_all(vec![get("/x"); 5]).run();
    // At most one for registration and event/next, one for the invocations.
    assert!(
        run.connections(Side::Api) <= 3,
        "{}",
        run.connections(Side::Api)
    );
}

#[test]
fn connection_the_app_closed_while_idle_is_not_used_again() {
    for method in ["GET", "POST"] {
        let event = || with(url(method, "/x"), json!({"body": "b"}));
        let run = scenario()
            .respond(ok().close().open("closed"))
            .respond(ok());
        let run = run
            .invoke(event())
            .invoke(Invocation::from(event()).after("closed"))
            .run();
        assert_eq!(run.reply(2)["statusCode"], 200, "{method}");
        assert_eq!(run.requests().len(), 2, "{method}");
    }
}

#[test]
fn connection_is_not_used_again_after_connection_close() {
    let closing = response("200 OK\nConnection: close", "ok");
    let run = scenario()
        .respond(closing)
        .respond(ok())
        .invoke_all([get("/x"), get("/x")])
        .run();
    let connections = connections(&run);
    assert_ne!(connections[0], connections[1]);
    assert_eq!(run.reply(2)["statusCode"], 200);
}

#[test]
fn connection_is_not_used_again_after_http_1_0() {
    let old = raw("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let run = scenario()
        .respond(old)
        .respond(ok())
        .invoke_all([get("/x"), get("/x")])
        .run();
    let connections = connections(&run);
    assert_ne!(connections[0], connections[1]);
}

#[test]
fn connection_with_unasked_bytes_on_it_is_not_used_again() {
    let chatty = raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: \
            4\r\n\r\nevil",
    );
    let run = scenario().respond(chatty.open("sent")).respond(ok());
    let run = run
        .invoke(get("/x"))
        .invoke(Invocation::from(get("/x")).after("sent"))
        .run();
    assert_eq!(run.reply(2)["body"], "ok");
    let connections = connections(&run);
    assert_ne!(connections[0], connections[1]);
}

#[test]
fn a_body_after_a_response_to_head_is_not_the_next_response() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n";
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for body in [body, ""] {
        let run = scenario()
            .respond(raw(head).wait_for("next").send(body))
            .respond(ok())
            .invoke(url("HEAD", "/x"))
            .invoke(get("/x"));
        let mut run = run.start();
        run.wait_until("the reply to HEAD", |run| !run.posts(1).is_empty());
        run.open("next");
        run.finish();
        assert_eq!(run.reply(2)["body"], "ok");
        let connections = connections(&run);
        assert_ne!(connections[0], connections[1]);
    }
}

#[test]
fn idempotent_request_on_a_stale_connection_is_retried_once_on_a_fresh_one() {
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        let run = scenario()
            .respond(ok())
            .respond(raw("").close())
            .respond(ok());
        let run = run.invoke_all([get("/x"), url(method, "/x")]).run();
        assert_eq!(run.reply(2)["statusCode"], 200, "{method}");
        let connections = connections(&run);
        assert_eq!(
            (connections.len(), connections[0] == connections[1]),
            (3, true),
            "{method}"
        );
        assert_ne!(connections[1], connections[2], "{method}");
    }
}

#[test]
fn reset_of_a_stale_connection_is_retried_as_a_close_is() {
    let run = scenario()
        .respond(ok())
        .respond(raw("").reset())
        .respond(ok());
    let run = run.invoke_all([get("/x"), get("/x")]).run();
    assert_eq!(run.reply(2)["statusCode"], 200);
}

#[test]
fn post_that_was_fully_written_is_not_sent_twice() {
    for method in ["POST", "PATCH"] {
        let run = scenario()
            .respond(ok())
            .respond(raw("").close())
            .respond(ok());
        let run = run
            .invoke_all([url(method, "/x"), url(method, "/x"), url(method, "/x")])
            .run();
        run.assert_failure(2, "Function.AppProtocol", &[]);
        assert_eq!(run.requests().len(), 3, "{method}");
        assert_eq!(run.reply(3)["statusCode"], 200, "{method}");
    }
}

#[test]
fn event_posted_to_the_pass_through_path_is_not_sent_twice() {
    let run = scenario()
        .respond(ok())
        .respond(raw("").close())
        .respond(ok())
        .invoke_all([sqs(), sqs()])
        .run();
    run.assert_failure(2, "Function.AppProtocol", &[]);
    assert_eq!(run.requests().len(), 2);
}

#[test]
fn request_is_not_retried_once_the_answer_has_begun() {
    let run = scenario()
        .respond(ok())
        .respond(raw("HTTP/1.1 2").close())
        .respond(ok());
    let run = run.invoke_all([get("/x"), get("/x")]).run();
    run.assert_failure(2, "Function.AppProtocol", &[]);
    assert_eq!(run.requests().len(), 2);
}

#[test]
fn request_is_retried_once_and_no_more() {
    let run = scenario()
        .respond(ok())
        .respond(raw("").close())
        .respond(raw("").close())
        .respond(ok());
    let run = run.invoke_all([get("/x"), get("/x"), get("/x")]).run();
    run.assert_failure(2, "Function.AppProtocol", &["(tried twice)"]);
    assert_eq!(
        (run.requests().len(), &run.reply(3)["statusCode"]),
        (4, &json!(200))
    );
}

#[test]
fn fresh_connection_that_fails_is_not_retried() {
    let run = scenario()
        .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "0")
        .respond(raw("").close())
        .respond(ok());
    let run = run.invoke_all([get("/x"), get("/x")]).run();
    run.assert_failure(1, "Function.AppProtocol", &[]);
    let (_, message) = run.failure(1);
    assert!(!message.contains("twice"), "{message}");
    assert_eq!(run.requests().len(), 2);
}

#[test]
fn idle_timeout_of_0_uses_each_connection_once() {
    let run = scenario()
        .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "0")
        .invoke_all(vec![get("/x"); 3])
        .run();
    let mut connections = connections(&run);
    connections.dedup();
    assert_eq!(connections.len(), 3);
}

#[test]
fn connection_idle_for_longer_than_the_limit_is_replaced() {
    let mut run = scenario()
        .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "0.9")
        .invoke_all(vec![get("/x"); 2])
        .run();
    let later = run.record.now() + std::time::Duration::from_millis(1200);
    run.wait_until("more than a second", |run| run.record.now() > later);
    run.invoke(get("/x"));
    run.finish();
    let connections = connections(&run);
    assert_eq!(
        (
            connections[0] == connections[1],
            connections[1] == connections[2]
        ),
        (true, false)
    );
}

#[test]
fn request_head_and_body_leave_in_one_segment() {
    // A server that reads once per request must find a small one complete.
    let event = with(url("POST", "/x"), json!({"body": "b".repeat(500)}));
    let run = scenario().invoke_all(vec![event; 3]).run();
    let whole = |request: &crate::harness::http::Message| {
        request.pieces.len() == 1 && request.body.len() == 500
    };
    assert!(run.requests().iter().all(whole));
}

#[test]
fn answer_may_come_before_the_request_is_read() {
    // An upload rejected early: the app responds and closes without reading the body.
    let refusal =
        raw("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").reset();
    let event = with(url("POST", "/x"), json!({"body": "b".repeat(5_000_000)}));
    let run = scenario()
        .respond(refusal)
        .respond(ok())
        .invoke_all([event, get("/x")])
        .run();
    assert_eq!(run.reply(2)["statusCode"], 200);
    let body = run.posts(1)[0].1.text();
    assert!(
        body.contains("413") || body.contains("Function.AppProtocol"),
        "{body}"
    );
}
