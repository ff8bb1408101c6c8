//! What real Lambda does: concurrency, throttling, asynchronous invocations, limits; and the table
//! in docs/lambda-local.md that names a test for each row.

use super::run::{self, Local, adapter, command, fixture, has, send, start};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// The Python site in up to `environments` environments, each with a port of its own.
fn site_in(environments: &str, args: &[&str]) -> Option<Local> {
    if !has("python3") {
        return None;
    }
    let adapter = adapter();
    let mut all = vec!["--port", "0", "--max-environments", environments];
    all.extend(["--adapter", adapter.to_str().expect("a path")]);
    all.extend(args);
    let site = fixture("site.py");
    all.extend(["--", "python3", &site]);
    let any = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut local = run::launch(command(&all), any);
    local.address = run::address_in(&local.wait_for("listening on http://"));
    Some(local)
}

/// Sends requests at the same time; returns their responses.
fn at_once(local: &Local, target: &str, count: usize) -> Vec<run::Response> {
    let (address, target) = (local.address, target.to_owned());
    let callers: Vec<_> = (0..count)
        .map(|_| {
            let target = target.clone();
            std::thread::spawn(move || send(address, "GET", &target, &[], b""))
        })
        .collect();
    let responses = callers.into_iter();
    responses
        .map(|caller| caller.join().expect("a response"))
        .collect()
}

fn statuses(responses: &[run::Response]) -> Vec<u16> {
    let mut statuses: Vec<u16> = responses.iter().map(|response| response.status).collect();
    statuses.sort_unstable();
    statuses
}

#[test]
fn a_concurrent_request_gets_an_environment_of_its_own() {
    let Some(mut local) = site_in("2", &[]) else {
        return;
    };
    let responses = at_once(&local, "/slow?seconds=2", 2);
    assert_eq!(statuses(&responses), [200, 200]);
    let pids: Vec<String> = at_once(&local, "/pid", 1)
        .iter()
        .map(run::Response::text)
        .collect();
    local.end("TERM");
    assert!(
        local.output().contains("3 invocations in 2 environments"),
        "{}",
        local.output()
    );
    run::wait_for_end(&pids[0]);
}

#[test]
fn a_request_beyond_the_limit_is_throttled() {
    let Some(mut local) = site_in("1", &[]) else {
        return;
    };
    let responses = at_once(&local, "/slow?seconds=3", 3);
    assert_eq!(statuses(&responses), [200, 429, 429]);
    let throttled = responses.iter().find(|response| response.status == 429);
    let cause = throttled.and_then(|response| response.header("x-lambda-local-error"));
    assert!(cause.is_some_and(|cause| cause.contains("all 1 environments are in use")));
    local.wait_for("a request was throttled");
    assert_eq!(local.output().matches("START RequestId").count(), 1);

    let address = local.address;
    let busy = std::thread::spawn(move || send(address, "GET", "/slow?seconds=3", &[], b""));
    local.wait_for_count("START RequestId", 2);
    let invoked = local.invoke("{}", &[]);
    assert_eq!(invoked.status, 429);
    assert_eq!(
        invoked.header("x-amzn-errortype"),
        Some("TooManyRequestsException")
    );
    assert_eq!(busy.join().expect("a response").status, 200);
}

#[test]
fn a_client_that_waits_for_its_response_is_not_throttled() {
    let Some(local) = site_in("1", &[]) else {
        return;
    };
    for _ in 0..100 {
        assert_eq!(local.get("/json").status, 200);
    }
}

#[test]
fn a_failed_asynchronous_invocation_is_repeated_twice_and_kept() {
    if !has("python3") {
        return;
    }
    let name = format!("lambda-local-dead-letter-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let path = file.to_str().expect("a path");
    let runtime = fixture("runtime.py");
    let args = ["--no-adapter", "--dead-letter", path];
    let mut local = start(&args, &["python3", &runtime]);
    let event = "{\"fail\":true,\n\"n\":1.50}";
    let accepted = local.invoke(event, &[("x-amz-invocation-type", "Event")]);
    assert_eq!(accepted.status, 202);
    local.wait_for("has failed three times");
    assert_eq!(local.output().matches("START RequestId").count(), 3);
    let id = accepted.header("x-amzn-requestid").expect("an id");
    assert_eq!(
        local
            .output()
            .matches(&format!("START RequestId: {id}"))
            .count(),
        3
    );
    local.end("TERM");
    let line = fs::read_to_string(&file).expect("the dead-letter file");
    fs::remove_file(&file).expect("the dead-letter file");
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    let record: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["responsePayload"]["errorMessage"], "as you wished");
    assert!(line.contains("\"n\":1.50"), "{line}");
}

#[test]
fn a_failed_init_is_repeated_with_the_first_invocation() {
    if !has("python3") {
        return;
    }
    let marker = std::env::temp_dir().join(format!("lambda-local-once-{}", std::process::id()));
    let _ = fs::remove_file(&marker);
    let marker = marker.to_str().expect("a path").to_owned();
    let site = fixture("site.py");
    let app = format!("test -e {marker} || {{ touch {marker}; exit 5; }}; exec python3 {site}");
    let mut local = start(&[], &["sh", "-c", &app]);
    local.wait_for("Phase: init\tStatus: error\tError Type: Runtime.ExitError");
    assert_eq!(local.get("/json").status, 200);
    fs::remove_file(&marker).expect("the marker");
    assert_eq!(local.output().matches("INIT_REPORT").count(), 1);
}

#[test]
fn headers_that_a_front_end_sets_itself_are_renamed() {
    let Some(local) = run::python_site(&["--event", "rest-api"]) else {
        return;
    };
    let response = local.get("/json");
    assert!(response.header("x-amzn-remapped-date").is_some());
    assert!(response.header("x-amz-apigw-id").is_some());
    let forwarded = [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
    ];
    for (name, value) in forwarded {
        assert_eq!(local.get(&format!("/header?name={name}")).text(), value);
    }
    assert_eq!(local.get("/header?name=connection").text(), "-");
}

#[test]
fn a_path_stays_encoded_as_the_client_sent_it_but_for_an_http_api() {
    for (kind, expected) in [
        ("function-url", "no /caf%c3%a9%20x\n"),
        ("rest-api", "no /caf%c3%a9%20x\n"),
        ("alb", "no /caf%c3%a9%20x\n"),
        ("lattice", "no /caf%c3%a9%20x\n"),
        // Its event has the decoded path, which the adapter encodes again.
        ("http-api", "no /caf%C3%A9%20x\n"),
    ] {
        let Some(local) = run::python_site(&["--event", kind]) else {
            return;
        };
        assert_eq!(local.get("/caf%c3%a9%20x").text(), expected, "{kind}");
    }
}

#[test]
fn an_idle_lambda_local_uses_no_processor_time() {
    let stat = |process: u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        Some(fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?)
    };
    let local = start(&[], &[]);
    let _ = local.get("/seen");
    let Some(before) = stat(local.process()) else {
        return;
    };
    let started = Instant::now();
    // This time is the measurement.
    std::thread::sleep(Duration::from_secs(2));
    let ticks = stat(local.process()).expect("a process") - before;
    // A tick is 10 ms: 1 % at most.
    let limit = started.elapsed().as_millis() as u64 / 1000;
    assert!(ticks <= limit, "{ticks} ticks in {:?}", started.elapsed());
}

#[test]
fn each_row_of_the_table_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/lambda-local.md")).expect("the page");
    let (_, table) = page.split_once("| on Lambda |").expect("the table");
    let rows: Vec<&str> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 15, "{} rows", rows.len());
    let files = fs::read_dir(root.join("tests/e2e/local")).expect("the tests");
    let tests: String = files
        .flatten()
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .collect();
    for row in rows {
        let cell = row
            .trim_end_matches([' ', '|'])
            .rsplit('|')
            .next()
            .expect("a cell");
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row}");
        for name in names {
            assert!(tests.contains(&format!("fn {name}()")), "{name}");
        }
    }
}
