//! The limits of what is posted and logged: error pages of any size and content, and a log that
//! nothing reads.

use crate::harness::api::{Invocation, Post};
use crate::harness::app::{raw, response};
use crate::harness::events::*;
use crate::harness::run::Run;
use crate::harness::scenario::{Output, Scenario, scenario};
use crate::lifecycle::entrypoint::{INIT_ERROR, shell};
use serde_json::{Value, json};

const MAX_LINE: usize = 8 << 10;
const MAX_MESSAGE: usize = 64 << 10;

/// The app's errors fail the invocation.
fn errors() -> Scenario {
    scenario().env("AWS_LWA_ERROR_STATUS_CODES", "500-599")
}

/// Asserts that no line of the log is too long, and returns the longest.
fn longest_line(run: &Run) -> String {
    let log = run.log();
    let longest = log.lines().max_by_key(|line| line.len());
    let longest = longest.unwrap_or_default();
    assert!(longest.len() < MAX_LINE, "{} bytes", longest.len());
    longest.to_owned()
}

#[test]
fn an_error_page_of_any_size_and_content_fails_its_invocation_alone() {
    for piece in ["x", "\"", "\\", "\n", "\0", "\u{7f}", "é", "😀"] {
        for size in [1, 1000, 114_000, 6_000_000] {
            let page = piece.repeat((size / piece.len()).max(1));
            let run = errors()
                .at("/fault", response("500 Oops", &page))
                .invoke_all([get("/fault"), get("/")])
                .run();
            let post = run.error(1);
            assert!(post.body.len() < MAX_MESSAGE + 512, "{}", post.body.len());
            let body: Value = serde_json::from_slice(&post.body).expect("JSON");
            let message = body["errorMessage"].as_str().expect("a message");
            assert!(!message.contains(char::is_control), "{message:?}");
            let message: Value = serde_json::from_str(message).expect("JSON in the message");
            assert_eq!(message["statusCode"], 500);
            let text = message["body"].as_str().expect("the page");
            if size <= 1000 {
                assert_eq!(text, page);
            } else {
                let note = format!("... (cut, {} bytes in all)", page.len());
                assert!(text.ends_with(&note), "{}", &text[text.len() - 100..]);
                assert!(page.starts_with(&text[..text.len() - note.len()]));
                assert!(longest_line(&run).contains("bytes in all"));
            }
            assert_eq!(run.reply(2)["body"], "ok");
        }
    }
}

#[test]
fn an_error_page_that_is_not_text_is_posted_as_text() {
    let page: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let run = errors()
        .respond(response("500 Oops", page))
        .invoke(get("/"))
        .run();
    let body: Value = serde_json::from_slice(&run.error(1).body).expect("JSON");
    let message = body["errorMessage"].as_str().expect("a message");
    assert!(!message.contains(char::is_control) && message.contains("100000 bytes"));
    assert_eq!(
        longest_line(&run)
            .chars()
            .filter(|c| c.is_control())
            .count(),
        0
    );
}

#[test]
fn an_error_type_of_the_app_is_cut() {
    let page = json!({"errorType": "a\n".repeat(100_000)}).to_string();
    let run = errors()
        .respond(response("500 Oops", page))
        .invoke(get("/"))
        .run();
    let body: Value = serde_json::from_slice(&run.error(1).body).expect("JSON");
    let found = body["errorType"].as_str().expect("a type");
    assert!(found.starts_with("a\n") && found.len() <= 256, "{found}");
    longest_line(&run);
}

#[test]
fn an_event_that_is_no_request_has_the_same_limits() {
    let run = scenario()
        .respond(response("500 Oops", "\"".repeat(4_000_000)))
        .invoke(sqs())
        .run();
    assert!(run.error(1).body.len() < MAX_MESSAGE + 512);
    assert!(longest_line(&run).contains("bytes in all"));
}

#[test]
fn a_failure_names_its_cause_behind_a_long_path() {
    let path = format!("/{}", "p".repeat(100_000));
    let run = scenario()
        .respond(raw("").close())
        .invoke(url("POST", &path))
        .run();
    run.assert_failure(
        1,
        "Function.AppProtocol",
        &[
            "POST /ppp",
            "100001 bytes in all",
            "closed without a response",
        ],
    );
    assert!(longest_line(&run).contains("closed without a response"));
}

#[test]
fn a_method_is_cut_in_the_response_to_its_client() {
    let event = url(&"\n".repeat(1_000_000), "/");
    let reply = crate::harness::scenario::invoke_once(event, response("200 OK", "ok")).reply(1);
    assert_eq!(reply["statusCode"], 400);
    assert!(reply["body"].as_str().expect("a text").len() < 1000);
}

#[test]
fn a_refused_error_is_followed_by_a_short_one() {
    for status in ["403 Forbidden", "413 Request Entity Too Large"] {
        let refusal = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
        let invocation = Invocation::from(sqs()).post(Post::Response(refusal.into_bytes()));
        let mut run = scenario()
            .respond(response("500 Oops", "x".repeat(100_000)))
            .invoke(invocation)
            .start();
        run.wait_until("two posts", |run| {
            let posts = run.posts(1);
            posts.len() == 2 && posts.iter().all(|(_, post)| post.complete)
        });
        let sizes: Vec<_> = run.posts(1).iter().map(|(_, post)| post.length).collect();
        assert!(sizes[0] > MAX_MESSAGE / 2 && sizes[1] < 2048, "{sizes:?}");
        let (_, short) = &run.posts(1)[1];
        let body: Value = serde_json::from_slice(&short.body).expect("JSON");
        assert_eq!(body["errorType"], "HTTP.500");
    }
}

#[test]
fn an_init_error_is_bounded() {
    let line = "\\033[31m\\377\\001".repeat(100);
    let script = format!("for i in 1 2 3 4 5 6; do printf '{line}'; done; exit 3");
    let mut run = shell(&script).output(Output::Pipe).app_down().start();
    assert_eq!(run.exit().code(), Some(3));
    let (_, post) = &run.api_requests(INIT_ERROR)[0];
    let body: Value = serde_json::from_slice(&post.body).expect("JSON");
    let message = body["errorMessage"].as_str().expect("a message");
    assert!(message.contains("exit status: 3") && post.body.len() < 20_000);
    let value = "v".repeat(100_000);
    let mut run = scenario()
        .env("AWS_LWA_READINESS_CHECK_PROTOCOL", &value)
        .app_down()
        .start();
    assert_eq!(run.exit().code(), Some(1));
    let (_, post) = &run.api_requests(INIT_ERROR)[0];
    assert!(post.body.len() < MAX_MESSAGE + 512, "{}", post.body.len());
    assert!(post.text().contains("bytes in all"));
    longest_line(&run);
}

/// Failures enough to fill any pipe and socket. With a wait for each they would take 25 s, which
/// is more than `finish` waits.
fn assert_log_holds_nothing(scenario: Scenario) {
    let invocations = 200;
    let mut run = scenario
        .env("AWS_LWA_ERROR_STATUS_CODES", "500-599")
        .at("/fault", response("500 Oops", "x".repeat(114_000)))
        .invoke_all((0..invocations).map(|number| get(["/fault", "/"][number % 2])))
        .start();
    run.finish();
    assert_eq!(run.log(), "");
    // Once the log is read again, the next line is written, after the number of those that are
    // missing.
    run.open(Output::READ);
    run.wait_until("the reader", |run| !run.log().is_empty());
    run.invoke(get("/fault"));
    run.finish();
    let last = format!("requestId=req-{}", invocations + 1);
    run.wait_until("the next line", |run| run.log().contains(&last));
    let log = run.log();
    let count = |line: &str| -> Option<usize> {
        let words = line.strip_prefix("lambda-adapter WARN ")?;
        words
            .strip_suffix(" log lines were dropped, because stderr was full")?
            .parse()
            .ok()
    };
    let dropped: usize = log.lines().filter_map(count).sum();
    let failures = log
        .lines()
        .filter(|line| line.contains("invocation failed"))
        .count();
    assert_eq!(failures + dropped, invocations / 2 + 1, "{dropped} dropped");
    longest_line(&run);
}

#[test]
fn a_log_that_nothing_reads_holds_no_invocation() {
    for output in [Output::UnreadPipe, Output::UnreadSocket] {
        for concurrency in ["1", "16"] {
            assert_log_holds_nothing(
                scenario()
                    .output(output)
                    .env("AWS_LAMBDA_MAX_CONCURRENCY", concurrency),
            );
        }
    }
}

#[test]
fn output_of_the_app_that_nothing_reads_holds_no_invocation() {
    for output in [Output::UnreadPipe, Output::UnreadSocket] {
        let script = "seq 200000; echo up; read line";
        let mut run = shell(script)
            .output(output)
            .env("AWS_LAMBDA_LOG_LEVEL", "error")
            .invoke_all(vec![get("/"); 100])
            .start();
        run.finish();
        run.open(Output::READ);
        run.wait_until("the last line", |run| run.log().ends_with("up\n"));
        let expected: String = (1..=200_000).map(|i| format!("{i}\n")).collect();
        assert!(run.log() == expected + "up\n", "the log differs");
    }
}
