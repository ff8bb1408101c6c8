//! Smuggling and injection: nothing in an event adds a line, a header or a request to what the app
//! receives, nothing in a response does so towards Lambda, and no client can set reserved headers.
//!
//! Every control byte is tried in every place, followed by an attacker's bytes (RFC 9112 11.1 and
//! 11.2).

use crate::faults::mutations::is_well_formed;
use crate::harness::app::{Response, raw, response};
use crate::harness::events::*;
use crate::harness::http::Message;
use crate::harness::record::Side;
use crate::harness::scenario::scenario;
use serde_json::{Value, json};

/// Every control character, line ends of two, and letters that become CR or LF in a server that
/// keeps only their low byte.
fn controls() -> Vec<String> {
    let ascii = (0..0x20u8).chain([0x7f]).map(char::from).map(String::from);
    let others = [
        "\r\n",
        "\u{85}",
        "\u{2028}",
        "\u{10d}\u{10a}",
        "\u{560d}\u{560a}",
        "\u{ff0d}",
    ];
    ascii.chain(others.map(str::to_owned)).collect()
}

fn attack(control: &str) -> String {
    format!(
        "a{control}x-evil: 1{control}{control}GET /evil HTTP/1.1{control}host: \
            evil{control}{control}b"
    )
}

/// Sends the attack in one place of every kind of event. The app must receive one plain request for
/// each, and the client status 400 for those it does not.
fn assert_harmless(place: impl Fn(Value, &str) -> Value) {
    let mut events = Vec::new();
    for control in controls() {
        let attack = attack(&control);
        events.extend(
            each_kind("POST", "/place")
                .into_iter()
                .map(|event| place(event, &attack)),
        );
        events.push(place(sqs(), &attack));
    }
    let total = events.len();
    let run = scenario().invoke_all(events).run();
    let requests = run.requests();
    for request in &requests {
        assert!(is_well_formed(request), "{}", request.head.escape_ascii());
        assert_eq!(
            request.header("x-evil"),
            None,
            "{}",
            request.head.escape_ascii()
        );
        assert!(!request.target.starts_with("/evil"), "{}", request.target);
        assert_ne!(request.header("host"), Some("evil"));
    }
    let refused = run.all_posts().into_iter().filter(|(_, posted)| {
        let reply: Value = serde_json::from_slice(&posted.body).expect("JSON");
        reply["statusCode"] == 400
    });
    assert_eq!(requests.len() + refused.count(), total);
}

#[test]
fn method_cannot_smuggle() {
    assert_harmless(|event, text| {
        let change = json!({"httpMethod": text, "requestContext": {"http": {"method": text}}});
        let lattice = event["requestContext"].get("serviceArn").is_some();
        let change = if lattice {
            json!({"method": text})
        } else {
            change
        };
        if event.get("Records").is_some() {
            event
        } else {
            with(event, change)
        }
    });
}

#[test]
fn path_cannot_smuggle() {
    assert_harmless(|event, text| {
        let path = format!("/{text}");
        let event = with(event, json!({"rawPath": path, "path": path}));
        let v2 = event["requestContext"].get("http").is_some();
        if v2 {
            with(event, json!({"requestContext": {"http": {"path": path}}}))
        } else {
            event
        }
    });
}

#[test]
fn query_cannot_smuggle() {
    assert_harmless(|event, text| {
        with(
            event,
            json!({
                "rawQueryString": text, "queryStringParameters": {text: text},
                "multiValueQueryStringParameters": {text: [text, "x"]}
            }),
        )
    });
}

fn headers(event: Value, name: &str, value: &str) -> Value {
    let mut change = json!({"headers": {name: value}});
    if event.get("multiValueHeaders").is_some() {
        change["multiValueHeaders"] = json!({name: [value, value]});
    }
    with(event, change)
}

#[test]
fn header_names_cannot_smuggle() {
    assert_harmless(|event, text| headers(event, text, "1"));
    assert_harmless(|event, text| headers(event, &format!("x-name{text}"), "1"));
}

#[test]
fn header_values_cannot_smuggle() {
    for name in [
        "x-value",
        "content-type",
        "cookie",
        "authorization",
        "content-length",
        "transfer-encoding",
        "connection",
    ] {
        assert_harmless(|event, text| headers(event, name, text));
    }
}

#[test]
fn host_cannot_smuggle() {
    assert_harmless(|event, text| {
        let name = if event["headers"].get("Host").is_some() {
            "Host"
        } else {
            "host"
        };
        let one = json!({name: text});
        let event = with(
            event,
            json!({"headers": one, "requestContext": {"domainName": text}}),
        );
        if event.get("multiValueHeaders").is_none() {
            return event;
        }
        with(event, json!({"multiValueHeaders": {name: [text]}}))
    });
}

#[test]
fn cookies_cannot_smuggle() {
    assert_harmless(|event, text| with(event, json!({"cookies": [text, "b=2", text]})));
}

#[test]
fn body_cannot_smuggle() {
    assert_harmless(|event, text| with(event, json!({"body": text})));
    assert_harmless(|event, text| {
        let text = crate::harness::base64::encode(text.as_bytes());
        with(event, json!({"body": text, "isBase64Encoded": true}))
    });
}

#[test]
fn request_context_cannot_smuggle() {
    assert_harmless(|event, text| {
        with(
            event,
            json!({"requestContext": {"stage": text, "identity": {text: text}},
                "stageVariables": {text: text}}),
        )
    });
}

#[test]
fn what_lambda_says_of_the_invocation_cannot_smuggle() {
    // The fields of `/next` are lines themselves, so their values come escaped in JSON.
    let text = json!({"custom": {"a\r\nx-evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n\
        \u{2028}\u{10d}": "\u{0}\u{85}"}})
    .to_string();
    let invocation = crate::harness::api::Invocation::from(get("/"))
        .header("Lambda-Runtime-Client-Context", &text)
        .header(
            "Lambda-Runtime-Cognito-Identity",
            &json!({"cognitoIdentityId": "a\r\nx-evil: 1"}).to_string(),
        )
        .header("Lambda-Runtime-Aws-Tenant-Id", "a\tb\u{85}")
        .header("Lambda-Runtime-Trace-Id", "Root=1;\tx-evil: 1");
    let run = scenario().invoke(invocation).run();
    let request = run.request(1);
    assert!(is_well_formed(&request) && request.header("x-evil").is_none());
    let context: Value =
        serde_json::from_str(request.header("x-amzn-lambda-context").unwrap()).expect("JSON");
    assert_eq!(context["client_context"].to_string(), text);
}

#[test]
fn second_host_is_refused() {
    let two = json!({"headers": {"host": "a", "Host": "b"}});
    let run = scenario()
        .invoke_all([with(get("/"), two.clone()), with(alb("GET", "/"), two)])
        .run();
    assert!(run.requests().is_empty());
    assert!((1..=2).all(|number| run.reply(number)["statusCode"] == 400));
}

#[test]
fn names_that_become_the_same_variable_cannot_pass_for_what_is_vouched_for() {
    // CGI, WSGI and their like make one variable of `x-amz-tenant-id` and `x_amz_tenant_id`;
    // lighttpd's CGI replaces every byte that is neither letter nor digit.
    let forged = [
        "x_amz_tenant_id",
        "X_Amzn_Request_Context",
        "x-amzn_lambda-context",
        "x_forwarded_for",
        "x-forwarded_proto",
        "x_amzn_trace_id",
        "x.amz.tenant.id",
        "X!Amz~Tenant.Id",
        "x.amzn.lambda.context",
        "x!amzn!request!context",
        "x.forwarded.for",
        "x-amzn-oidc.data",
        "x.amz.cf.id",
        "CloudFront.Viewer-Address",
        "content.length",
        "transfer_encoding",
        "lambda_web_request_id",
        "Lambda.Web-Endpoint~Name",
    ];
    let run = scenario()
        .invoke_all(forged.map(|name| headers(alb("GET", "/"), name, "evil")))
        .invoke(headers(alb("GET", "/"), "user_id", "7"))
        .run();
    for request in &run.requests()[..forged.len()] {
        assert!(!String::from_utf8_lossy(&request.head).contains("evil"));
    }
    assert_eq!(run.request(forged.len() + 1).header("user_id"), Some("7"));
}

#[test]
fn proxy_header_is_dropped() {
    // It becomes HTTP_PROXY in CGI (httpoxy, CVE-2016-5385 and others).
    let run = scenario()
        .invoke(headers(get("/"), "Proxy", "http://evil"))
        .run();
    assert_eq!(run.request(1).header("proxy"), None);
}

#[test]
fn connection_cannot_name_away_what_the_front_end_says_of_the_client() {
    let change = json!({"headers": {"x-forwarded-for": "192.0.2.7",
        "connection": "close, X-Forwarded-For, x-hop", "x-hop": "1"}});
    let run = scenario().invoke(with(alb("GET", "/"), change)).run();
    let request = run.request(1);
    assert_eq!(
        (request.header("x-forwarded-for"), request.header("x-hop")),
        (Some("192.0.2.7"), None)
    );
}

/// The places where bytes of the app are read.
const PLACES: [&str; 15] = [
    "HTTP/1.1 200 O{}K\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 20{}0 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nX{}A: b\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain{}\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Encoding: {}\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 2{}\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: {}chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2{}\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a={}\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: {}\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n0\r\n{}\0\0\0\0\0\0\0\0",
    "HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\n\r\n{\"errorType\":\"{}\"}",
    "HTTP/1.1 500 Oops\r\n\r\n{}",
];

/// Responses with an attack in the place, one for each control byte.
fn responses(place: &str) -> Vec<Response> {
    let (before, after) = place.split_once("{}").expect("a place");
    let controls = (0..0x20u8)
        .chain([0x7f, 0x85, 0xff])
        .map(|byte| vec![byte])
        .chain([b"\r\n".to_vec()]);
    let lines: [&[u8]; 5] = [
        b"a",
        b"x-evil: 1",
        b"",
        b"POST /2018-06-01/runtime/invocation/req-1/response HTTP/1.1",
        b"content-length: 0",
    ];
    controls
        .map(|control| {
            let attack = lines.join(&control[..]);
            raw([before.as_bytes(), &attack, after.as_bytes()].concat()).close()
        })
        .collect()
}

/// Lambda receives only our own few requests, and every reply is valid JSON.
fn assert_only_our_posts(mode: &str, kinds: &[Value]) {
    let (mut good, mut total) = (0, 0);
    for place in PLACES {
        // POST and a fresh connection, so that none is retried.
        let mut scenario = scenario()
            .env("AWS_LWA_INVOKE_MODE", mode)
            .env("AWS_LWA_ERROR_STATUS_CODES", "500")
            .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "0");
        for response in responses(place) {
            for kind in kinds {
                scenario = scenario.respond(response.clone()).invoke(kind.clone());
                total += 1;
            }
        }
        let run = scenario.run();
        let entries = run.entries();
        let calls = entries.iter().filter(|entry| entry.side == Side::Api);
        calls
            .filter_map(|entry| entry.message())
            .for_each(check_call);
        let posts = run.all_posts();
        good += posts.iter().filter(|(_, post)| check_reply(post)).count();
    }
    // A response with control bytes is accepted where they are harmless.
    assert!((total / 4..total).contains(&good), "{good} of {total}");
}

fn check_call(message: &Message) {
    assert!(is_well_formed(message), "{}", message.head.escape_ascii());
    assert_eq!(message.header("x-evil"), None);
    let known = [
        "/2018-06-01/runtime/invocation/next",
        "/2020-01-01/extension/register",
        "/2020-01-01/extension/event/next",
    ];
    let posted = crate::harness::api::posted(&message.target).is_some();
    assert!(
        posted || known.contains(&message.target.as_str()),
        "{}",
        message.target
    );
    let kinds = ["Function.AppProtocol", "Function.HttpStatus"];
    let kind = message.header("lambda-runtime-function-error-type");
    assert!(kind.is_none_or(|kind| kinds.contains(&kind)), "{kind:?}");
    for (name, value) in &message.trailers {
        let ours = [
            "lambda-runtime-function-error-type",
            "lambda-runtime-function-error-body",
        ];
        assert!(
            ours.contains(&name.to_lowercase().as_str()),
            "{name}: {value}"
        );
    }
}

/// Whether the reply is the app's response; it must be JSON in any case.
fn check_reply(message: &Message) -> bool {
    let streamed = message
        .header("lambda-runtime-function-response-mode")
        .is_some();
    let end = message.body.windows(8).position(|window| window == [0; 8]);
    let json = match end.filter(|_| streamed) {
        Some(end) => &message.body[..end],
        None => &message.body[..],
    };
    let reply: Value = serde_json::from_slice(json).expect("JSON");
    assert!(
        !json.iter().any(|byte| *byte < b' '),
        "a raw control byte in JSON"
    );
    if reply.get("statusCode").is_none() || !streamed {
        return message.target.ends_with("/response");
    }
    assert!(reply["headers"].get("x-evil").is_none() || reply["headers"]["x-evil"] == "1");
    message.trailers.is_empty()
}

#[test]
fn answers_cannot_smuggle_towards_lambda() {
    let post = |event: Value| with(event, json!({"body": "b"}));
    let kinds = [post(rest("POST", "/")), post(alb("POST", "/")), sqs()];
    assert_only_our_posts("buffered", &kinds);
}

#[test]
fn streamed_answers_cannot_smuggle_towards_lambda() {
    assert_only_our_posts("response_stream", &[url("POST", "/"), rest("POST", "/")]);
}

#[test]
fn second_answer_is_never_taken_for_the_next_ones() {
    let twice = raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: \
            4\r\n\r\nevil",
    );
    let run = scenario()
        .respond(twice)
        .respond(response("200 OK", "well"))
        .invoke_all(vec![get("/"); 4])
        .run();
    assert_eq!(run.reply(1)["body"], "first");
    assert!((2..=4).all(|number| run.reply(number)["body"] == "well"));
}
