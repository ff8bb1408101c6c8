//! Batches whose records are requests of their own: the requests, the reply that lists the failed
//! records, and no record lost where time runs out or the app is gone.

use crate::harness::api::Invocation;
use crate::harness::app::{Response, raw, response};
use crate::harness::events::*;
use crate::harness::record::Side;
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use crate::lifecycle::entrypoint::{WAITING_APP, app, kill, shell};
use serde_json::{Value, json};

const SPLIT: &str = "AWS_LWA_SPLIT_BATCHES";
const MARGIN: &str = "AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS";

fn split() -> Scenario {
    scenario().env(SPLIT, "true")
}

fn message(id: &str) -> Value {
    with(
        sqs()["Records"][0].clone(),
        json!({"messageId": id, "body": format!("body of {id}")}),
    )
}

fn queue(ids: &[&str]) -> Value {
    json!({"Records": ids.iter().map(|id| message(id)).collect::<Vec<_>>()})
}

/// A queue that keeps the order of each group: ids such as `a1`, whose group is the letter.
fn fifo(ids: &[&str]) -> Value {
    let messages = ids.iter().map(|id| {
        let change = json!({"eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:q.fifo",
            "attributes": {"MessageGroupId": &id[..1]}});
        with(message(id), change)
    });
    json!({"Records": messages.collect::<Vec<_>>()})
}

fn stream(numbers: &[&str]) -> Value {
    let record = |number: &&str| json!({"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": number, "data": "YQ=="}});
    json!({"Records": numbers.iter().map(record).collect::<Vec<_>>()})
}

fn topic(id: &str) -> Value {
    json!({"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": id, "Message": "hi"}}]})
}

fn ok() -> Response {
    response("200 OK", "")
}

fn bad() -> Response {
    response("500 Internal Server Error", "no")
}

/// The ids in the reply to an invocation.
fn failures(run: &Run, number: usize) -> Vec<String> {
    let reply = run.reply(number);
    let items = reply["batchItemFailures"]
        .as_array()
        .expect("a list")
        .iter();
    items
        .map(|item| item["itemIdentifier"].as_str().expect("an id").to_owned())
        .collect()
}

/// The ids of the records that the app received, in order.
fn received(run: &Run) -> Vec<String> {
    let requests = run.requests().into_iter();
    requests
        .filter_map(|request| request.header("x-amzn-event-id").map(str::to_owned))
        .collect()
}

fn assert_warned(run: &Run, words: &[&str]) {
    let log = run.log();
    let mut lines = log.lines().filter(|line| line.contains("WARN"));
    let found = lines.any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "no WARN with {words:?} in:\n{log}");
}

#[test]
fn each_record_is_a_request_with_its_message_in_order() {
    let run = split().invoke(queue(&["m1", "m2", "m3"])).run();
    let requests = run.requests();
    let bodies: Vec<_> = requests.iter().map(|request| request.text()).collect();
    assert_eq!(bodies, ["body of m1", "body of m2", "body of m3"]);
    for request in &requests {
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/events")
        );
        assert_eq!(request.header("content-type"), Some("text/plain"));
        assert_eq!(request.header("x-amzn-event-source"), Some("aws:sqs"));
        assert_eq!(request.header("x-aws-sqsd-queue"), Some("q"));
        let context = request.header("x-amzn-lambda-context").expect("a context");
        assert!(context.contains("\"req-1\""), "{context}");
    }
    assert_eq!(received(&run), ["m1", "m2", "m3"]);
    assert_eq!(run.response(1).text(), r#"{"batchItemFailures":[]}"#);
    assert_eq!(run.connections(Side::App), 1);
    assert!(!run.log().contains("WARN"), "{}", run.log());
}

#[test]
fn records_go_to_the_path_of_their_source() {
    let run = split()
        .env("AWS_LWA_PASS_THROUGH_PATH", "/on/{source}")
        .invoke_all([queue(&["m"]), topic("n"), stream(&["1"])])
        .run();
    let targets: Vec<_> = run.requests().into_iter().map(|m| m.target).collect();
    assert_eq!(targets, ["/on/sqs", "/on/sns", "/on/kinesis"]);
}

#[test]
fn batches_stay_whole_where_the_setting_is_off() {
    for value in ["(unset)", "false"] {
        let run = scenario()
            .env(SPLIT, value)
            .invoke(queue(&["m1", "m2"]))
            .run();
        assert_eq!(run.request(1).text(), queue(&["m1", "m2"]).to_string());
        assert_eq!((run.requests().len(), run.reply(1)), (1, Value::Null));
    }
}

#[test]
fn requests_and_other_events_stay_whole() {
    let records = sqs()["Records"].clone();
    for mode in ["buffered", "response_stream"] {
        let mut events = each_kind("POST", "/x");
        for event in &mut events {
            event["Records"] = records.clone();
        }
        events.push(json!({"Records": [{"eventSource": "aws:s3"}]}));
        events.push(json!({"detail-type": "a", "source": "b"}));
        let count = events.len();
        let run = split()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .invoke_all(events)
            .run();
        assert_eq!(run.requests().len(), count);
        assert!(received(&run).is_empty());
    }
}

#[test]
fn clients_cannot_send_the_headers_of_a_record() {
    for setting in ["true", "false"] {
        let forged = json!({"headers": {"x-aws-sqsd-msgid": "1", "X-Aws-Sqsd-Attr-A": "1",
            "x_aws_sqsd_queue": "q", "x-amzn-event-source": "aws:sqs", "x-amzn-event-id": "1",
            "x-amzn-event-attributes": "{}", "x_amzn_event_id": "1", "x-amzn-event": "kept",
            "user-agent": "AWS-SQSD/2.0", "user_agent": "x aws-sqsd"}});
        let run = scenario()
            .env(SPLIT, setting)
            .invoke(with(get("/x"), forged))
            .run();
        let request = run.request(1);
        let names = request.headers.iter().map(|(name, _)| name.to_lowercase());
        let odd: Vec<_> = names
            .filter(|name| name.contains("sqsd") || name.contains("user") || name.contains("event"))
            .collect();
        assert_eq!(odd, ["x-amzn-event"]);
    }
    let agent = json!({"headers": {"user-agent": "curl/8 (aws-sqs)"}});
    let run = split().invoke(with(get("/x"), agent)).run();
    assert_eq!(
        run.request(1).header("user-agent"),
        Some("curl/8 (aws-sqs)")
    );
}

#[test]
fn the_reply_lists_the_messages_without_success() {
    let mut scenario = split();
    for response in [
        ok(),
        bad(),
        response("302 Found\nLocation: /", ""),
        ok(),
        bad(),
    ] {
        scenario = scenario.respond(response);
    }
    // A message that came twice is listed once, where it failed once.
    let run = scenario
        .respond(response("204 No Content\nContent-Length: 0", ""))
        .invoke_all([queue(&["a", "b", "c", "d", "b", "e"]), queue(&["f"])])
        .run();
    assert_eq!(failures(&run, 1), ["b", "c"]);
    assert!(failures(&run, 2).is_empty());
    assert_warned(
        &run,
        &[
            "3 of 6 records failed",
            "first `b`",
            "HTTP.500",
            "requestId=req-1",
        ],
    );
}

#[test]
fn the_setting_that_partial_failures_need_is_named_once() {
    let run = split()
        .respond(ok())
        .respond(bad())
        .respond(ok())
        .respond(bad())
        .invoke_all([queue(&["a", "b"]), queue(&["c", "d"])])
        .run();
    assert_eq!(failures(&run, 2), ["d"]);
    assert_eq!(run.log().matches("ReportBatchItemFailures").count(), 1);
}

#[test]
fn records_without_a_route_are_hinted_at_it() {
    let run = split()
        .respond(response("404 Not Found", "no"))
        .invoke(queue(&["a", "b"]))
        .run();
    let message = run.error(1).text();
    for words in [
        "2 of 2 records failed",
        "POST /events",
        "AWS_LWA_PASS_THROUGH_PATH",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_batch_without_any_success_fails_the_invocation() {
    let own = r#"{"errorType":"Shop.Closed"}"#;
    let run = split()
        .respond(response("503 Service Unavailable", own))
        .invoke_all([queue(&["a", "b"]), stream(&["1", "2"])])
        .run();
    for (number, words) in [
        (1, "2 of 2 records failed, the first `a`"),
        (2, "the first `1`"),
    ] {
        let error = run.error(number);
        let kind = error.header("lambda-runtime-function-error-type");
        assert_eq!(kind, Some("Function.HttpStatus"));
        let body: Value = serde_json::from_slice(&error.body).expect("JSON");
        assert_eq!(body["errorType"], "Shop.Closed");
        let message = body["errorMessage"].as_str().expect("a message");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(received(&run), ["a", "b", "1"]);
    assert!(!run.log().contains("ReportBatchItemFailures"));
}

#[test]
fn a_stream_goes_on_from_its_first_failure() {
    let run = split()
        .respond(ok())
        .respond(bad())
        .respond(ok())
        .invoke(stream(&["1", "2", "3", "4"]))
        .run();
    assert_eq!(failures(&run, 1), ["2"]);
    assert_eq!(received(&run), ["1", "2"]);
}

#[test]
fn a_group_of_a_fifo_queue_waits_for_its_failure() {
    let run = split()
        .respond(bad())
        .respond(ok())
        .invoke(fifo(&["a1", "b1", "a2", "b2", "a3"]))
        .run();
    assert_eq!(failures(&run, 1), ["a1", "a2", "a3"]);
    assert_eq!(received(&run), ["a1", "b1", "b2"]);
}

#[test]
fn a_notification_that_fails_fails_the_invocation() {
    let run = split()
        .respond(bad())
        .respond(ok())
        .invoke_all([topic("n1"), topic("n2")])
        .run();
    assert_eq!(run.error(1).text().matches("n1").count(), 1);
    assert!(failures(&run, 2).is_empty());
}

#[test]
fn a_message_that_cannot_be_decoded_fails_alone() {
    let broken = json!({"eventSource": "aws:kinesis",
        "kinesis": {"sequenceNumber": "2", "data": "a"}});
    let mut event = stream(&["1"]);
    event["Records"]
        .as_array_mut()
        .expect("records")
        .push(broken);
    let run = split().invoke(event).run();
    assert_eq!(failures(&run, 1), ["2"]);
    assert_warned(&run, &["1 of 2 records failed", "cannot be decoded"]);
}

#[test]
fn a_record_without_time_fails_with_all_that_follow_and_the_reply_goes_out() {
    for (margin, hang) in [
        ("(unset)", raw("").hang()),
        ("200", raw("HTTP/1.1 200 OK\r\n").hang()),
    ] {
        let run = split()
            .env(MARGIN, margin)
            .respond(ok())
            .respond(hang)
            .respond(ok())
            .invoke(Invocation::from(queue(&["a", "b", "c", "d"])).remaining(1200))
            .invoke(queue(&["e"]))
            .run();
        assert_eq!(failures(&run, 1), ["b", "c", "d"]);
        assert!(failures(&run, 2).is_empty());
        assert_eq!(received(&run), ["a", "b", "e"]);
        assert_warned(&run, &["3 of 4 records failed", "no response after"]);
        let (posted, sent) = (run.posts(1)[0].0.at, run.app_requests()[1].0.at);
        assert!(
            (posted - sent).as_millis() < 1200,
            "the deadline has passed"
        );
    }
}

#[test]
fn slow_records_are_not_begun_after_the_margin() {
    let slow = raw("")
        .pause(300)
        .send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let ids: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let run = split()
        .respond(slow)
        .invoke(Invocation::from(queue(&ids)).remaining(1500))
        .run();
    let failed = failures(&run, 1);
    assert!((1..10).contains(&failed.len()), "{failed:?}");
    assert_eq!(failed, ids[10 - failed.len()..]);
    // The one that was being worked on counts as failed, too.
    assert!(received(&run).len() <= 11 - failed.len());
}

#[test]
fn a_record_with_a_response_early_or_at_length_has_succeeded() {
    let mut event = queue(&["a", "b"]);
    event["Records"][0]["body"] = "b".repeat(5_000_000).into();
    for response in [
        // Before the message has been read.
        raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").reset(),
        response("200 OK", "a".repeat(1 << 20)),
        response("200 OK\nConnection: close", "").close(),
    ] {
        let run = split()
            .respond(response)
            .respond(ok())
            .invoke_all([event.clone(), queue(&["c"])])
            .run();
        assert!((1..=2).all(|number| failures(&run, number).is_empty()));
        assert!(!run.log().contains("WARN"), "{}", run.log());
    }
}

#[test]
fn a_deadline_in_the_past_leaves_records_their_time() {
    let event = Invocation::from(queue(&["a", "b"]));
    let run = split()
        .invoke(event.header("Lambda-Runtime-Deadline-Ms", "600000"))
        .run();
    assert!(failures(&run, 1).is_empty());
    assert_eq!(received(&run), ["a", "b"]);
}

#[test]
fn a_record_that_breaks_its_connection_fails_alone() {
    for broken in [
        raw("").close(),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab").close(),
        raw("no HTTP").close(),
    ] {
        let run = split()
            .respond(ok())
            .respond(broken)
            .respond(ok())
            .invoke(queue(&["a", "b", "c"]))
            .run();
        assert_eq!(failures(&run, 1), ["b"]);
        assert_eq!(received(&run), ["a", "b", "c"]);
        assert_warned(&run, &["1 of 3 records failed", "Function.AppProtocol"]);
    }
}

#[test]
fn an_app_that_goes_away_fails_the_record_and_all_that_follow() {
    let dies = raw("").open("dying").wait_for("down").close();
    let mut run = split()
        .respond(ok())
        .respond(dies)
        .invoke(queue(&["a", "b", "c", "d"]))
        .start();
    run.wait_until("the second record", |run| run.is_open("dying"));
    run.stop_app();
    run.open("down");
    run.finish();
    assert_eq!(failures(&run, 1), ["b", "c", "d"]);
    assert_eq!(received(&run), ["a", "b"]);
    run.restart_app();
    run.invoke(queue(&["b", "c", "d"]));
    run.finish();
    assert!(failures(&run, 2).is_empty());
}

#[test]
fn an_app_that_is_down_fails_the_invocation() {
    let mut run = split().invoke(get("/")).run();
    run.stop_app();
    run.invoke(queue(&["a", "b"]));
    run.finish();
    run.assert_failure(
        2,
        "Function.AppUnreachable",
        &["2 of 2 records failed", "refused"],
    );
}

#[test]
fn an_app_that_dies_as_a_child_fails_the_record_and_all_that_follow() {
    let dies = raw("").open("dying").wait_for("dead").close();
    let mut run = shell(WAITING_APP)
        .env(SPLIT, "true")
        .env("AWS_LWA_AFTER_RESPONSE_PATH", "/_after")
        .respond(ok())
        .respond(dies)
        .respond(ok())
        .invoke(queue(&["a", "b", "c"]))
        .start();
    run.wait_until("the second record", |run| run.is_open("dying"));
    let first = app(&mut run, 1);
    kill("KILL", first);
    run.open("dead");
    run.finish();
    assert_eq!(failures(&run, 1), ["b", "c"]);
    assert_warned(
        &run,
        &["2 of 3 records failed", "Function.AppExited", "SIGKILL"],
    );
    // The hook's app is gone.
    assert!(run.requests().iter().all(|m| m.target == "/events"));
    assert_ne!(app(&mut run, 2), first);
    run.invoke(queue(&["b", "c"]));
    run.finish();
    assert!(failures(&run, 2).is_empty());
}

#[test]
fn a_freeze_within_a_batch_counts_towards_its_time() {
    let held = raw("")
        .open("held")
        .wait_for("thawed")
        .send("HTTP/1.1 200 OK\r\n");
    let mut run = split()
        .respond(ok())
        .respond(held.hang())
        .respond(ok())
        .invoke(Invocation::from(queue(&["a", "b", "c"])).remaining(1500))
        .start();
    run.wait_until("the second record", |run| run.is_open("held"));
    run.signal("STOP");
    let frozen = run.record.now();
    run.wait_until("the deadline to pass", |run| {
        (run.record.now() - frozen).as_millis() > 1500
    });
    run.open("thawed");
    run.signal("CONT");
    run.finish();
    assert_eq!(failures(&run, 1), ["b", "c"]);
}

#[test]
fn the_hook_after_the_response_follows_a_batch_once() {
    let run = split()
        .env("AWS_LWA_AFTER_RESPONSE_PATH", "/_after")
        .invoke(queue(&["a", "b"]))
        .run();
    let targets: Vec<_> = run.requests().into_iter().map(|m| m.target).collect();
    assert_eq!(targets, ["/events", "/events", "/_after"]);
}

/// The statuses of the app are a function of the id, so that the expected list is one, too.
#[test]
fn listed_ids_are_those_of_the_records_without_2xx_in_batches_of_any_size() {
    for size in [1, 2, 10, 100, 1_000, 10_000] {
        let succeeds = |number: usize| number % 7 != 3 && number % 100 != 42;
        let ids: Vec<String> = (0..size).map(|number| format!("m{number}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut scenario = split();
        for number in 0..size {
            scenario = scenario.respond(if succeeds(number) { ok() } else { bad() });
        }
        let run = scenario.invoke(queue(&ids)).run();
        let numbers = (0..size).filter(|number| !succeeds(*number));
        let mut expected: Vec<&str> = numbers.map(|number| ids[number]).collect();
        expected.sort_unstable();
        let mut listed = failures(&run, 1);
        listed.sort_unstable();
        assert_eq!(listed, expected);
        assert_eq!(received(&run), ids);
    }
}
