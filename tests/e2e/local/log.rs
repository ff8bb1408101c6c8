//! The log: one line for each request, and each failure once.

use super::run::{Local, fixture, has, python_site, start};

/// Waits for the end of the log of a request and returns the lines since `START`.
fn lines_of(local: &mut Local, request: &str) -> Vec<String> {
    local.wait_for(request);
    let output = local.output();
    let start = output.find("START RequestId").expect("a START line");
    output[start..].lines().map(str::to_owned).collect()
}

#[test]
fn each_report_is_followed_by_its_request() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    local.get("/small.bin?a=1");
    let lines = lines_of(&mut local, "GET /small.bin?a=1 200 ");
    let report = lines.iter().position(|line| line.starts_with("REPORT "));
    let line = &lines[report.expect("a REPORT line") + 1];
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[..3], ["GET", "/small.bin?a=1", "200"], "{line}");
    assert!(words[3].parse::<f64>().is_ok_and(|ms| ms > 0.0), "{line}");
    assert_eq!(words[4..], ["ms", "196.6", "kB"], "{line}");
}

#[test]
fn json_has_only_the_events_of_lambda() {
    let mut local = start(&["--log-format", "json"], &[]);
    local.get("/seen");
    local.wait_for("platform.report");
    local.end("TERM");
    assert!(!local.output().contains("GET /seen"), "{}", local.output());
}

#[test]
fn a_crash_is_logged_once_and_by_its_cause() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    assert_eq!(local.get("/crash").status, 502);
    let lines = lines_of(&mut local, "GET /crash 502 ");
    let failures: Vec<&String> = lines
        .iter()
        .filter(|line| !line.starts_with("REPORT"))
        .filter(|line| {
            ["error", "fail", "exit"]
                .iter()
                .any(|w| line.to_lowercase().contains(w))
        })
        .collect();
    assert_eq!(failures.len(), 1, "{lines:#?}");
    assert!(
        failures[0].contains("Runtime exited with error: exit status 3"),
        "{lines:#?}"
    );
}

#[test]
fn a_timeout_is_logged_once_and_the_adapter_is_not_blamed() {
    let Some(mut local) = python_site(&["--timeout", "3"]) else {
        return;
    };
    assert_eq!(local.get("/slow?seconds=20").status, 502);
    local.wait_for("got SIGTERM");
    assert_eq!(local.get("/json").status, 200);
    let lines = lines_of(&mut local, "GET /json 200 ");
    let failures: Vec<&String> = lines
        .iter()
        .filter(|line| !line.starts_with("REPORT"))
        .filter(|line| {
            ["ERROR", "timed out"]
                .iter()
                .any(|word| line.contains(word))
        })
        .collect();
    assert_eq!(failures.len(), 1, "{lines:#?}");
    assert!(
        failures[0].contains("Task timed out after 3.00 seconds"),
        "{lines:#?}"
    );
}

#[test]
fn an_error_of_the_adapter_is_logged_by_the_adapter() {
    let Some(mut local) = python_site(&["--env", "AWS_LWA_ERROR_STATUS_CODES=500"]) else {
        return;
    };
    assert_eq!(local.get("/broken").status, 502);
    let lines = lines_of(&mut local, "GET /broken 502 ");
    let causes = lines.iter().filter(|line| line.contains("it broke"));
    let sources: Vec<&String> = causes.collect();
    assert_eq!(sources.len(), 1, "{lines:#?}");
    assert!(sources[0].starts_with("lambda-adapter"), "{lines:#?}");
}

#[test]
fn an_error_of_the_adapter_has_the_port_that_the_app_was_given() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    let port = local.get("/env?name=PORT").text().to_owned();
    let response = local.get("/drop");
    let lines = lines_of(&mut local, "GET /drop 502 ");
    let line = lines
        .iter()
        .find(|line| line.contains("failed to forward GET /drop"));
    let address = format!("the app at 127.0.0.1:{port}:");
    assert!(
        line.is_some_and(|line| line.contains(&address)),
        "{lines:#?}"
    );
    let cause = response.header("x-lambda-local-error").unwrap_or_default();
    assert!(cause.contains(&address), "{cause}");
}

#[test]
fn lines_that_the_app_prints_before_its_response_come_before_the_report() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    for _ in 0..5 {
        assert_eq!(local.get("/print").status, 200);
    }
    assert_eq!(local.get("/json").status, 200);
    local.wait_for("GET /json 200 ");
    let output = local.output();
    for log in output.split("START RequestId").skip(1).take(5) {
        let (before, after) = log.split_once("REPORT ").expect("a REPORT line");
        let count = |log: &str| log.matches("| line ").count();
        assert_eq!((count(before), count(after)), (4000, 0));
    }
}

#[test]
fn a_traceback_after_a_server_error_comes_before_the_report() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    assert_eq!(local.get("/late").status, 500);
    assert_eq!(local.get("/json").status, 200);
    local.wait_for("GET /json 200 ");
    let output = local.output();
    let position = |text| output.find(text).expect("in the log");
    assert!(
        position("a late traceback") < position("REPORT "),
        "{output}"
    );
}

#[test]
fn a_crash_behind_a_shell_fails_one_invocation_and_is_its_cause() {
    if !has("python3") {
        return;
    }
    let app = format!(
        "python3 {}; status=$?; sleep 0.1; exit $status",
        fixture("site.py")
    );
    let local = start(&[], &["sh", "-c", &app]);
    let crash = local.get("/crash");
    assert_eq!(crash.status, 502);
    let cause = crash.header("x-lambda-local-error").unwrap_or_default();
    assert!(
        cause.contains("Runtime exited with error: exit status 3"),
        "{cause}"
    );
    assert_eq!(local.get("/json").status, 200);
}
