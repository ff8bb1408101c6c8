//! The Runtime API proxy: invocations through a sibling extension, registration with the real API.

use crate::harness::api;
use crate::harness::events::get;
use crate::harness::record::Record;
use crate::harness::run::Run;
use crate::harness::scenario::{ReservedAddress, scenario};
use std::sync::{Arc, Mutex};

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

/// A second Lambda with one invocation.
struct Proxy {
    place: ReservedAddress,
    record: Arc<Record>,
}

impl Proxy {
    fn new(late: bool) -> Proxy {
        Proxy {
            place: ReservedAddress::reserve(late),
            record: Arc::default(),
        }
    }

    fn start(&mut self) {
        let mut script = api::Script::default();
        script.invocations.push_back(get("/proxied").into());
        api::start(
            self.place.listen(),
            Arc::new(Mutex::new(script)),
            self.record.clone(),
        );
    }

    fn calls(&self) -> Vec<String> {
        let inner = self.record.lock();
        let messages = inner.entries.iter().filter_map(|entry| entry.message());
        messages
            .map(|message| format!("{} {}", message.method, message.target))
            .collect()
    }

    fn is_done(&self) -> bool {
        self.calls().iter().filter(|call| *call == NEXT).count() == 2
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.record.end();
        crate::harness::app::stop(self.place.address);
        if std::thread::panicking() {
            println!("--- the proxy's conversation\n{}", self.record.dump());
        }
    }
}

fn through(proxy: &Proxy, prefix: &str) -> Run {
    let address = format!("{prefix}{}", proxy.place.address);
    scenario()
        .env("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", &address)
        .start()
}

#[test]
fn invocations_go_through_the_proxy_and_registration_does_not() {
    for prefix in ["", "http://"] {
        let mut proxy = Proxy::new(false);
        proxy.start();
        let mut run = through(&proxy, prefix);
        run.wait_until(
            "the next /next at the proxy, and a parked event/next",
            |run| proxy.is_done() && run.api_calls().len() >= 2,
        );
        assert_eq!(
            proxy.calls(),
            [
                NEXT,
                "POST /2018-06-01/runtime/invocation/req-1/response",
                NEXT
            ],
            "{prefix}"
        );
        let real = [
            "POST /2020-01-01/extension/register",
            "GET /2020-01-01/extension/event/next",
        ];
        assert_eq!(run.api_calls(), real, "{prefix}");
        assert_eq!(run.request(1).target, "/proxied");
    }
}

#[test]
fn streams_go_through_the_proxy() {
    let mut proxy = Proxy::new(false);
    proxy.start();
    let scenario = scenario().env(
        "AWS_LWA_LAMBDA_RUNTIME_API_PROXY",
        &proxy.place.address.to_string(),
    );
    let mut run = scenario
        .env("AWS_LWA_INVOKE_MODE", "response_stream")
        .start();
    run.wait_until(
        "the next /next at the proxy, and a parked event/next",
        |run| proxy.is_done() && run.api_calls().len() >= 2,
    );
    assert_eq!(run.api_calls().len(), 2);
}

#[test]
fn proxy_that_is_not_up_yet_is_waited_for() {
    let mut proxy = Proxy::new(true);
    let mut run = through(&proxy, "http://");
    run.wait_until("readiness", |run| !run.probes().is_empty());
    let later = run.record.now() + std::time::Duration::from_millis(300);
    run.wait_until("three tenths of a second", |run| run.record.now() > later);
    proxy.start();
    run.wait_until("the next /next at the proxy", |_| proxy.is_done());
}

#[test]
fn proxy_that_never_comes_up_ends_the_process_with_its_address() {
    let proxy = Proxy::new(true);
    let mut run = through(&proxy, "");
    assert_eq!(run.exit().code(), Some(1));
    assert!(
        run.log().contains(&proxy.place.address.to_string()),
        "{}",
        run.log()
    );
}

#[test]
fn init_errors_go_where_lambda_hears_them() {
    let mut proxy = Proxy::new(false);
    proxy.start();
    let scenario = scenario().env(
        "AWS_LWA_LAMBDA_RUNTIME_API_PROXY",
        &proxy.place.address.to_string(),
    );
    let mut run = scenario.env("AWS_LWA_PORT", "x").start();
    run.exit();
    let heard = |calls: Vec<String>| {
        calls
            .iter()
            .any(|call| call == "POST /2018-06-01/runtime/init/error")
    };
    assert!(heard(run.api_calls()) || heard(proxy.calls()));
}

#[test]
fn addresses_that_are_none_are_refused() {
    for value in [
        "http://",
        "https://127.0.0.1:9002",
        "127.0.0.1:99999",
        "127.0.0.1:9002/path",
        "no port",
    ] {
        let mut run = scenario()
            .env("AWS_LWA_LAMBDA_RUNTIME_API_PROXY", value)
            .start();
        assert_eq!(run.exit().code(), Some(1), "{value}");
        let log = run.log();
        assert!(
            log.contains("AWS_LWA_LAMBDA_RUNTIME_API_PROXY") && log.contains(value),
            "{value}: {log}"
        );
    }
}
