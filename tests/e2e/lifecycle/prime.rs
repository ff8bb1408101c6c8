//! Priming: requests before the first invocation, where no client waits for init.

use crate::harness::app::{raw, response};
use crate::harness::events::*;
use crate::harness::run::Run;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::json;

const RESTORE: &str = "/2018-06-01/runtime/restore/next";
const TYPE: &str = "AWS_LAMBDA_INITIALIZATION_TYPE";

fn priming(initialization: &str) -> Scenario {
    scenario()
        .env(TYPE, initialization)
        .env("AWS_LWA_PRIME_PATHS", "/warm, /items?x=1,")
}

/// The targets of the requests that are no probes, in order.
fn targets(run: &Run) -> Vec<String> {
    let requests = run.requests().into_iter();
    requests.map(|request| request.target).collect()
}

#[test]
fn paths_are_primed_in_order_with_provisioned_concurrency() {
    let run = priming("provisioned-concurrency").invoke(get("/x")).run();
    assert_eq!(targets(&run), ["/warm", "/items?x=1", "/x"]);
    for number in 1..=2 {
        let request = run.request(number);
        assert_eq!(request.method, "GET");
        assert_eq!(request.header("x-amzn-lambda-prime"), Some("1"));
        assert!(request.header("host").is_some() && request.body.is_empty());
    }
    assert_eq!(run.request(3).header("x-amzn-lambda-prime"), None);
    assert!(run.log().contains("primed `/items?x=1` in "));
}

#[test]
fn paths_are_primed_on_managed_instances_before_the_first_poll() {
    let run = priming("lambda-managed-instances")
        .env("AWS_LAMBDA_MAX_CONCURRENCY", "4")
        .invoke(get("/x"))
        .run();
    assert_eq!(targets(&run), ["/warm", "/items?x=1", "/x"]);
    let next = &run.api_requests("/2018-06-01/runtime/invocation/next")[0];
    let primed = run.app_requests();
    let primed = primed.iter().find(|(_, r)| r.target == "/items?x=1");
    assert!(primed.expect("a request").0.at < next.0.at);
}

#[test]
fn on_demand_paths_are_primed_only_where_the_setting_says_always() {
    let run = priming("on-demand").invoke(get("/x")).run();
    assert_eq!(targets(&run), ["/x"]);
    let always = priming("on-demand").env("AWS_LWA_PRIME", "always");
    let run = always.invoke(get("/x")).run();
    assert_eq!(targets(&run), ["/warm", "/items?x=1", "/x"]);
}

#[test]
fn paths_are_primed_before_the_hook_of_the_snapshot() {
    let mut run = priming("snap-start")
        .env("AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH", "/before")
        .start();
    run.wait_until("restore/next", |run| !run.api_requests(RESTORE).is_empty());
    let all: Vec<_> = run.app_requests();
    let all: Vec<_> = all.iter().map(|(_, request)| &*request.target).collect();
    assert_eq!(all, ["/", "/warm", "/items?x=1", "/before"]);
    run.open("restore");
    run.finish();
}

#[test]
fn a_failure_of_priming_is_logged_and_fails_nothing() {
    for (broken, words) in [
        (response("500 Oops", "no"), "status 500"),
        (raw("").close(), "closed without a response"),
        (
            raw("garbage\r\n\r\n").close(),
            "not a valid HTTP/1.1 response",
        ),
        (
            raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").close(),
            "after 3 of 9 bytes",
        ),
    ] {
        let run = priming("provisioned-concurrency")
            .at("/warm", broken)
            .invoke(get("/x"))
            .run();
        // A GET on the connection of the probe that is closed without a response is retried once.
        let mut targets = targets(&run);
        targets.dedup();
        assert_eq!(targets, ["/warm", "/items?x=1", "/x"]);
        assert_eq!(run.reply(1)["statusCode"], 200);
        let log = run.log();
        let line = log.lines().find(|line| line.contains(words));
        let line = line.unwrap_or_else(|| panic!("{log:?} lacks {words:?}"));
        assert!(line.contains("WARN") && line.contains("`/warm`"), "{line}");
    }
}

#[test]
fn an_app_that_priming_may_have_ended_is_probed_before_the_snapshot() {
    let mut run = priming("snap-start").at("/warm", raw("").close()).start();
    run.wait_until("restore/next", |run| !run.api_requests(RESTORE).is_empty());
    let requests = run.app_requests().into_iter();
    let mut targets: Vec<_> = requests.map(|(_, request)| request.target).collect();
    targets.dedup();
    assert_eq!(targets, ["/", "/warm", "/items?x=1", "/"]);
    run.open("restore");
    run.finish();
}

#[test]
fn priming_takes_half_of_what_init_has_left_at_most() {
    let run = priming("on-demand")
        .env("AWS_LWA_PRIME", "always")
        .at("/warm", raw("").hang())
        .invoke(get("/x"))
        .run();
    assert_eq!(targets(&run), ["/warm", "/x"]);
    assert_eq!(run.reply(1)["statusCode"], 200);
    let log = run.log();
    assert!(log.contains("failed to prime `/warm`: "), "{log}");
    assert!(
        log.contains("failed to prime `/items?x=1` and the paths after it: 4"),
        "{log}"
    );
}

#[test]
fn a_client_cannot_pass_for_priming() {
    for name in [
        "x-amzn-lambda-prime",
        "X_Amzn_Lambda_Prime",
        "x.amzn.lambda-prime",
    ] {
        let event = with(get("/x"), json!({"headers": {name: "evil"}}));
        let request = scenario().invoke(event).run().request(1);
        assert!(!String::from_utf8_lossy(&request.head).contains("evil"));
    }
}
