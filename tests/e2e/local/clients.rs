//! HTTP clients of every kind: old, patient, hasty, and those that ask for what Lambda has not.

use super::run::{Local, python_site, raw, send, start};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The status lines in what came back.
fn statuses(received: &str) -> Vec<&str> {
    let lines = received.split("HTTP/1.1 ").skip(1);
    lines.filter_map(|rest| rest.split(' ').next()).collect()
}

/// Sends a request that the front end refuses; its cause is in the log and in a header.
fn assert_refused(local: &mut Local, request: &str, status: &str, cause: &str) {
    let response = raw(local.address, request.as_bytes());
    assert_eq!(statuses(&response), [status], "{response}");
    let header = response
        .lines()
        .find(|line| line.starts_with("x-lambda-local-error: "));
    assert!(
        header.is_some_and(|line| line.contains(cause)),
        "{response}"
    );
    let line = local.wait_for("the front end refused a request: ");
    assert!(line.contains(cause), "{line}");
}

#[test]
fn an_http_1_0_client_may_keep_its_connection() {
    let Some(local) = python_site(&[]) else {
        return;
    };
    let keep = "GET /json HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let close = "GET /json HTTP/1.0\r\n\r\n";
    let received = raw(local.address, format!("{keep}{keep}{close}").as_bytes());
    assert_eq!(statuses(&received), ["200"; 3], "{received}");
    let kept = received.to_lowercase();
    assert_eq!(kept.matches("connection: keep-alive\r\n").count(), 2);
    assert_eq!(kept.matches("connection: close\r\n").count(), 1);
    assert_eq!(kept.matches("content-length: ").count(), 3);
}

#[test]
fn pipelined_requests_get_their_responses_in_order() {
    let Some(local) = python_site(&[]) else {
        return;
    };
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nhost: x\r\n");
    let requests = [
        request("/seen?n=1") + "\r\n",
        request("/seen?n=2") + "\r\n",
        request("/seen?n=3") + "connection: close\r\n\r\n",
    ];
    let received = raw(local.address, requests.concat().as_bytes());
    assert_eq!(statuses(&received), ["200"; 3]);
    let places = ["?n=1", "?n=2", "?n=3"].map(|text| received.find(text));
    assert!(places.is_sorted() && places[0].is_some(), "{received}");
}

#[test]
fn a_chunked_upload_reaches_the_app() {
    let Some(local) = python_site(&[]) else {
        return;
    };
    let received = raw(
        local.address,
        b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\
          connection: close\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
    );
    assert!(received.ends_with("\r\n\r\nabcdefg"), "{received}");
}

#[test]
fn a_client_that_expects_100_sends_nothing_that_is_refused() {
    let Some(local) = python_site(&[]) else {
        return;
    };
    let head = |length: usize| {
        format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n"
        )
    };
    let mut stream = TcpStream::connect(local.address).expect("a connection");
    let timeout = Some(Duration::from_secs(30));
    stream.set_read_timeout(timeout).expect("a timeout");
    stream.write_all(head(5).as_bytes()).expect("a head");
    let mut interim = [0; 25];
    stream
        .read_exact(&mut interim)
        .expect("an interim response");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").expect("a body");
    let mut received = String::new();
    stream.read_to_string(&mut received).expect("a response");
    assert!(received.ends_with("hello"), "{received}");

    let refused = raw(local.address, head(50_000_000).as_bytes());
    assert_eq!(statuses(&refused), ["413"], "{refused}");
    let unknown = raw(
        local.address,
        b"GET / HTTP/1.1\r\nhost: x\r\nexpect: 200-ok\r\n\r\n",
    );
    assert_eq!(statuses(&unknown), ["400"], "{unknown}");
    let old = raw(
        local.address,
        b"GET /json HTTP/1.0\r\nexpect: 100-continue\r\n\r\n",
    );
    assert_eq!(statuses(&old), ["200"], "{old}");
}

#[test]
fn requests_that_cannot_be_understood_get_a_response() {
    let local = start(&[], &[]);
    for (head, status) in [
        ("GET / HTTP/2.0\r\n\r\n", "505"),
        ("GET /\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "400"),
        ("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", "501"),
        (
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "400",
        ),
        ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", "400"),
    ] {
        let received = raw(local.address, head.as_bytes());
        assert_eq!(statuses(&received), [status], "{head}: {received}");
        assert!(received.contains("connection: close\r\n"), "{received}");
    }
}

#[test]
fn a_websocket_is_refused_with_the_reason() {
    let mut local = start(&[], &[]);
    let request = "GET /chat HTTP/1.1\r\nhost: x\r\nconnection: close, Upgrade\r\n\
        upgrade: websocket\r\n\r\n";
    assert_refused(&mut local, request, "501", "WebSocket");
}

#[test]
fn an_offer_of_http_2_is_ignored() {
    let local = start(&[], &[]);
    let request = "GET /seen HTTP/1.1\r\nhost: x\r\nconnection: close, Upgrade\r\n\
        upgrade: h2c\r\n\r\n";
    assert_eq!(statuses(&raw(local.address, request.as_bytes())), ["200"]);
}

#[test]
fn refusals_name_their_cause() {
    let mut local = start(&["--event", "rest-api", "--stage", "live"], &[]);
    let request = "GET /other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_refused(
        &mut local,
        request,
        "403",
        "does not start with the stage, /live",
    );

    let mut local = start(&[], &[]);
    let request = "OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_refused(&mut local, request, "400", "not a path");

    let local = start(&["--event", "alb"], &[]);
    let large = vec![b'x'; (1 << 20) + 1];
    let response = send(local.address, "POST", "/upload", &[], &large);
    let cause = response.header("x-lambda-local-error");
    assert!(cause.is_some_and(|cause| cause.contains("larger than 1048576 bytes")));
}

#[test]
fn a_502_names_what_it_hides() {
    let Some(local) = python_site(&["--timeout", "3"]) else {
        return;
    };
    let slow = local.get("/slow?seconds=20");
    assert_eq!(slow.status, 502);
    assert_eq!(
        slow.header("x-lambda-local-error"),
        Some("Sandbox.Timedout: Task timed out after 3.00 seconds")
    );
    assert_eq!(local.get("/json").header("x-lambda-local-error"), None);
}
