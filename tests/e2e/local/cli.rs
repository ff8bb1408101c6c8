//! The command line: output, errors, and raw events.

use super::run::{adapter, command, fixture, has, python_site, start};
use serde_json::Value;
use std::net::TcpListener;

/// Exit code, standard output, standard error.
fn output_of(args: &[&str]) -> (Option<i32>, String, String) {
    let output = command(args).output().expect("lambda-local");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn an_unknown_option_is_an_error_and_help_is_not() {
    let (code, _, error) = output_of(&["--timout", "3"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("unknown option `--timout`"), "{error}");
    let (code, help, _) = output_of(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(help.contains("lambda-local -- node server.js"));
    assert_eq!(
        output_of(&["--version"]).1,
        format!("lambda-local {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn what_is_missing_or_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let adapter = adapter();
    let (code, _, error) = output_of(&[
        "--port",
        &port,
        "--adapter",
        adapter.to_str().expect("a path"),
    ]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains(&format!("failed to listen on `127.0.0.1:{port}`"))
            && error.contains("--port"),
        "{error}"
    );
    let (code, _, error) = output_of(&["--port", "0", "--adapter", "/no/such/adapter"]);
    assert_eq!(code, Some(1));
    assert!(
        error.contains("failed to find the adapter `/no/such/adapter`"),
        "{error}"
    );
    let (code, _, error) = output_of(&["--port", "0", "--env-file", "/no/such/file"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("failed to read `/no/such/file`"), "{error}");
}

#[test]
fn settings_reach_the_app_from_a_file_and_from_the_command_line() {
    let file = std::env::temp_dir().join(format!("lambda-local-env-{}", std::process::id()));
    std::fs::write(&file, "# settings\nFROM_FILE=\"one two\"\nBOTH=file\n").expect("a file");
    let local = python_site(&[
        "--env-file",
        file.to_str().expect("a path"),
        "--env",
        "BOTH=line",
    ]);
    std::fs::remove_file(&file).expect("the file");
    let Some(local) = local else { return };
    assert_eq!(local.get("/env?name=FROM_FILE").text(), "one two");
    assert_eq!(local.get("/env?name=BOTH").text(), "line");
    assert_eq!(
        local.get("/env?name=AWS_LAMBDA_FUNCTION_NAME").text(),
        "function"
    );
}

#[test]
fn the_output_of_each_process_has_its_name_before_it() {
    let Some(mut local) = python_site(&[]) else {
        return;
    };
    let line = local.wait_for("| listening");
    assert!(line.starts_with("app "), "{line}");
    assert!(
        !local.output().contains('\x1b'),
        "colours are for terminals"
    );
}

#[test]
fn json_output_is_one_event_a_line() {
    let mut local = start(&["--log-format", "json"], &[]);
    local.get("/seen");
    local.wait_for("platform.report");
    let output = local.output();
    let events: Vec<Value> = output
        .lines()
        .filter(|line| !line.starts_with("lambda-local: "))
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let types: Vec<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    for kind in [
        "platform.initStart",
        "function",
        "extension",
        "platform.start",
        "platform.report",
    ] {
        assert!(types.contains(&kind), "{kind}: {types:?}");
    }
    let report = events
        .iter()
        .find(|event| event["type"] == "platform.report")
        .expect("a report");
    assert!(
        report["record"]["metrics"]["durationMs"]
            .as_f64()
            .is_some_and(|ms| ms > 0.0),
        "{report}"
    );
}

#[test]
fn a_sample_event_reaches_the_app_and_its_answer_comes_back() {
    let Some(local) = python_site(&[]) else {
        return;
    };
    let port = local.address.port().to_string();
    let (code, response, _) = output_of(&["invoke", "--sample", "sqs", "--port", &port]);
    assert_eq!(code, Some(0));
    let (_, sample, _) = output_of(&["events", "sqs"]);
    assert_eq!(
        response.trim(),
        sample.trim(),
        "the app echoes the event, byte for byte"
    );
    let (_, list, _) = output_of(&["events"]);
    for name in [
        "sqs",
        "sns",
        "s3",
        "dynamodb",
        "kinesis",
        "kafka",
        "eventbridge",
        "bedrock-agent",
        "alb-health-check",
    ] {
        assert!(list.contains(name), "{name}");
    }
    let (code, _, error) = output_of(&["invoke", "--sample", "sqs", "--port", "1"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("is lambda-local running there?"), "{error}");
}

#[test]
fn a_batch_of_any_size_is_sent_with_the_consequence_of_its_result() {
    let Some(local) = python_site(&[
        "--env",
        "AWS_LWA_SPLIT_BATCHES=true",
        "--env",
        "AWS_LWA_PASS_THROUGH_PATH=/orders",
    ]) else {
        return;
    };
    let port = local.address.port().to_string();
    let send = |count| {
        output_of(&[
            "invoke", "--sample", "sqs", "--batch", count, "--port", &port,
        ])
    };
    // The app refuses each third order.
    let (code, result, text) = send("10");
    let result: Value = serde_json::from_str(&result).expect("JSON");
    let failed = result["batchItemFailures"].as_array().expect("a list");
    assert_eq!((code, failed.len()), (Some(0), 3));
    assert!(
        text.contains("deletes 7 of 10 records and retries 3"),
        "{text}"
    );
    let (code, _, text) = send("2");
    assert!(
        code == Some(0) && text.contains("Lambda deletes 2 of 2 records"),
        "{text}"
    );
    let (code, _, error) = output_of(&["invoke", "--sample", "s3", "--batch", "2"]);
    assert!(
        code == Some(1) && error.contains("`s3` has no batches"),
        "{error}"
    );
}

#[test]
fn a_runtime_of_its_own_needs_no_adapter() {
    if !has("python3") {
        return;
    }
    let local = start(&["--no-adapter"], &["python3", &fixture("runtime.py")]);
    // {"custom":{"k":"v"}}
    let response = local.invoke(
        r#"{"n":1}"#,
        &[
            ("x-amz-client-context", "eyJjdXN0b20iOnsiayI6InYifX0="),
            ("x-amz-log-type", "Tail"),
        ],
    );
    assert_eq!(
        (response.status, response.header("x-amz-executed-version")),
        (200, Some("$LATEST"))
    );
    let given: Value = serde_json::from_str(&response.text()).expect("JSON");
    assert_eq!(given["event"]["n"], 1);
    assert_eq!(given["context"], r#"{"custom":{"k":"v"}}"#);
    let log = response.header("x-amz-log-result").expect("a log");
    assert!(
        log.starts_with("U1RBUlQgUmVxdWVzdElk"),
        "base64 of `START RequestId`: {log}"
    );
}

#[test]
fn a_failed_function_is_a_200_with_a_header() {
    if !has("python3") {
        return;
    }
    let local = start(&["--no-adapter"], &["python3", &fixture("runtime.py")]);
    let response = local.invoke(r#"{"fail":true}"#, &[]);
    assert_eq!(
        (response.status, response.header("x-amz-function-error")),
        (200, Some("Unhandled"))
    );
    assert_eq!(
        response.text(),
        r#"{"errorType": "Function.Asked", "errorMessage": "as you wished"}"#
    );
    let refused = local.invoke("not JSON", &[]);
    assert_eq!(
        (refused.status, refused.header("x-amzn-errortype")),
        (400, Some("InvalidRequestContentException"))
    );
    assert_eq!(
        local
            .invoke("{}", &[("x-amz-invocation-type", "DryRun")])
            .status,
        204
    );
    assert_eq!(
        local
            .invoke("{}", &[("x-amz-invocation-type", "Event")])
            .status,
        202
    );
    local.wait_for_count("REPORT RequestId", 2);
}

#[test]
fn an_answer_has_lambdas_limit_and_must_be_whole() {
    if !has("python3") {
        return;
    }
    let mut local = start(&["--no-adapter"], &["python3", &fixture("runtime.py")]);
    // JSON puts two quotes around the text: these sizes are the limit and one byte more.
    assert_eq!(
        local.invoke(r#"{"size":6291554}"#, &[]).body.len(),
        6_291_556
    );
    let response = local.invoke(r#"{"size":6291555}"#, &[]);
    assert_eq!(response.header("x-amz-function-error"), Some("Unhandled"));
    assert!(
        response.text().contains("Function.ResponseSizeTooLarge"),
        "{}",
        response.text()
    );
    local.invoke(r#"{"break_off":true}"#, &[]);
    local.wait_for("Error Type: Runtime.TruncatedResponse");
}

#[test]
fn the_end_of_one_run_leaves_nothing_behind() {
    let mut local = start(&[], &[]);
    let listening = local.app;
    assert!(std::net::TcpStream::connect(listening).is_ok());
    assert!(local.end("TERM").success());
    assert!(std::net::TcpStream::connect(listening).is_err());
}
