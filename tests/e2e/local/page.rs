//! The page at `/__lambda/` without a browser: its list, its messages, its actions, and the
//! requests that it refuses. `tests/page/` clicks through it in Chromium.

use super::run::{Local, Response, python_site, send, start};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(30);
const JSON: (&str, &str) = ("content-type", "application/json");

fn json(response: &Response) -> Value {
    let text = response.text();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn act(local: &Local, action: &str, body: &str) -> Response {
    let target = format!("/__lambda/{action}");
    send(local.address, "POST", &target, &[JSON], body.as_bytes())
}

/// Waits until an invocation has ended, and returns its details.
fn ended(local: &Local, number: u64) -> Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let detail = json(&local.get(&format!("/__lambda/invocations/{number}")));
        if detail["state"] == "done" {
            return detail;
        }
        assert!(Instant::now() < deadline, "{detail}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn message(local: &Local, number: u64, name: &str) -> Response {
    local.get(&format!("/__lambda/invocations/{number}/{name}"))
}

/// Sends a head as it is, and returns the status of the response.
fn status_of(local: &Local, head: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(local.address).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let length = body.len();
    let head = format!("{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).expect("a request");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("a response");
    let status = response
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("{response}"))
}

/// The stream of server-sent events.
struct Feed {
    stream: TcpStream,
    received: String,
}

impl Feed {
    fn open(local: &Local) -> Feed {
        let mut stream = TcpStream::connect(local.address).expect("a connection");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        let host = local.address;
        write!(
            stream,
            "GET /__lambda/feed HTTP/1.1\r\nhost: {host}\r\n\r\n"
        )
        .expect("a request");
        let received = String::new();
        Feed { stream, received }
    }

    fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.received.contains(text) {
            let read = self.stream.read(&mut buffer).expect("an event in time");
            assert!(read > 0, "the stream ended: {}", self.received);
            self.received += &String::from_utf8_lossy(&buffer[..read]);
        }
    }
}

#[test]
fn the_list_shows_an_invocation_as_it_happens() {
    let local = start(&["--invoke-mode", "response_stream"], &[]);
    let mut feed = Feed::open(&local);
    feed.wait_for("event: snapshot");
    let address = local.address;
    let client = std::thread::spawn(move || send(address, "GET", "/stream", &[], b""));
    feed.wait_for("\"target\":\"/stream\"");
    feed.wait_for("\"state\":\"running\"");
    feed.wait_for("\"status\":200");
    assert!(!client.is_finished(), "the stream is still running");
    assert!(!feed.received.contains("\"state\":\"done\""));
    feed.wait_for("\"state\":\"done\"");
    let response = client.join().expect("a response");
    assert_eq!((response.status, response.complete), (200, true));
}

#[test]
fn each_message_of_an_invocation_is_there() {
    let local = start(&[], &[]);
    let response = send(
        local.address,
        "POST",
        "/upload",
        &[("x-probe", "7")],
        b"a body",
    );
    assert_eq!(response.body, b"a body");
    let detail = ended(&local, 1);
    assert_eq!(detail["status"], 200);
    assert_eq!(detail["cold"], true);
    for mark in [
        "start",
        "delivered",
        "requestStart",
        "responseEnd",
        "replyEnd",
        "done",
    ] {
        assert!(detail["marks"][mark].is_number(), "{mark}: {detail}");
    }
    let lines = detail["lines"].to_string();
    assert!(
        lines.contains("REPORT RequestId") && lines.contains("demo app listening"),
        "{lines}"
    );
    assert_eq!(json(&message(&local, 1, "event"))["rawPath"], "/upload");
    let request = message(&local, 1, "request").text();
    assert!(
        request.starts_with("POST /upload HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("x-probe: 7\r\n") && request.ends_with("a body"),
        "{request}"
    );
    let response = message(&local, 1, "response").text();
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("a body"));
    assert_eq!(json(&message(&local, 1, "reply"))["statusCode"], 200);
}

#[test]
fn the_hook_after_the_response_is_apart_from_the_exchange_of_the_client() {
    let hook = "AWS_LWA_AFTER_RESPONSE_PATH=/after";
    for mode in [&["--invoke-mode", "response_stream"][..], &[]] {
        let args = [mode, &["--env", hook, "--env", "AFTER=0.3"]].concat();
        let Some(local) = python_site(&args) else {
            return;
        };
        assert_eq!(local.get("/json").status, 200);
        let detail = ended(&local, 1);
        let request = message(&local, 1, "request").text();
        assert!(request.starts_with("GET /json HTTP/1.1\r\n"), "{request}");
        assert!(!request.contains("/after"), "{request}");
        let response = message(&local, 1, "response").text();
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        let mark = |name: &str| detail["marks"][name].as_f64().expect(name);
        assert_eq!(detail["hook"]["request"], "POST /after");
        assert_eq!(detail["hook"]["status"], 204);
        assert!(mark("hookEnd") - mark("hookStart") >= 300.0, "{detail}");
        let order = ["requestStart", "responseEnd", "replyEnd", "hookStart"];
        assert!(order.map(mark).is_sorted(), "{detail}");
        assert_eq!(detail["attempts"], 1);
    }
}

#[test]
fn of_a_batch_that_is_split_the_first_request_that_failed_is_shown() {
    let split = ["--env", "AWS_LWA_SPLIT_BATCHES=true"];
    let path = ["--env", "AWS_LWA_PASS_THROUGH_PATH=/orders"];
    let Some(local) = python_site(&[split, path].concat()) else {
        return;
    };
    let record = |order: u32| {
        format!(
            r#"{{"messageId":"m{order}","eventSource":"aws:sqs","body":"{{\"order\":{order}}}"}}"#
        )
    };
    let batch = |orders: &[u32]| {
        let records: Vec<String> = orders.iter().map(|order| record(*order)).collect();
        format!(r#"{{"Records":[{}]}}"#, records.join(","))
    };
    // The app refuses each third order.
    for (number, orders, shown, order) in [
        (1, &[1, 2, 3, 4, 5, 6, 7][..], 3, 3),
        (2, &[1, 2, 4], 3, 4),
        (3, &[1, 2, 3], 3, 3),
    ] {
        assert_eq!(local.invoke(&batch(orders), &[]).status, 200);
        let detail = ended(&local, number);
        assert_eq!(detail["requests"]["count"], orders.len());
        assert_eq!(detail["requests"]["shown"], shown, "{detail}");
        assert_eq!(detail["requests"]["failed"], order == 3);
        let request = message(&local, number, "request").text();
        assert!(
            request.ends_with(&format!("{{\"order\":{order}}}")),
            "{request}"
        );
        let status = if order == 3 { "500" } else { "200" };
        let response = message(&local, number, "response").text();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
    }
}

#[test]
fn a_large_message_is_cut_and_has_its_full_size() {
    let local = start(&[], &[]);
    let body = vec![b'x'; 300_000];
    let headers = [("content-type", "text/plain")];
    let response = send(local.address, "POST", "/upload", &headers, &body);
    assert_eq!(response.body, body);
    ended(&local, 1);
    for name in ["event", "request", "response", "reply"] {
        let message = message(&local, 1, name);
        assert_eq!(message.body.len(), 256 << 10, "{name}");
        let size: usize = message
            .header("x-full-size")
            .expect("a size")
            .parse()
            .expect("a size");
        assert!(size > 300_000, "{name}: {size}");
    }
    let replay = act(&local, "replay", r#"{"n":1}"#);
    assert_eq!(replay.status, 400);
    assert!(
        replay.text().contains("not kept as a whole"),
        "{}",
        replay.text()
    );
}

#[test]
fn the_page_sends_requests_and_events_and_replays_them() {
    let local = start(&["--event", "rest-api", "--stage", "prod"], &[]);
    let form = r#"{"front":"alb","method":"PUT","target":"/upload","headers":[["content-type","text/plain"]],"body":"hi"}"#;
    assert_eq!(json(&act(&local, "request", form))["n"], 1);
    assert_eq!(ended(&local, 1)["status"], 200);
    assert!(message(&local, 1, "request").text().ends_with("hi"));
    assert!(json(&message(&local, 1, "event"))["requestContext"]["elb"].is_object());

    assert_eq!(json(&act(&local, "event", r#"{"Records":[1,2]}"#))["n"], 2);
    ended(&local, 2);
    assert_eq!(json(&message(&local, 2, "reply"))["records"], 2);

    assert_eq!(json(&act(&local, "replay", r#"{"n":2}"#))["n"], 3);
    assert_eq!(ended(&local, 3)["via"], "replay of 2");
    assert_eq!(json(&message(&local, 3, "reply"))["records"], 2);

    for (action, body, reason) in [
        ("event", "{", "not JSON"),
        (
            "request",
            r#"{"front":"rest-api","method":"GET","target":"/x"}"#,
            "stage",
        ),
        (
            "request",
            r#"{"front":"elb","method":"GET","target":"/x"}"#,
            "`elb`",
        ),
        ("replay", r#"{"n":9}"#, "not kept"),
    ] {
        let refused = act(&local, action, body);
        assert_eq!(refused.status, 400, "{action} {body}");
        assert!(refused.text().contains(reason), "{}", refused.text());
    }
}

#[test]
fn an_injected_failure_fails_the_next_invocation_only() {
    let local = start(&[], &[]);
    for (action, error) in [
        ("crash", "Runtime.ExitError"),
        ("timeout", "Sandbox.Timedout"),
    ] {
        assert_eq!(act(&local, action, "{}").status, 200);
        assert_eq!(local.get("/seen").status, 502, "{action}");
        assert_eq!(local.get("/seen").status, 200, "{action}");
        let failed = if action == "crash" { 1 } else { 3 };
        assert_eq!(ended(&local, failed)["error"], error);
        assert_eq!(ended(&local, failed + 1)["error"], Value::Null);
        assert_eq!(ended(&local, failed + 1)["cold"], true);
    }
    // The second call takes the first back.
    act(&local, "crash", "{}");
    act(&local, "crash", "{}");
    assert_eq!(local.get("/seen").status, 200);
}

#[test]
fn the_page_is_only_for_this_machine_and_its_own_origin() {
    let local = start(&[], &[]);
    let own = local.address;
    for host in ["evil.example", "localhost.evil.example", "10.0.0.1:3000"] {
        let head = format!("GET /__lambda/ HTTP/1.1\r\nHost: {host}");
        assert_eq!(status_of(&local, &head, ""), 403, "{host}");
    }
    let post = format!("POST /__lambda/event HTTP/1.1\r\nHost: {own}");
    for header in [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://localhost:1",
        "Sec-Fetch-Site: cross-site",
    ] {
        let head = format!("{post}\r\ncontent-type: application/json\r\n{header}");
        assert_eq!(status_of(&local, &head, "{}"), 403, "{header}");
    }
    // A form of another origin cannot set this content type without a preflight request.
    let form = format!("{post}\r\ncontent-type: text/plain");
    assert_eq!(status_of(&local, &form, "{}"), 400);
    let head = format!("{post}\r\ncontent-type: application/json\r\nOrigin: http://{own}");
    assert_eq!(status_of(&local, &head, "{}"), 200);
    assert_eq!(
        local.get("/__lambda/invocations/2").status,
        404,
        "only one event was sent"
    );
    let page = local.get("/__lambda/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
}

#[test]
fn only_the_last_200_invocations_are_kept() {
    let local = start(&[], &[]);
    for _ in 0..203 {
        assert_eq!(local.invoke("{}", &[]).status, 200);
    }
    ended(&local, 203);
    assert_eq!(local.get("/__lambda/invocations/3").status, 404);
    assert_eq!(local.get("/__lambda/invocations/4").status, 200);
}

#[test]
fn without_the_page_its_path_is_the_apps_and_nothing_is_between_the_app_and_the_adapter() {
    let local = start(&["--no-page"], &[]);
    let response = local.get("/__lambda/");
    assert_eq!(response.status, 404);
    assert!(
        response.text().contains("no page at /__lambda/"),
        "{}",
        response.text()
    );
    assert!(!local.output().contains("every invocation in detail"));
}
