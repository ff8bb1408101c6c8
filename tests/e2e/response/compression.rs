//! Compression: gzip where the client accepts it and it saves bytes, and the headers that follow
//! from it (RFC 9110 8.4, 12.5).

use crate::harness::app::{Response, chunk, raw, response};
use crate::harness::events::*;
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn compressing() -> Scenario {
    scenario().env("AWS_LWA_ENABLE_COMPRESSION", "true")
}

fn accepting(codings: &str) -> Value {
    with(get("/"), json!({"headers": {"accept-encoding": codings}}))
}

/// A REST API compresses no stream.
fn rest_accepting_gzip() -> Value {
    let accepts = json!({"accept-encoding": ["gzip"]});
    with(rest("GET", "/"), json!({"multiValueHeaders": accepts}))
}

fn reply(event: Value, response: Response) -> Value {
    compressing().respond(response).invoke(event).run().reply(1)
}

fn page() -> String {
    "<p>It was a bright cold day in April.</p>\n".repeat(200)
}

fn text(head: &str) -> Response {
    response(&format!("200 OK\nContent-Type: text/html\n{head}"), page())
}

fn is_compressed(reply: &Value) -> bool {
    reply["headers"]["content-encoding"] == "gzip"
}

/// The output of `gzip -d`.
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut input = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output().expect("gzip ends");
    let _ = writer.join();
    assert!(output.status.success(), "gzip -d failed");
    output.stdout
}

fn decoded(reply: &Value) -> Vec<u8> {
    assert_eq!(reply["isBase64Encoded"], true);
    gunzip(&crate::harness::base64::decode(
        reply["body"].as_str().unwrap(),
    ))
}

#[test]
fn text_is_compressed_for_clients_that_take_gzip() {
    let reply = reply(accepting("gzip, deflate, br"), text(""));
    assert!(is_compressed(&reply), "{reply}");
    assert_eq!(decoded(&reply), page().as_bytes());
    assert!(reply["body"].as_str().unwrap().len() < page().len() / 4);
}

#[test]
fn nothing_is_compressed_unless_it_is_switched_on() {
    let run = scenario().respond(text("")).invoke(accepting("gzip")).run();
    assert!(!is_compressed(&run.reply(1)));
    assert_eq!(run.reply(1)["headers"]["vary"], json!(null));
}

#[test]
fn accept_encoding_is_honoured_with_its_weights() {
    let codings = [
        ("gzip", true),
        ("GZIP", true),
        ("*", true),
        ("br, gzip;q=0.5", true),
        ("x-gzip", true),
        ("gzip;q=0.001", true),
        ("", false),
        ("br", false),
        ("identity", false),
        ("gzip;q=0", false),
        ("gzip; q=0.000, *", false),
        ("*;q=0", false),
        ("*;q=0, gzip", true),
        ("gzipped", false),
    ];
    for (accepted, expected) in codings {
        assert_eq!(
            is_compressed(&reply(accepting(accepted), text(""))),
            expected,
            "{accepted:?}"
        );
    }
    assert!(!is_compressed(&reply(get("/"), text(""))));
}

#[test]
fn what_gains_nothing_or_must_not_change_is_left_alone() {
    let long = "x".repeat(1000);
    let heads = [
        "Content-Type: image/png",
        "Content-Type: text/plain\nContent-Encoding: br",
        "Content-Type: text/event-stream",
        "Content-Type: text/plain\nCache-Control: public, No-Transform",
        "Content-Type: text/plain\nContent-Range: bytes 0-999/5000",
        "Content-Type: video/mp4",
        "Content-Type: application/zip",
    ];
    for head in heads {
        let reply = reply(
            accepting("gzip"),
            response(&format!("200 OK\n{head}"), &long),
        );
        assert!(!is_compressed(&reply), "{head}");
    }
    let partial = response(
        "206 Partial Content\nContent-Type: text/plain\nContent-Range: bytes 0-999/5000",
        &long,
    );
    assert!(!is_compressed(&reply(accepting("gzip"), partial)));
    assert!(!is_compressed(&reply(
        accepting("gzip"),
        response("200 OK\nContent-Type: text/plain", "x".repeat(31))
    )));
}

#[test]
fn svg_is_text_enough_to_compress() {
    let svg = response("200 OK\nContent-Type: image/svg+xml", "<svg/>".repeat(100));
    assert!(is_compressed(&reply(accepting("gzip"), svg)));
}

#[test]
fn small_chunked_body_is_left_alone_as_well() {
    let small = raw(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\
            ok\r\n0\r\n\r\n",
    );
    assert!(!is_compressed(&reply(accepting("gzip"), small)));
}

#[test]
fn answers_without_a_body_are_left_alone() {
    let head = with(
        url("HEAD", "/"),
        json!({"headers": {"accept-encoding": "gzip"}}),
    );
    let response =
        || raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n");
    assert_eq!(
        compressing()
            .respond(response())
            .invoke(head)
            .run()
            .reply(1)["body"],
        ""
    );
    let unchanged = raw(
        "HTTP/1.1 304 Not Modified\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n",
    );
    assert!(!is_compressed(&reply(accepting("gzip"), unchanged)));
}

#[test]
fn vary_gains_accept_encoding_once() {
    let vary = |head| {
        reply(accepting("gzip"), text(head))["headers"]["vary"]
            .as_str()
            .map(str::to_lowercase)
    };
    assert_eq!(vary("").as_deref(), Some("accept-encoding"));
    assert_eq!(
        vary("Vary: Cookie").as_deref(),
        Some("cookie, accept-encoding")
    );
    assert_eq!(
        vary("Vary: Accept-Encoding, Cookie").as_deref(),
        Some("accept-encoding, cookie")
    );
    assert_eq!(vary("Vary: *").as_deref(), Some("*"));
}

#[test]
fn strong_etag_becomes_weak() {
    let etag = |head| reply(accepting("gzip"), text(head))["headers"]["etag"].clone();
    assert_eq!(etag("ETag: \"abc\""), "W/\"abc\"");
    assert_eq!(etag("ETag: W/\"abc\""), "W/\"abc\"");
    assert_eq!(
        reply(accepting("br"), text("ETag: \"abc\""))["headers"]["etag"],
        "\"abc\""
    );
}

#[test]
fn ranges_are_no_longer_offered_for_a_compressed_body() {
    let reply = reply(accepting("gzip"), text("Accept-Ranges: bytes"));
    assert!(
        is_compressed(&reply) && reply["headers"]["accept-ranges"] != "bytes",
        "{reply}"
    );
}

#[test]
fn pass_through_answers_are_never_compressed() {
    let json = format!("[\"{}\"]", "x".repeat(500));
    let run = compressing()
        .respond(response("200 OK\nContent-Type: application/json", &json))
        .invoke(schedule())
        .run();
    assert_eq!(run.response(1).text(), json);
}

#[test]
fn every_kind_of_event_gets_compressed_answers() {
    for (kind, event) in http_kinds("GET", "/") {
        let accept = match kind {
            "ALB multi-value" => json!({"multiValueHeaders": {"accept-encoding": ["gzip"]}}),
            "Lattice" => json!({"headers": {"accept-encoding": ["gzip"]}}),
            "REST API" => {
                json!({"headers": {"Accept-Encoding": "gzip"},
                    "multiValueHeaders": {"Accept-Encoding": ["gzip"]}})
            }
            _ => json!({"headers": {"accept-encoding": "gzip"}}),
        };
        let reply = reply(with(event, accept), text(""));
        assert_eq!(decoded(&reply), page().as_bytes(), "{kind}");
    }
}

#[test]
fn another_client_is_told_that_the_answer_varies() {
    let vary = |head: &str| reply(accepting("br"), text(head))["headers"]["vary"].clone();
    assert_eq!(vary(""), "accept-encoding");
    assert_eq!(vary("Vary: *"), "*");
    assert_eq!(vary("Content-Encoding: br"), json!(null));
}

#[test]
fn what_was_said_of_the_plain_body_is_not_said_of_the_compressed_one() {
    let reply = reply(
        accepting("gzip"),
        text("Content-MD5: eA==\nDigest: sha-256=eA==\nContent-Digest: sha-256=:eA==:\nX-A: 1"),
    );
    let headers = reply["headers"].as_object().unwrap();
    assert_eq!(
        headers.keys().collect::<Vec<_>>(),
        ["content-encoding", "content-type", "vary", "x-a"]
    );
}

#[test]
fn what_is_too_large_plain_arrives_if_it_fits_compressed() {
    let body = page().repeat(1000);
    let chunked =
        raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
            .send(chunk(&body))
            .send("0\r\n\r\n");
    for response in [response("200 OK\nContent-Type: text/html", &body), chunked] {
        assert_eq!(
            decoded(&reply(accepting("gzip"), response)),
            body.as_bytes()
        );
    }
}

#[test]
fn what_is_too_large_even_compressed_fails_and_the_next_is_answered() {
    let mut state = 1u32;
    let noise: Vec<u8> = (0..7_000_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    let run = compressing()
        .respond(response("200 OK\nContent-Type: text/plain", &noise))
        .respond(text(""))
        .invoke_all([accepting("gzip"), accepting("gzip")])
        .run();
    run.assert_failure(1, "Function.ResponseTooLarge", &["7000000", "6291556"]);
    assert_eq!(decoded(&run.reply(2)), page().as_bytes());
}

#[test]
fn what_compressing_does_not_make_smaller_goes_as_it_is() {
    let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ";
    let reply = reply(
        accepting("gzip"),
        response("200 OK\nContent-Type: text/plain", letters),
    );
    assert_eq!(
        (&reply["body"], is_compressed(&reply)),
        (&json!(letters), false)
    );
}

#[test]
fn every_thread_has_the_stack_that_compressing_takes() {
    let run = compressing()
        .env("AWS_LAMBDA_MAX_CONCURRENCY", "4")
        .at("/", text("").pause(50))
        .invoke_all(vec![accepting("gzip"); 8])
        .run();
    for number in 1..=8 {
        assert_eq!(decoded(&run.reply(number)), page().as_bytes());
    }
}

#[test]
fn status_in_the_error_list_is_reported_in_plain_text() {
    let run = compressing()
        .env("AWS_LWA_ERROR_STATUS_CODES", "500")
        .respond(response("500 Oops\nContent-Type: text/plain", page()))
        .invoke(accepting("gzip"))
        .run();
    let failure = run.error(1).text();
    assert!(failure.contains("bright cold day"), "{failure}");
}

/// The body of a streamed response, after the NULs.
fn streamed(run: &Run) -> (Value, Vec<u8>) {
    let message = &run.posts(1)[0].1;
    let end = message
        .body
        .windows(8)
        .position(|window| window == [0; 8])
        .expect("eight NULs");
    (
        serde_json::from_slice(&message.body[..end]).expect("a prelude"),
        message.body[end + 8..].to_vec(),
    )
}

#[test]
fn streams_are_compressed_and_flushed_with_each_chunk() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = raw(head)
        .send(chunk(page()))
        .wait_for("rest")
        .send(chunk("the end"))
        .send("0\r\n\r\n");
    let scenario = compressing()
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .respond(response);
    let mut run = scenario.invoke(rest_accepting_gzip()).start();
    // All of the first chunk must be decodable before the second is sent.
    run.wait_until("the first chunk", |run| {
        let complete = |run: &Run| {
            run.posts(1)
                .first()
                .is_some_and(|(_, message)| message.body.contains(&0x1f))
        };
        complete(run) && inflated_so_far(&streamed(run).1) == page().as_bytes()
    });
    run.open("rest");
    run.finish();
    let (prelude, body) = streamed(&run);
    assert_eq!(
        prelude["multiValueHeaders"]["content-encoding"],
        json!(["gzip"])
    );
    assert_eq!(gunzip(&body), (page() + "the end").as_bytes());
}

#[test]
fn stream_of_a_function_url_is_sent_as_it_is() {
    // A function URL decodes the coding of a stream, and behind CloudFront the client gets 502.
    for event in [get("/"), http_api("GET", "/")] {
        let event = with(event, json!({"headers": {"accept-encoding": "gzip"}}));
        let scenario = compressing().env("AWS_LWA_INVOKE_MODE", "response_stream");
        let run = scenario.respond(text("ETag: \"a\"")).invoke(event).run();
        let (prelude, body) = streamed(&run);
        let headers = json!({"content-type": "text/html", "etag": "\"a\""});
        assert_eq!(prelude["headers"], headers);
        assert_eq!(body, page().as_bytes());
    }
}

/// The part of an unfinished gzip stream that `gzip` prints before its error.
fn inflated_so_far(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("gzip");
    let _ = gzip.stdin.take().unwrap().write_all(bytes);
    gzip.wait_with_output().expect("gzip ends").stdout
}

#[test]
fn event_streams_are_not_compressed() {
    let response = raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        .send("data: 1\n\n".repeat(20))
        .close();
    let scenario = compressing()
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .respond(response);
    let (prelude, body) = streamed(&scenario.invoke(rest_accepting_gzip()).run());
    assert_eq!(
        (&prelude["multiValueHeaders"]["content-encoding"], body),
        (&json!(null), "data: 1\n\n".repeat(20).into_bytes())
    );
}

#[test]
fn empty_and_small_streams_of_known_length_are_left_alone() {
    for body in ["", "ok"] {
        let scenario = compressing()
            .env("AWS_LWA_INVOKE_MODE", "response_stream")
            .respond(response("200 OK\nContent-Type: text/plain", body));
        let (prelude, sent) = streamed(&scenario.invoke(rest_accepting_gzip()).run());
        assert_eq!(
            (&prelude["multiValueHeaders"]["content-encoding"], &*sent),
            (&json!(null), body.as_bytes())
        );
    }
}

#[test]
fn compressed_stream_that_breaks_off_delivers_what_came_before_and_says_so() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
    let run = compressing()
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .respond(raw(head).send(chunk(page())).close())
        .invoke(rest_accepting_gzip())
        .run();
    assert_eq!(inflated_so_far(&streamed(&run).1), page().as_bytes());
    let trailers = &run.posts(1)[0].1.trailers;
    assert!(
        trailers
            .iter()
            .any(|(_, value)| value == "Function.AppProtocol"),
        "{trailers:?}"
    );
}
