//! The fault matrix: one fault of the app or of the Runtime API a test, and its effect on the
//! client, the log and the next invocation. `docs/reliability.md` has the same rows.
//!
//! Each fault of the app is tried in both invoke modes, since the error that can still be reported
//! depends on whether the response has begun (Runtime API, "Response streaming").

use crate::harness::api::{Invocation, Post};
use crate::harness::app::{self, Response, raw, response};
use crate::harness::base64;
use crate::harness::events::*;
use crate::harness::http::Message;
use crate::harness::record::{Entry, EntryKind, Side};
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::{Value, json};
use std::net::TcpListener;

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The outcome of the faulty invocation, as its client sees it.
#[derive(Clone, Copy)]
enum Outcome {
    /// An ordinary reply: status and body.
    Reply(u16, &'static str),
    /// An error of this type, with these words in its message.
    Fails(&'static str, &'static [&'static str]),
    /// The beginning of a stream, then such an error.
    Breaks(&'static str, &'static [&'static str]),
}
use Outcome::{Breaks, Fails, Reply};

/// Expects the same outcome in both modes.
fn assert_outcome(fault: Response, outcome: Outcome) {
    assert_outcomes(fault, outcome, outcome);
}

/// Plays the fault between two good responses, buffered and streamed.
fn assert_outcomes(fault: Response, buffered: Outcome, streamed: Outcome) {
    for (mode, outcome) in [("buffered", buffered), ("response_stream", streamed)] {
        assert_client(
            run(scenario(), mode, fault.clone(), |invocation| invocation),
            outcome,
        );
    }
}

/// The same for an invocation with little time left and a margin set.
fn assert_outcomes_with_margin(fault: Response, buffered: Outcome, streamed: Outcome) {
    for (mode, outcome) in [("buffered", buffered), ("response_stream", streamed)] {
        let scenario = scenario().env("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "1000");
        assert_client(
            run(scenario, mode, fault.clone(), |invocation| {
                invocation.remaining(1400)
            }),
            outcome,
        );
    }
}

fn run(
    scenario: Scenario,
    mode: &str,
    fault: Response,
    change: fn(Invocation) -> Invocation,
) -> Run {
    scenario
        .env("AWS_LWA_INVOKE_MODE", mode)
        .at("/fault", fault)
        .invoke_all([post("/before"), change(post("/fault")), post("/after")])
        .run()
}

/// A connection that ends after a complete response affects no request that comes later.
fn assert_next_succeeds_after(last: Response) {
    for mode in ["buffered", "response_stream"] {
        let mut run = scenario()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .at("/fault", last.clone())
            .invoke_all([post("/before"), post("/fault")])
            .start();
        run.wait_until("the connection is closed", |run| {
            let is_end =
                |entry: &Entry| entry.side == Side::App && matches!(entry.kind, EntryKind::Closed);
            run.posts(2).len() == 1 && run.record.lock().entries.iter().any(is_end)
        });
        run.invoke(post("/after"));
        run.finish();
        assert_client(run, Reply(200, "ok"));
    }
}

fn post(path: &str) -> Invocation {
    Invocation::from(with(url("POST", path), json!({"body": "b"})))
}

fn assert_client(run: Run, outcome: Outcome) {
    let (kind, words) = match outcome {
        Reply(status, body) => {
            assert_eq!(reply(&run.response(2)), (status, body.to_owned()));
            return assert_next_succeeds(&run, 3);
        }
        Fails(kind, words) => {
            run.assert_failure(2, kind, words);
            (kind, words)
        }
        Breaks(kind, words) => {
            let message = run.response(2);
            let trailer = |name: &str| {
                message
                    .trailer(&format!("Lambda-Runtime-Function-Error-{name}"))
                    .expect("a trailer")
                    .to_owned()
            };
            let body: Value =
                serde_json::from_slice(&base64::decode(&trailer("Body"))).expect("JSON");
            assert_eq!(
                (trailer("Type").as_str(), &body["errorType"]),
                (kind, &json!(kind))
            );
            let text = body["errorMessage"].as_str().expect("a message");
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
            (kind, words)
        }
    };
    assert_logged(&run, "ERROR", &[&[kind, "requestId=req-2"], words].concat());
    assert_next_succeeds(&run, 3);
}

/// Status and body of a reply, streamed or not.
fn reply(message: &Message) -> (u16, String) {
    let end = message.body.windows(8).position(|window| window == [0; 8]);
    let json: Value =
        serde_json::from_slice(&message.body[..end.unwrap_or(message.body.len())]).expect("JSON");
    let body = match end {
        Some(end) => String::from_utf8_lossy(&message.body[end + 8..]).into_owned(),
        None => json["body"].as_str().unwrap_or_default().to_owned(),
    };
    assert!(message.trailers.is_empty(), "{:?}", message.trailers);
    (json["statusCode"].as_u64().unwrap_or(0) as u16, body)
}

/// Asserts that one line of the level has all the words.
fn assert_logged(run: &Run, level: &str, words: &[&str]) {
    let log = run.log();
    let found = log
        .lines()
        .any(|line| line.contains(level) && words.iter().all(|word| line.contains(word)));
    assert!(found, "no {level} with {words:?} in:\n{log}");
}

/// The invocation has the app's default response.
fn assert_next_succeeds(run: &Run, number: usize) {
    assert_eq!(reply(&run.response(number)), (200, "ok".to_owned()));
}

// The app.

#[test]
fn app_refuses_connections_and_comes_back() {
    let mut run = scenario().app_down().invoke(get("/")).start();
    run.start_app();
    run.finish();
    run.stop_app();
    run.invoke(get("/"));
    run.finish();
    let address = run.app_address().to_string();
    run.assert_failure(2, "Function.AppUnreachable", &[&address, "refused"]);
    assert_logged(
        &run,
        "ERROR",
        &["Function.AppUnreachable", &address, "requestId=req-2"],
    );
    run.restart_app();
    run.invoke(get("/"));
    run.finish();
    assert_next_succeeds(&run, 3);
}

#[test]
fn app_listens_on_ipv6_only() {
    let listener = TcpListener::bind("[::1]:0").expect("a loopback port");
    let port = listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string();
    let scenario = scenario().env("AWS_LWA_PORT", &port).invoke(get("/"));
    let mut run = scenario.start();
    app::start(listener, app::Script::default(), run.record.clone());
    run.finish();
    assert_next_succeeds(&run, 1);
}

#[test]
fn app_accepts_and_says_nothing() {
    let outcome = Fails("Function.AppTimeout", &["POST /fault", "no response after"]);
    assert_outcomes_with_margin(raw("").hang(), outcome, outcome);
}

#[test]
fn app_says_nothing_and_no_margin_is_set() {
    let invocation = Invocation::from(get("/fault")).remaining(400);
    let run = scenario()
        .at("/fault", raw("").hang())
        .invoke_all([invocation, Invocation::from(get("/"))])
        .run();
    run.assert_failure(1, "Function.AppTimeout", &[]);
    assert_logged(
        &run,
        "WARN",
        &["GET /fault is not finished", "before the deadline"],
    );
    assert_next_succeeds(&run, 2);
}

#[test]
fn app_closes_without_an_answer() {
    assert_outcome(
        raw("").close(),
        Fails("Function.AppProtocol", &["closed without a response"]),
    );
}

#[test]
fn app_sends_half_a_status_line() {
    assert_outcome(
        raw("HTTP/1.1 20").close(),
        Fails("Function.AppProtocol", &["after 11 bytes of the head"]),
    );
    let hangs = Fails("Function.AppTimeout", &["no response after"]);
    assert_outcomes_with_margin(raw("HTTP/1.1 20").hang(), hangs, hangs);
}

#[test]
fn app_sends_half_a_head() {
    assert_outcome(
        raw(format!("{OK}Content-Le")).close(),
        Fails("Function.AppProtocol", &["after 27 bytes of the head"]),
    );
}

#[test]
fn app_sends_half_a_body() {
    let words = &["connection closed after 3 of 10 bytes"];
    let half = raw(format!("{OK}Content-Length: 10\r\n\r\nabc")).close();
    assert_outcomes(
        half,
        Fails("Function.AppProtocol", words),
        Breaks("Function.AppProtocol", words),
    );
    let words = &["connection closed after 3 bytes of an unfinished body"];
    let half = raw(format!("{CHUNKED}3\r\nabc\r\n")).close();
    assert_outcomes(
        half,
        Fails("Function.AppProtocol", words),
        Breaks("Function.AppProtocol", words),
    );
}

#[test]
fn app_stalls_within_the_body() {
    let stalled = raw(format!("{OK}Content-Length: 10\r\n\r\nabc")).hang();
    assert_outcomes_with_margin(
        stalled,
        Fails("Function.AppTimeout", &["no end of its body after"]),
        Breaks("Function.AppTimeout", &["no end of its body after"]),
    );
}

#[test]
fn app_sends_a_chunk_size_no_integer_holds() {
    for size in [
        "10000000000000000",
        "-1",
        "+1",
        "0x1",
        "1g",
        " 1",
        "1\x0c",
        "",
    ] {
        let bad = raw(format!("{CHUNKED}2\r\nab\r\n{size}\r\nc\r\n0\r\n\r\n"));
        let words = &["chunk size", "after 2 bytes of the body"];
        assert_outcomes(
            bad,
            Fails("Function.AppProtocol", words),
            Breaks("Function.AppProtocol", words),
        );
    }
}

#[test]
fn app_sends_a_chunk_longer_than_its_size() {
    let words = &["longer than its size"];
    let bad = raw(format!("{CHUNKED}2\r\nabcd\r\n0\r\n\r\n"));
    assert_outcomes(
        bad,
        Fails("Function.AppProtocol", words),
        Breaks("Function.AppProtocol", words),
    );
}

#[test]
fn app_sends_a_length_that_is_none() {
    for length in [
        "-2",
        "+2",
        "0x2",
        "2 2",
        "2, 3",
        "18446744073709551616",
        "2\r\nContent-Length: 3",
    ] {
        let bad = raw(format!("{OK}Content-Length: {length}\r\n\r\nok"));
        assert_outcome(bad, Fails("Function.AppProtocol", &["content"]));
    }
}

#[test]
fn app_sends_length_and_chunks() {
    let both_framings = raw(format!(
        "{OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
    ));
    assert_outcome(both_framings, Reply(200, "ab"));
}

#[test]
fn app_sends_an_endless_head() {
    let endless = raw(format!("{OK}X-Long: "))
        .flood("a".repeat(1000), 3000)
        .hang();
    assert_outcome(
        endless,
        Fails(
            "Function.AppProtocol",
            &["head is larger than 1048576 bytes"],
        ),
    );
}

#[test]
fn app_sends_10_000_headers() {
    let many = raw(format!("{OK}{}\r\n", "X-A: b\r\n".repeat(10_000))).close();
    assert_outcome(
        many,
        Fails("Function.AppProtocol", &["more than 1000 header fields"]),
    );
}

#[test]
fn app_sends_interim_answers_for_ever() {
    let endless = raw("")
        .flood("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 50_000)
        .hang();
    assert_outcome(endless, Fails("Function.AppProtocol", &["larger than"]));
}

#[test]
fn app_sends_an_endless_body() {
    let chunk = app::chunk([b'a'; 60_000]);
    let endless = raw(CHUNKED).flood(chunk, 5000).hang();
    assert_outcomes_with_margin(
        endless,
        Fails("Function.ResponseTooLarge", &["response_stream"]),
        Breaks("Function.AppTimeout", &[]),
    );
}

#[test]
fn app_announces_more_than_lambda_takes() {
    let large = raw(format!("{OK}Content-Length: 10000000000\r\n\r\nabc")).hang();
    assert_outcomes_with_margin(
        large,
        Fails("Function.ResponseTooLarge", &["10000000000 bytes"]),
        Breaks("Function.AppTimeout", &[]),
    );
}

#[test]
fn app_sends_a_byte_each_50_ms() {
    let bytes = "HTTP/1.1 200\r\n\r\nok".bytes();
    let dripped = bytes
        .fold(raw(""), |response, byte| response.send([byte]).pause(50))
        .close();
    assert_outcome(dripped, Reply(200, "ok"));
}

#[test]
fn app_resets_in_each_phase() {
    assert_outcome(raw("").reset(), Fails("Function.AppProtocol", &["reset"]));
    assert_outcome(
        raw("HTTP/1.1 200 O").reset(),
        Fails("Function.AppProtocol", &["reset"]),
    );
    let words = &["reset", "after 3 of 10 bytes"];
    let body = raw(format!("{OK}Content-Length: 10\r\n\r\nabc")).reset();
    assert_outcomes(
        body,
        Fails("Function.AppProtocol", words),
        Breaks("Function.AppProtocol", words),
    );
    assert_next_succeeds_after(response("200 OK", "ok").reset());
}

#[test]
fn app_closes_an_idle_connection() {
    assert_next_succeeds_after(response("200 OK", "ok").close());
}

#[test]
fn app_answers_before_it_has_read_the_request() {
    let early = "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig";
    let event = with(
        url("POST", "/fault"),
        json!({"body": "b".repeat(5_000_000)}),
    );
    for response in [
        raw(early).reset(),
        raw(early).wait_for("the response is here").reset(),
    ] {
        let scenario = scenario()
            .at("/fault", response)
            .invoke_all([event.clone(), get("/")]);
        let mut run = scenario.start();
        run.wait_until("a reply", |run| !run.posts(1).is_empty());
        run.open("the response is here");
        run.finish();
        assert_eq!(reply(&run.response(1)), (413, "big".to_owned()));
        assert_next_succeeds(&run, 2);
    }
}

#[test]
fn app_answers_twice() {
    let twice = format!("{OK}Content-Length: 5\r\n\r\nfirst{OK}Content-Length: 4\r\n\r\nevil");
    assert_outcome(raw(twice), Reply(200, "first"));
}

#[test]
fn app_speaks_another_protocol() {
    let preface: &[u8] = b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    let alert: &[u8] = b"\x15\x03\x01\0\x02\x02\x46";
    let others: [&[u8]; 5] = [
        preface,
        alert,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\xff\xfe\0\0garbage",
        b"HTTP/2 200\r\n\r\n",
    ];
    for other in others {
        // Reported at once, though the app waits for more.
        assert_outcome(
            raw(other).hang(),
            Fails(
                "Function.AppProtocol",
                &["not a valid HTTP/1.1 response: it begins with"],
            ),
        );
    }
    assert_outcome(
        raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n").hang(),
        Fails("Function.AppProtocol", &["101"]),
    );
}

#[test]
fn app_sends_a_malformed_head() {
    let heads = [
        "X-A : b\r\n",
        "X A: b\r\n",
        ": b\r\n",
        "no colon\r\n",
        "X-A: b\r\n folded\r\n",
        "X-A: b\rX-B: c\r\n",
        "X-A: b\0\r\n",
    ];
    for head in heads {
        let bad = raw(format!("{OK}{head}Content-Length: 2\r\n\r\nok"));
        assert_outcome(
            bad,
            Fails("Function.AppProtocol", &["not a valid HTTP/1.1 response"]),
        );
    }
}

// The Runtime API.

#[test]
fn api_is_late() {
    let mut run = scenario().api_down().invoke(get("/")).start();
    run.wait_until("the adapter survives in any case", |run| {
        run.api_calls().is_empty()
    });
    run.start_api();
    run.finish();
    assert_next_succeeds(&run, 1);
}

#[test]
fn api_closes_between_invocations() {
    let run = scenario()
        .invoke(get("/"))
        .invoke(Invocation::raw(""))
        .invoke(get("/"))
        .run();
    assert_next_succeeds(&run, 2);
    assert!(!run.log().contains("WARN"), "{}", run.log());
}

/// Without a valid invocation there is nothing to reply to: it is logged, and the loop continues.
fn assert_no_reply(bytes: impl AsRef<[u8]>, words: &[&str]) {
    let run = scenario()
        .invoke(get("/"))
        .invoke(Invocation::raw(bytes))
        .invoke(get("/"))
        .run();
    let log = run.log();
    let is_logged = log.lines().any(|line| {
        (line.contains("WARN") || line.contains("ERROR"))
            && words.iter().all(|word| line.contains(word))
    });
    assert!(is_logged, "{words:?} in {log}");
    assert_next_succeeds(&run, 2);
}

#[test]
fn api_cuts_an_invocation_short() {
    assert_no_reply(
        format!(
            "{OK}Lambda-Runtime-Aws-Request-Id: req-x\r\nContent-Length: 100\r\n\r\n{{\"half\""
        ),
        &["broke off"],
    );
    // Within the head this is the same as a connection closed earlier.
    let half = Invocation::raw(format!("{OK}Lambda-Runtime-Aws-Req"));
    let run = scenario()
        .invoke(get("/"))
        .invoke(half)
        .invoke(get("/"))
        .run();
    assert_next_succeeds(&run, 2);
}

#[test]
fn api_sends_an_invocation_without_end() {
    let mut endless =
        format!("{OK}Lambda-Runtime-Aws-Request-Id: req-x\r\nContent-Length: 10000000000\r\n\r\n")
            .into_bytes();
    endless.resize(66 << 20, b' ');
    assert_no_reply(endless, &["more than 67108864 bytes"]);
}

#[test]
fn api_gives_no_request_id() {
    assert_no_reply(
        format!("{OK}Content-Length: 2\r\n\r\n{{}}"),
        &["without a request ID"],
    );
    assert_no_reply(
        format!("{OK}Lambda-Runtime-Aws-Request-Id: a/../b\r\nContent-Length: 2\r\n\r\n{{}}"),
        &["invalid request ID"],
    );
}

#[test]
fn api_answers_next_with_an_error() {
    for status in [
        "500 Internal Server Error",
        "403 Forbidden",
        "302 Found\r\nLocation: http://127.0.0.1:1/",
        "204 No Content",
    ] {
        assert_no_reply(
            format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbusy"),
            &[],
        );
    }
}

#[test]
fn api_answers_next_with_garbage() {
    for garbage in [
        "\x16\x03\x01",
        "HTTP/2 200\r\n\r\n",
        "{}\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
    ] {
        assert_no_reply(garbage, &["invocation"]);
    }
}

#[test]
fn api_gives_the_same_id_twice() {
    let invocation = |path: &str| {
        let event = get(path).to_string();
        Invocation::raw(format!(
            "{OK}Lambda-Runtime-Aws-Request-Id: again\r\nContent-Length: {}\r\n\r\n{event}",
            event.len()
        ))
    };
    let scenario = scenario()
        .at("/one", response("200 OK", "1"))
        .at("/two", response("200 OK", "2"));
    let run = scenario
        .invoke_all([invocation("/one"), invocation("/two"), get("/").into()])
        .run();
    let posts = run.api_requests("/2018-06-01/runtime/invocation/again/response");
    let bodies: Vec<_> = posts.iter().map(|(_, message)| reply(message).1).collect();
    assert_eq!(bodies, ["1", "2"]);
    assert_next_succeeds(&run, 1);
}

#[test]
fn api_refuses_an_answer() {
    for status in [
        "400 Bad Request",
        "403 Forbidden",
        "413 Request Entity Too Large",
        "500 Internal Server Error",
    ] {
        let refusal = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").into_bytes();
        for mode in ["buffered", "response_stream"] {
            let invocation = Invocation::from(get("/")).post(Post::Response(refusal.clone()));
            let run = scenario()
                .env("AWS_LWA_INVOKE_MODE", mode)
                .invoke(invocation)
                .invoke(get("/"))
                .run();
            assert_logged(&run, "ERROR", &["lost", &status[..3], "requestId=req-1"]);
            assert_next_succeeds(&run, 2);
        }
        let invocation = Invocation::from("{").post(Post::Response(refusal));
        let mut run = scenario().invoke(invocation).invoke(get("/")).start();
        run.wait_until("a reply to the next invocation", |run| {
            run.posts(2).iter().any(|(_, message)| message.complete)
        });
        assert_eq!(run.posts(1).len(), 2, "the failure, and a short one");
        assert_logged(
            &run,
            "ERROR",
            &["the failure is lost", &status[..3], "requestId=req-1"],
        );
        assert_next_succeeds(&run, 2);
    }
}

#[test]
fn api_hangs_up_on_a_stream() {
    let endless = raw(CHUNKED).flood(app::chunk([b'a'; 60_000]), 2000).hang();
    let invocation = Invocation::from(get("/fault")).post(Post::HangUp(100_000));
    let scenario = scenario()
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .at("/fault", endless);
    let mut run = scenario.invoke(invocation).invoke(get("/")).start();
    run.wait_until("a reply to the next invocation", |run| {
        run.posts(2).iter().any(|(_, message)| message.complete)
    });
    assert_logged(
        &run,
        "ERROR",
        &["the rest of a streamed response is lost", "requestId=req-1"],
    );
    assert_next_succeeds(&run, 2);
}

#[test]
fn api_never_answers_a_post() {
    // In the last case the body is not read to its end either.
    let (small, large) = ("b".repeat(10), "b".repeat(5_000_000));
    for (mode, body, held) in [
        ("buffered", &small, 0),
        ("response_stream", &small, 0),
        ("buffered", &large, 1),
    ] {
        let invocation = Invocation::from(get("/fault"))
            .remaining(300)
            .post(Post::Hold(held, "never".into()));
        let scenario = scenario()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .at("/fault", response("200 OK", body));
        let mut run = scenario.invoke(invocation).invoke(get("/")).start();
        run.wait_until("a reply to the next invocation", |run| {
            run.posts(2).iter().any(|(_, message)| message.complete)
        });
        assert_logged(&run, "ERROR", &["lost", "requestId=req-1"]);
        // The API may have taken the first.
        assert_eq!(run.posts(1).len(), 1);
        assert_next_succeeds(&run, 2);
    }
}

#[test]
fn api_accepts_a_post_and_stalls_within_the_response() {
    let begun = b"HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{\"sta".to_vec();
    for mode in ["buffered", "response_stream"] {
        let invocation = Invocation::from(get("/")).remaining(300);
        let run = scenario()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .invoke(invocation.post(Post::Response(begun.clone())))
            .invoke(get("/"))
            .run();
        assert_eq!(run.posts(1).len(), 1);
        assert!(!run.log().contains("lost"), "{}", run.log());
        assert_next_succeeds(&run, 2);
    }
}

#[test]
fn api_sends_an_event_of_6_mb() {
    let body = "b".repeat(6_000_000);
    let run = scenario()
        .invoke(with(url("POST", "/"), json!({"body": body})))
        .invoke(get("/"))
        .run();
    assert_eq!(run.request(1).length, body.len());
    assert_next_succeeds(&run, 2);
}

#[test]
fn api_sends_100_000_nested_arrays() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let within = get("/")
        .to_string()
        .replacen('{', &format!("{{\"deep\":{deep},"), 1);
    let run = scenario()
        .invoke_all([deep.clone(), within])
        .invoke(get("/"))
        .run();
    assert_eq!(run.request(1).text(), deep);
    assert_next_succeeds(&run, 2);
    assert_next_succeeds(&run, 3);
}

#[test]
fn api_sends_what_is_not_json() {
    let bad: [&[u8]; 5] = [b"{\"a\":\"\xff\"}", b"\xff", b"", b"{", b"{} {}"];
    let run = scenario()
        .invoke_all(bad.map(<[u8]>::to_vec))
        .invoke(get("/"))
        .run();
    for number in 1..=bad.len() {
        run.assert_failure(number, "Function.InvalidEvent", &["not JSON"]);
    }
    assert_logged(&run, "ERROR", &["Function.InvalidEvent", "requestId=req-1"]);
    assert_next_succeeds(&run, bad.len() + 1);
}
