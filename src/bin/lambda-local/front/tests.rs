//! The event of one request for each front end, and the response to each kind of reply.

use super::*;
use serde_json::json;

fn request() -> HttpRequest {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    HttpRequest {
        id: "q-1".to_owned(),
        trace: "1-69817580-0123456789abcdef01234567".to_owned(),
        time_ms: 1_770_113_472_000,
        method: "POST".to_owned(),
        target: "/live/caf%C3%A9/a%20b?t=1&t=x+y%26&e=".to_owned(),
        headers: vec![
            header("Host", "127.0.0.1:3000"),
            header("X-Rep", "one"),
            header("x-rep", "two"),
            header("Cookie", "a=1; b=2"),
            header("Connection", "keep-alive, x-hop"),
            header("X-Hop", "secret"),
            header("Content-Type", "application/octet-stream"),
            header("Transfer-Encoding", "chunked"),
            header("X-Forwarded-For", "192.0.2.7"),
        ],
        body: vec![0, 1, 255],
        source_ip: "127.0.0.1".to_owned(),
        port: 3000,
    }
}

fn front(kind: Kind) -> Front {
    let stage = matches!(kind, Kind::HttpApi | Kind::RestApi).then(|| "live".to_owned());
    Front { kind, stage }
}

fn event(kind: Kind) -> Value {
    let event = front(kind).event(&request()).expect("an event");
    serde_json::from_slice(&event).expect("JSON")
}

fn render(kind: Kind, payload: Value) -> Result<HttpResponse, ReplyError> {
    front(kind).response(payload.to_string().as_bytes())
}

fn headers(response: &HttpResponse) -> Vec<(&str, &str)> {
    response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[test]
fn a_function_url_keeps_the_path_and_has_cookies_twice() {
    let event = event(Kind::FunctionUrl);
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["rawPath"], "/live/caf%C3%A9/a%20b");
    assert_eq!(event["requestContext"]["http"]["path"], "/live/café/a b");
    assert_eq!(event["rawQueryString"], "t=1&t=x+y%26&e=");
    assert_eq!(
        event["queryStringParameters"],
        json!({"t": "1,x y&", "e": ""})
    );
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"]["cookie"], "a=1; b=2");
    assert_eq!(event["headers"]["x-rep"], "one,two");
    assert_eq!(
        (&event["body"], &event["isBase64Encoded"]),
        (&json!("AAH/"), &json!(true))
    );
    assert_eq!(
        event["requestContext"]["time"],
        "03/Feb/2026:10:11:12 +0000"
    );
}

#[test]
fn an_http_api_decodes_the_path_and_removes_the_cookie_header() {
    let event = event(Kind::HttpApi);
    assert_eq!(event["rawPath"], "/live/café/a b");
    assert_eq!(event["pathParameters"]["proxy"], "café/a b");
    assert_eq!(event["requestContext"]["stage"], "live");
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"].get("cookie"), None);
}

#[test]
fn a_rest_api_keeps_the_case_of_names_and_decodes_the_query_once() {
    let event = event(Kind::RestApi);
    assert_eq!(event["path"], "/caf%C3%A9/a%20b");
    assert_eq!(event["requestContext"]["path"], "/live/caf%C3%A9/a%20b");
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({"t": ["1", "x y&"], "e": [""]})
    );
    assert_eq!(event["queryStringParameters"]["t"], "x y&");
    assert_eq!(event["multiValueHeaders"]["X-Rep"], json!(["one"]));
    assert_eq!(event["headers"]["Cookie"], "a=1; b=2");
    assert_eq!(event["resource"], "/{proxy+}");
}

#[test]
fn a_load_balancer_does_not_decode_the_query_and_has_one_format_of_headers() {
    let single = event(Kind::Alb);
    assert_eq!(
        single["queryStringParameters"],
        json!({"t": "x+y%26", "e": ""})
    );
    assert_eq!(single["headers"]["x-rep"], "two");
    assert_eq!(single.get("multiValueHeaders"), None);
    let multi = event(Kind::AlbMultiValue);
    assert_eq!(
        multi["multiValueQueryStringParameters"],
        json!({"t": ["1", "x+y%26"], "e": [""]})
    );
    assert_eq!(multi["multiValueHeaders"]["x-rep"], json!(["one", "two"]));
    assert_eq!(multi.get("headers"), None);
}

#[test]
fn lattice_has_lists_and_microseconds_in_a_string() {
    let event = event(Kind::Lattice);
    assert_eq!(event["path"], "/live/caf%C3%A9/a%20b");
    assert_eq!(event["queryStringParameters"]["t"], json!(["1", "x+y%26"]));
    assert_eq!(event["headers"]["x-rep"], json!(["one", "two"]));
    assert_eq!(event["requestContext"]["timeEpoch"], "1770113472000000");
}

#[test]
fn no_front_end_forwards_hop_by_hop_headers() {
    for (name, kind) in crate::cli::options::KINDS {
        let event = event(kind).to_string().to_ascii_lowercase();
        for gone in ["x-hop", "\"connection\"", "transfer-encoding"] {
            assert!(!event.contains(gone), "{name}: {gone}");
        }
        assert!(event.contains("192.0.2.7, 127.0.0.1"), "{name}");
    }
}

#[test]
fn a_text_body_must_be_utf8() {
    for (content_type, body, encoded) in [
        ("text/plain; charset=utf-8", &b"caf\xc3\xa9"[..], false),
        ("text/plain", b"caf\xe9", true),
        ("application/problem+json", b"{}", false),
        ("application/x-www-form-urlencoded", b"a=1", true),
        ("", b"a", true),
    ] {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        let request = HttpRequest {
            headers,
            body: body.to_vec(),
            ..request()
        };
        let event: Value =
            serde_json::from_slice(&front(Kind::FunctionUrl).event(&request).expect("an event"))
                .expect("JSON");
        assert_eq!(event["isBase64Encoded"], encoded, "{content_type}");
    }
}

#[test]
fn each_front_end_rejects_large_requests_and_paths_outside_its_stage() {
    let large = |bytes| HttpRequest {
        body: vec![b'x'; bytes],
        ..request()
    };
    assert_eq!(
        front(Kind::Alb).event(&large((1 << 20) + 1)),
        Err(GatewayError::RequestTooLarge)
    );
    assert!(front(Kind::Lattice).event(&large((1 << 20) + 1)).is_ok());
    assert_eq!(
        front(Kind::FunctionUrl).event(&large(6 << 20)),
        Err(GatewayError::RequestTooLarge)
    );
    let elsewhere = HttpRequest {
        target: "/other/x".to_owned(),
        ..request()
    };
    assert_eq!(
        front(Kind::RestApi).event(&elsewhere),
        Err(GatewayError::NotInStage)
    );
    assert_eq!(
        front(Kind::RestApi)
            .error_response(GatewayError::NotInStage)
            .status,
        403
    );
    assert_eq!(
        front(Kind::HttpApi)
            .error_response(GatewayError::NotInStage)
            .status,
        404
    );
}

#[test]
fn each_front_end_has_its_own_format_of_cookies() {
    let v2 =
        json!({"statusCode": 200, "headers": {"x-a": "1, 2"}, "cookies": ["s=1; Path=/", "t=2"]});
    let response = render(Kind::HttpApi, v2).expect("a response");
    assert_eq!(
        headers(&response),
        [
            ("x-a", "1, 2"),
            ("set-cookie", "s=1; Path=/"),
            ("set-cookie", "t=2")
        ]
    );
    let both = json!({
        "statusCode": 200,
        "headers": {"set-cookie": "s=1"},
        "multiValueHeaders": {"set-cookie": ["s=1", "t=2"]}
    });
    assert_eq!(
        headers(&render(Kind::Alb, both.clone()).expect("a response")),
        [("set-cookie", "s=1")]
    );
    assert_eq!(
        headers(&render(Kind::AlbMultiValue, both.clone()).expect("a response")),
        [("set-cookie", "s=1"), ("set-cookie", "t=2")]
    );
    assert_eq!(
        headers(&render(Kind::RestApi, both).expect("a response")),
        [("set-cookie", "s=1"), ("set-cookie", "t=2")]
    );
}

#[test]
fn an_invalid_base64_body_is_an_error() {
    for (name, kind) in crate::cli::options::KINDS {
        let good = json!({"statusCode": 200, "body": "AAH/", "isBase64Encoded": true});
        assert_eq!(render(kind, good).expect(name).body, [0, 1, 255], "{name}");
        let bad = json!({"statusCode": 200, "body": "AAH", "isBase64Encoded": true});
        assert!(render(kind, bad).is_err(), "{name}");
    }
}

#[test]
fn the_error_names_the_invalid_field_of_a_reply() {
    for (payload, word) in [
        (json!({"statusCode": "x"}), "statusCode"),
        (json!({"statusCode": 20}), "statusCode"),
        (json!({"statusCode": 200, "body": {}}), "body"),
        (json!({"statusCode": 200, "headers": []}), "headers"),
    ] {
        for (name, kind) in crate::cli::options::KINDS {
            let expected = kind != Kind::AlbMultiValue || word != "headers";
            let error = render(kind, payload.clone())
                .err()
                .map(|error| error.to_string());
            assert_eq!(
                error.is_some_and(|error| error.contains(word)),
                expected,
                "{name}: {payload}"
            );
        }
    }
    assert_eq!(
        front(Kind::RestApi)
            .error_response(GatewayError::FunctionFailed)
            .status,
        502
    );
    assert_eq!(
        front(Kind::HttpApi)
            .error_response(GatewayError::FunctionFailed)
            .status,
        500
    );
    assert_eq!(
        front(Kind::FunctionUrl)
            .error_response(GatewayError::FunctionFailed)
            .status,
        502
    );
}

#[test]
fn only_format_2_accepts_any_json_as_a_body() {
    let response = render(Kind::FunctionUrl, json!({"hello": 1})).expect("a response");
    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, &br#"{"hello":1}"#[..])
    );
    for kind in [Kind::RestApi, Kind::Alb, Kind::Lattice] {
        assert!(render(kind, json!({"hello": 1})).is_err());
    }
}

#[test]
fn reserved_headers_are_renamed() {
    let given = json!({"statusCode": 401, "headers": {"www-authenticate": "Basic", "server": "x"}});
    let remapped = render(Kind::FunctionUrl, given.clone()).expect("a response");
    assert_eq!(
        headers(&remapped),
        [
            ("x-amzn-remapped-server", "x"),
            ("x-amzn-remapped-www-authenticate", "Basic")
        ]
    );
    assert_eq!(
        headers(&render(Kind::Alb, given).expect("a response")),
        [("server", "x"), ("www-authenticate", "Basic")]
    );
}

#[test]
fn a_load_balancer_accepts_a_reply_of_one_megabyte() {
    let payload = json!({"statusCode": 200, "body": "x".repeat(1 << 20)});
    assert!(render(Kind::Alb, payload.clone()).is_err());
    assert!(render(Kind::Lattice, payload).is_ok());
}

#[test]
fn a_prelude_is_the_head_of_a_streamed_response() {
    let prelude = br#"{
        "statusCode": 201,
        "headers": {"x-a": "1", "x-list": ["a", "b"]},
        "multiValueHeaders": {"x-m": ["1", "2"]},
        "cookies": ["s=1"]
    }"#;
    let url = front(Kind::FunctionUrl)
        .stream_head(prelude)
        .expect("a head");
    assert_eq!(
        headers(&url),
        [
            ("x-a", "1"),
            ("set-cookie", "s=1"),
            ("content-type", "application/octet-stream")
        ]
    );
    let rest = front(Kind::RestApi).stream_head(prelude).expect("a head");
    assert_eq!(
        headers(&rest),
        [
            ("x-m", "1"),
            ("x-m", "2"),
            ("x-a", "1"),
            ("set-cookie", "s=1"),
            ("content-type", "application/octet-stream")
        ]
    );
    assert!(front(Kind::FunctionUrl).stream_head(b"nonsense").is_err());
}
