//! Buffered response to reply: status, headers, cookies, text or base64.
//!
//! The rule: bytes are unchanged; text exactly where the client gets the same bytes back from it.

use crate::harness::app::{Response, raw, response, response_head};
use crate::harness::base64;
use crate::harness::events::*;
use crate::harness::record::Side;
use crate::harness::scenario::{invoke_once, scenario};
use serde_json::{Value, json};

/// The reply to a Function URL request with this response of the app.
fn reply(response: Response) -> Value {
    invoke_once(get("/"), response).reply(1)
}

fn is_text(head: &str, body: &[u8]) -> bool {
    let reply = reply(response(&format!("200 OK\n{head}"), body));
    let text = reply["isBase64Encoded"] == json!(false);
    let expected = if text {
        String::from_utf8(body.to_vec()).unwrap_or_default()
    } else {
        base64::encode(body)
    };
    assert_eq!(reply["body"], expected, "{head}");
    text
}

#[test]
fn textual_types_are_text() {
    let kinds = [
        "text/plain",
        "Text/HTML; Charset=UTF-8",
        "application/json",
        "APPLICATION/JSON",
        "application/javascript",
        "application/xml",
        "application/yaml",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/problem+json",
        "application/graphql-response+json; charset=utf-8",
        "image/svg+xml",
        "application/rss+xml ; charset=utf-8",
    ];
    for kind in kinds {
        assert!(
            is_text(&format!("Content-Type: {kind}"), "crêpe".as_bytes()),
            "{kind}"
        );
    }
}

#[test]
fn other_types_are_base64() {
    for kind in [
        "application/octet-stream",
        "image/png",
        "application/pdf",
        "font/woff2",
        "application/zip",
        "x",
    ] {
        assert!(
            !is_text(&format!("Content-Type: {kind}"), b"plain"),
            "{kind}"
        );
    }
}

#[test]
fn body_without_a_type_is_text_exactly_when_it_is_utf_8() {
    assert!(is_text("X-A: b", "crêpe".as_bytes()));
    assert!(!is_text("X-A: b", b"\x89PNG\xff\x00"));
}

#[test]
fn text_type_with_bytes_that_are_not_utf_8_is_base64() {
    assert!(!is_text("Content-Type: text/plain", b"cr\xeape"));
    assert!(!is_text("Content-Type: application/json", b"\"\xff\""));
}

#[test]
fn what_turns_out_late_not_to_be_text_is_base64_from_its_first_byte() {
    let page = "\"crêpe\" 😀\n".repeat(12_000);
    let plain = "Content-Type: text/html";
    assert!(is_text(plain, page.as_bytes()));
    for end in [&b"\xff"[..], b"\xf0\x9f\x98", b"\xf0\x9f\x98-"] {
        let body = [page.as_bytes(), end].concat();
        assert!(!is_text(plain, &body));
        let with_more = [&body, page.as_bytes()].concat();
        assert!(!is_text(plain, &with_more));
    }
}

#[test]
fn character_may_be_cut_by_what_arrives_at_once() {
    let halves = "e\u{fc}\u{20ac}\u{1f600}".as_bytes();
    for at in 1..halves.len() {
        let (first, second) = halves.split_at(at);
        let response = raw(response_head("200 OK", Some(halves.len())))
            .send(first)
            .open("first")
            .wait_for("second")
            .send(second);
        let mut run = scenario().respond(response).invoke(get("/")).start();
        run.wait_until("the first part", |run| run.is_open("first"));
        run.open("second");
        run.finish();
        assert_eq!(run.reply(1)["body"], "e\u{fc}\u{20ac}\u{1f600}");
    }
}

#[test]
fn utf_8_is_text_whatever_its_charset_says() {
    // A REST API without binary media types does not decode base64.
    for content_type in [
        "text/html;charset=ISO-8859-1",
        "application/json;charset=ISO-8859-1",
        "application/json charset=utf-8",
        "text/html; charset=",
        "text/html; charset=\"utf-16\"",
        "text/plain; charset=us-ascii",
        "application/jsonp",
        "text/plain, text/plain",
    ] {
        let head = format!("Content-Type: {content_type}");
        assert!(is_text(&head, b"plain"), "{content_type}");
        assert!(is_text(&head, "cr\u{ea}pe".as_bytes()), "{content_type}");
        assert!(!is_text(&head, b"cr\xeape"), "{content_type}");
    }
}

#[test]
fn latin_1_page_of_a_rest_api_is_warned_about_once_with_the_cure() {
    let page = |charset: &str| {
        let head = format!("200 OK\nContent-Type: text/html{charset}");
        response(&head, b"cr\xeape")
    };
    let warnings = |events: Vec<Value>| {
        let run = scenario()
            .respond(page(";charset=ISO-8859-1"))
            .respond(page(""))
            .invoke_all(events)
            .run();
        assert_eq!(run.reply(1)["isBase64Encoded"], true);
        assert_eq!(run.reply(1)["body"], base64::encode(b"cr\xeape"));
        let log = run.log();
        let lines = log.lines().filter(|line| line.contains("WARN"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let found = warnings(vec![rest("GET", "/"); 3]);
    assert_eq!(found.len(), 1, "{found:?}");
    for word in [
        "text/html;charset=ISO-8859-1",
        "UTF-8",
        "binary media types",
    ] {
        assert!(found[0].contains(word), "{found:?}");
    }
    let decodes_base64 = warnings(vec![get("/"), alb("GET", "/")]);
    assert!(decodes_base64.is_empty(), "{decodes_base64:?}");
}

#[test]
fn byte_order_mark_is_kept() {
    assert!(is_text("Content-Type: text/csv", "\u{feff}a,b".as_bytes()));
}

#[test]
fn encoded_body_is_base64_and_identity_is_no_encoding() {
    for coding in ["gzip", "br", "zstd", "GZIP", "x-unknown"] {
        assert!(
            !is_text(
                &format!("Content-Type: text/plain\nContent-Encoding: {coding}"),
                b"plain"
            ),
            "{coding}"
        );
    }
    assert!(is_text(
        "Content-Type: text/plain\nContent-Encoding: identity",
        b"plain"
    ));
}

#[test]
fn text_with_every_awkward_character_survives_json() {
    let all: String = (0u32..0x800)
        .chain(0x2028..0x202a)
        .chain([0x1f980, 0x10ffff])
        .filter_map(char::from_u32)
        .collect();
    assert!(is_text("Content-Type: text/plain", all.as_bytes()));
}

#[test]
fn empty_body_is_an_empty_string() {
    for kind in ["text/plain", "image/png"] {
        assert_eq!(
            reply(response(&format!("200 OK\nContent-Type: {kind}"), ""))["body"],
            "",
            "{kind}"
        );
    }
}

#[test]
fn status_reaches_the_client_as_it_is() {
    for status in [200, 201, 299, 301, 304, 400, 404, 418, 500, 503, 599, 999] {
        let run = invoke_once(get("/"), response(&format!("{status} Whatever"), ""));
        assert_eq!(run.reply(1)["statusCode"], status);
    }
}

#[test]
fn status_line_without_a_reason_is_fine() {
    assert_eq!(reply(raw("HTTP/1.1 204\r\n\r\n"))["statusCode"], 204);
    assert_eq!(
        reply(raw("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"))["body"],
        "ok"
    );
}

#[test]
fn latin_1_header_byte_becomes_that_character() {
    let reply = reply(raw(
        b"HTTP/1.1 200 OK\r\nX-Name: zo\xeb\r\nX-After: 1\r\nContent-Length: 2\r\n\r\nok",
    ));
    assert_eq!(reply["headers"]["x-name"], "zoë");
    assert_eq!(reply["headers"]["x-after"], "1");
}

#[test]
fn utf_8_header_value_keeps_its_characters() {
    let reply = reply(response("200 OK\nX-Name: zoë 🦀", "ok"));
    assert_eq!(reply["headers"]["x-name"], "zoë 🦀");
}

#[test]
fn repeated_header_of_a_single_value_reply_is_joined() {
    let response = || {
        response(
            "200 OK\nVary: a\nX-Rep: one\nvary: b\nX-Rep: two, three",
            "ok",
        )
    };
    let run = scenario()
        .respond(response())
        .invoke_all([get("/"), http_api("GET", "/"), lattice("GET", "/")])
        .run();
    for number in 1..=3 {
        let headers = &run.reply(number)["headers"];
        assert_eq!(
            (&headers["vary"], &headers["x-rep"]),
            (&json!("a, b"), &json!("one, two, three")),
            "{number}"
        );
    }
}

#[test]
fn repeated_header_of_a_multi_value_reply_is_a_list() {
    let run = scenario().respond(response("200 OK\nX-Rep: one\nx-rep: two", "ok"));
    let run = run
        .invoke_all([rest("GET", "/"), alb_multi("GET", "/")])
        .run();
    for number in 1..=2 {
        assert_eq!(
            run.reply(number)["multiValueHeaders"]["x-rep"],
            json!(["one", "two"]),
            "{number}"
        );
    }
}

#[test]
fn set_cookie_is_neither_split_nor_joined() {
    let (first, second) = ("a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2, c=3");
    let reply = reply(response(
        &format!("200 OK\nSet-Cookie: {first}\nset-cookie: {second}"),
        "ok",
    ));
    assert_eq!(reply["cookies"], json!([first, second]));
    assert_eq!(reply["headers"]["set-cookie"], json!(null));
}

#[test]
fn cookies_of_a_single_value_alb_reply_have_names_that_differ_in_case() {
    let cookies: Vec<String> = (0..40)
        .map(|number| format!("c{number}=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"))
        .collect();
    let lines = cookies.join("\nSet-Cookie: ");
    let head = format!("200 OK\nSet-Cookie: {lines}\nX-A: b\nX-A: c");
    let run = scenario()
        .respond(response(&head, "ok"))
        .invoke_all(vec![alb("GET", "/"); 3])
        .run();
    let reply = run.reply(1);
    let headers = reply["headers"].as_object().expect("headers");
    let is_cookie = |name: &&String| name.eq_ignore_ascii_case("set-cookie");
    // The map sorts its keys.
    let found: Vec<_> = headers
        .keys()
        .filter(is_cookie)
        .map(|name| headers[name].as_str().expect("a string"))
        .collect();
    assert_eq!(found, cookies);
    assert_eq!(headers["set-cookie"], cookies[39]);
    assert_eq!((&headers["x-a"], headers.len()), (&json!("b, c"), 41));
    let log = run.log();
    let warned = |line: &&str| line.contains("WARN") && line.contains("multi_value_headers");
    assert_eq!(log.lines().filter(warned).count(), 1, "{log}");
}

#[test]
fn cookies_of_a_lattice_reply_have_names_that_differ_in_case() {
    let run = invoke_once(
        lattice("GET", "/"),
        response("200 OK\nSet-Cookie: a=1\nSet-Cookie: b=2", "ok"),
    );
    let headers = &run.reply(1)["headers"];
    assert_eq!(
        (&headers["set-cookiE"], &headers["set-cookie"]),
        (&json!("a=1"), &json!("b=2"))
    );
    let log = run.log();
    let warned = |line: &str| line.contains("WARN") && line.contains("Lattice takes one value");
    assert!(log.lines().any(warned), "{log}");
}

#[test]
fn alb_reply_has_a_status_description() {
    for kind in [alb("GET", "/"), alb_multi("GET", "/"), lattice("GET", "/")] {
        let reply = invoke_once(kind, response("404 Nothing Here", "")).reply(1);
        assert!(
            reply["statusDescription"]
                .as_str()
                .is_some_and(|text| text.starts_with("404 ")),
            "{reply}"
        );
    }
}

#[test]
fn hop_by_hop_headers_of_the_app_are_removed() {
    let head = "200 OK\nConnection: X-Private\nX-Private: 1\nKeep-Alive: timeout=5\nTrailer: \
        x\nUpgrade: h2c\n\
        Proxy-Authenticate: x\nX-Kept: 1";
    let reply = reply(response(head, "ok"));
    assert_eq!(reply["headers"], json!({"x-kept": "1"}));
}

#[test]
fn framing_headers_of_the_app_are_removed() {
    let chunked = raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    for reply in [reply(response("200 OK", "ok")), reply(chunked)] {
        assert_eq!(
            (&reply["headers"], &reply["body"]),
            (&json!({}), &json!("ok"))
        );
    }
}

#[test]
fn content_length_is_kept_for_head_and_304() {
    let head = raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n");
    assert_eq!(
        invoke_once(url("HEAD", "/"), head).reply(1)["headers"]["content-length"],
        "50"
    );
    let unchanged = raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\nETag: \"a\"\r\n\r\n");
    let reply = reply(unchanged);
    assert_eq!(
        (
            &reply["headers"]["content-length"],
            &reply["headers"]["etag"]
        ),
        (&json!("50"), &json!("\"a\""))
    );
}

#[test]
fn no_body_is_read_after_head_204_and_304() {
    for (method, head) in [
        ("HEAD", "200 OK\r\nContent-Length: 9"),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked"),
        ("GET", "204 No Content\r\nContent-Length: 9"),
        ("GET", "304 Not Modified\r\nContent-Length: 9"),
        ("GET", "204 No Content"),
    ] {
        let run = scenario()
            .respond(raw(format!("HTTP/1.1 {head}\r\n\r\n")))
            .respond(response("200 OK", "second"));
        let run = run.invoke_all([url(method, "/"), get("/")]).run();
        assert_eq!(
            (&run.reply(1)["body"], &run.reply(2)["body"]),
            (&json!(""), &json!("second")),
            "{head}"
        );
    }
}

#[test]
fn interim_answers_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
        HTTP/1.1 102 P\r\n\r\n";
    let reply =
        reply(raw(interim).send("HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"));
    assert_eq!(
        (&reply["statusCode"], &reply["headers"]),
        (&json!(200), &json!({"x-a": "1"}))
    );
}

#[test]
fn chunked_body_with_extensions_and_trailers_is_read() {
    let body = "3;ext=1;q=\"a;b\"\r\nabc\r\n00A \r\n0123456789\r\n0;last\r\nX-Trailer: 1\r\n\r\n";
    let run = scenario().respond(raw(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n{body}"
    )));
    let run = run
        .respond(response("200 OK", "second"))
        .invoke_all([get("/"), get("/")])
        .run();
    assert_eq!(
        (&run.reply(1)["body"], &run.reply(2)["body"]),
        (&json!("abc0123456789"), &json!("second"))
    );
}

#[test]
fn body_up_to_the_close_is_read() {
    assert_eq!(
        reply(raw("HTTP/1.1 200 OK\r\n\r\nto the end").close())["body"],
        "to the end"
    );
    assert_eq!(
        reply(raw("HTTP/1.0 200 OK\r\n\r\nto the end").close())["body"],
        "to the end"
    );
    assert_eq!(
        reply(raw("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok").close())["body"],
        "ok"
    );
}

#[test]
fn answer_in_single_bytes_is_read() {
    let bytes =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let response = bytes
        .chunks(1)
        .fold(raw(""), |response, byte| response.send(byte).pause(1));
    assert_eq!(reply(response)["body"], "ok");
}

#[test]
fn chunked_wins_over_content_length_and_ends_the_connection() {
    let both_framings = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: \
        chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let run = scenario()
        .respond(raw(both_framings))
        .respond(response("200 OK", "second"))
        .invoke_all([get("/"), get("/")])
        .run();
    assert_eq!(
        (&run.reply(1)["body"], &run.reply(2)["body"]),
        (&json!("ok"), &json!("second"))
    );
    let requests: Vec<_> = run
        .app_requests()
        .into_iter()
        .map(|(entry, _)| entry.connection)
        .collect();
    assert_ne!(requests[1], requests[2], "the connection was used again");
    assert_eq!(run.connections(Side::App), 2);
}

#[test]
fn equal_lengths_stated_twice_are_one_length() {
    assert_eq!(
        reply(raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"
        ))["body"],
        "ok"
    );
}

#[test]
fn redirects_are_the_clients_to_follow() {
    let run = invoke_once(get("/"), response("302 Found\nLocation: /elsewhere", ""));
    assert_eq!(
        (
            &run.reply(1)["statusCode"],
            &run.reply(1)["headers"]["location"]
        ),
        (&json!(302), &json!("/elsewhere"))
    );
    assert_eq!(run.requests().len(), 1);
}

#[test]
fn a_thousand_headers_are_fine() {
    let lines: String = (0..990)
        .map(|number| format!("X-H{number}: {number}\r\n"))
        .collect();
    let reply = reply(raw(format!(
        "HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"
    )));
    assert_eq!(reply["headers"]["x-h989"], "989");
}

#[test]
fn three_megabytes_of_bytes_arrive() {
    let body: Vec<u8> = (0..3_000_000u32)
        .map(|number| (number * 7 % 251) as u8)
        .collect();
    assert_eq!(
        reply(response("200 OK\nContent-Type: image/png", &body))["body"],
        base64::encode(&body)
    );
}

#[test]
fn largest_reply_lambda_takes_is_posted_and_one_byte_more_is_not() {
    const LIMIT: usize = 6_291_556;
    let of_length =
        |length: usize| response("200 OK\nContent-Type: text/plain", "x".repeat(length));
    let overhead = invoke_once(get("/"), of_length(1000)).response(1).length - 1000;
    let (fits, too_large) = (of_length(LIMIT - overhead), of_length(LIMIT - overhead + 1));
    let run = scenario()
        .respond(fits)
        .respond(too_large)
        .respond(of_length(1))
        .invoke_all([get("/"), get("/"), get("/")])
        .run();
    assert_eq!(run.response(1).length, LIMIT);
    run.assert_failure(
        2,
        "Function.ResponseTooLarge",
        &["6291557", "6291556", "stream"],
    );
    assert_eq!(run.reply(3)["body"], "x");
}

#[test]
fn size_limit_counts_base64_and_json_escapes() {
    let binary = response("200 OK\nContent-Type: image/png", vec![0xff; 5_000_000]);
    invoke_once(get("/"), binary).assert_failure(1, "Function.ResponseTooLarge", &["6291556"]);
    let quotes = response("200 OK\nContent-Type: text/plain", "\"".repeat(3_500_000));
    invoke_once(get("/"), quotes).assert_failure(1, "Function.ResponseTooLarge", &["6291556"]);
}

#[test]
fn reply_to_each_kind_has_its_shape() {
    let run = |event| invoke_once(event, response("200 OK\nX-A: 1", "ok")).reply(1);
    assert_eq!(
        run(rest("GET", "/"))["multiValueHeaders"]["x-a"],
        json!(["1"])
    );
    assert_eq!(run(http_api("GET", "/"))["headers"]["x-a"], "1");
    assert_eq!(run(get("/"))["headers"]["x-a"], "1");
    assert_eq!(run(alb("GET", "/"))["headers"]["x-a"], "1");
    assert_eq!(
        run(alb_multi("GET", "/"))["multiValueHeaders"]["x-a"],
        json!(["1"])
    );
    assert_eq!(run(lattice("GET", "/"))["headers"]["x-a"], "1");
}
