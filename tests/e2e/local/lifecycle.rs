//! The life cycle: init, invocations that fail, freezing, restoring, shutdown, and Managed
//! Instances.

use super::run::{self, adapter, fixture, has, is_alive, python_site, send, start};
use std::time::{Duration, Instant};

#[test]
fn the_first_report_tells_the_init_and_bills_it() {
    let mut local = start(&["--memory", "300"], &[]);
    assert_eq!(local.get("/seen").status, 200);
    local.get("/seen");
    local.wait_for_count("REPORT", 2);
    let line = local.wait_for("REPORT");
    for part in [
        "\tDuration: ",
        "\tBilled Duration: ",
        "\tMemory Size: 300 MB",
        "\tMax Memory Used: ",
        "\tInit Duration: ",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(local.output().matches("Init Duration").count(), 1);
}

#[test]
fn an_app_that_crashes_fails_its_invocation_and_the_next_one_gets_a_new_environment() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    let before = local.get("/pid").text();
    assert_eq!(local.get("/crash").status, 502);
    local.wait_for("Runtime exited with error: exit status 3");
    local.wait_for("Status: error\tError Type: Runtime.ExitError");
    let after = local.get("/pid");
    assert_eq!(after.status, 200);
    assert_ne!(after.text(), before);
}

#[test]
fn an_app_that_dies_between_invocations_is_told_of_at_once_and_replaced() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    let before = local.get("/pid").text();
    local.wait_for("REPORT");
    run::signal("KILL", before.parse().expect("a number"));
    local.wait_for("Runtime exited with error: signal: killed: a new environment will be started");
    let after = local.get("/pid");
    assert_eq!(after.status, 200);
    assert_ne!(after.text(), before);
}

#[test]
fn a_timeout_fails_the_invocation_and_resets_the_environment() {
    let Some(mut local) = python_site(&["--timeout", "0.5", "--event", "rest-api"]) else {
        return;
    };
    let before = local.get("/pid").text();
    let started = Instant::now();
    assert_eq!(local.get("/slow?seconds=20").status, 504);
    assert!(started.elapsed() < Duration::from_secs(5));
    local.wait_for("Task timed out after 0.50 seconds");
    local.wait_for("Status: timeout");
    local.wait_for("got SIGTERM");
    assert_ne!(local.get("/pid").text(), before);
    assert!(!is_alive(&before));
}

#[test]
fn an_app_that_is_never_ready_is_told_with_the_last_probe() {
    let mut local = start(&["--timeout", "1"], &["sleep", "60"]);
    let line = local.wait_for("init failed");
    assert!(
        line.contains("last readiness probe: GET http://127.0.0.1:")
            && line.contains("connection refused"),
        "{line}"
    );
    let report = local.wait_for("INIT_REPORT");
    assert!(report.contains("Phase: init\tStatus: timeout"), "{report}");
    let response = local.invoke("{}", &[]);
    assert_eq!(response.header("x-amz-function-error"), Some("Unhandled"));
    assert!(
        response
            .text()
            .contains("Task timed out after 1.00 seconds"),
        "{}",
        response.text()
    );
    local.wait_for("Phase: invoke\tStatus: timeout");
}

#[test]
fn an_app_that_starts_late_is_waited_for() {
    let Some(local) = python_site(&["--env", "SLOW_START=1"]) else {
        return;
    };
    assert_eq!(local.get("/json").status, 200);
    let init = local.output().lines().find_map(|line| {
        line.split("Init Duration: ")
            .nth(1)?
            .split('.')
            .next()?
            .parse::<u32>()
            .ok()
    });
    assert!(init.is_none_or(|ms| ms >= 1000), "{init:?}");
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let mut local = start(&[], &["/no/such/app"]);
    let line = local.wait_for("init failed");
    assert!(line.contains("failed to start `/no/such/app`"), "{line}");
    let response = local.invoke("{}", &[]);
    assert!(
        response.text().contains("Runtime.InvalidEntrypoint"),
        "{}",
        response.text()
    );
}

#[test]
fn an_extension_that_ends_fails_the_init() {
    let mut local = start(&["--extension", "/bin/true"], &[]);
    local.wait_for("init failed: extension true exited: exit status 0");
    assert!(local.invoke("{}", &[]).text().contains("Extension.Crash"));
}

#[test]
fn a_frozen_app_does_nothing_between_invocations() {
    let ticks = |args: &[&str]| -> Option<u32> {
        let mut local = python_site(args)?;
        let ticks =
            |local: &run::Local| local.get("/ticks").text().parse::<u32>().expect("a number");
        local.wait_for("listening on http://");
        let before = ticks(&local);
        // This second is the measurement: 100 ticks, or none.
        std::thread::sleep(Duration::from_secs(1));
        Some(ticks(&local) - before)
    };
    let (Some(frozen), Some(free)) = (ticks(&["--freeze"]), ticks(&[])) else {
        return;
    };
    assert!(
        frozen < 40 && free > 40,
        "{frozen} ticks frozen, {free} free"
    );
}

#[test]
fn the_client_has_its_response_before_the_hook_and_the_freeze_comes_after_it() {
    let hook = [
        "--env",
        "AWS_LWA_AFTER_RESPONSE_PATH=/after",
        "--env",
        "AFTER=1",
    ];
    let Some(mut local) = python_site(&[&["--freeze"][..], &hook].concat()) else {
        return;
    };
    local.get("/json");
    let output = local.output();
    assert!(!output.contains("after the response"), "{output}");
    let line = local.wait_for("after the response");
    let mut ticks = line.split_whitespace().filter_map(|word| word.parse().ok());
    let (began, ended): (u32, u32) = (ticks.next().expect("ticks"), ticks.next().expect("ticks"));
    assert!(ended - began > 40, "{line}");
    let report = local.wait_for("REPORT");
    let duration = report.split("\tDuration: ").nth(1).expect("a duration");
    let duration: f64 = duration
        .split(' ')
        .next()
        .expect("ms")
        .parse()
        .expect("a number");
    assert!(duration >= 1000.0, "{report}");
    // This second is the measurement: 100 ticks, or none.
    std::thread::sleep(Duration::from_secs(1));
    let later: u32 = local.get("/ticks").text().parse().expect("a number");
    assert!(later - ended < 40, "{ended} to {later} ticks while frozen");
}

#[test]
fn ctrl_c_ends_everything_in_order() {
    if !has("python3") {
        return;
    }
    let mut local = start(
        &["--extension", &fixture("extension.py")],
        &["python3", &fixture("site.py")],
    );
    let app = local.get("/pid").text();
    local.wait_for("received INVOKE");
    assert!(local.end("INT").success());
    let output = local.output();
    let (term, shutdown) = (
        output.find("got SIGTERM"),
        output.find("received SHUTDOWN spindown"),
    );
    assert!(
        term.is_some() && shutdown.is_some() && term < shutdown,
        "{output}"
    );
    assert!(
        output.contains("1 invocation in 1 environment, 0 failed"),
        "{output}"
    );
    assert!(!is_alive(&app));
}

#[test]
fn the_end_waits_for_the_report_of_an_invocation_whose_client_has_its_response() {
    let hook = ["--env", "AWS_LWA_AFTER_RESPONSE_PATH=/after"];
    let Some(mut local) = python_site(&[&hook[..], &["--env", "AFTER=0.1"]].concat()) else {
        return;
    };
    assert_eq!(local.get("/json").status, 200);
    local.end("INT");
    let output = local.output();
    let at = |text: &str| output.find(text).expect(text);
    let hook = at("after the response");
    assert!(hook < at("got SIGTERM") && hook < at("REPORT RequestId"));
    assert!(output.contains("1 invocation in 1 environment, 0 failed"));
}

#[test]
fn the_end_does_not_wait_for_the_app_to_respond() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    let address = local.address;
    let client = std::thread::spawn(move || send(address, "GET", "/slow?seconds=30", &[], b""));
    local.wait_for("START RequestId");
    let started = Instant::now();
    local.end("INT");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_ne!(client.join().expect("an end").status, 200);
}

#[test]
fn a_failed_init_before_a_snapshot_fails_the_publication() {
    let mut local = start(&["--init", "snap-start"], &["sh", "-c", "exit 3"]);
    local.wait_for("init failed: Runtime exited with error: exit status 3");
    local.wait_for("on Lambda publishing the version fails");
}

#[test]
fn an_app_that_ignores_sigterm_is_killed_within_its_time() {
    let Some(mut local) = python_site(&["--env", "STUBBORN=1"]) else {
        return;
    };
    let app = local.get("/pid").text();
    let started = Instant::now();
    local.end("TERM");
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_secs(4),
        "{took:?}"
    );
    assert!(!is_alive(&app));
}

#[test]
fn extensions_are_told_of_invocations_and_do_not_see_the_runtimes_variables() {
    if !has("python3") {
        return;
    }
    let mut local = start(
        &["--extension", &fixture("extension.py")],
        &["python3", &fixture("site.py")],
    );
    local.wait_for("handler is hidden");
    assert_eq!(local.get("/env?name=_HANDLER").text(), "handler");
    local.get("/json");
    local.wait_for_count("received INVOKE", 2);
}

#[test]
fn a_snapshot_is_restored_with_the_first_invocation() {
    let Some(mut local) = python_site(&["--init", "snap-start"]) else {
        return;
    };
    assert_eq!(
        local.get("/env?name=AWS_LAMBDA_INITIALIZATION_TYPE").text(),
        "snap-start"
    );
    local.wait_for("RESTORE_REPORT Restore Duration: ");
    let report = local.wait_for("REPORT RequestId");
    assert!(
        report.contains("\tRestore Duration: ") && !report.contains("Init Duration"),
        "{report}"
    );
    assert_eq!(local.get("/json").status, 200);
    assert_eq!(local.output().matches("RESTORE_START").count(), 1);
}

#[test]
fn provisioned_concurrency_is_told_to_the_app() {
    let Some(local) = python_site(&["--init", "provisioned"]) else {
        return;
    };
    assert_eq!(
        local.get("/env?name=AWS_LAMBDA_INITIALIZATION_TYPE").text(),
        "provisioned-concurrency"
    );
}

#[test]
fn classic_lambda_takes_one_at_a_time_and_managed_instances_take_several() {
    let seconds = |args: &[&str]| -> Option<f64> {
        let local = python_site(args)?;
        let address = local.address;
        let started = Instant::now();
        let callers: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    send(address, "GET", "/slow?seconds=0.5", &[], b"").status
                })
            })
            .collect();
        assert!(
            callers
                .into_iter()
                .all(|caller| caller.join().is_ok_and(|status| status == 200))
        );
        Some(started.elapsed().as_secs_f64())
    };
    let (Some(one), Some(four)) = (seconds(&[]), seconds(&["--concurrency", "4"])) else {
        return;
    };
    assert!(
        one >= 2.0 && four < one * 0.8,
        "{one} s one by one, {four} s at once"
    );
}

#[test]
fn a_managed_instance_outlives_a_timeout() {
    let Some(mut local) = python_site(&["--concurrency", "2", "--timeout", "0.5"]) else {
        return;
    };
    let before = local.get("/pid").text();
    assert_eq!(local.get("/slow?seconds=1").status, 502);
    local.wait_for("Status: timeout");
    assert_eq!(local.get("/pid").text(), before);
}

#[test]
fn a_tenant_reaches_the_app() {
    let Some(local) = python_site(&["--tenant", "blue"]) else {
        return;
    };
    assert_eq!(local.get("/header?name=x-amz-tenant-id").text(), "blue");
}

#[test]
fn tenants_do_not_share_an_environment() {
    let Some(local) = python_site(&["--tenant", "blue"]) else {
        return;
    };
    let blue = local.get("/pid").text();
    let event = r#"{"version":"2.0","rawPath":"/pid",
        "requestContext":{"http":{"method":"GET","path":"/pid"}}}"#;
    let green = local.invoke(event, &[("x-amz-tenant-id", "green")]).text();
    assert!(
        green.contains("\"statusCode\":200") && !green.contains(&format!("\"{blue}\"")),
        "{blue}: {green}"
    );
}

#[test]
fn an_app_that_uses_more_than_its_memory_is_killed() {
    if !std::path::Path::new("/proc/self/status").exists() {
        eprintln!("skipped: there is no /proc here");
        return;
    }
    let Some(mut local) = python_site(&["--memory", "100"]) else {
        return;
    };
    assert_eq!(local.get("/hog?mb=200").status, 502);
    local.wait_for("Error Type: Runtime.OutOfMemory");
    assert_eq!(local.get("/json").status, 200);
}

/// Starts an app in a session of its own, and an orphan in another one; returns both processes.
fn in_other_sessions(args: &[&str]) -> Option<(run::Local, [String; 2])> {
    if !has("setsid") || !has("python3") {
        return None;
    }
    let orphan = "(setsid sh -c 'echo orphan $$; exec sleep 600' &)";
    let app = format!("{orphan}; exec setsid -w python3 {}", fixture("site.py"));
    let mut local = start(args, &["sh", "-c", &app]);
    let line = local.wait_for("orphan ");
    let orphan = line.rsplit(' ').next().expect("a number").to_owned();
    let app = local.get("/pid").text();
    let processes = [orphan, app];
    assert!(processes.iter().all(|process| is_alive(process)));
    Some((local, processes))
}

#[test]
fn nothing_outlives_lambda_local() {
    for signal in ["KILL", "TERM"] {
        let Some((mut local, processes)) = in_other_sessions(&[]) else {
            return;
        };
        local.end(signal);
        processes.iter().for_each(run::wait_for_end);
    }
}

#[test]
fn a_reset_ends_processes_in_sessions_of_their_own() {
    let Some((mut local, processes)) = in_other_sessions(&["--timeout", "0.5"]) else {
        return;
    };
    assert_eq!(local.get("/slow?seconds=20").status, 502);
    local.wait_for("Status: timeout");
    processes.iter().for_each(run::wait_for_end);
}

#[test]
fn a_freeze_suspends_processes_in_sessions_of_their_own() {
    let Some((_local, processes)) = in_other_sessions(&["--freeze"]) else {
        return;
    };
    for process in &processes {
        run::wait_for_state(process, 'T');
    }
}

#[test]
fn memory_counts_in_sessions_of_their_own() {
    let Some((mut local, _)) = in_other_sessions(&["--memory", "100"]) else {
        return;
    };
    assert_eq!(local.get("/hog?mb=200").status, 502);
    local.wait_for("Error Type: Runtime.OutOfMemory");
}

#[test]
fn the_child_of_an_entry_point_has_the_same_limits() {
    if !has("python3") {
        return;
    }
    let adapter = adapter();
    let adapter = adapter.to_str().expect("a path");
    let mut local = start(
        &["--no-adapter", "--freeze", "--memory", "100"],
        &[adapter, "python3", &fixture("site.py")],
    );
    let event = |path: &str| {
        format!(
            r#"{{"version":"2.0","rawPath":"{path}",
            "requestContext":{{"http":{{"method":"GET","path":"{path}"}}}}}}"#
        )
    };
    let reply: serde_json::Value =
        serde_json::from_str(&local.invoke(&event("/pid"), &[]).text()).expect("JSON");
    let app = reply["body"].as_str().expect("a process").to_owned();
    run::wait_for_state(&app, 'T');
    let failed = run::send(local.address, "GET", "/hog?mb=200", &[], b"");
    assert_eq!(failed.status, 502);
    local.wait_for("Error Type: Runtime.OutOfMemory");
    run::wait_for_end(&app);
}
