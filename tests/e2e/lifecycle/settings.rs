//! The environment: names, defaults, deprecated names, and errors about bad values.
//!
//! A bad setting is an init error, posted to Lambda and logged: a function must not run with a
//! setting other than the intended one.

use crate::harness::app::{raw, response};
use crate::harness::events::{get, http_api, sqs};
use crate::harness::scenario::{Run, scenario};
use serde_json::Value;

/// Init fails, naming the variable, its value, and these words.
fn assert_refused(name: &str, value: &str, accepted: &[&str]) {
    let mut run = scenario().env(name, value).invoke(get("/")).start();
    assert_eq!(run.exit().code(), Some(1), "{name}={value}");
    let posts = run.api_requests("/2018-06-01/runtime/init/error");
    assert_eq!(posts.len(), 1, "{name}={value}: {:?}", run.api_calls());
    let body: Value = serde_json::from_slice(&posts[0].1.body).expect("JSON");
    let kind = body["errorType"].as_str().expect("an errorType");
    assert!(
        kind.starts_with("Function.") || kind.starts_with("Runtime."),
        "{kind}"
    );
    assert_eq!(
        posts[0].1.header("lambda-runtime-function-error-type"),
        Some(kind)
    );
    let log = run.log();
    for text in [
        body["errorMessage"].as_str().expect("an errorMessage"),
        &log,
    ] {
        let value = &*value.escape_debug().to_string();
        for word in [name, value].iter().chain(accepted) {
            assert!(
                text.contains(word),
                "{name}={value}: {text:?} does not hold {word:?}"
            );
        }
    }
    assert!(run.requests().is_empty());
}

fn warnings(run: &Run, words: &[&str]) -> usize {
    let log = run.log();
    let matches =
        |line: &&str| line.contains("WARN") && words.iter().all(|word| line.contains(word));
    log.lines().filter(matches).count()
}

#[test]
fn bad_ports_are_refused() {
    for value in ["0", "99999", "-1", "http", "80 80", "8080/"] {
        assert_refused("AWS_LWA_PORT", value, &["65535"]);
    }
    assert_refused("AWS_LWA_READINESS_CHECK_PORT", "0", &["65535"]);
    assert_refused("AWS_LWA_READINESS_CHECK_PORT", "65536", &["65535"]);
}

#[test]
fn an_endpoint_that_the_adapter_cannot_reach_is_refused() {
    let refused = |value: &str, host: &str| {
        let mut run = scenario()
            .env("AWS_LWA_PORT", "(unset)")
            .env("AWS_LWA_HOST", host)
            .env("AWS_LAMBDA_HTTP_ENDPOINT", value)
            .start();
        assert_eq!(run.exit().code(), Some(1), "{value}");
        let (_, post) = &run.api_requests("/2018-06-01/runtime/init/error")[0];
        let expected =
            format!("AWS_LAMBDA_HTTP_ENDPOINT=`{value}` is not valid: expected HOST:PORT");
        assert!(post.text().contains(&expected), "{}", post.text());
        assert!(run.log().contains(&expected), "{}", run.log());
    };
    for value in [
        "3000",
        "0.0.0.0:0",
        "127.0.0.1:x",
        "10.0.0.1:3000",
        "example.com:80",
    ] {
        refused(value, "(unset)");
    }
    refused("127.0.0.1:3000", "10.0.0.1");
}

#[test]
fn endpoint_of_web_functions_names_the_port_where_no_other_variable_does() {
    for host in ["127.0.0.1", "0.0.0.0", "localhost"] {
        let run = scenario()
            .env("AWS_LWA_PORT", "(unset)")
            .env("AWS_LAMBDA_HTTP_ENDPOINT", &format!("{host}:{{port}}"))
            .invoke(get("/"))
            .run();
        assert_eq!(run.reply(1)["statusCode"], 200, "{host}");
    }
    for name in ["AWS_LWA_PORT", "PORT"] {
        let run = scenario()
            .env("AWS_LWA_PORT", "(unset)")
            .env(name, "{port}")
            .env("AWS_LAMBDA_HTTP_ENDPOINT", "0.0.0.0:1")
            .invoke(get("/"))
            .run();
        assert_eq!(run.reply(1)["statusCode"], 200, "{name}");
        let words = ["AWS_LAMBDA_HTTP_ENDPOINT", "0.0.0.0:1", "PORT"];
        assert_eq!(warnings(&run, &words), 1, "{}", run.log());
    }
}

#[test]
fn bad_status_lists_are_refused() {
    for value in ["2xx", "200-", "500-400", "200;300", "1000", "99"] {
        assert_refused("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", value, &[]);
        assert_refused("AWS_LWA_ERROR_STATUS_CODES", value, &[]);
    }
}

#[test]
fn bad_choices_are_refused_with_the_choices() {
    assert_refused("AWS_LWA_READINESS_CHECK_PROTOCOL", "grpc", &["http", "tcp"]);
    assert_refused(
        "AWS_LWA_INVOKE_MODE",
        "stream",
        &["buffered", "response_stream"],
    );
    assert_refused("AWS_LWA_CONTEXT_HEADERS", "some", &["full", "off"]);
}

#[test]
fn bad_booleans_are_refused_with_the_spellings() {
    // A build without compression refuses every value for that reason.
    let compression = cfg!(feature = "compression").then_some("AWS_LWA_ENABLE_COMPRESSION");
    let names = [
        "AWS_LWA_ASYNC_INIT",
        "AWS_LWA_TRACEPARENT",
        "AWS_LWA_SPLIT_BATCHES",
    ];
    for name in names.into_iter().chain(compression) {
        assert_refused(name, "maybe", &["true", "false"]);
        assert_refused(name, "2", &["true", "false"]);
    }
}

#[test]
fn bad_numbers_are_refused() {
    for value in ["soon", "1s", "1.", ".5", "1e3", "inf"] {
        assert_refused(
            "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS",
            value,
            &["second"],
        );
        assert_refused("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", value, &["second"]);
        assert_refused("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", value, &["millisecond"]);
    }
    assert_refused("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "-1", &["second"]);
    assert_refused("AWS_LWA_INVOKE_TIMEOUT_MARGIN_MS", "-1", &["millisecond"]);
}

#[test]
fn seconds_may_have_a_fraction() {
    let name = "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS";
    let mut run = scenario()
        .env(name, "0.3")
        .probe(response("500 Oops", ""))
        .start();
    assert_eq!(run.exit().code(), Some(1));
    let log = run.log();
    let waited = log
        .split(" ms")
        .next()
        .and_then(|text| text.rsplit(' ').next());
    let waited: u64 = waited.and_then(|ms| ms.parse().ok()).expect("a time");
    assert!((300..3000).contains(&waited), "{log}");
}

#[test]
fn readiness_timeout_of_zero_or_less_is_no_limit() {
    for value in ["0", "-1", "-0.5"] {
        let name = "AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS";
        let run = scenario()
            .env(name, value)
            .probe(response("500 Oops", ""))
            .probe(response("200 OK", ""))
            .invoke(get("/"))
            .run();
        assert_eq!(run.reply(1)["statusCode"], 200);
        assert_eq!(warnings(&run, &[name, value, "no limit"]), 1, "{value}");
    }
}

#[test]
fn status_list_may_end_with_a_comma() {
    let run = scenario()
        .env("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", "200,301,")
        .env("AWS_LWA_ERROR_STATUS_CODES", "503,")
        .respond(response("503 Busy", ""))
        .invoke(get("/"))
        .run();
    let kind = run.error(1);
    let kind = kind.header("lambda-runtime-function-error-type");
    assert_eq!(kind, Some("Function.HttpStatus"));
}

#[test]
fn misspelt_placeholder_of_the_pass_through_path_is_refused() {
    for value in ["/events/{sauce}", "/events/{Source}", "/{}", "/{source}}"] {
        assert_refused("AWS_LWA_PASS_THROUGH_PATH", value, &["{source}"]);
    }
}

#[test]
fn paths_with_control_characters_or_a_fragment_are_refused() {
    for name in [
        "AWS_LWA_READINESS_CHECK_PATH",
        "AWS_LWA_PASS_THROUGH_PATH",
        "AWS_LWA_REMOVE_BASE_PATH",
        "AWS_LWA_PRIME_PATHS",
    ] {
        for value in ["/a\rb", "/a\nb", "/a\tb", "/a\u{7f}", "/a#b"] {
            assert_refused(name, value, &[]);
        }
    }
}

#[test]
fn spaces_and_other_letters_in_paths_are_percent_encoded() {
    let run = scenario()
        .env("AWS_LWA_READINESS_CHECK_PATH", "/is it up?zoë")
        .env("AWS_LWA_PASS_THROUGH_PATH", "/my events/ß")
        .env("AWS_LWA_REMOVE_BASE_PATH", "/my stage")
        .invoke_all([sqs(), http_api("GET", "/my stage/x")])
        .run();
    let requests = run.app_requests();
    let targets = requests.iter().map(|(_, request)| request.target.as_str());
    let expected = ["/is%20it%20up?zo%C3%AB", "/my%20events/%C3%9F", "/x"];
    assert_eq!(targets.collect::<Vec<_>>(), expected);
}

#[test]
fn bad_host_is_refused() {
    assert_refused("AWS_LWA_HOST", "no such host", &[]);
    // The binary has no resolver: a name is in /etc/hosts, or init would wait for ever.
    let cure = &["an address, localhost, or a name in /etc/hosts"];
    assert_refused("AWS_LWA_HOST", "no-such-host.example", cure);
    assert_refused("HOST", "x86_64-conda-linux-gnu", cure);
}

#[test]
fn registration_precedes_the_complaint_about_a_setting() {
    let mut run = scenario().env("AWS_LWA_PORT", "x").start();
    run.exit();
    assert_eq!(run.api_calls()[0], "POST /2020-01-01/extension/register");
}

#[test]
fn every_bad_setting_is_named_at_once() {
    let mut run = scenario()
        .env("AWS_LWA_PORT", "x")
        .env("AWS_LWA_INVOKE_MODE", "stream")
        .start();
    run.exit();
    let text = run.api_requests("/2018-06-01/runtime/init/error")[0]
        .1
        .text();
    assert!(
        text.contains("AWS_LWA_PORT") && text.contains("AWS_LWA_INVOKE_MODE"),
        "{text}"
    );
}

#[test]
fn booleans_have_eight_spellings_in_any_case() {
    for (values, parents) in [
        (["1", "true", "YES", "On"], 1),
        (["0", "FALSE", "No", "off"], 0),
    ] {
        for value in values {
            let run = scenario()
                .env("AWS_LWA_TRACEPARENT", value)
                .invoke(get("/"))
                .run();
            assert_eq!(run.request(1).all("traceparent").len(), parents, "{value}");
        }
    }
}

#[test]
fn port_and_host_have_short_names_that_are_not_deprecated() {
    let run = scenario()
        .env("AWS_LWA_PORT", "(unset)")
        .env("PORT", "{port}")
        .env("HOST", "0.0.0.0")
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(1)["statusCode"], 200);
    assert_eq!(warnings(&run, &[]), 0, "{}", run.log());
}

#[test]
fn own_name_wins_over_the_short_one() {
    let run = scenario().env("PORT", "1").invoke(get("/")).run();
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn port_of_readiness_can_differ() {
    let mut run = scenario()
        .env("AWS_LWA_READINESS_CHECK_PORT", "1")
        .invoke(get("/"))
        .start();
    run.wait_until("a line about waiting", |run| {
        run.log().contains("not ready")
    });
    assert!(run.app_requests().is_empty());
}

#[test]
fn deprecated_names_work_and_are_warned_about_once_with_their_replacement() {
    let names = [
        ("READINESS_CHECK_PATH", "/"),
        ("READINESS_CHECK_PROTOCOL", "http"),
        ("READINESS_CHECK_PORT", "{port}"),
        ("REMOVE_BASE_PATH", "/none"),
        ("ASYNC_INIT", "false"),
        ("AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS", "500"),
    ];
    for (name, value) in names {
        let replacement = match name {
            "AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS" => {
                "AWS_LWA_READINESS_CHECK_HEALTHY_STATUS".to_owned()
            }
            name => format!("AWS_LWA_{name}"),
        };
        let run = scenario()
            .env(name, value)
            .invoke_all([get("/"), get("/")])
            .run();
        assert_eq!(
            warnings(&run, &[name, &replacement]),
            1,
            "{name}: {}",
            run.log()
        );
    }
}

#[test]
fn deprecated_names_take_effect() {
    let run = scenario()
        .env("READINESS_CHECK_PATH", "/old")
        .env("REMOVE_BASE_PATH", "/base")
        .invoke(get("/base/x"))
        .run();
    assert_eq!(
        (
            run.probes()[0].1.target.as_str(),
            run.request(1).target.as_str()
        ),
        ("/old", "/x")
    );
    let run = scenario()
        .env("READINESS_CHECK_PROTOCOL", "TCP")
        .invoke(get("/"))
        .run();
    assert!(run.probes().is_empty());
}

#[test]
fn new_name_wins_over_the_deprecated_one() {
    let run = scenario()
        .env("READINESS_CHECK_PATH", "/old")
        .env("AWS_LWA_READINESS_CHECK_PATH", "/new")
        .invoke(get("/"))
        .run();
    assert_eq!(run.probes()[0].1.target, "/new");
}

#[test]
fn minimum_unhealthy_status_means_healthy_below_it() {
    let scenario = scenario().env("AWS_LWA_READINESS_CHECK_MIN_UNHEALTHY_STATUS", "400");
    let run = scenario
        .probe(response("404 Not Found", ""))
        .probe(response("302 Found", ""))
        .invoke(get("/"))
        .run();
    assert_eq!(run.probes().len(), 2);
}

#[test]
fn healthy_statuses_are_100_to_499_unless_set() {
    let run = scenario()
        .probe(response("500 Oops", ""))
        .probe(response("499 Odd", ""))
        .invoke(get("/"))
        .run();
    assert_eq!(run.probes().len(), 2);
    let narrow = scenario()
        .env("AWS_LWA_READINESS_CHECK_HEALTHY_STATUS", " 200-204 , 301")
        .probe(response("404 Not Found", ""));
    let run = narrow
        .probe(response("205 Reset", ""))
        .probe(response("301 Moved", ""))
        .invoke(get("/"))
        .run();
    assert_eq!(run.probes().len(), 3);
}

#[test]
fn unknown_variable_is_warned_about_with_the_nearest_name() {
    let run = scenario()
        .env("AWS_LWA_READYNESS_CHECK_PATH", "/x")
        .env("AWS_LWA_READINESS_CHECK_PATH", "/y")
        .invoke(get("/"))
        .run();
    assert_eq!(
        warnings(
            &run,
            &[
                "AWS_LWA_READYNESS_CHECK_PATH",
                "AWS_LWA_READINESS_CHECK_PATH"
            ]
        ),
        1,
        "{}",
        run.log()
    );
    let run = scenario()
        .env("AWS_LWA_LOG_LEVEL", "debug")
        .invoke(get("/"))
        .run();
    assert_eq!(warnings(&run, &["AWS_LWA_LOG_LEVEL", "has no effect"]), 1);
    assert_eq!(warnings(&run, &["AWS_LWA_PORT"]), 0, "{}", run.log());
    let run = scenario()
        .env("AWS_LAMBDA_EXEC_WRAPPER", "/opt/bootstrap")
        .invoke(get("/"))
        .run();
    assert_eq!(warnings(&run, &[]), 0, "{}", run.log());
}

#[test]
fn localhost_and_the_unspecified_address_are_hosts() {
    for host in ["localhost", "0.0.0.0"] {
        let run = scenario().env("AWS_LWA_HOST", host);
        let run = run.invoke(get("/")).run();
        assert_eq!(run.reply(1)["statusCode"], 200, "{host}");
    }
}

#[test]
fn missing_function_name_does_not_matter_much() {
    let names = [
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    ];
    let run = names
        .iter()
        .fold(scenario(), |scenario, name| scenario.env(name, "(unset)"))
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn missing_runtime_api_ends_with_a_message_that_names_it() {
    let mut run = scenario().env("AWS_LAMBDA_RUNTIME_API", "(unset)").start();
    assert_eq!(run.exit().code(), Some(1));
    assert!(
        run.log().contains("AWS_LAMBDA_RUNTIME_API"),
        "{}",
        run.log()
    );
}

#[test]
fn probe_answer_is_read_whole_before_the_connection_is_used_again() {
    let run = scenario().probe(
        raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            .pause(30)
            .send("hello"),
    );
    let run = run
        .respond(response("200 OK", "mine"))
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(1)["body"], "mine");
}
