//! From the start of the process to its exit: registration, readiness, the loop.

use crate::harness::app::{FullQueue, raw, response};
use crate::harness::events::{each_kind, get, schedule};
use crate::harness::record::Side;
use crate::harness::scenario::{Renamed, Run, scenario};

const REGISTER: &str = "POST /2020-01-01/extension/register";
const PARK: &str = "GET /2020-01-01/extension/event/next";
const NEXT: &str = "/2018-06-01/runtime/invocation/next";

fn refusal(status: &str) -> Vec<u8> {
    let body = r#"{"errorMessage":"no","errorType":"Extension.RegistrationClosed"}"#;
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[test]
fn registration_is_the_first_act_and_precedes_readiness() {
    let run = scenario().invoke(get("/")).run();
    assert_eq!(run.api_calls()[0], REGISTER);
    let registered = run.api_requests("/2020-01-01/extension/register")[0].0.at;
    assert!(registered < run.app_requests()[0].0.at);
}

#[test]
fn registration_and_event_next_do_not_wait_for_the_app() {
    let mut run = scenario().app_down().start();
    run.wait_until("a parked event/next", |run| run.api_calls().len() >= 2);
    assert_eq!(run.api_calls(), [REGISTER, PARK]);
}

#[test]
fn event_next_carries_the_identifier_and_stays_parked() {
    let mut run = scenario().invoke_all([get("/"), get("/")]).run();
    let polls = |run: &Run| run.api_requests("/2020-01-01/extension/event/next").len();
    run.wait_until("a parked event/next", |run| polls(run) > 0);
    assert_eq!(polls(&run), 1);
    let parked = run.api_requests("/2020-01-01/extension/event/next");
    assert_eq!(
        parked[0].1.header("lambda-extension-identifier"),
        Some(crate::harness::api::EXTENSION)
    );
}

#[test]
fn registration_has_a_body_that_lists_events() {
    let run = scenario().invoke(get("/")).run();
    let (_, register) = &run.api_requests("/2020-01-01/extension/register")[0];
    let body: serde_json::Value = serde_json::from_slice(&register.body).expect("JSON");
    assert!(
        body["events"]
            .as_array()
            .is_some_and(|events| !events.contains(&"INVOKE".into())),
        "{body}"
    );
}

#[test]
fn extension_name_is_the_name_of_the_file() {
    let renamed = Renamed::copy("web.adapter");
    let run = scenario()
        .binary(renamed.path.clone())
        .invoke(get("/"))
        .run();
    let (_, register) = &run.api_requests("/2020-01-01/extension/register")[0];
    assert_eq!(
        register.header("lambda-extension-name"),
        Some("web.adapter")
    );
}

#[test]
fn extension_name_is_that_of_the_link_in_the_extensions_directory() {
    let renamed = Renamed::link("my-adapter");
    let run = scenario()
        .binary(renamed.path.clone())
        .invoke(get("/"))
        .run();
    let (_, register) = &run.api_requests("/2020-01-01/extension/register")[0];
    assert_eq!(register.header("lambda-extension-name"), Some("my-adapter"));
}

#[test]
fn registration_refused_ends_the_process_with_a_message() {
    let mut run = scenario()
        .api(|api| api.register.push_back(refusal("403 Forbidden")))
        .start();
    assert_eq!(run.exit().code(), Some(1));
    let log = run.log();
    assert!(log.contains("regist") && log.contains("403"), "{log}");
}

#[test]
fn registration_waits_a_while_for_an_api_that_is_not_up_yet() {
    let mut run = scenario().api_down().invoke(get("/")).start();
    // The app gets no request before registration, so a running process is all there is to see.
    let later = run.record.now() + std::time::Duration::from_millis(100);
    run.wait_until("a tenth of a second", |run| run.record.now() > later);
    run.start_api();
    run.finish();
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn no_invocation_is_asked_for_before_the_app_is_ready() {
    let mut run = scenario().app_down().invoke(get("/")).start();
    run.wait_until("a parked event/next", |run| run.api_calls().len() >= 2);
    assert!(run.api_requests(NEXT).is_empty());
    run.start_app();
    run.finish();
    let ready = run.probes()[0].0.at;
    assert!(ready < run.api_requests(NEXT)[0].0.at);
}

#[test]
fn readiness_goes_on_until_a_healthy_status() {
    let unhealthy = || response("503 Service Unavailable", "");
    let run = scenario()
        .probe(unhealthy())
        .probe(unhealthy())
        .probe(response("200 OK", ""))
        .invoke(get("/"))
        .run();
    assert_eq!(run.probes().len(), 3);
}

#[test]
fn readiness_outlives_an_app_that_slams_the_door() {
    let run = scenario()
        .probe(raw("").close())
        .probe(raw("nonsense\r\n\r\n").close())
        .probe(response("200 OK", ""));
    assert_eq!(run.invoke(get("/")).run().probes().len(), 3);
}

#[test]
fn readiness_probe_is_a_plain_get_of_the_path() {
    let run = scenario()
        .env("AWS_LWA_READINESS_CHECK_PATH", "/health?deep=1")
        .invoke(get("/"))
        .run();
    let (_, probe) = &run.probes()[0];
    assert_eq!(
        (probe.method.as_str(), probe.target.as_str()),
        ("GET", "/health?deep=1")
    );
    assert_eq!(
        probe.header("host"),
        Some(run.app_address().to_string().as_str())
    );
}

#[test]
fn readiness_by_tcp_only_connects() {
    let run = scenario()
        .env("AWS_LWA_READINESS_CHECK_PROTOCOL", "tcp")
        .invoke(get("/"))
        .run();
    assert!(run.probes().is_empty());
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn readiness_says_the_last_status_while_it_waits() {
    let mut run = scenario()
        .probe(response("503 Service Unavailable", ""))
        .start();
    run.wait_until("a line about waiting", |run| {
        run.log().contains("not ready")
    });
    assert!(run.log().contains("503"), "{}", run.log());
}

#[test]
fn readiness_says_the_last_error_while_it_waits() {
    let mut run = scenario().app_down().start();
    run.wait_until("a line about waiting", |run| {
        run.log().contains("not ready")
    });
    assert!(
        run.log().to_lowercase().contains("refused"),
        "{}",
        run.log()
    );
}

#[test]
fn readiness_timeout_fails_init() {
    let scenario = scenario().env("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1");
    let mut run = scenario
        .probe(response("503 Service Unavailable", ""))
        .start();
    assert_eq!(run.exit().code(), Some(1));
    let (_, error) = &run.api_requests("/2018-06-01/runtime/init/error")[0];
    assert!(error.text().contains("503"), "{}", error.text());
}

#[test]
fn readiness_timeout_bounds_an_app_that_accepts_no_connection() {
    let full = FullQueue::new();
    let mut run = scenario()
        .env("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1")
        .env("AWS_LWA_PORT", &full.port())
        .start();
    assert_eq!(run.exit().code(), Some(1));
    let (entry, _) = &run.api_requests("/2018-06-01/runtime/init/error")[0];
    assert!(
        (900..2500).contains(&entry.at.as_millis()),
        "{:?}",
        entry.at
    );
}

#[test]
fn readiness_timeout_bounds_an_app_that_accepts_and_says_nothing() {
    let scenario = scenario().env("AWS_LWA_READINESS_CHECK_TIMEOUT_SECONDS", "1");
    let mut run = scenario.probe(raw("").hang()).start();
    assert_eq!(run.exit().code(), Some(1));
    let errors = run.api_requests("/2018-06-01/runtime/init/error");
    assert_eq!(errors.len(), 1);
    // Lambda ends init after 10 s: the error must be reported before.
    assert!(errors[0].0.at.as_secs() < 4, "{:?}", errors[0].0.at);
}

#[test]
fn a_probe_that_is_never_answered_does_not_stop_readiness() {
    let run = scenario()
        .probe(raw("").hang())
        .probe(response("200 OK", ""))
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn first_healthy_status_is_named_with_its_path_when_it_looks_wrong() {
    let scenario = scenario()
        .env("AWS_LWA_READINESS_CHECK_PATH", "/healthz")
        .probe(response("404 Not Found", ""));
    let log = scenario.invoke(get("/")).run().log();
    assert!(
        log.lines()
            .any(|line| line.contains("404") && line.contains("/healthz")),
        "{log}"
    );
}

#[test]
fn log_says_how_long_the_app_took_to_be_ready() {
    let log = scenario().invoke(get("/")).run().log();
    assert!(
        log.lines()
            .any(|line| line.contains("ready") && line.contains("ms")),
        "{log}"
    );
}

#[test]
fn probe_connection_serves_the_first_invocation() {
    let run = scenario().invoke(get("/")).run();
    assert_eq!(run.connections(Side::App), 1);
}

#[test]
fn each_kind_of_event_is_answered_in_its_turn() {
    let kinds = each_kind("GET", "/");
    let last = kinds.len() + 1;
    let run = scenario().invoke_all(kinds).invoke(schedule()).run();
    assert!((1..last).all(|number| run.reply(number)["statusCode"] == 200));
    assert_eq!(run.reply(last), "ok");
}

#[test]
fn async_init_asks_for_invocations_while_the_app_is_not_ready() {
    let mut run = scenario()
        .env("AWS_LWA_ASYNC_INIT", "true")
        .app_down()
        .invoke(get("/"))
        .start();
    run.wait_until("/next before readiness", |run| {
        !run.api_requests(NEXT).is_empty()
    });
    assert!(run.app_requests().is_empty());
    run.start_app();
    run.finish();
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn an_invocation_that_finds_no_app_fails_before_its_deadline() {
    let mut run = scenario()
        .env("AWS_LWA_ASYNC_INIT", "true")
        .app_down()
        .invoke(crate::harness::api::Invocation::from(get("/")).remaining(1500))
        .start();
    run.wait_until("an error", |run| !run.posts(1).is_empty());
    run.start_app();
    run.invoke(get("/"));
    run.finish();
    run.assert_failure(
        1,
        "Function.AppUnreachable",
        &["not ready after", "no time is left"],
    );
    let waited = run.posts(1)[0].0.at - run.api_requests(NEXT)[0].0.at;
    assert!((400..1400).contains(&waited.as_millis()), "{waited:?}");
    assert_eq!(run.reply(2)["statusCode"], 200);
}

#[test]
fn init_ends_at_once_with_async_init_when_the_app_is_ready() {
    let run: Run = scenario()
        .env("AWS_LWA_ASYNC_INIT", "true")
        .invoke(get("/"))
        .run();
    assert!(run.api_requests(NEXT)[0].0.at < std::time::Duration::from_secs(5));
}

#[test]
fn sigterm_while_idle_ends_with_exit_code_0() {
    let mut run = scenario().invoke(get("/")).run();
    run.signal("TERM");
    assert_eq!(run.exit().code(), Some(0));
}

#[test]
fn sigterm_lets_the_invocation_in_flight_finish() {
    let slow = response("200 OK\nContent-Length: 4", "sl")
        .open("half")
        .wait_for("rest")
        .send("ow");
    let mut run = scenario().respond(slow).invoke(get("/")).start();
    run.wait_until("half a response", |run| run.is_open("half"));
    run.signal("TERM");
    run.open("rest");
    assert_eq!(run.exit().code(), Some(0));
    assert_eq!(run.reply(1)["body"], "slow");
}

#[test]
fn next_refused_for_good_ends_the_process_with_one_line() {
    let refused = || crate::harness::api::Invocation::raw(refusal("500 Internal Server Error"));
    let mut run = scenario().invoke_all((0..200).map(|_| refused())).start();
    assert_eq!(run.exit().code(), Some(1));
    let attempts = run.api_requests(NEXT).len();
    assert!((2..50).contains(&attempts), "{attempts} attempts");
    assert!(
        run.log()
            .lines()
            .filter(|line| line.contains("500"))
            .count()
            < 50,
        "{}",
        run.log()
    );
}

#[test]
fn next_that_fails_now_and_then_is_asked_again() {
    let raw = |bytes: Vec<u8>| crate::harness::api::Invocation::raw(bytes);
    let run = scenario()
        .invoke(raw(Vec::new()))
        .invoke(raw(refusal("500 Internal Server Error")))
        .invoke(get("/"));
    let mut run = run.start();
    run.wait_until("a reply", |run| {
        run.posts(1).iter().any(|(_, message)| message.complete)
    });
    assert_eq!(run.reply(1)["statusCode"], 200);
}

#[test]
fn next_in_chunks_is_understood() {
    let invocation = crate::harness::api::Invocation::from(get("/chunked")).chunked();
    assert_eq!(
        scenario().invoke(invocation).run().request(1).target,
        "/chunked"
    );
}

#[test]
fn a_refused_answer_does_not_end_the_loop() {
    use crate::harness::api::{Invocation, Post};
    let invocation =
        |status: &str| Invocation::from(get("/")).post(Post::Response(refusal(status)));
    let run = scenario()
        .invoke_all([
            invocation("413 Too Large"),
            invocation("400 Bad"),
            invocation("410 Gone"),
        ])
        .invoke(get("/"))
        .run();
    assert_eq!(run.reply(4)["statusCode"], 200);
    assert!(run.log().contains("413"), "{}", run.log());
}

#[test]
fn invocation_id_is_echoed_when_lambda_gave_one() {
    let invocation = || {
        crate::harness::api::Invocation::from(get("/"))
            .header("Lambda-Runtime-Invocation-Id", "inv-7")
    };
    let failing = raw("nonsense\r\n\r\n").close();
    let run = scenario()
        .respond(response("200 OK", "ok"))
        .respond(failing)
        .respond(response("200 OK", "ok"));
    let run = run
        .invoke(invocation())
        .invoke(invocation())
        .invoke(get("/"))
        .run();
    assert_eq!(
        run.response(1).header("lambda-runtime-invocation-id"),
        Some("inv-7")
    );
    assert_eq!(
        run.error(2).header("lambda-runtime-invocation-id"),
        Some("inv-7")
    );
    assert_eq!(run.response(3).header("lambda-runtime-invocation-id"), None);
}
