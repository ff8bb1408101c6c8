//! Response streaming: prelude, body as it arrives, the end, and every failure in between.
//!
//! As in the AWS page "Response streaming for custom runtimes": the mode in a header, errors after
//! the head in HTTP trailers (RFC 9110 6.5). The connection is kept, as AWS's own runtimes do.

use crate::harness::api::{Invocation, Post};
use crate::harness::app::{Response, chunk, raw, response};
use crate::harness::base64;
use crate::harness::events::*;
use crate::harness::http::Message;
use crate::harness::record::{EntryKind, Side};
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::{Value, json};

const MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "Lambda-Runtime-Function-Error-Type";
const ERROR_BODY: &str = "Lambda-Runtime-Function-Error-Body";

fn streaming() -> Scenario {
    scenario().env("AWS_LWA_INVOKE_MODE", "response_stream")
}

fn stream(event: impl Into<Invocation>, response: Response) -> Run {
    streaming().respond(response).invoke(event).run()
}

/// A streamed response taken apart: prelude and body.
fn parts(message: &Message) -> (Value, Vec<u8>) {
    let end = message
        .body
        .windows(8)
        .position(|window| window == [0; 8])
        .expect("eight NULs");
    let prelude = serde_json::from_slice(&message.body[..end]).expect("a JSON prelude");
    (prelude, message.body[end + 8..].to_vec())
}

fn prelude(response: Response) -> Value {
    parts(&stream(get("/"), response).response(1)).0
}

/// The error that ended a stream, from its trailers.
fn broken(message: &Message) -> (String, Value) {
    let kind = message
        .trailer(ERROR_TYPE)
        .expect("an error type in the trailers")
        .to_owned();
    let body = base64::decode(
        message
            .trailer(ERROR_BODY)
            .expect("an error body in the trailers"),
    );
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["errorType"], kind.as_str());
    (kind, body)
}

#[test]
fn streamed_post_has_the_headers_lambda_needs() {
    let message = stream(get("/"), response("200 OK", "ok")).response(1);
    assert_eq!(message.header(MODE), Some("streaming"));
    assert_eq!(message.header("transfer-encoding"), Some("chunked"));
    assert_eq!(
        message.header("content-type"),
        Some("application/vnd.awslambda.http-integration-response")
    );
    assert_eq!(message.header("content-length"), None);
    let announced = message.all("trailer").join(",").to_lowercase();
    assert!(
        announced.contains(&ERROR_TYPE.to_lowercase())
            && announced.contains(&ERROR_BODY.to_lowercase()),
        "{announced}"
    );
    assert!(message.trailers.is_empty());
}

#[test]
fn prelude_holds_status_headers_and_cookies() {
    let head = "201 Created\nContent-Type: text/plain\nX-Rep: one\nX-Rep: two\nSet-Cookie: a=1; \
        Expires=Wed, 21 Oct 2026\nSet-Cookie: b=2";
    let (prelude, body) = parts(&stream(get("/"), response(head, b"\x00\xffok")).response(1));
    assert_eq!(prelude["statusCode"], 201);
    assert_eq!(
        prelude["headers"],
        json!({"content-type": "text/plain", "x-rep": "one, two"})
    );
    assert_eq!(
        prelude["cookies"],
        json!(["a=1; Expires=Wed, 21 Oct 2026", "b=2"])
    );
    assert_eq!(body, b"\x00\xffok");
}

#[test]
fn headers_that_api_gateway_does_not_read_to_their_end_are_logged() {
    let logged = |len: usize| {
        let large = format!("200 OK\nx-large: {}", "a".repeat(len));
        let run = stream(get("/"), response(&large, "ok"));
        assert_eq!(parts(&run.response(1)).1, b"ok", "still sent");
        run.log().contains("the client may get status 502")
    };
    assert!(logged(20_000));
    assert!(!logged(10_000));
}

#[test]
fn rest_and_http_api_events_stream_too() {
    for event in [rest("GET", "/"), http_api("GET", "/")] {
        let (prelude, body) = parts(&stream(event, response("200 OK\nX-A: 1", "ok")).response(1));
        assert_eq!(
            (&prelude["statusCode"], body),
            (&json!(200), b"ok".to_vec())
        );
    }
}

#[test]
fn cookies_of_a_rest_stream_arrive() {
    let response = response("200 OK\nSet-Cookie: a=1\nSet-Cookie: b=2", "ok");
    let (prelude, _) = parts(&stream(rest("GET", "/"), response).response(1));
    let cookies = [
        &prelude["cookies"],
        &prelude["multiValueHeaders"]["set-cookie"],
    ];
    assert!(cookies.contains(&&json!(["a=1", "b=2"])), "{prelude}");
}

#[test]
fn events_that_cannot_stream_get_a_plain_buffered_answer() {
    let run = streaming()
        .respond(response("200 OK", "ok"))
        .invoke_all([alb("GET", "/"), lattice("GET", "/"), schedule()])
        .run();
    for number in 1..=3 {
        assert_eq!(run.response(number).header(MODE), None);
        assert!(!run.response(number).body.contains(&0));
    }
    assert_eq!(
        (&run.reply(1)["body"], &run.reply(2)["body"], run.reply(3)),
        (&json!("ok"), &json!("ok"), json!("ok"))
    );
}

#[test]
fn streamed_answer_adds_no_content_type_and_no_framing() {
    assert_eq!(
        prelude(response("200 OK", "ok"))
            .get("headers")
            .cloned()
            .unwrap_or(json!({})),
        json!({})
    );
    let chunked = raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\n\
            ok\r\n0\r\n\r\n",
    );
    assert_eq!(
        prelude(chunked)
            .get("headers")
            .cloned()
            .unwrap_or(json!({})),
        json!({})
    );
}

#[test]
fn chunks_are_forwarded_as_they_arrive() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = raw(head)
        .wait_for("one")
        .send(chunk("data: 1\n\n"))
        .wait_for("two")
        .send(chunk("data: 2\n\n"))
        .wait_for("end")
        .send("0\r\n\r\n");
    let mut run = streaming().respond(response).invoke(get("/")).start();
    let arrived = |text: &'static str| {
        move |run: &Run| {
            run.posts(1)
                .first()
                .is_some_and(|(_, m)| m.text().ends_with(text))
        }
    };
    run.wait_until("the prelude before any body", arrived("\0\0\0\0\0\0\0\0"));
    run.open("one");
    run.wait_until("the first event", arrived("data: 1\n\n"));
    run.open("two");
    run.wait_until("the second event", arrived("data: 2\n\n"));
    assert!(!run.posts(1)[0].1.complete);
    run.open("end");
    run.finish();
}

#[test]
fn bytes_of_a_sized_body_are_forwarded_as_they_arrive() {
    let response = raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        .wait_for("rest")
        .send("def");
    let mut run = streaming().respond(response).invoke(get("/")).start();
    run.wait_until("the first half", |run| {
        run.posts(1)
            .first()
            .is_some_and(|(_, m)| m.text().ends_with("abc"))
    });
    run.open("rest");
    run.finish();
    assert_eq!(parts(&run.response(1)).1, b"abcdef");
}

#[test]
fn body_up_to_the_close_is_streamed() {
    let message = stream(get("/"), raw("HTTP/1.1 200 OK\r\n\r\nto the end").close()).response(1);
    assert_eq!(
        (parts(&message).1, message.trailers.len()),
        (b"to the end".to_vec(), 0)
    );
}

#[test]
fn small_answer_leaves_in_one_piece() {
    let run = streaming()
        .respond(response("200 OK", "ok"))
        .invoke_all([get("/"), get("/")])
        .run();
    let (entry, message) = &run.posts(2)[0];
    let spread = *message.pieces.last().map(|(at, _)| at).unwrap() - entry.at;
    // A delayed acknowledgement between two small writes would take 40 ms.
    assert!(spread.as_millis() < 30, "{spread:?}");
}

#[test]
fn empty_streamed_body_is_well_formed() {
    for head in [
        "200 OK\r\nContent-Length: 0",
        "204 No Content",
        "304 Not Modified\r\nETag: \"a\"",
        "200 OK\r\nTransfer-Encoding: chunked",
    ] {
        let end = if head.contains("chunked") {
            "0\r\n\r\n"
        } else {
            ""
        };
        let message = stream(get("/"), raw(format!("HTTP/1.1 {head}\r\n\r\n{end}"))).response(1);
        let (prelude, body) = parts(&message);
        assert_eq!(
            (&prelude["statusCode"], body.len(), message.complete),
            (&json!(head[..3].parse::<u16>().unwrap()), 0, true)
        );
    }
    let message = stream(
        url("HEAD", "/"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    )
    .response(1);
    assert!(parts(&message).1.is_empty() && message.complete);
}

#[test]
fn app_that_dies_mid_stream_ends_it_with_error_trailers() {
    let sized = raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc").close();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = raw(head).send(chunk("abc")).close();
    let reset = raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc").reset();
    let garbage = raw(head).send(chunk("abc")).send("zz\r\n");
    for bad in [sized, chunked, reset, garbage] {
        let run = streaming()
            .respond(bad)
            .respond(response("200 OK", "well"))
            .invoke_all([get("/"), get("/")])
            .run();
        let message = run.response(1);
        let (kind, body) = broken(&message);
        assert_eq!(
            (kind.as_str(), parts(&message).1),
            ("Function.AppProtocol", b"abc".to_vec())
        );
        let message = body["errorMessage"].as_str().expect("an errorMessage");
        assert!(message.contains('3') || message.contains("zz"), "{message}");
        assert_eq!(parts(&run.response(2)).1, b"well");
    }
}

#[test]
fn failure_before_the_head_is_an_ordinary_error() {
    let run = streaming()
        .respond(raw("nonsense\r\n\r\n").close())
        .invoke(get("/"))
        .run();
    run.assert_failure(1, "Function.AppProtocol", &[]);
}

#[test]
fn status_in_the_error_list_is_not_streamed() {
    let scenario = streaming()
        .env("AWS_LWA_ERROR_STATUS_CODES", "500-599")
        .respond(response("503 Busy", "later"));
    let run = scenario.invoke(get("/")).run();
    assert_eq!(
        run.error(1).header("lambda-runtime-function-error-type"),
        Some("Function.HttpStatus")
    );
}

#[test]
fn invocation_id_is_echoed_on_a_stream() {
    let invocation = Invocation::from(get("/")).header("Lambda-Runtime-Invocation-Id", "inv-7");
    assert_eq!(
        stream(invocation, response("200 OK", "ok"))
            .response(1)
            .header("lambda-runtime-invocation-id"),
        Some("inv-7")
    );
}

#[test]
fn slow_reader_holds_the_app_back_and_costs_no_memory() {
    const MIB: usize = 1 << 20;
    let flood = raw(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        200 * MIB
    ))
    .flood(vec![b'x'; MIB], 200);
    let invocation = Invocation::from(get("/")).post(Post::Hold(MIB, "read on".to_owned()));
    let mut run = streaming()
        .respond(flood.open("all written"))
        .invoke(invocation)
        .start();
    run.wait_until("a held reader", |run| {
        run.posts(1)
            .first()
            .is_some_and(|(_, message)| message.length >= MIB)
    });
    // The app cannot have written all of it: socket buffers are far smaller than the response.
    let later = run.record.now() + std::time::Duration::from_millis(200);
    run.wait_until("a fifth of a second", |run| run.record.now() > later);
    assert!(!run.is_open("all written"));
    run.open("read on");
    run.finish();
    assert_eq!(
        run.response(1).length,
        parts_length(&run.response(1)) + 200 * MIB
    );
    // The finished binary is static; another one has the C library's pages as well.
    let program = std::fs::metadata(format!("/proc/{}/exe", run.pid())).expect("the program");
    let most = if program.len() < MIB as u64 / 2 {
        3 * MIB / 2
    } else {
        6 * MIB
    };
    let held = run.memory();
    assert!(held.is_none_or(|held| held < most), "{held:?} bytes");
}

/// The length of prelude and NULs.
fn parts_length(message: &Message) -> usize {
    message
        .body
        .windows(8)
        .position(|window| window == [0; 8])
        .expect("eight NULs")
        + 8
}

#[test]
fn lambda_hanging_up_ends_the_app_connection_and_nothing_else() {
    let flood = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .flood(chunk("x".repeat(10_000)), 5000);
    let invocation = Invocation::from(get("/flood")).post(Post::HangUp(50_000));
    let run = streaming()
        .at("/flood", flood)
        .respond(response("200 OK", "well"))
        .invoke(invocation)
        .invoke(get("/after"));
    let mut run = run.start();
    run.wait_until("the next reply", |run| {
        run.posts(2)
            .first()
            .is_some_and(|(_, message)| message.complete)
    });
    assert_eq!(parts(&run.response(2)).1, b"well");
    let flooded = run
        .app_requests()
        .into_iter()
        .find(|(_, request)| request.target == "/flood")
        .unwrap()
        .0
        .connection;
    run.wait_until("the app's connection closed", |run| {
        run.entries()
            .iter()
            .any(|entry| entry.connection == flooded && matches!(entry.kind, EntryKind::Closed))
    });
    assert_eq!(run.connections(Side::App), 2);
}

#[test]
fn streams_share_a_connection_to_lambda_with_the_other_calls() {
    let run = streaming().invoke_all(vec![get("/x"); 5]).run();
    let posts: Vec<_> = (1..=5)
        .map(|number| run.posts(number)[0].0.connection)
        .collect();
    assert_eq!(posts, [posts[0]; 5]);
    assert!(
        run.connections(Side::Api) <= 3,
        "{}",
        run.connections(Side::Api)
    );
}

#[test]
fn connection_that_lambda_closes_after_a_stream_is_replaced() {
    let closing = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    for post in [Post::Close, Post::Response(closing.to_vec())] {
        let run = streaming()
            .invoke(Invocation::from(get("/x")).post(post))
            .invoke(get("/y"))
            .run();
        let connection = |number: usize| run.posts(number)[0].0.connection;
        assert_ne!(connection(1), connection(2));
        assert_eq!(parts(&run.response(2)).0["statusCode"], 200);
        assert!(!run.log().contains("WARN"), "{}", run.log());
    }
}

#[test]
fn stream_that_stalls_ends_in_time_when_a_margin_is_set() {
    let invocation = Invocation::from(get("/")).remaining(1500);
    let stalled = raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").hang();
    let run = streaming()
        .env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "1000")
        .respond(stalled)
        .invoke(invocation)
        .run();
    assert_eq!(broken(&run.response(1)).0, "Function.AppTimeout");
}

#[test]
fn bad_request_is_refused_within_a_stream() {
    let event = with(
        url("POST", "/"),
        json!({"body": "@@", "isBase64Encoded": true}),
    );
    let run = stream(event, response("200 OK", "ok"));
    assert_eq!(parts(&run.response(1)).0["statusCode"], 400);
}

#[test]
fn answers_larger_than_the_buffered_limit_stream() {
    let body = vec![b'x'; 8_000_000];
    let run = stream(
        get("/"),
        response("200 OK\nContent-Type: text/plain", &body),
    );
    assert!(parts(&run.response(1)).1 == body);
}
