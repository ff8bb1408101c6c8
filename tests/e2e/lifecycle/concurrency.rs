//! Several invocations at once (Lambda Managed Instances): as many pollers as Lambda asks for,
//! independent of each other.

use crate::harness::api::Invocation;
use crate::harness::app::{raw, response};
use crate::harness::events::get;
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};

const NEXT: &str = "/2018-06-01/runtime/invocation/next";

fn concurrent(number: usize) -> Scenario {
    scenario().env("AWS_LAMBDA_MAX_CONCURRENCY", &number.to_string())
}

#[test]
fn as_many_invocations_are_asked_for_as_lambda_may_send() {
    let mut run = concurrent(7).start();
    run.wait_until("seven parked /next", |run| {
        run.api_requests(NEXT).len() == 7
    });
    let mut connections: Vec<_> = run
        .api_requests(NEXT)
        .iter()
        .map(|(entry, _)| entry.connection)
        .collect();
    connections.dedup();
    assert_eq!(connections.len(), 7);
}

#[test]
fn one_invocation_is_asked_for_at_a_time_otherwise() {
    for value in ["(unset)", "1", "0", "", "many"] {
        let run = scenario()
            .env("AWS_LAMBDA_MAX_CONCURRENCY", value)
            .invoke_all(vec![get("/x"); 3])
            .run();
        // A second poller would leave one more request pending.
        assert_eq!(run.api_requests(NEXT).len(), 4, "{value:?}");
    }
}

#[test]
fn sixty_four_requests_are_in_flight_at_once() {
    let slow = raw("")
        .wait_for("go")
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let invocations = (0..64).map(|number| get(&format!("/{}", number + 1)));
    let mut run = concurrent(64).respond(slow).invoke_all(invocations).start();
    run.wait_until("64 requests at the app", |run| run.requests().len() == 64);
    assert!(run.all_posts().is_empty());
    run.open("go");
    run.finish();
    assert!((1..=64).all(|number| run.reply(number)["body"] == "ok"));
}

#[test]
fn answers_reach_the_invocation_they_belong_to() {
    let echo = |run: Scenario, number: usize| {
        run.at(
            &format!("/{number}"),
            response("200 OK", number.to_string()),
        )
    };
    let scenario = (1..=200).fold(concurrent(16), echo);
    let run = scenario
        .invoke_all((1..=200).map(|number| get(&format!("/{number}"))))
        .run();
    for number in 1..=200 {
        let lambda_context = run
            .requests()
            .into_iter()
            .find(|request| request.target == format!("/{number}"));
        let context = lambda_context
            .expect("a request")
            .header("x-amzn-lambda-context")
            .expect("a context")
            .to_owned();
        assert!(context.contains(&format!("\"req-{number}\"")), "{context}");
        assert_eq!(run.reply(number)["body"], number.to_string());
    }
}

#[test]
fn slow_invocation_holds_up_no_other() {
    let slow = raw("")
        .wait_for("go")
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    let invocations = std::iter::once(get("/slow")).chain(vec![get("/quick"); 50]);
    let mut run = concurrent(2)
        .at("/slow", slow)
        .invoke_all(invocations)
        .start();
    let quick_ones_replied = |run: &Run| {
        (2..=51).all(|number| {
            run.posts(number)
                .iter()
                .any(|(_, message)| message.complete)
        })
    };
    run.wait_until("replies to the quick ones", quick_ones_replied);
    assert!(run.posts(1).is_empty());
    run.open("go");
    run.finish();
    assert_eq!(run.reply(1)["body"], "slow");
}

#[test]
fn failing_invocation_touches_no_other() {
    let targets = ["/bad", "/good", "/dead", "/good"];
    let invocations = (0..100).map(|number| get(targets[number % 4]));
    let scenario = concurrent(8).at("/bad", raw("nonsense\r\n\r\n").close());
    let scenario = scenario.at(
        "/dead",
        raw("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").close(),
    );
    let run = scenario
        .at("/good", response("200 OK", "ok"))
        .invoke_all(invocations)
        .run();
    for number in 1..=100 {
        match targets[(number - 1) % 4] {
            "/good" => assert_eq!(run.reply(number)["body"], "ok"),
            _ => run.assert_failure(number, "Function.AppProtocol", &[]),
        }
    }
}

#[test]
fn log_lines_carry_the_request_id_of_their_invocation() {
    let invocations = (1..=40).map(|number| get(&format!("/bad/{number}")));
    let run = concurrent(8)
        .respond(raw("nonsense\r\n\r\n").close())
        .invoke_all(invocations)
        .run();
    let log = run.log();
    for number in 1..=40 {
        let own = |line: &&str| line.contains(&format!("/bad/{number} ")) && line.contains("ERROR");
        let line = log
            .lines()
            .find(own)
            .unwrap_or_else(|| panic!("no line for /bad/{number} in {log}"));
        assert!(
            line.ends_with(&format!("req-{number}")) || line.contains(&format!("req-{number} ")),
            "{line}"
        );
    }
}

#[test]
fn invocation_ids_are_echoed_to_their_own_invocations() {
    let invocation = |number: usize| {
        Invocation::from(get("/x")).header("Lambda-Runtime-Invocation-Id", &format!("inv-{number}"))
    };
    let run = concurrent(8).invoke_all((1..=50).map(invocation)).run();
    for number in 1..=50 {
        assert_eq!(
            run.response(number).header("lambda-runtime-invocation-id"),
            Some(format!("inv-{number}").as_str())
        );
    }
}

/// A response that waits for the gate `go`.
fn held() -> crate::harness::app::Response {
    raw("")
        .wait_for("go")
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

/// `/next` fails for every thread that is not among the first `busy`, whose requests are in
/// flight at the app: the process ends after those, and not before.
fn assert_ends_after_what_is_in_flight(concurrency: usize, busy: usize) {
    let refused =
        || Invocation::raw("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let requests = (0..busy).map(|_| Invocation::from(get("/held")));
    let refusals = (0..2000).map(|_| refused().after("refuse"));
    let mut run = concurrent(concurrency)
        .at("/held", held())
        .invoke_all(requests.chain(refusals))
        .start();
    run.wait_until("the requests in flight", |run| run.requests().len() == busy);
    run.open("refuse");
    let count = format!("shutting down after {busy} invocations in flight");
    run.wait_until("the decision to end", |run| run.log().contains(&count));
    assert!(run.all_posts().is_empty());
    run.open("go");
    assert_eq!(run.exit().code(), Some(1));
    assert!((1..=busy).all(|number| run.reply(number)["body"] == "ok"));
    let log = run.log();
    assert_eq!(log.matches("FATAL").count(), 1, "{log}");
    assert!(log.contains("tried 9 times"), "{log}");
    // A thread whose invocation has ended asks for no other.
    let calls = run.api_requests(NEXT).len();
    assert!(calls <= busy + 9 * (concurrency - busy), "{calls}");
}

#[test]
fn next_that_fails_on_all_threads_but_one_ends_the_process_after_that_one() {
    assert_ends_after_what_is_in_flight(8, 1);
}

#[test]
fn next_that_fails_on_one_thread_ends_the_process_after_the_others() {
    assert_ends_after_what_is_in_flight(8, 7);
}

#[test]
fn next_that_recovers_leaves_every_thread_serving() {
    let refused =
        || Invocation::raw("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    // Fewer than nine, so that no thread can give up.
    let refusals = (0..8).map(|_| refused());
    let requests = (0..8).map(|_| Invocation::from(get("/held")));
    let mut run = concurrent(8)
        .at("/held", held())
        .invoke_all(refusals.chain(requests))
        .start();
    run.wait_until("eight requests at once", |run| run.requests().len() == 8);
    run.open("go");
    run.finish();
    assert!((1..=8).all(|number| run.reply(number)["body"] == "ok"));
}

#[test]
fn next_refused_for_good_ends_the_process_and_floods_no_log() {
    let refused =
        || Invocation::raw("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    let mut run = concurrent(8)
        .invoke_all((0..2000).map(|_| refused()))
        .start();
    assert_eq!(run.exit().code(), Some(1));
    assert!(
        run.api_requests(NEXT).len() < 200 && run.log().len() < 100_000,
        "{} bytes",
        run.log().len()
    );
}

#[test]
fn concurrent_streams_do_not_mix() {
    let scenario = concurrent(4).env("AWS_LWA_INVOKE_MODE", "response_stream");
    let long = |letter: &str| response("200 OK", letter.repeat(300_000));
    let scenario = scenario.at("/a", long("a")).at("/b", long("b"));
    let run = scenario
        .invoke_all((0..20).map(|number| get(["/a", "/b"][number % 2])))
        .run();
    for number in 1..=20 {
        let body = run.response(number).body;
        let letter = [b'b', b'a'][number % 2];
        assert!(
            body[body.len() - 300_000..]
                .iter()
                .all(|byte| *byte == letter),
            "{number}"
        );
    }
}
