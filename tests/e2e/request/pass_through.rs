//! Events that are not HTTP requests: posted to the app unchanged, and the response handed back
//! unchanged.

use crate::harness::app::{Response, response};
use crate::harness::events::*;
use crate::harness::scenario::{Run, invoke_once, scenario};
use serde_json::{Value, json};

fn ok() -> Response {
    response("200 OK", "ok")
}

/// The whole reply to the event of a schedule with this response of the app.
fn result(response: Response) -> String {
    invoke_once(schedule(), response).response(1).text()
}

fn assert_passes_through(event: Value) {
    let request = invoke_once(event.clone(), ok()).request(1);
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/events"),
        "{event}"
    );
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.text(), event.to_string());
}

#[test]
fn events_of_queues_and_schedules_are_posted_verbatim() {
    assert_passes_through(sqs());
    assert_passes_through(
        json!({"version": "0", "id": "e1", "detail-type": "Order placed", "source": "shop",
            "detail": {"id": 7}}),
    );
    assert_passes_through(
        json!({"Records": [{"Sns": {"Message": "hi"}, "EventSource": "aws:sns"}]}),
    );
    [
        json!([]),
        json!("hi"),
        json!(5),
        json!(null),
        json!(true),
        json!({}),
    ]
    .into_iter()
    .for_each(assert_passes_through);
}

#[test]
fn bytes_of_the_event_are_not_rewritten() {
    let event = "{ \"z\" : 1.0e2,\n\t\"a\": 12345678901234567890123, \"a\":\"\\u00e9\\/\" }";
    assert_eq!(invoke_once(event, ok()).request(1).text(), event);
}

#[test]
fn pass_through_path_is_a_setting() {
    let run = scenario()
        .env("AWS_LWA_PASS_THROUGH_PATH", "/hooks/lambda")
        .invoke(sqs())
        .run();
    assert_eq!(run.request(1).target, "/hooks/lambda");
}

#[test]
fn pass_through_path_without_a_slash_gets_one() {
    let run = scenario()
        .env("AWS_LWA_PASS_THROUGH_PATH", "hooks")
        .invoke(sqs())
        .run();
    assert_eq!(run.request(1).target, "/hooks");
}

#[test]
fn pass_through_path_may_name_the_source_of_each_event() {
    let run = scenario()
        .env(
            "AWS_LWA_PASS_THROUGH_PATH",
            "on/{source}/event?from={source}",
        )
        .invoke_all([sqs(), json!({"a": 1}), get("/x")])
        .run();
    let targets: Vec<_> = run.requests().into_iter().map(|m| m.target).collect();
    let expected = ["/on/sqs/event?from=sqs", "/on/other/event?from=other", "/x"];
    assert_eq!(targets, expected);
}

#[test]
fn authorizer_events_that_look_like_requests_pass_through() {
    let arn = "arn:aws:execute-api:eu-west-1:111122223333:h2/live/GET/x";
    assert_passes_through(with(
        rest("GET", "/x"),
        json!({"type": "REQUEST", "methodArn": arn}),
    ));
    assert_passes_through(json!({"type": "TOKEN", "methodArn": arn, "authorizationToken": "t"}));
    let http = json!({"type": "REQUEST", "routeArn": arn, "identitySource": ["t"]});
    assert_passes_through(with(http_api("GET", "/x"), http));
    assert_passes_through(with(
        http_api("GET", "/x"),
        json!({"type": "REQUEST", "routeArn": arn, "identitySource": null}),
    ));
}

#[test]
fn bedrock_agent_event_passes_through() {
    assert_passes_through(
        json!({"messageVersion": "1.0", "agent": {"name": "a"}, "actionGroup": "g", "apiPath": "/x",
        "httpMethod": "POST", "requestBody": {"content": {}}}),
    );
}

#[test]
fn websocket_event_passes_through_with_its_context() {
    let event = json!({"requestContext": {"routeKey": "$default", "eventType": "MESSAGE",
        "connectionId": "c1=",
        "apiId": "w4", "stage": "live"}, "body": "hello", "isBase64Encoded": false});
    assert_passes_through(event.clone());
    let request = invoke_once(event, ok()).request(1);
    let context: Value =
        serde_json::from_str(request.header("x-amzn-request-context").unwrap()).unwrap();
    assert_eq!(
        (&context["connectionId"], &context["routeKey"]),
        (&json!("c1="), &json!("$default"))
    );
}

#[test]
fn json_answer_is_handed_back_byte_for_byte_whatever_its_type() {
    let body = "{ \"z\":1, \"a\": 12345678901234567890123, \"a\": 1.0 }";
    for kind in [
        "application/json",
        "application/octet-stream",
        "text/html",
        "image/png",
    ] {
        assert_eq!(
            result(response(&format!("200 OK\nContent-Type: {kind}"), body)),
            body,
            "{kind}"
        );
    }
    assert_eq!(result(response("201 Created", "[1, 2]")), "[1, 2]");
    assert_eq!(result(response("200 OK", "\"text\"")), "\"text\"");
}

#[test]
fn answer_that_is_not_json_becomes_a_json_string() {
    let text = result(response("200 OK\nContent-Type: text/plain", "say \"hé\"\n"));
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        "say \"hé\"\n"
    );
}

#[test]
fn answer_that_is_not_utf_8_is_still_a_json_string() {
    let text = result(response("200 OK\nContent-Type: image/png", b"\x89PNG\xff"));
    assert!(
        serde_json::from_str::<Value>(&text).unwrap().is_string(),
        "{text}"
    );
}

#[test]
fn empty_answer_becomes_null() {
    assert_eq!(result(response("200 OK", "")), "null");
    assert_eq!(
        result(response("204 No Content\nContent-Length: 0", "")),
        "null"
    );
}

#[test]
fn partial_batch_failure_reaches_lambda() {
    let body = r#" {"batchItemFailures":[{"itemIdentifier":"m1"}]}"#;
    let run = invoke_once(sqs(), response("200 OK", body));
    assert_eq!(run.response(1).text(), body);
}

#[test]
fn batch_gets_null_where_the_body_is_no_json_object() {
    // With ReportBatchItemFailures, Lambda may read anything else as a failed batch.
    let of_records =
        |source: &str| json!({"Records": [{"eventSource": source}, {"eventSource": source}]});
    let of_event = |source: &str| json!({"eventSource": source, "records": {}});
    let batches = [
        sqs(),
        of_records("aws:kinesis"),
        of_records("aws:dynamodb"),
        of_event("aws:kafka"),
        of_event("SelfManagedKafka"),
        of_event("aws:mq"),
        of_event("aws:rmq"),
        of_event("aws:docdb"),
    ];
    for body in ["ok", "\"ok\"", "[]", "7", "{oops", "<html>", "true", ""] {
        let run = scenario()
            .respond(response("200 OK\nContent-Type: text/html", body))
            .invoke_all(batches.clone())
            .invoke(json!({"Records": [{"EventSource": "aws:sns"}]}))
            .run();
        for number in 1..=batches.len() {
            assert_eq!(run.response(number).text(), "null", "{body}");
        }
        let other = run.reply(batches.len() + 1);
        assert!(body != "ok" || other == "ok", "{other}");
    }
}

#[test]
fn failures_of_a_batch_in_another_form_are_not_lost() {
    let list = r#"{"batchItemFailures":[{"itemIdentifier":"m1"}]}"#;
    let marked = format!("\u{feff}{list}");
    let run = invoke_once(sqs(), response("200 OK", marked));
    assert_eq!(run.response(1).text(), list);
    for body in [
        format!("[{list}]"),
        list[..list.len() - 1].to_owned(),
        serde_json::to_string(list).expect("JSON"),
    ] {
        let run = invoke_once(sqs(), response("200 OK", &body));
        run.assert_failure(1, "Function.AppProtocol", &["batchItemFailures"]);
    }
}

#[test]
fn error_status_fails_the_invocation() {
    for status in [
        "301 Moved Permanently",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
        "400 Bad Request",
        "404 Not Found",
        "500 Internal Server Error",
        "599 Odd",
    ] {
        let run = scenario()
            .respond(response(status, "no such route"))
            .respond(ok())
            .invoke_all([sqs(), sqs()])
            .run();
        let code = &status[..3];
        assert!(
            run.error(1).text().contains(code),
            "{}",
            run.error(1).text()
        );
        assert!(
            run.error(1)
                .header("lambda-runtime-function-error-type")
                .is_some_and(|kind| kind.starts_with("Function."))
        );
        assert_eq!(run.response(2).text(), "null");
    }
}

#[test]
fn missing_route_for_events_is_named_with_the_setting() {
    for status in [
        "307 Temporary Redirect",
        "404 Not Found",
        "405 Method Not Allowed",
        "500 Oops",
    ] {
        let run = invoke_once(schedule(), response(status, "no such route"));
        let message = http_status(&run);
        let is_hinted = ["POST /events", "AWS_LWA_PASS_THROUGH_PATH"]
            .iter()
            .all(|word| message["hint"].to_string().contains(word));
        assert_eq!(is_hinted, !status.starts_with("500"), "{message}");
        assert_eq!(message["statusCode"].to_string(), status[..3]);
        assert_eq!(message["body"], "no such route");
    }
    let run = scenario()
        .env("AWS_LWA_ERROR_STATUS_CODES", "202")
        .respond(response("202 Accepted", "no"))
        .invoke(schedule())
        .run();
    assert_eq!(http_status(&run), json!({"statusCode": 202, "body": "no"}));
    let run = scenario()
        .env("AWS_LWA_ERROR_STATUS_CODES", "404")
        .respond(response("404 Not Found", "no"))
        .invoke(get("/x"))
        .run();
    let message = http_status(&run);
    assert_eq!(message, json!({"statusCode": 404, "body": "no"}));
}

/// The message of a failure by status, which is JSON.
fn http_status(run: &Run) -> Value {
    let body: Value = serde_json::from_slice(&run.error(1).body).expect("JSON");
    let message = body["errorMessage"].as_str().expect("a message");
    serde_json::from_str(message).expect("JSON in the message")
}

#[test]
fn warm_up_pings_get_null_without_the_app() {
    let pings = [
        json!({"source": "serverless-plugin-warmup"}),
        json!({"warmer": true, "concurrency": 3}),
    ];
    for mode in ["buffered", "response_stream"] {
        let run = scenario()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .respond(response("404 Not Found", "no such route"))
            .invoke_all(pings.clone())
            .invoke(get("/x"))
            .run();
        assert_eq!(run.response(1).text(), "null");
        assert_eq!(run.response(2).text(), "null");
        let targets: Vec<_> = run.requests().into_iter().map(|r| r.target).collect();
        assert_eq!(targets, ["/x"]);
    }
    assert_passes_through(json!({"source": "serverless-plugin-warmup", "id": "1"}));
    assert_passes_through(json!({"warmer": false}));
}

#[test]
fn redirect_after_an_event_is_no_failure() {
    for (status, warnings) in [("302 Found", 1), ("303 See Other", 0)] {
        let answer = response(&format!("{status}\nLocation: /done"), "{}");
        let run = invoke_once(schedule(), answer);
        assert_eq!(run.response(1).text(), "{}");
        assert_eq!(run.log().matches("WARN").count(), warnings, "{}", run.log());
    }
}
