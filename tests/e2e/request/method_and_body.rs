//! Event to request: the events that count as HTTP requests, methods and bodies.
//!
//! The rule: decide by the shape of the event, and carry bytes.

use crate::harness::api::Invocation;
use crate::harness::app::{Response, response};
use crate::harness::events::*;
use crate::harness::scenario::{Run, invoke_once, scenario};
use serde_json::json;

fn ok() -> Response {
    response("200 OK", "ok")
}

/// The targets that the app receives for these events.
fn targets(events: impl IntoIterator<Item = impl Into<Invocation>>) -> Vec<String> {
    let run = scenario().invoke_all(events).run();
    run.requests()
        .into_iter()
        .map(|request| request.target)
        .collect()
}

/// The client gets this status, and the app no request.
fn assert_refused(run: &Run, number: usize, status: u16) {
    assert_eq!(
        run.reply(number)["statusCode"],
        status,
        "invocation {number}"
    );
    assert!(run.requests().is_empty(), "the app got a request");
}

#[test]
fn each_kind_of_http_event_reaches_the_app_as_itself() {
    for (kind, event) in http_kinds("DELETE", "/a/b") {
        let request = invoke_once(event, ok()).request(1);
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("DELETE", "/a/b"),
            "{kind}"
        );
    }
}

#[test]
fn odd_types_anywhere_leave_an_http_event_an_http_request() {
    let changes = [
        json!({"requestContext": {"identity": null}}),
        json!({"requestContext": {"timeEpoch": 1.5, "requestTimeEpoch": "soon"}}),
        json!({"pathParameters": {"p": null}, "stageVariables": 5}),
        json!({"headers": {"x-a": {"b": 1}}, "cookies": null}),
        json!({"isBase64Encoded": null, "body": null}),
        json!({"isBase64Encoded": "no"}),
        json!({"requestContext": {"authorizer": [1], "accountId": 5}}),
        json!({"version": 2.0, "routeKey": null, "resource": null}),
    ];
    for change in changes {
        let events = each_kind("GET", "/p")
            .into_iter()
            .map(|event| with(event, change.clone()));
        each_is(&targets(events), "/p");
    }
}

#[test]
fn odd_query_and_header_maps_leave_an_http_event_an_http_request() {
    let change = json!({"headers": null, "multiValueHeaders": [], "queryStringParameters": 7,
        "cookies": {}});
    let events = each_kind("GET", "/p")
        .into_iter()
        .map(|event| with(event, change.clone()));
    each_is(&targets(events), "/p");
}

#[test]
fn bare_minimum_of_each_kind_is_an_http_request() {
    let found = targets([
        json!({"requestContext": {"http": {"method": "GET"}}}),
        json!({"httpMethod": "GET", "path": "/x", "requestContext": {"httpMethod": "GET"}}),
        json!({"httpMethod": "GET", "path": "/x", "requestContext": {"elb": {}}}),
    ]);
    assert_eq!(found, ["/", "/x", "/x"]);
}

#[test]
fn alb_event_with_null_or_missing_maps_is_an_http_request() {
    let null = json!({"headers": null, "multiValueHeaders": null, "queryStringParameters": null,
        "multiValueQueryStringParameters": null, "body": null, "isBase64Encoded": null});
    let bare = json!({"requestContext": {"elb": {"targetGroupArn": "a"}}, "httpMethod": "GET",
        "path": "/p"});
    assert_eq!(targets([with(alb("GET", "/p"), null), bare]), ["/p", "/p"]);
}

#[test]
fn method_that_is_no_token_gets_400() {
    for method in ["GE T", "GET\r\nx: y", "G\u{0}T", "GET / HTTP/1.1"] {
        let run = scenario().invoke_all(each_kind(method, "/")).run();
        (1..=each_kind("", "").len()).for_each(|number| assert_refused(&run, number, 400));
    }
}

#[test]
fn usual_methods_carry_a_body() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let event = with(url(method, "/x"), json!({"body": "text"}));
        let request = invoke_once(event, ok()).request(1);
        let sent = (
            request.method.as_str(),
            request.text(),
            request.all("content-length"),
        );
        assert_eq!(sent, (method, "text".into(), vec!["4"]));
    }
}

#[test]
fn unusual_methods_are_sent_as_they_are() {
    let methods = ["PROPFIND", "M-SEARCH", "get", "QUERY"];
    let run = scenario()
        .invoke_all(methods.map(|method| url(method, "/")))
        .run();
    assert_eq!(
        run.requests()
            .iter()
            .map(|request| request.method.as_str())
            .collect::<Vec<_>>(),
        methods
    );
}

#[test]
fn content_length_is_our_own() {
    for length in ["2", "500", "-1", "x", "00003"] {
        let headers = json!({"headers": {"content-length": length},
            "multiValueHeaders": {"content-length": [length]}});
        let event = with(with(url("POST", "/"), headers), json!({"body": "four"}));
        let request = invoke_once(event, ok()).request(1);
        assert_eq!(
            (request.all("content-length"), request.text()),
            (vec!["4"], "four".to_owned())
        );
    }
}

#[test]
fn get_without_a_body_has_no_body_headers() {
    for (kind, event) in http_kinds("GET", "/") {
        let request = invoke_once(
            with(event, json!({"headers": {"content-length": "0"}})),
            ok(),
        )
        .request(1);
        assert_eq!(
            request
                .header("content-length")
                .or(request.header("transfer-encoding")),
            None,
            "{kind}"
        );
    }
}

#[test]
fn post_put_and_patch_without_a_body_say_content_length_0() {
    for method in ["POST", "PUT", "PATCH"] {
        let run = scenario().invoke_all(each_kind(method, "/")).run();
        assert!(
            run.requests()
                .iter()
                .all(|request| request.all("content-length") == ["0"]),
            "{method}"
        );
    }
}

#[test]
fn text_body_arrives_as_utf_8() {
    for (kind, event) in http_kinds("POST", "/") {
        let request =
            invoke_once(with(event, json!({"body": "crêpe \u{0} \u{1f980}"})), ok()).request(1);
        assert_eq!(request.text(), "crêpe \u{0} \u{1f980}", "{kind}");
    }
}

#[test]
fn base64_body_arrives_as_bytes() {
    for (kind, event) in http_kinds("PUT", "/") {
        let request = invoke_once(
            with(event, json!({"body": "AAH/gA==", "isBase64Encoded": true})),
            ok(),
        )
        .request(1);
        assert_eq!(request.body, b"\x00\x01\xff\x80", "{kind}");
    }
}

#[test]
fn body_of_a_get_is_sent() {
    let request = invoke_once(with(get("/"), json!({"body": "q"})), ok()).request(1);
    assert_eq!(
        (request.header("content-length"), request.text()),
        (Some("1"), "q".to_owned())
    );
}

#[test]
fn six_megabytes_of_body_arrive() {
    let body = "x".repeat(6_000_000);
    let request = invoke_once(with(url("POST", "/"), json!({"body": body})), ok()).request(1);
    assert!(request.complete && request.body == body.as_bytes());
}

#[test]
fn body_that_is_not_base64_gets_400() {
    for (kind, event) in http_kinds("POST", "/") {
        let run = invoke_once(
            with(
                event,
                json!({"body": "@@not base64@@", "isBase64Encoded": true}),
            ),
            ok(),
        );
        assert_eq!(run.reply(1)["statusCode"], 400, "{kind}");
        assert!(run.requests().is_empty(), "{kind}");
    }
}

#[test]
fn half_a_surrogate_pair_in_base64_gets_400() {
    for body in [
        r"\ud800",
        r"QUJD\ud800QUJD",
        r"QU\udc00JD",
        r"QUJDRA\ud83d==",
    ] {
        let event = with(
            url("POST", "/"),
            json!({"body": "HERE", "isBase64Encoded": true}),
        );
        let event = event.to_string().replace("HERE", body);
        let run = scenario().invoke(event).respond(ok()).run();
        assert_eq!(run.reply(1)["statusCode"], 400, "{body}");
        assert!(run.requests().is_empty(), "{body}");
    }
}

#[test]
fn half_a_surrogate_pair_elsewhere_is_sent_as_it_is_written() {
    let event = with(
        url("DELETE", "/a HERE"),
        json!({"rawQueryString": "b=HERE&c=1", "headers": {"x-a": "HERE"}, "cookies": ["d=HERE"]}),
    );
    let event = event.to_string().replace("HERE", r"\ud800");
    let request = invoke_once(event, ok()).request(1);
    assert_eq!(request.method, "DELETE");
    assert_eq!(request.target, r"/a%20%5Cud800?b=\ud800&c=1");
    assert_eq!(request.header("x-a"), Some(r"\ud800"));
    assert_eq!(request.header("cookie"), Some(r"d=\ud800"));

    let event = url("HERE", "/").to_string().replace("HERE", r"\ud800");
    let run = scenario().invoke(event).respond(ok()).run();
    assert_eq!(run.reply(1)["statusCode"], 400);
    assert!(run.requests().is_empty());
}

#[test]
fn event_that_is_not_json_fails_its_invocation_alone() {
    for event in [
        "",
        "{",
        "{\"a\":1} trailing",
        "nonsense",
        "\u{feff}{}",
        "[1,]",
    ] {
        let run = scenario().invoke(event).invoke(get("/after")).run();
        run.assert_failure(1, "Function.InvalidEvent", &["JSON"]);
        assert_eq!(run.requests().len(), 1, "{event}");
    }
}

#[test]
fn event_that_is_not_utf_8_fails_its_invocation_alone() {
    let run = scenario()
        .invoke(b"{\"a\":\"\xff\"}".to_vec())
        .invoke(get("/after"))
        .run();
    run.assert_failure(1, "Function.InvalidEvent", &[]);
    assert_eq!(run.request(1).target, "/after");
}

#[test]
fn deeply_nested_event_fails_or_passes_but_kills_nothing() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let run = scenario().invoke(deep).invoke(get("/after")).run();
    assert_eq!(run.reply(2)["statusCode"], 200);
}
