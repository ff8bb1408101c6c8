//! Compression: gzip when the client takes it and it is worth it, and the headers that must follow (RFC 9110 8.4, 12.5).

use crate::events::*;
use crate::fakes::app::{Answer, answer, chunk, raw};
use crate::run::Run;
use crate::scenario::{Scenario, scenario};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

fn compressing() -> Scenario {
    scenario().env("AWS_LWA_ENABLE_COMPRESSION", "true")
}

fn accepting(codings: &str) -> Value {
    with(get("/"), json!({"headers": {"accept-encoding": codings}}))
}

fn reply(event: Value, answer: Answer) -> Value {
    compressing().answer(answer).invoke(event).run().reply(1)
}

fn page() -> String {
    "<p>It was a bright cold day in April.</p>\n".repeat(200)
}

fn text(head: &str) -> Answer {
    answer(&format!("200 OK\nContent-Type: text/html\n{head}"), page())
}

fn is_compressed(reply: &Value) -> bool {
    reply["headers"]["content-encoding"] == "gzip"
}

/// What `gzip -d` makes of it.
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
    gunzip(&crate::base64::decode(reply["body"].as_str().unwrap()))
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
    let run = scenario().answer(text("")).invoke(accepting("gzip")).run();
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
        let reply = reply(accepting("gzip"), answer(&format!("200 OK\n{head}"), &long));
        assert!(!is_compressed(&reply), "{head}");
    }
    let partial = answer(
        "206 Partial Content\nContent-Type: text/plain\nContent-Range: bytes 0-999/5000",
        &long,
    );
    assert!(!is_compressed(&reply(accepting("gzip"), partial)));
    assert!(!is_compressed(&reply(
        accepting("gzip"),
        answer("200 OK\nContent-Type: text/plain", "x".repeat(31))
    )));
}

#[test]
fn svg_is_text_enough_to_compress() {
    let svg = answer("200 OK\nContent-Type: image/svg+xml", "<svg/>".repeat(100));
    assert!(is_compressed(&reply(accepting("gzip"), svg)));
}

#[test]
fn small_chunked_body_is_left_alone_as_well() {
    let small = raw(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    assert!(!is_compressed(&reply(accepting("gzip"), small)));
}

#[test]
fn answers_without_a_body_are_left_alone() {
    let head = with(
        url("HEAD", "/"),
        json!({"headers": {"accept-encoding": "gzip"}}),
    );
    let answer =
        || raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n");
    assert_eq!(
        compressing().answer(answer()).invoke(head).run().reply(1)["body"],
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
        .answer(answer("200 OK\nContent-Type: application/json", &json))
        .invoke(sqs())
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
                json!({"headers": {"Accept-Encoding": "gzip"}, "multiValueHeaders": {"Accept-Encoding": ["gzip"]}})
            }
            _ => json!({"headers": {"accept-encoding": "gzip"}}),
        };
        let reply = reply(with(event, accept), text(""));
        assert_eq!(decoded(&reply), page().as_bytes(), "{kind}");
    }
}

/// The body of a streamed answer, after the NULs.
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
    let answer = raw(head)
        .send(chunk(page()))
        .pass("rest")
        .send(chunk("the end"))
        .send("0\r\n\r\n");
    let scenario = compressing()
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .answer(answer);
    let mut run = scenario.invoke(accepting("gzip")).start();
    // All of the first chunk must be decodable before the second is sent.
    run.until("the first chunk", |run| {
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
    assert_eq!(prelude["headers"]["content-encoding"], "gzip");
    assert_eq!(gunzip(&body), (page() + "the end").as_bytes());
}

/// What an unfinished gzip stream yields; `gzip` prints it, and then complains.
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
    let answer = raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        .send("data: 1\n\n".repeat(20))
        .close();
    let scenario = compressing()
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .answer(answer);
    let (prelude, body) = streamed(&scenario.invoke(accepting("gzip")).run());
    assert_eq!(
        (&prelude["headers"]["content-encoding"], body),
        (&json!(null), "data: 1\n\n".repeat(20).into_bytes())
    );
}
