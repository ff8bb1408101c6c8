//! Event to request: headers.
//!
//! Hop-by-hop headers end at the front end (RFC 9110 7.6.1); a client cannot send reserved headers,
//! which only Lambda may set.

use crate::harness::api::{Invocation, TRACE};
use crate::harness::app::{self, Response, response};
use crate::harness::events::*;
use crate::harness::http::Message;
use crate::harness::scenario::{invoke_once, scenario};
use serde_json::{Value, json};
use std::net::TcpListener;

fn ok() -> Response {
    response("200 OK", "ok")
}

/// The requests for events of every kind with these headers.
fn requests(headers: Value) -> Vec<Message> {
    let mut single = json!({"host": "h.example"});
    single
        .as_object_mut()
        .unwrap()
        .extend(headers.as_object().unwrap().clone());
    let fields = single.as_object().unwrap().iter();
    let lists: Value = fields
        .map(|(name, value)| (name.clone(), json!([value])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let kinds = http_kinds("GET", "/p")
        .into_iter()
        .map(|(kind, mut event)| {
            match kind {
                "ALB multi-value" => event["multiValueHeaders"] = lists.clone(),
                "Lattice" => event["headers"] = lists.clone(),
                "REST API" => {
                    event["headers"] = single.clone();
                    event["multiValueHeaders"] = lists.clone();
                }
                _ => event["headers"] = single.clone(),
            }
            event
        });
    let requests = scenario().invoke_all(kinds).run().requests();
    assert!(requests.iter().all(|request| request.target == "/p"));
    requests
}

fn json_of(request: &Message, name: &str) -> Value {
    let text = request.header(name).unwrap_or_else(|| panic!("no {name}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn context(invocation: Invocation) -> Value {
    json_of(
        &invoke_once(invocation, ok()).request(1),
        "x-amzn-lambda-context",
    )
}

#[test]
fn header_names_are_lower_case() {
    for request in requests(json!({"X-MiXed": "Va Lue", "USER-AGENT": "curl"})) {
        let text = String::from_utf8_lossy(&request.head).into_owned();
        assert!(
            text.contains("\r\nx-mixed: Va Lue\r\n") && text.contains("\r\nuser-agent: curl\r\n"),
            "{text}"
        );
    }
}

#[test]
fn nothing_is_added_that_neither_client_nor_lambda_sent() {
    let ours = [
        "host",
        "x-amzn-trace-id",
        "lambda-web-request-id",
        "x-amzn-request-context",
        "x-amzn-lambda-context",
    ];
    let request = invoke_once(get("/"), ok()).request(1);
    let names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ours);
}

#[test]
fn host_is_forwarded_whatever_a_url_parser_thinks_of_it() {
    for host in [
        "x:abc",
        "999.999.999.999",
        "a b",
        "[::1",
        "xn--",
        "a|b",
        "x.example:8080",
        "ünï.example",
    ] {
        assert!(
            requests(json!({"host": host}))
                .iter()
                .all(|request| request.all("host") == [host]),
            "{host}"
        );
    }
}

#[test]
fn host_of_an_app_on_ipv6_has_brackets_in_probes_and_requests() {
    let listener = TcpListener::bind("[::1]:0").expect("a loopback port");
    let address = listener.local_addr().expect("its address");
    let scenario = scenario()
        .env("AWS_LWA_HOST", "::1")
        .env("AWS_LWA_PORT", &address.port().to_string())
        .invoke(json!({"Records": []}));
    let mut run = scenario.start();
    app::start(listener, app::Script::default(), run.record.clone());
    run.finish();
    let host = address.to_string();
    assert_eq!(run.request(1).header("host"), Some(&*host));
    let probes = run.probes();
    assert!(!probes.is_empty());
    for (_, probe) in probes {
        assert_eq!(probe.header("host"), Some(&*host));
    }
}

#[test]
fn host_with_a_control_byte_gets_400() {
    for host in ["a\r\nx: y", "a\u{0}b", "a\u{7f}"] {
        let run = invoke_once(
            with(alb("GET", "/"), json!({"headers": {"host": host}})),
            ok(),
        );
        assert_eq!(run.reply(1)["statusCode"], 400);
        assert!(run.requests().is_empty());
    }
}

#[test]
fn host_is_the_apps_address_when_the_event_has_none() {
    let run = invoke_once(without(get("/"), "headers"), ok());
    assert_eq!(run.request(1).all("host"), [run.app_address().to_string()]);
}

#[test]
fn repeated_headers_of_a_rest_event_all_arrive_in_order() {
    let lists = json!({"multiValueHeaders": {"X-Rep": ["one", "two", "three"],
        "Cookie": ["a=1", "b=2"]},
        "headers": {"X-Rep": "three", "Cookie": "b=2"}});
    let request = invoke_once(with(rest("GET", "/"), lists), ok()).request(1);
    assert_eq!(request.all("x-rep"), ["one", "two", "three"]);
    assert_eq!(request.all("cookie"), ["a=1; b=2"]);
}

#[test]
fn header_that_only_the_single_map_of_a_rest_event_holds_arrives() {
    let request = invoke_once(
        with(rest("GET", "/"), json!({"headers": {"X-Only": "1"}})),
        ok(),
    )
    .request(1);
    assert_eq!(request.all("x-only"), ["1"]);
    let event = with(
        rest("GET", "/"),
        json!({"headers": {"X-Only": "1"}, "multiValueHeaders": null}),
    );
    assert_eq!(invoke_once(event, ok()).request(1).all("x-only"), ["1"]);
}

#[test]
fn repeated_headers_of_a_multi_value_alb_event_all_arrive_in_order() {
    let event = with(
        alb_multi("GET", "/"),
        json!({"multiValueHeaders": {"x-rep": ["one", "two"]}}),
    );
    assert_eq!(
        invoke_once(event, ok()).request(1).all("x-rep"),
        ["one", "two"]
    );
}

#[test]
fn cookies_of_an_http_api_event_become_one_cookie_header() {
    let request = invoke_once(
        with(http_api("GET", "/"), json!({"cookies": ["a=1", "b=2"]})),
        ok(),
    )
    .request(1);
    assert_eq!(request.all("cookie"), ["a=1; b=2"]);
}

/// Many servers join repeated headers with a comma, which ends no cookie.
#[test]
fn cookies_that_a_client_split_become_one_cookie_header() {
    let lists = json!({"cookie": ["a=1", "b=2; c=3"], "x-rep": ["one", "two"]});
    for (event, map) in [
        (lattice("GET", "/"), "headers"),
        (alb_multi("GET", "/"), "multiValueHeaders"),
        (rest("GET", "/"), "multiValueHeaders"),
    ] {
        let request = invoke_once(with(event, json!({map: lists})), ok()).request(1);
        assert_eq!(request.all("cookie"), ["a=1; b=2; c=3"]);
        assert_eq!(request.all("x-rep"), ["one", "two"]);
    }
}

#[test]
fn cookies_of_a_function_url_event_are_not_sent_twice() {
    let event = with(
        get("/"),
        json!({"cookies": ["a=1", "b=2"], "headers": {"cookie": "a=1; b=2"}}),
    );
    assert_eq!(
        invoke_once(event, ok()).request(1).all("cookie"),
        ["a=1; b=2"]
    );
}

#[test]
fn odd_header_values_cost_that_header_at_most() {
    for value in [
        json!(null),
        json!(5),
        json!("a\r\nx-evil: 1"),
        json!("a\u{0}b"),
        json!({"a": 1}),
        json!([[1]]),
    ] {
        for request in requests(json!({"x-odd": value, "x-good": "yes"})) {
            assert_eq!(request.header("x-good"), Some("yes"), "{value}");
            assert_eq!(request.header("x-evil"), None, "{value}");
            assert!(!request.head.contains(&0), "{value}");
        }
    }
}

#[test]
fn odd_header_names_cost_that_header_only() {
    for name in ["x odd", "", "x:odd", "x\r\nx-evil", "ö", "x\u{0}"] {
        for request in requests(json!({name: "1", "x-good": "yes"})) {
            let known = [
                "host",
                "x-good",
                "x-forwarded-proto",
                "lambda-web-request-id",
            ];
            let odd = |n: &str| !known.contains(&n) && !n.starts_with("x-amzn-");
            let odd: Vec<_> = request
                .headers
                .iter()
                .map(|(name, _)| name)
                .filter(|name| odd(name))
                .collect();
            assert!(
                odd.is_empty() && request.header("x-good") == Some("yes"),
                "{name:?} left {odd:?}"
            );
        }
    }
}

#[test]
fn non_ascii_header_values_arrive_as_utf_8() {
    assert!(
        requests(json!({"x-name": "zoë 🦀"}))
            .iter()
            .all(|request| request.header("x-name") == Some("zoë 🦀"))
    );
}

#[test]
fn hop_by_hop_headers_are_removed() {
    let headers = json!({"connection": "close, X-Private", "x-private": "1",
        "keep-alive": "timeout=5", "te": "trailers",
        "upgrade": "websocket", "transfer-encoding": "chunked", "proxy-authorization": "b",
        "proxy-connection": "keep-alive",
        "expect": "100-continue", "x-kept": "1"});
    for request in requests(headers) {
        let names: Vec<_> = request
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let forwarded: Vec<_> = names
            .into_iter()
            .filter(|name| !name.starts_with("x-amzn-") && *name != "x-forwarded-proto")
            .collect();
        assert_eq!(forwarded, ["host", "x-kept", "lambda-web-request-id"]);
    }
}

#[test]
fn connection_cannot_name_away_what_lambda_vouches_for() {
    for request in requests(json!({"connection": "host, x-amzn-lambda-context, x-amz-tenant-id"})) {
        assert!(
            request.header("host").is_some() && request.header("x-amzn-lambda-context").is_some()
        );
    }
}

#[test]
fn connection_cannot_name_away_headers_for_all_recipients() {
    let mut headers = json!({"cookie": "a=b", "authorization": "Bearer t", "forwarded": "for=h",
        "content-type": "text/x", "content-encoding": "br", "x-forwarded-for": "192.0.2.1",
        "x-amzn-oidc-identity": "u", "x-amzn-mtls-clientcert-subject": "CN=u",
        "x-amz-cf-id": "c", "cloudfront-viewer-address": "192.0.2.1:443", "x-hop": "1"});
    let names = headers.as_object().unwrap().keys().cloned();
    let names = names.chain(["Host".to_owned()]).collect::<Vec<_>>();
    headers["connection"] = names.join(", ").into();
    for request in requests(headers.clone()) {
        assert_eq!(request.header("host"), Some("h.example"));
        assert_eq!(request.header("x-hop"), None);
        for name in names
            .iter()
            .filter(|name| !["x-hop", "Host"].contains(&name.as_str()))
        {
            assert_eq!(request.header(name), headers[name].as_str(), "{name}");
        }
    }
}

#[test]
fn clients_cannot_send_what_lambda_vouches_for() {
    let forged = json!({"x-amz-tenant-id": "evil", "X-Amzn-Lambda-Context": "evil",
        "x-amzn-request-context": "evil", "Lambda-Web-Request-Id": "evil",
        "lambda-web-endpoint-name": "evil"});
    for request in requests(forged) {
        assert_eq!(request.header("x-amz-tenant-id"), None);
        assert_eq!(request.all("x-amzn-lambda-context").len(), 1);
        assert!(!String::from_utf8_lossy(&request.head).contains("evil"));
    }
}

#[test]
fn id_of_the_invocation_is_sent_as_in_web_functions() {
    for setting in ["full", "off"] {
        let change = json!({"headers": {"connection": "lambda-web-request-id"}});
        let run = scenario()
            .env("AWS_LWA_CONTEXT_HEADERS", setting)
            .invoke_all([with(get("/"), change), json!({"Records": []})])
            .run();
        for number in 1..=2 {
            let expected = format!("req-{number}");
            assert_eq!(run.request(number).all("lambda-web-request-id"), [expected]);
        }
    }
}

#[test]
fn tenant_of_the_invocation_is_sent() {
    let event = with(get("/"), json!({"headers": {"x-amz-tenant-id": "evil"}}));
    let invocation = Invocation::from(event).header("Lambda-Runtime-Aws-Tenant-Id", "ten-1");
    let request = invoke_once(invocation, ok()).request(1);
    assert_eq!(request.all("x-amz-tenant-id"), ["ten-1"]);
    assert_eq!(
        json_of(&request, "x-amzn-lambda-context")["tenant_id"],
        "ten-1"
    );
}

#[test]
fn trace_id_is_the_invocations() {
    for request in requests(json!({"x-amzn-trace-id": "Root=of-the-client"})) {
        assert_eq!(request.all("x-amzn-trace-id"), [TRACE]);
    }
    assert_eq!(
        invoke_once(sqs(), ok()).request(1).all("x-amzn-trace-id"),
        [TRACE]
    );
}

#[test]
fn trace_id_of_the_event_stays_when_the_invocation_has_none() {
    let event = || {
        with(
            get("/"),
            json!({"headers": {"x-amzn-trace-id": "Root=of-the-client"}}),
        )
    };
    for value in ["(absent)", ""] {
        let invocation = Invocation::from(event()).header("Lambda-Runtime-Trace-Id", value);
        let request = invoke_once(invocation, ok()).request(1);
        assert_eq!(
            request.all("x-amzn-trace-id"),
            ["Root=of-the-client"],
            "{value:?}"
        );
        assert_eq!(
            json_of(&request, "x-amzn-lambda-context")["xray_trace_id"],
            json!(null),
            "{value:?}"
        );
    }
}

#[test]
fn context_headers_are_ascii_and_lose_nothing() {
    let event = with(
        get("/"),
        json!({"requestContext": {"authorizer": {"lambda": {"who": "zoë\u{7f}\n🦀\u{80}"}}}}),
    );
    let run = invoke_once(event, ok());
    let request = run.request(1);
    assert!(
        request
            .header("x-amzn-request-context")
            .unwrap()
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte))
    );
    assert_eq!(
        json_of(&request, "x-amzn-request-context")["authorizer"]["lambda"]["who"],
        "zoë\u{7f}\n🦀\u{80}"
    );
}

#[test]
fn request_context_is_the_events_with_every_key() {
    let change = json!({"requestContext": {
        "authentication": {"clientCert": {"subjectDN": "CN=ann"}}, "newKey": [1, 2.50]}});
    for (kind, event) in http_kinds("GET", "/") {
        let event = with(event, change.clone());
        let request = invoke_once(event.clone(), ok()).request(1);
        assert_eq!(
            json_of(&request, "x-amzn-request-context"),
            event["requestContext"],
            "{kind}"
        );
    }
}

#[test]
fn request_context_with_line_ends_between_its_keys_is_still_one_header() {
    let event = "{\"requestContext\":{\n\t\"http\": {\r\n \"method\": \"GET\"},\n \"n\": 1.10, \
        \"s\": \"a  b\"\n}}";
    let request = invoke_once(event, ok()).request(1);
    let context = request.header("x-amzn-request-context").unwrap();
    assert_eq!(
        context.replace("a  b", "a~~b").replace(' ', ""),
        r#"{"http":{"method":"GET"},"n":1.10,"s":"a~~b"}"#
    );
}

#[test]
fn lambda_context_holds_what_lambda_says() {
    let value = context(Invocation::from(get("/")));
    assert_eq!(value["request_id"], "req-1");
    assert_eq!(value["deadline"], 4_102_444_800_000u64);
    assert_eq!(value["invoked_function_arn"], crate::harness::api::ARN);
    assert_eq!(value["env_config"]["memory"], 128);
    assert_eq!(value["xray_trace_id"], TRACE);
}

#[test]
fn lambda_context_escapes_what_no_header_can_hold() {
    let invocation = Invocation::from(get("/"))
        .header("Lambda-Runtime-Client-Context", r#"{"custom":{"a":"zoë"}}"#);
    let request = invoke_once(invocation, ok()).request(1);
    assert!(request.header("x-amzn-lambda-context").unwrap().is_ascii());
    assert_eq!(
        json_of(&request, "x-amzn-lambda-context")["client_context"]["custom"]["a"],
        "zoë"
    );
}

#[test]
fn client_context_of_an_odd_shape_is_carried_as_json() {
    for text in [
        r#"{"client":{"appTitle":"t"}}"#,
        r#"{"custom":{"a":{"b":[1]}}}"#,
        r#"{"env":{"x":"y"}}"#,
        "[]",
        "5",
        "\"s\"",
    ] {
        let value =
            context(Invocation::from(get("/")).header("Lambda-Runtime-Client-Context", text));
        assert_eq!(
            value["client_context"],
            serde_json::from_str::<Value>(text).unwrap()
        );
    }
}

#[test]
fn client_context_that_is_not_json_becomes_null() {
    for text in ["{", "nonsense", "", "{} {}"] {
        let value =
            context(Invocation::from(get("/")).header("Lambda-Runtime-Client-Context", text));
        assert_eq!(value["client_context"], json!(null), "{text}");
    }
}

#[test]
fn cognito_identity_keeps_its_old_names() {
    let text = r#"{"cognitoIdentityId":"id-1","cognitoIdentityPoolId":"pool-1"}"#;
    let value = context(Invocation::from(get("/")).header("Lambda-Runtime-Cognito-Identity", text));
    assert_eq!(
        value["identity"],
        json!({"identityId": "id-1", "identityPoolId": "pool-1"})
    );
}

#[test]
fn empty_headers_of_next_count_as_absent() {
    let invocation = Invocation::from(get("/"))
        .header("Lambda-Runtime-Cognito-Identity", "")
        .header("Lambda-Runtime-Aws-Tenant-Id", "");
    let request = invoke_once(invocation, ok()).request(1);
    let value = json_of(&request, "x-amzn-lambda-context");
    assert_eq!(
        (&value["identity"], &value["tenant_id"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(request.header("x-amz-tenant-id"), None);
}

#[test]
fn context_headers_can_be_switched_off() {
    let forged = with(
        get("/x"),
        json!({"headers": {"x-amzn-lambda-context": "evil", "x-amzn-request-context": "evil"}}),
    );
    let run = scenario()
        .env("AWS_LWA_CONTEXT_HEADERS", "off")
        .invoke(forged)
        .run();
    let request = run.request(1);
    assert_eq!(
        request
            .header("x-amzn-request-context")
            .or(request.header("x-amzn-lambda-context")),
        None
    );
    assert_eq!(request.all("x-amzn-trace-id"), [TRACE]);
}

#[test]
fn authorization_can_come_from_another_header() {
    let scenario = scenario().env("AWS_LWA_AUTHORIZATION_SOURCE", "X-Auth");
    let event = with(
        get("/"),
        json!({"headers": {"x-auth": "Bearer t", "authorization": "AWS4-HMAC-SHA256 x"}}),
    );
    let request = scenario.invoke(event).run().request(1);
    assert_eq!(
        (request.all("authorization"), request.header("x-auth")),
        (vec!["Bearer t"], None)
    );
}

#[test]
fn authorization_stays_when_the_other_header_is_absent() {
    let scenario = scenario().env("AWS_LWA_AUTHORIZATION_SOURCE", "x-auth");
    let run = scenario
        .invoke(with(
            get("/"),
            json!({"headers": {"authorization": "Basic b"}}),
        ))
        .run();
    assert_eq!(run.request(1).all("authorization"), ["Basic b"]);
    assert!(!run.log().contains("WARN"), "{}", run.log());
}

#[test]
fn authorization_is_not_made_up_when_the_other_header_is_absent() {
    let run = scenario()
        .env("AWS_LWA_AUTHORIZATION_SOURCE", "x-auth")
        .invoke_all([get("/"), with(get("/"), json!({"headers": {"x-auth": ""}}))])
        .run();
    assert_eq!(run.request(1).header("authorization"), None);
    assert_eq!(run.request(2).header("authorization"), Some(""));
    assert!((1..=2).all(|number| run.reply(number)["statusCode"] == 200));
}

#[test]
fn odd_forwarded_proto_is_sent_as_it_is() {
    for value in ["", "ht tp", "HTTPS, http"] {
        let found = requests(json!({"x-forwarded-proto": value}));
        assert!(
            found
                .iter()
                .all(|request| request.all("x-forwarded-proto") == [value]),
            "{value:?}"
        );
    }
}

#[test]
fn traceparent_is_derived_from_the_trace_id_when_asked_for() {
    let request = scenario()
        .env("AWS_LWA_TRACEPARENT", "true")
        .invoke(get("/"))
        .run()
        .request(1);
    let expected = "00-5bef4de7ad49b0e87f6ef6c87fc2e700-9a9197af755a6419-01";
    assert_eq!(request.all("traceparent"), [expected]);
    assert_eq!(
        invoke_once(get("/"), ok()).request(1).header("traceparent"),
        None
    );
}

#[test]
fn traceparent_is_not_made_up_from_a_trace_id_that_has_no_parent() {
    let invocation = Invocation::from(get("/")).header(
        "Lambda-Runtime-Trace-Id",
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    );
    let request = scenario()
        .env("AWS_LWA_TRACEPARENT", "true")
        .invoke(invocation)
        .run()
        .request(1);
    assert_eq!(request.header("traceparent"), None);
}

#[test]
fn headers_that_no_front_end_accepts_are_refused_with_431_and_queries_with_400() {
    let many = |count: usize, value: Value| -> Value {
        (0..count)
            .map(|number| (format!("{:a<40}", format!("name-{number}")), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let fields = json!({"headers": many(2_000, json!("value"))});
    let long = json!({"multiValueHeaders": {"x".repeat(1 << 20): vec!["v"; 1000]}});
    let too_many = json!({"headers": many(30_000, json!("value")),
        "multiValueHeaders": many(30_000, json!(["value"]))});
    let query = json!({"queryStringParameters": many(30_000, json!("value")),
        "multiValueQueryStringParameters": many(30_000, json!(["value"]))});
    let events = [fields, long, too_many, query].map(|change| with(rest("GET", "/x"), change));
    let run = scenario().invoke_all(events).run();
    let statuses: Vec<_> = (1..=4)
        .map(|number| run.reply(number)["statusCode"].clone())
        .collect();
    assert_eq!(statuses, [200, 431, 431, 400]);
    assert_eq!(
        run.request(1).header(&format!("{:a<40}", "name-1999")),
        Some("value")
    );
    assert_eq!(run.requests().len(), 1);
}
