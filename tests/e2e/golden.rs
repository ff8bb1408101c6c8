//! Golden pairs: each folder of `tests/cases` is a test; a new one needs two files.
//!
//! `event.json` with `request.http`: the event, and the exact bytes the app must receive. Lines of
//! the head end with LF in the file and with CRLF in the request; `PORT` is the app's port; the
//! file's body has no line end of its own. `response.http` with `reply.KIND.json`: the app's
//! response, and the reply to an event of that kind, which is taken from the folder named KIND.
//! `next.headers` and `env` are optional, with one entry a line.

use crate::harness::api::Invocation;
use crate::harness::app::raw;
use crate::harness::scenario::{Scenario, scenario};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn each_event_becomes_its_request() {
    assert_each_case("request.http", |folder| {
        let run = scenario_of(folder).invoke(invocation(folder)).run();
        let expected = wire(&read(&folder.join("request.http")));
        let port = run.app_address().to_string();
        let expected = String::from_utf8(expected)
            .map(|text| text.replace("127.0.0.1:PORT", &port).into_bytes());
        let expected = expected.unwrap_or_else(|error| error.into_bytes());
        compare(
            &expected.escape_ascii().to_string(),
            &run.request(1).raw().escape_ascii().to_string(),
        )
    });
}

#[test]
fn each_answer_becomes_its_reply() {
    assert_each_case("response.http", |folder| {
        let mut cases = 0;
        for file in entries(folder) {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let Some(kind) = name
                .strip_prefix("reply.")
                .and_then(|rest| rest.strip_suffix(".json"))
            else {
                continue;
            };
            let response = raw(wire(&read(&folder.join("response.http")))).close();
            let invocation = invocation(&cases_folder().join(kind));
            let run = scenario_of(folder)
                .respond(response)
                .invoke(invocation)
                .run();
            let expected: Value =
                serde_json::from_slice(&read(&file)).map_err(|error| error.to_string())?;
            let (expected, found) = (normalized(expected, kind), normalized(run.reply(1), kind));
            compare(&expected.to_string(), &found.to_string())
                .map_err(|text| format!("{kind}: {text}"))?;
            cases += 1;
        }
        if cases == 0 {
            Err("no reply.KIND.json beside it".to_owned())
        } else {
            Ok(())
        }
    });
}

/// Runs a case for each folder with the file, and reports all that fail.
fn assert_each_case(file: &str, case: impl Fn(&Path) -> Result<(), String>) {
    let folders: Vec<_> = entries(&cases_folder())
        .into_iter()
        .filter(|folder| folder.join(file).exists())
        .collect();
    assert!(!folders.is_empty(), "no case with a {file}");
    let failed = folders.iter().filter_map(|folder| {
        case(folder)
            .err()
            .map(|error| format!("{}: {error}", folder.display()))
    });
    let failed: Vec<_> = failed.collect();
    assert!(
        failed.is_empty(),
        "{} of {} cases:\n{}",
        failed.len(),
        folders.len(),
        failed.join("\n")
    );
}

fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    paths.sort();
    paths
}

fn read(file: &Path) -> Vec<u8> {
    fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn scenario_of(folder: &Path) -> Scenario {
    lines(&folder.join("env"), '=')
        .into_iter()
        .fold(scenario(), |scenario, (name, value)| {
            scenario.env(&name, &value)
        })
}

fn invocation(folder: &Path) -> Invocation {
    let event = read(&folder.join("event.json"));
    // The last line end belongs to the file, not to the event.
    let event = event.strip_suffix(b"\n").unwrap_or(&event).to_vec();
    lines(&folder.join("next.headers"), ':')
        .into_iter()
        .fold(Invocation::from(event), |invocation, (name, value)| {
            invocation.header(&name, &value)
        })
}

fn lines(file: &Path, separator: char) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(separator));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The file's head with CRLF, its body unchanged.
fn wire(file: &[u8]) -> Vec<u8> {
    let end = file
        .windows(2)
        .position(|pair| pair == b"\n\n")
        .map_or(file.len(), |at| at + 2);
    let mut bytes = Vec::new();
    for byte in &file[..end] {
        if *byte == b'\n' {
            bytes.push(b'\r');
        }
        bytes.push(*byte);
    }
    bytes.extend_from_slice(&file[end..]);
    bytes
}

/// A reply without its optional parts: empty maps, and the map of the other kind of ALB target
/// group.
fn normalized(mut reply: Value, kind: &str) -> Value {
    if let Some(fields) = reply.as_object_mut().filter(|_| kind != "other") {
        let unread = match kind {
            "alb" => "multiValueHeaders",
            "alb-multi" => "headers",
            _ => "",
        };
        fields.remove(unread);
        fields.retain(|name, value| !is_empty(value) || matches!(name.as_str(), "body"));
        if let Some(Value::String(description)) = fields.get_mut("statusDescription") {
            *description = description.trim().to_owned();
        }
    }
    reply
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// Reports the lines that differ.
fn compare(expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let lines = |text: &str| text.split("\\r\\n").map(str::to_owned).collect::<Vec<_>>();
    let (expected, found) = (lines(expected), lines(found));
    let does_not_support = |here: &[String], there: &[String], sign: &str| {
        let only = here.iter().filter(|line| !there.contains(line));
        only.map(|line| format!("\n  {sign} {line}"))
            .collect::<String>()
    };
    let text = does_not_support(&expected, &found, "expected")
        + &does_not_support(&found, &expected, "found   ");
    Err(if text.is_empty() {
        format!("\n  in another order: {}", found.join("\n  "))
    } else {
        text
    })
}
