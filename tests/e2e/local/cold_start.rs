//! The report of a cold start, and the effect of priming on it.

use super::run::{self, Local, adapter, fixture, has, launch, python_site, start};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const REPORT: [&str; 2] = ["--report", "cold-start"];

/// The head of the report and its phases: name, milliseconds, remark.
fn report(local: &mut Local) -> (String, Vec<(String, f64, String)>) {
    report_of(local, 1)
}

/// The last report, if there are this many.
fn report_of(local: &mut Local, count: usize) -> (String, Vec<(String, f64, String)>) {
    local.wait_for_count("cold start ", count);
    // The request is logged after it.
    local.wait_for_count("\nGET /", count);
    let output = local.output();
    let mut lines = output.lines().rev();
    let head = lines.find(|line| line.contains("cold start "));
    let head = head.expect("the head").to_owned();
    let (_, after) = output.rsplit_once(&head).expect("the head");
    let lines = after.lines().skip(1).take_while(|line| line.contains('|'));
    let phases = lines.map(|line| {
        let columns: Vec<&str> = line.split('|').collect();
        let (name, ms) = columns[0].trim().rsplit_once("  ").expect("two columns");
        let ms = ms.trim().trim_end_matches(" ms").parse().expect("a number");
        (
            name.trim().to_owned(),
            ms,
            columns.last().unwrap().trim().to_owned(),
        )
    });
    (head.clone(), phases.collect())
}

fn names(phases: &[(String, f64, String)]) -> Vec<&str> {
    phases.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn each_phase_of_a_cold_start_has_a_line() {
    let Some(mut local) = python_site(&[&REPORT[..], &["--env", "SLOW_START=0.3"]].concat()) else {
        return;
    };
    local.get("/json");
    let (head, phases) = report(&mut local);
    let expected = [
        "process start",
        "register",
        "app start",
        "probe",
        "first /next",
        "first response",
    ];
    assert_eq!(names(&phases), expected);
    let (_, app_start, _) = &phases[2];
    assert!(*app_start > 300.0, "{phases:?}");
    assert_eq!(phases[3].2, "GET / 200");
    let total: f64 = phases.iter().map(|(_, ms, _)| ms).sum();
    let shown = head.split(' ').nth(2).and_then(|ms| ms.parse().ok());
    assert!(
        (total - shown.unwrap_or(0.0)).abs() < 1.0,
        "{head}: {phases:?}"
    );
    local.get("/json");
    local.wait_for_count("REPORT RequestId", 2);
    assert_eq!(local.output().matches("cold start ").count(), 1);
}

#[test]
fn each_new_environment_has_a_report() {
    let Some(local) = python_site(&REPORT) else {
        return;
    };
    local.get("/json");
    assert_eq!(local.get("/crash").status, 502);
    local.get("/json");
    local.wait_for_count("cold start ", 2);
}

#[test]
fn the_init_before_a_snapshot_is_reported_apart_from_the_restore() {
    let options = [
        "--init",
        "snap-start",
        "--env",
        "AWS_LWA_PRIME_PATHS=/html,/nope",
        "--env",
        "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH=/json",
        "--env",
        "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH=/nothing",
    ];
    let Some(mut local) = python_site(&[&REPORT[..], &options].concat()) else {
        return;
    };
    local.get("/small.bin");
    let (head, phases) = report(&mut local);
    let remarks: Vec<_> = phases
        .iter()
        .filter(|(.., remark)| !remark.is_empty())
        .map(|(name, _, remark)| format!("{name} {remark}"))
        .collect();
    let expected = [
        "probe GET / 200",
        "prime GET /html 200",
        "prime GET /nope 404",
        "hook POST /json 200",
        "hook POST /nothing 204",
        "probe GET / 200",
    ];
    assert_eq!(remarks, expected);
    assert!(
        head.contains("restore ") && head.ends_with("before the snapshot"),
        "{head}"
    );
    let names = names(&phases);
    assert_eq!(names[names.len() - 2..], ["first /next", "first response"]);
}

#[test]
fn an_entry_point_is_reported_without_the_relay() {
    if !has("python3") {
        return;
    }
    let adapter = adapter();
    let adapter = adapter.to_str().expect("a path");
    let options = [&REPORT[..], &["--no-adapter"]].concat();
    let mut local = start(&options, &[adapter, "python3", &fixture("site.py")]);
    local.get("/json");
    let (_, phases) = report(&mut local);
    let expected = ["process start", "register", "app start", "first response"];
    assert_eq!(names(&phases), expected);
}

#[test]
fn the_phase_in_which_init_failed_is_marked() {
    let adapter = adapter();
    let adapter = adapter.to_str().expect("a path");
    let args = ["--port", "0", "--timeout", "1", "--adapter", adapter];
    let app = ["--", "sh", "-c", "sleep 0.3; exit 3"];
    let command = run::command(&[&args[..], &REPORT, &app].concat());
    let mut local = launch(command, SocketAddr::from(([127, 0, 0, 1], 1)));
    local.address = run::address_in(&local.wait_for("listening on http://"));
    assert_eq!(local.get("/").status, 502);
    let (_, phases) = report(&mut local);
    let (name, ms, remark) = phases.last().expect("a phase");
    assert_eq!((name.as_str(), remark.as_str()), ("app start", "failed"));
    assert!(*ms > 300.0, "{phases:?}");
}

const BEFORE: &str = "AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH";
const AFTER: &str = "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH";

fn last_phase(phases: &[(String, f64, String)]) -> (&str, &str) {
    let (name, _, remark) = phases.last().expect("a phase");
    (name, remark)
}

#[test]
fn a_hook_that_responds_with_an_error_is_the_phase_that_failed() {
    for hook in [BEFORE, AFTER] {
        let variable = format!("{hook}=/broken");
        let options = ["--init", "snap-start", "--env", &variable];
        let Some(mut local) = python_site(&[&REPORT[..], &options].concat()) else {
            return;
        };
        assert_eq!(local.get("/json").status, 502);
        let (_, phases) = report(&mut local);
        let failed = ("hook", "POST /broken 500 failed");
        assert_eq!(last_phase(&phases), failed, "{phases:?}");
        let marked = phases
            .iter()
            .filter(|(.., remark)| remark.ends_with("failed"));
        assert_eq!(marked.count(), 1, "{phases:?}");
    }
}

#[test]
fn a_hook_that_hangs_is_named_and_is_the_phase_that_failed() {
    if !has("python3") {
        return;
    }
    let flag = std::env::temp_dir().join(format!("hook-{}", std::process::id()));
    let path = flag.to_str().expect("a path");
    // The hook hangs in the second environment: the init of the first has 130 s.
    let hang = format!("if [ -e {path} ]; then export HOOK=60; fi; : > {path}");
    let app = format!("{hang}; exec python3 {}", fixture("site.py"));
    let variable = format!("{BEFORE}=/hook");
    let options = ["--init", "snap-start", "--timeout", "4", "--env", &variable];
    let mut local = start(&[&REPORT[..], &options].concat(), &["sh", "-c", &app]);
    assert_eq!(local.get("/crash").status, 502);
    assert_eq!(local.get("/json").status, 502);
    std::fs::remove_file(&flag).expect("the flag");
    let line = local.wait_for("init failed: ");
    assert!(
        line.contains("init failed: POST /hook has no response after "),
        "{line}"
    );
    assert!(!local.output().contains("the app is not ready"));
    let (_, phases) = report_of(&mut local, 2);
    let failed = ("hook", "POST /hook no response failed");
    assert_eq!(last_phase(&phases), failed, "{phases:?}");
    assert_eq!(phases[phases.len() - 2].2, "GET / 200");
}

#[test]
fn priming_that_hangs_has_a_line_and_fails_nothing() {
    let prime = ["--env", "AWS_LWA_PRIME=always", "--env", "HOOK=60"];
    let path = ["--env", "AWS_LWA_PRIME_PATHS=/hook"];
    let Some(mut local) = python_site(&[&REPORT[..], &prime, &path].concat()) else {
        return;
    };
    assert_eq!(local.get("/json").status, 200);
    let (_, phases) = report(&mut local);
    let expected = ["probe", "prime", "first /next", "first response"];
    assert_eq!(names(&phases)[3..], expected);
    let (_, ms, remark) = &phases[4];
    assert_eq!(remark, "GET /hook no response");
    // Half of the time of an init.
    assert!(*ms > 4000.0, "{phases:?}");
    assert!(!local.output().contains("the app is not ready"));
}

#[test]
fn json_has_the_phases_as_an_event() {
    let mut local = start(&[&REPORT[..], &["--log-format", "json"]].concat(), &[]);
    local.get("/");
    let line = local.wait_for("\"coldStart\"");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    let phases = event["record"].as_array().expect("phases");
    assert_eq!(phases[2]["name"], "app start");
    assert_eq!(phases[2]["part"], "init");
    let starts: Vec<f64> = phases
        .iter()
        .filter_map(|phase| phase["startMs"].as_f64())
        .collect();
    assert!(
        starts.len() == phases.len() && starts.is_sorted(),
        "{phases:?}"
    );
}

/// How long the first request of a client takes to a page that is slow once. Its log, too.
fn first_request(options: &[&str]) -> Option<(Duration, String)> {
    let prime = ["--env", "AWS_LWA_PRIME_PATHS=/slow-once"];
    let local = python_site(&[&prime[..], options].concat())?;
    let started = Instant::now();
    assert_eq!(local.get("/slow-once").text(), "warm\n");
    Some((started.elapsed(), local.output()))
}

#[test]
fn a_primed_page_is_quick_for_its_first_client() {
    const SLOW: Duration = Duration::from_millis(700);
    let primed = [
        &["--init", "snap-start"][..],
        &["--init", "provisioned"],
        &["--concurrency", "2"],
        &["--env", "AWS_LWA_PRIME=always"],
    ];
    for options in primed {
        let Some((took, log)) = first_request(options) else {
            return;
        };
        assert!(took < SLOW, "{options:?}: {took:?}");
        assert!(log.contains("primed `/slow-once` in "), "{log}");
    }
    let Some((took, log)) = first_request(&[]) else {
        return;
    };
    assert!(
        took >= SLOW && !log.contains("primed"),
        "on demand: {took:?}"
    );
}
