//! The Lambda API as SDKs use it: streamed results, and the calls beside Invoke.

use super::run::{Local, Response, fixture, has, python_site, send, start};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const STREAM: &str = "/2021-11-15/functions/function/response-streaming-invocations";

fn event(path: &str) -> String {
    json!({
        "version": "2.0",
        "rawPath": path,
        "requestContext": {"http": {"method": "GET", "path": path}},
    })
    .to_string()
}

/// The messages of an event stream: type and payload.
fn messages(response: &Response) -> Vec<(String, Vec<u8>)> {
    let mut rest = response.body.as_slice();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().expect("bytes"));
        let (len, headers_len) = (number(0) as usize, number(4) as usize);
        let headers = String::from_utf8_lossy(&rest[12..12 + headers_len]);
        let types = ["PayloadChunk", "InvokeComplete"];
        let kind = types.iter().find(|kind| headers.contains(**kind));
        let payload = rest[12 + headers_len..len - 4].to_vec();
        found.push(((*kind.expect("a type")).to_owned(), payload));
        rest = &rest[len..];
    }
    found
}

/// A Python with the SDK and the command line: `.ci/run` creates it.
fn sdk(program: &str) -> Option<Command> {
    let given = std::env::var("SDK").unwrap_or_else(|_| "build/sdk".to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(given).join("bin").join(program);
    if !path.exists() {
        eprintln!("skipped: there is no {}", path.display());
        return None;
    }
    Some(Command::new(path))
}

fn stream(local: &Local, event: &str) -> Response {
    send(local.address, "POST", STREAM, &[], event.as_bytes())
}

#[test]
fn a_streamed_result_arrives_message_by_message() {
    let Some(local) = python_site(&["--invoke-mode", "response_stream"]) else {
        return;
    };
    let response = stream(&local, &event("/stream"));
    let content_type = response.header("content-type");
    assert_eq!(content_type, Some("application/vnd.amazon.eventstream"));
    let messages = messages(&response);
    let (last, chunks) = messages.split_last().expect("messages");
    assert_eq!(last, &("InvokeComplete".to_owned(), b"{}".to_vec()));
    let result: Vec<u8> = chunks
        .iter()
        .flat_map(|(_, payload)| payload.clone())
        .collect();
    let result = String::from_utf8_lossy(&result);
    assert_eq!(result.matches("data: ").count(), 5, "{result}");
    let spread = *response.arrivals.last().expect("an arrival") - response.arrivals[0];
    assert!(spread.as_millis() > 400, "{spread:?}");
}

#[test]
fn a_result_that_is_not_streamed_is_one_message() {
    let Some(local) = python_site(&[]) else {
        return;
    };
    let response = stream(&local, r#"{"Records":[]}"#);
    let messages = messages(&response);
    assert_eq!(
        messages[0],
        ("PayloadChunk".to_owned(), br#"{"Records":[]}"#.to_vec())
    );
    assert_eq!(messages.len(), 2);
}

#[test]
fn a_stream_that_fails_ends_with_the_error() {
    if !has("python3") {
        return;
    }
    let local = start(&["--no-adapter"], &["python3", &fixture("runtime.py")]);
    let messages = messages(&stream(&local, r#"{"fail":true}"#));
    let (kind, payload) = messages.last().expect("a message");
    let complete: Value = serde_json::from_slice(payload).expect("JSON");
    assert_eq!(kind, "InvokeComplete");
    assert_eq!(complete["ErrorCode"], "Function.Asked");
    assert!(
        complete["ErrorDetails"]
            .as_str()
            .is_some_and(|text| text.contains("as you wished"))
    );
}

#[test]
fn functions_are_described_and_other_calls_are_not_here() {
    let local = start(
        &[
            "--function-name",
            "mine",
            "--memory",
            "512",
            "--timeout",
            "2.5",
        ],
        &[],
    );
    let get = |path: &str| {
        let response = local.get(path);
        serde_json::from_str::<Value>(&response.text()).expect("JSON")
    };
    let function = get("/2015-03-31/functions/mine");
    assert_eq!(function["Configuration"]["MemorySize"], 512);
    assert_eq!(
        get("/2015-03-31/functions/mine/configuration")["Timeout"],
        3
    );
    assert_eq!(
        get("/2015-03-31/functions/")["Functions"][0]["FunctionName"],
        "mine"
    );
    let response = send(
        local.address,
        "DELETE",
        "/2015-03-31/functions/mine",
        &[],
        b"",
    );
    assert_eq!(response.status, 404);
    assert!(
        response.text().contains("lambda-local has no DELETE"),
        "{}",
        response.text()
    );
}

#[test]
fn boto3_invokes_streams_and_describes() {
    let Some(mut python) = sdk("python3") else {
        return;
    };
    let Some(local) = python_site(&["--invoke-mode", "response_stream"]) else {
        return;
    };
    let output = python
        .arg(fixture("sdk.py"))
        .args([format!("http://{}", local.address), event("/json")])
        .output()
        .expect("python3");
    let result: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let chunks = result["chunks"].as_array().expect("chunks");
    let streamed: String = chunks.iter().filter_map(Value::as_str).collect();
    assert!(
        streamed.ends_with("{\"b\":1,\"a\":[1.50,\"ü\"]}"),
        "{result}"
    );
    assert_eq!(result["invoked"], streamed);
    assert_eq!(result["complete"], json!({}));
    assert_eq!(
        (&result["error"], &result["has_log"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(result["functions"], json!(["function"]));
    assert_eq!(result["function"], "function");
    assert!(
        result["missing"]
            .as_str()
            .is_some_and(|text| text.contains("lambda-local has no"))
    );
}

#[test]
fn the_aws_command_line_invokes_and_lists() {
    if sdk("aws").is_none() {
        return;
    }
    let Some(local) = python_site(&[]) else {
        return;
    };
    let aws = |args: &[&str]| {
        let mut aws = sdk("aws").expect("the command line");
        aws.args([
            "--endpoint-url",
            &format!("http://{}", local.address),
            "lambda",
        ]);
        aws.args(args)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        let output = aws
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .output()
            .expect("aws");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let result = std::env::temp_dir().join(format!("lambda-local-aws-{}", std::process::id()));
    let file = result.to_str().expect("a path");
    let invoke = ["invoke", "--function-name", "function", "--payload"];
    aws(&[&invoke[..], &["{\"Records\":[1]}", file]].concat());
    assert_eq!(
        std::fs::read_to_string(&result).expect("a result"),
        "{\"Records\":[1]}"
    );
    std::fs::remove_file(&result).expect("the result");
    assert!(aws(&["list-functions"]).contains("\"FunctionName\": \"function\""));
}
