//! Event to request: the request target, that is path and query.
//!
//! The rule: carry bytes, do not reinterpret them; RFC 3986 says which bytes a target cannot hold,
//! and only those are percent-encoded.

use crate::harness::api::Invocation;
use crate::harness::events::*;
use crate::harness::scenario::scenario;
use serde_json::json;

/// The targets that the app receives for these events.
fn targets(events: impl IntoIterator<Item = impl Into<Invocation>>) -> Vec<String> {
    let run = scenario().invoke_all(events).run();
    run.requests()
        .into_iter()
        .map(|request| request.target)
        .collect()
}

#[test]
fn query_bytes_that_no_target_can_hold_are_percent_encoded() {
    let event = |query| with(get("/"), json!({"rawQueryString": query}));
    let found = targets([
        event("a=<b> c`d\u{1}e\u{7f}"),
        event("q=\"é\"#f"),
        event("a=b\r\nx-evil: 1"),
    ]);
    assert_eq!(
        found,
        [
            "/?a=%3Cb%3E%20c%60d%01e%7F",
            "/?q=%22%C3%A9%22%23f",
            "/?a=b%0D%0Ax-evil:%201"
        ]
    );
}

#[test]
fn raw_query_string_is_sent_byte_for_byte() {
    let query = "/?t=1&&t=2&=&a=%c3%A9+%2B;,'!*()~:@/?$&%zz&b";
    assert_eq!(
        targets([get(query), http_api("GET", query)]),
        [query, query]
    );
}

#[test]
fn empty_query_has_no_question_mark() {
    let events = each_kind("GET", "/p");
    each_is(&targets(events), "/p");
}

#[test]
fn question_mark_in_a_decoded_path_stays_in_the_path() {
    let event = |event| with(event, json!({"rawPath": "/a?b"}));
    assert_eq!(
        targets([event(get("/")), event(http_api("GET", "/"))]),
        ["/a%3Fb", "/a%3Fb"]
    );
}

#[test]
fn path_bytes_that_no_target_can_hold_are_percent_encoded() {
    for (kind, event) in http_kinds("GET", "/a b/é#<\u{1}>\"%41%c3") {
        assert_eq!(
            targets([event]),
            ["/a%20b/%C3%A9%23%3C%01%3E%22%41%c3"],
            "{kind}"
        );
    }
}

#[test]
fn dots_and_backslashes_in_a_path_are_not_resolved() {
    for path in ["/a/../b", "/a/./b", "/..", "/a/%2e%2E/b", "/a//b/"] {
        let kinds = each_kind("GET", path);
        each_is(&targets(kinds), path);
    }
    assert_eq!(targets([get(r"/a\b")]), ["/a%5Cb"]);
}

#[test]
fn double_slash_at_the_start_of_a_path_is_no_authority() {
    let kinds = each_kind("GET", "//evil.example/x");
    let run = scenario().invoke_all(kinds).run();
    assert!(
        run.requests()
            .iter()
            .all(|request| request.target == "//evil.example/x")
    );
}

#[test]
fn percent_sign_of_a_front_that_decodes_paths_is_encoded_unless_it_starts_a_triplet() {
    let found = targets([
        http_api("GET", "/100%"),
        http_api("GET", "/%zz%2"),
        http_api("GET", "/a%2Fb"),
    ]);
    assert_eq!(found, ["/100%25", "/%25zz%252", "/a%2Fb"]);
    let found = targets([
        http_api("GET", "/100% sure"),
        http_api_1_0("GET", "/100% sure"),
        http_api_1_0("GET", "/caf\u{e9}%/b%20c"),
    ]);
    let expected = ["/100%25%20sure", "/100%25%20sure", "/caf%C3%A9%25/b%20c"];
    assert_eq!(found, expected);
}

#[test]
fn percent_sign_of_a_front_that_keeps_paths_is_kept() {
    assert_eq!(
        targets([get("/100%"), rest("GET", "/100%")]),
        ["/100%", "/100%"]
    );
}

#[test]
fn missing_or_relative_path_starts_with_a_slash() {
    let found = targets([
        get(""),
        rest("GET", ""),
        alb("GET", ""),
        without(get("/x"), "rawPath"),
        get("x/y"),
    ]);
    assert_eq!(found, ["/", "/", "/", "/", "/x/y"]);
}

#[test]
fn query_order_is_the_events() {
    let elb = r#""requestContext":{"elb":{"targetGroupArn":"a"}},"httpMethod":"GET","path":"/""#;
    let rest = r#""requestContext":{"httpMethod":"GET"},"httpMethod":"GET","path":"/""#;
    let single = r#""queryStringParameters":{"z":"1","a":"2","m":"3","b":"4"}"#;
    let multi =
        r#""multiValueQueryStringParameters":{"z":["1","5"],"a":["2"],"m":["3"],"b":["4"]}"#;
    let event = |base, query| format!("{{{base},{query}}}");
    assert_eq!(
        targets([event(elb, single), event(rest, single)]),
        ["/?z=1&a=2&m=3&b=4"; 2]
    );
    assert_eq!(
        targets([event(elb, multi), event(rest, multi)]),
        ["/?z=1&z=5&a=2&m=3&b=4"; 2]
    );
}

#[test]
fn alb_query_values_are_encoded_already_and_left_alone() {
    let query = json!({"queryStringParameters": {"q%20": "a%26b%2B+%zz%FF'"}});
    let multi = json!({"multiValueQueryStringParameters": {"q%20": ["a%26b%2B+%zz%FF'"]}});
    let found = targets([
        with(alb("GET", "/"), query),
        with(alb_multi("GET", "/"), multi),
    ]);
    assert_eq!(found, ["/?q%20=a%26b%2B+%zz%FF'"; 2]);
}

#[test]
fn alb_query_values_cannot_break_out_of_the_target() {
    let event = with(
        alb("GET", "/"),
        json!({"queryStringParameters": {"q": "a b\r\nx: y#"}}),
    );
    assert_eq!(targets([event]), ["/?q=a%20b%0D%0Ax:%20y%23"]);
}

#[test]
fn rest_query_values_are_percent_encoded_once() {
    let query = json!({"k&y": ["a&b=c+d e%20#é", "-._~09azAZ"]});
    let found = targets([with(
        rest("GET", "/"),
        json!({"multiValueQueryStringParameters": query}),
    )]);
    assert_eq!(
        found,
        ["/?k%26y=a%26b%3Dc%2Bd%20e%2520%23%C3%A9&k%26y=-._~09azAZ"]
    );
}

#[test]
fn rest_query_without_the_multi_value_map_comes_from_the_single_one() {
    let change =
        json!({"queryStringParameters": {"a": "1"}, "multiValueQueryStringParameters": null});
    assert_eq!(targets([with(rest("GET", "/"), change)]), ["/?a=1"]);
}

#[test]
fn base_path_is_stripped_only_at_a_segment_boundary() {
    let run = scenario().env("AWS_LWA_REMOVE_BASE_PATH", "/api");
    let paths = [
        "/api/api/order",
        "/apiorder",
        "/api",
        "/api/",
        "/other/api",
        "/api/x?q=/api",
        "/ap",
    ];
    let run = run.invoke_all(paths.map(get)).run();
    let found: Vec<_> = run
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(
        found,
        [
            "/api/order",
            "/apiorder",
            "/",
            "/",
            "/other/api",
            "/x?q=/api",
            "/ap"
        ]
    );
}

#[test]
fn base_path_may_end_or_lack_a_slash() {
    for setting in ["/api/", "api", "/api"] {
        let run = scenario()
            .env("AWS_LWA_REMOVE_BASE_PATH", setting)
            .invoke_all(["/api/x", "/apix"].map(get))
            .run();
        let found: Vec<_> = run
            .requests()
            .into_iter()
            .map(|request| request.target)
            .collect();
        assert_eq!(found, ["/x", "/apix"], "{setting}");
    }
}

#[test]
fn base_path_is_stripped_in_either_spelling() {
    let run = scenario()
        .env("AWS_LWA_REMOVE_BASE_PATH", "/my stage")
        .invoke_all(["/my%20stage/x", "/my stage/x", "/my%20stages"].map(get))
        .run();
    let requests = run.requests().into_iter();
    let targets: Vec<_> = requests.map(|request| request.target).collect();
    assert_eq!(targets, ["/x", "/x", "/my%20stages"]);
}

#[test]
fn base_path_is_stripped_for_each_kind_of_http_event_and_not_for_others() {
    let base = || {
        scenario()
            .env("AWS_LWA_REMOVE_BASE_PATH", "/api")
            .env("AWS_LWA_PASS_THROUGH_PATH", "/api/events")
    };
    let run = base().invoke_all(each_kind("GET", "/api/x")).run();
    assert!(run.requests().iter().all(|request| request.target == "/x"));
    assert_eq!(base().invoke(sqs()).run().request(1).target, "/api/events");
}

#[test]
fn stage_in_the_path_is_sent_as_in_the_event() {
    let event = with(
        http_api("GET", "/default/text-mode"),
        json!({"requestContext": {"stage": "default"}}),
    );
    assert_eq!(targets([event]), ["/default/text-mode"]);
}

#[test]
fn path_longer_than_64_kib_is_sent() {
    let path = format!("/{}", "a".repeat(70_000));
    assert_eq!(
        targets([get(&path), alb("GET", &path)]),
        [path.clone(), path]
    );
}
