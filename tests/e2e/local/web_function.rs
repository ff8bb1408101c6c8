//! A Web Function: the app without an adapter, by the contract of AWS Lambda Web Functions.

use super::run::{
    self, Local, adapter, command, fixture, free_port, has, is_alive, launch, raw, send, start,
    wait_for_end,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

fn site(args: &[&str]) -> Option<Local> {
    has("python3").then(|| {
        let args = [&["--event", "web-function"], args].concat();
        start(&args, &["python3", &fixture("site.py")])
    })
}

/// The header of a request as the app has received it, or `-`.
fn received(local: &Local, name: &str, headers: &[(&str, &str)]) -> String {
    let target = format!("/header?name={name}");
    send(local.address, "GET", &target, headers, b"").text()
}

#[test]
fn the_app_listens_on_the_endpoint_and_gets_no_other_port() {
    if !has("python3") {
        return;
    }
    let (port, site) = (free_port(), fixture("site.py"));
    let app_port = port.to_string();
    let args = [
        "--port",
        "0",
        "--event",
        "web-function",
        "--app-port",
        &app_port,
    ];
    let args = [&args[..], &["--env", "MINE=1", "--", "python3", &site]].concat();
    let mut command = command(&args);
    // An app that prefers it would listen there.
    command.env("PORT", "1").env("AWS_LWA_PORT", "1");
    let mut local = launch(command, SocketAddr::from(([127, 0, 0, 1], port)));
    local.address = run::address_in(&local.wait_for("listening on http://"));
    let variable = |name: &str| local.get(&format!("/env?name={name}")).text();
    assert_eq!(variable("AWS_LAMBDA_HTTP_ENDPOINT"), local.app.to_string());
    assert_eq!(variable("PORT"), "-");
    assert_eq!(variable("AWS_LWA_PORT"), "-");
    assert_eq!(variable("AWS_LAMBDA_INITIALIZATION_TYPE"), "native-http");
    assert_eq!(variable("MINE"), "1");
    assert!(!local.output().contains("lambda-adapter"));
}

#[test]
fn a_request_has_its_id_and_no_header_that_lambda_removes() {
    let Some(local) = site(&[]) else { return };
    let target = "/header?name=lambda-web-request-id";
    let forged = [("Lambda-Web-Request-Id", "forged")];
    let response = send(local.address, "GET", target, &forged, b"");
    assert_eq!(
        Some(response.text().as_str()),
        response.header("lambda-web-request-id")
    );
    assert_eq!(response.text().len(), 36, "{}", response.text());
    for (name, value) in [
        ("upgrade", "websocket"),
        ("te", "trailers"),
        ("x-real-ip", "192.0.2.7"),
        ("x-http-method-override", "DELETE"),
        ("proxy-authorization", "Basic YQ=="),
        ("lambda-web-other", "1"),
    ] {
        assert_eq!(received(&local, name, &[(name, value)]), "-", "{name}");
    }
    assert_eq!(received(&local, "user-agent", &[]), "-", "none is added");
    let hops = received(
        &local,
        "x-forwarded-for",
        &[("x-forwarded-for", "192.0.2.7")],
    );
    assert_eq!(hops, "192.0.2.7, 127.0.0.1");
}

#[test]
fn an_upgrade_is_an_ordinary_request() {
    let Some(local) = site(&[]) else { return };
    let request = "GET /json HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let response = raw(local.address, request.as_bytes());
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
}

#[test]
fn bodies_and_statuses_are_those_of_the_app() {
    let Some(local) = site(&[]) else { return };
    for method in ["POST", "PUT", "DELETE"] {
        let echo = send(local.address, method, "/echo", &[], b"a body\0\xff");
        assert_eq!(echo.body, b"a body\0\xff", "{method}");
    }
    let large = local.get("/large.bin");
    assert!(large.complete && large.body.len() == 48 << 16);
    let length = large.body.len().to_string();
    assert_eq!(large.header("content-length"), Some(length.as_str()));
    let head = send(local.address, "HEAD", "/large.bin", &[], b"");
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    assert_eq!(local.get("/nothing").status, 204);
    let redirect = local.get("/redirect");
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, Some("/html?from=redirect"))
    );
    assert_eq!(local.get("/broken").text(), "it broke");
    let cookies = local.get("/cookies");
    let cookies = cookies.headers.iter();
    assert_eq!(cookies.filter(|(name, _)| name == "set-cookie").count(), 2);
    // There is no Invoke API: the path is one of the app's.
    assert_eq!(local.invoke("{}", &[]).status, 404);
}

#[test]
fn a_chunked_upload_arrives_whole() {
    let Some(local) = site(&[]) else { return };
    let request = "POST /chunks HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let response = raw(local.address, request.as_bytes());
    assert!(response.ends_with("\r\n\r\nabcde"), "{response}");
}

#[test]
fn a_stream_arrives_part_by_part_and_its_break_is_seen() {
    let Some(local) = site(&[]) else { return };
    let whole = local.get("/stream");
    assert!(whole.complete);
    let (first, last) = (whole.arrivals[0], whole.arrivals[whole.arrivals.len() - 1]);
    assert!(last - first > Duration::from_millis(300), "it was buffered");
    let broken = local.get("/stream?die_after=2");
    assert!(!broken.complete && broken.text().starts_with("data: 0"));
    assert_eq!(broken.status, 200);
}

#[test]
fn requests_run_at_the_same_time_up_to_the_limit() {
    let meet = |concurrency: &str, target: &str| -> Option<Vec<String>> {
        let local = site(&["--concurrency", concurrency])?;
        let responses = std::thread::scope(|scope| {
            let request = || scope.spawn(|| local.get(target).text());
            [request(), request()].map(|thread| thread.join().expect("a response"))
        });
        Some(responses.to_vec())
    };
    let two = meet("2", "/meet?seconds=20");
    let (Some(two), Some(one)) = (two, meet("1", "/meet?seconds=1")) else {
        return;
    };
    assert_eq!(two, ["met", "met"]);
    assert_eq!(one, ["alone", "alone"]);
}

#[test]
fn an_app_that_exits_is_a_502_and_is_replaced() {
    let Some(mut local) = site(&[]) else { return };
    let before = local.get("/pid").text();
    let crash = local.get("/crash");
    assert_eq!(crash.status, 502);
    let cause = crash.header("x-lambda-local-error").expect("a cause");
    assert!(cause.contains("exit status 3"), "{cause}");
    local.wait_for("GET /crash 502");
    let after = local.get("/pid");
    assert_eq!(after.status, 200);
    assert_ne!(after.text(), before);
}

#[test]
fn a_timeout_is_a_504_and_the_app_lives_on() {
    let Some(local) = site(&["--timeout", "0.5"]) else {
        return;
    };
    let before = local.get("/pid").text();
    let slow = local.get("/slow?seconds=20");
    assert_eq!(
        (slow.status, slow.header("lambda-web-error-type")),
        (504, Some("Runtime.RequestTimeout"))
    );
    assert_eq!(local.get("/pid").text(), before);
}

#[test]
fn a_stream_past_its_timeout_is_incomplete_and_has_failed() {
    let Some(mut local) = site(&["--timeout", "0.5"]) else {
        return;
    };
    let stream = local.get("/stream");
    assert_eq!((stream.status, stream.complete), (200, false));
    local
        .wait_for("the response to GET /stream is incomplete: it had not ended after 0.50 seconds");
    local.wait_for(", incomplete");
    let broken = local.get("/stream?die_after=1");
    assert!(!broken.complete);
    local.wait_for("the response to GET /stream?die_after=1 is incomplete: ");
    assert_eq!(local.get("/json").status, 200);
    local.end("INT");
    let output = local.output();
    assert!(output.contains("3 requests in 1 environment, 2 failed"));
}

#[test]
fn a_request_waits_until_the_app_listens() {
    if !has("python3") {
        return;
    }
    let (port, site) = (free_port().to_string(), fixture("site.py"));
    let local_port = free_port();
    let args = ["--event", "web-function", "--env", "SLOW_START=1", "--port"];
    let ports = [&local_port.to_string(), "--app-port", &port];
    let app = ["--", "python3", &site];
    let address = SocketAddr::from(([127, 0, 0, 1], local_port));
    let mut local = launch(command(&[&args[..], &ports, &app].concat()), address);
    local.wait_for("INIT_START");
    let started = Instant::now();
    assert_eq!(local.get("/json").status, 200);
    assert!(started.elapsed() > Duration::from_millis(500));
}

#[test]
fn an_event_is_refused_and_does_not_reach_the_app() {
    let Some(mut local) = site(&[]) else { return };
    let port = local.address.port().to_string();
    let invoke = ["invoke", "--sample", "sqs", "--port", &port];
    let output = command(&invoke).output().expect("a command");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(error.contains("Web Functions take no events"), "{error}");
    local.wait_for("Web Functions take no events");
}

#[test]
fn an_app_that_does_not_start_is_a_502() {
    let local = start(&["--event", "web-function"], &["sh", "-c", "exit 3"]);
    let response = local.get("/");
    assert_eq!(
        (response.status, response.header("lambda-web-error-type")),
        (502, Some("Application.InitCodeError"))
    );
    let cause = response.header("x-lambda-local-error").expect("a cause");
    assert!(cause.contains("exit status 3"), "{cause}");
}

#[test]
fn the_ports_of_an_app_that_listens_elsewhere_are_logged_and_init_fails_after_ten_seconds() {
    if !has("python3") {
        return;
    }
    // The site prefers $PORT.
    let elsewhere = free_port();
    let port = format!("PORT={elsewhere}");
    let site = fixture("site.py");
    // Of the ports that lambda-local takes, another test may listen on one within ten seconds.
    let endpoint = format!("AWS_LAMBDA_HTTP_ENDPOINT=127.0.0.1:{}", free_port());
    let settings = ["--env", &port, "--env", &endpoint];
    let args = [&["--port", "0", "--event", "web-function"], &settings[..]].concat();
    let started = Instant::now();
    let app = SocketAddr::from(([127, 0, 0, 1], elsewhere));
    let mut local = launch(
        command(&[&args[..], &["--", "python3", &site]].concat()),
        app,
    );
    let listens = format!("its processes listen on port {elsewhere}");
    let hint = local.wait_for(&listens);
    assert!(!hint.contains("init failed"), "{hint}");
    let failed = local.wait_for("init failed: the app does not listen on 127.0.0.1:");
    assert!(started.elapsed() >= Duration::from_secs(10));
    assert!(failed.contains(&listens), "{failed}");
}

#[test]
fn what_web_functions_do_not_have_is_refused() {
    let Some(local) = site(&[]) else { return };
    for (request, status) in [
        (
            "TRACE / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
            "400",
        ),
        ("GET / HTTP/1.0\r\nhost: h\r\n\r\n", "505"),
    ] {
        let response = raw(local.address, request.as_bytes());
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
    }
}

#[test]
fn the_end_is_sigterm_and_a_second() {
    let Some(mut local) = site(&["--env", "STUBBORN=1"]) else {
        return;
    };
    let app = local.get("/pid").text();
    let started = Instant::now();
    local.end("TERM");
    let took = started.elapsed();
    assert!(local.output().contains("got SIGTERM"));
    assert!(
        local
            .output()
            .contains("1 request in 1 environment, 0 failed")
    );
    assert!(took >= Duration::from_secs(1), "killed after {took:?}");
    wait_for_end(&app);
    assert!(!is_alive(&app));
}

#[test]
fn the_demo_app_is_a_web_function_too() {
    let local = start(&["--event", "web-function"], &[]);
    assert_eq!(local.get("/").status, 200);
}

#[test]
fn the_same_app_runs_behind_the_adapter() {
    if !has("python3") {
        return;
    }
    let (adapter, site) = (adapter(), fixture("site.py"));
    let adapter = adapter.to_str().expect("a path");
    let port = free_port();
    let endpoint = format!("AWS_LAMBDA_HTTP_ENDPOINT=127.0.0.1:{port}");
    let app = SocketAddr::from(([127, 0, 0, 1], port));
    let extension = ["--port", "0", "--adapter", adapter, "--env", &endpoint];
    let mut command = command(&[&extension[..], &["--", "python3", &site]].concat());
    command.env_remove("AWS_LAMBDA_HTTP_ENDPOINT");
    let mut local = launch(command, app);
    local.address = run::address_in(&local.wait_for("listening on http://"));
    let entry_point = start(&["--no-adapter"], &[adapter, "--", "python3", &site]);
    for local in [local, entry_point] {
        let endpoint = local.get("/env?name=AWS_LAMBDA_HTTP_ENDPOINT").text();
        assert_eq!(endpoint, local.app.to_string());
        assert_eq!(received(&local, "lambda-web-request-id", &[]).len(), 36);
    }
}
