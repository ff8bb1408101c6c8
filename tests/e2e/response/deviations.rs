//! Responses of real servers that deviate from RFC 9112 and have one meaning all the same: they reach
//! the client, and their connection is not used again.

use crate::harness::app::{Response, raw, response};
use crate::harness::events::*;
use crate::harness::scenario::scenario;
use serde_json::Value;

/// The app sends this and keeps the connection open, unless the response closes it.
fn assert_carried(odd: &Response, status: u16, body: &str) {
    for mode in ["buffered", "response_stream"] {
        let run = scenario()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .respond(odd.clone())
            .respond(response("200 OK", "well"))
            .invoke_all([get("/first"), get("/second")])
            .run();
        for (number, status, body) in [(1, status, body), (2, 200, "well")] {
            if mode == "buffered" {
                let reply = run.reply(number);
                assert_eq!(reply["statusCode"], status);
                assert_eq!(reply["body"], body);
            } else {
                let post = run.response(number);
                let end = post.body.windows(8).position(|window| window == [0; 8]);
                let (prelude, rest) = post.body.split_at(end.expect("a prelude"));
                let prelude: Value = serde_json::from_slice(prelude).expect("JSON");
                assert_eq!(prelude["statusCode"], status);
                assert_eq!(String::from_utf8_lossy(&rest[8..]), body);
                assert!(post.trailers.is_empty());
            }
        }
        let connections: Vec<_> = run
            .app_requests()
            .into_iter()
            .filter(|(_, request)| request.target != "/")
            .map(|(entry, _)| entry.connection)
            .collect();
        assert_eq!(connections.len(), 2);
        assert_ne!(connections[0], connections[1], "the connection was reused");
    }
}

#[test]
fn lines_of_a_head_may_end_with_lf() {
    // CGI scripts of busybox httpd, and of `python3 -m http.server --cgi`.
    let busybox = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\n\nhello";
    assert_carried(&raw(busybox).close(), 200, "hello");
    let python = "HTTP/1.0 200 Script output follows\r\nServer: SimpleHTTP/0.6\r\nDate: now\r\n\
        Content-Type: text/plain\n\nhello";
    assert_carried(&raw(python).close(), 200, "hello");
    for head in [
        "HTTP/1.1 201 Created\nContent-Length: 2\n\n",
        "HTTP/1.1 201 Created\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\n",
        "HTTP/1.1 201 Created\r\nContent-Length: 2\n\r\n",
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n",
    ] {
        assert_carried(&raw(format!("{head}ok")), 201, "ok");
    }
}

#[test]
fn identity_is_no_transfer_coding() {
    // The package `ssestream` for Node, and Go before 1.18.
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n";
    let events = raw(format!("{head}\r\ndata: 1\n\n")).close();
    assert_carried(&events, 200, "data: 1\n\n");
    assert_carried(
        &raw(format!("{head}Content-Length: 2\r\n\r\nok")),
        200,
        "ok",
    );
}

#[test]
fn chunked_twice_or_after_identity_is_chunked() {
    // Tomcat, where an app copies the header of another response.
    for codings in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity, chunked",
    ] {
        let chunks = format!("HTTP/1.1 200 OK\r\n{codings}\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        assert_carried(&raw(chunks), 200, "ok");
    }
}

#[test]
fn empty_lines_before_the_status_line_are_skipped() {
    for lines in ["\r\n", "\n", "\r\n\r\n"] {
        let odd = format!("{lines}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_carried(&raw(odd), 200, "ok");
    }
}

#[test]
fn trailers_may_end_with_lf() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
    for trailers in ["\n", "X-Sum: 1\n\r\n", "X-Sum: 1\r\n\n"] {
        assert_carried(&raw(format!("{chunks}{trailers}")), 200, "ok");
    }
}

#[test]
fn length_that_frames_nothing_is_not_judged() {
    for length in ["-1", "", "2, 3", "2\r\nContent-Length: 3"] {
        let head = format!("Content-Length: {length}\r\n");
        let chunks = format!(
            "HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        );
        assert_carried(&raw(chunks), 200, "ok");
        for status in [204, 304] {
            let head = format!("HTTP/1.1 {status} x\r\n{head}\r\n");
            assert_carried(&raw(head), status, "");
        }
    }
}

#[test]
fn length_that_is_none_is_not_sent_to_the_client() {
    let odd = raw("HTTP/1.1 304 x\r\nContent-Length: 2, 3\r\nETag: \"a\"\r\n\r\n");
    let run = scenario().respond(odd).invoke(get("/")).run();
    assert_eq!(
        run.reply(1)["headers"],
        serde_json::json!({"etag": "\"a\""})
    );
}
