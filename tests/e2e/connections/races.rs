//! Connection reuse against an app that closes idle connections at random, while Lambda's freezing
//! of either process is simulated.
//!
//! The app is a process of its own, so that it can be stopped: this test program again, with a
//! variable set. It closes an idle connection after 0 to 6 ms, sometimes with a request unread on
//! it, and counts the requests it received.

use crate::harness::events::{url, with};
use crate::harness::http::{self, Message};
use crate::harness::load::{self, Adapter, CollectedBody};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Set in the process that is the app.
const AS_APP: &str = "E2E_RACING_APP";
/// How many requests each test makes.
const REQUESTS: &str = "RACES";

#[test]
fn no_get_fails_and_no_post_comes_twice_when_the_app_closes_idle_connections() {
    race(
        "no_get_fails_and_no_post_comes_twice_when_the_app_closes_idle_connections",
        |_, _| None,
    );
}

#[test]
fn no_get_fails_and_no_post_comes_twice_when_the_app_is_frozen_now_and_then() {
    race(
        "no_get_fails_and_no_post_comes_twice_when_the_app_is_frozen_now_and_then",
        |app, _| Some(app),
    );
}

#[test]
fn no_get_fails_and_no_post_comes_twice_when_the_adapter_is_frozen_now_and_then() {
    race(
        "no_get_fails_and_no_post_comes_twice_when_the_adapter_is_frozen_now_and_then",
        |_, adapter| Some(adapter),
    );
}

/// Runs the test of this name, or its app; `frozen` picks the process that is stopped.
fn race(test: &str, frozen: fn(u32, u32) -> Option<u32>) {
    if std::env::var_os(AS_APP).is_some() {
        return run_app();
    }
    let total = std::env::var(REQUESTS).map_or(2000, |count| count.parse().expect("a number"));
    let app = App::start(test);
    let failed_posts = Arc::new(AtomicUsize::new(0));
    let failed = failed_posts.clone();
    let event = |number: usize| {
        // The next request arrives about when a connection is closed.
        thread::sleep(Duration::from_micros(random(number) % 6000));
        let method = if is_get(number) { "GET" } else { "POST" };
        with(
            url(method, &format!("/{number}")),
            json!({"body": if is_get(number) { "" } else { "b" }}),
        )
        .to_string()
        .into_bytes()
    };
    let check = move |number: usize, posted: &Message| {
        let reply: Value =
            serde_json::from_slice(&posted.body).map_err(|error| error.to_string())?;
        if reply["body"] == format!("{number}") {
            return Ok(());
        }
        failed.fetch_add(1, SeqCst);
        let is_post = !is_get(number);
        let may_fail = is_post && reply["errorType"] == "Function.AppProtocol";
        if may_fail {
            Ok(())
        } else {
            Err(reply.to_string())
        }
    };
    let lambda = load::start(total, Box::new(event), Box::new(check));
    let adapter = Adapter::start(
        lambda.address,
        app.port,
        &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")],
    );
    let over = Arc::new(AtomicBool::new(false));
    let freezer = frozen(app.child.id(), adapter.pid()).map(|pid| {
        let over = over.clone();
        thread::spawn(move || freeze(pid, &over))
    });
    lambda.finish(&adapter);
    over.store(true, SeqCst);
    let frozen = freezer.map_or(0, |freezer| freezer.join().expect("the freezer ends"));
    let report = app.report();
    println!(
        "{total} requests, frozen {frozen} times: {} POSTs failed, app: {report}",
        failed_posts.load(SeqCst)
    );
    assert_eq!(report["twice"], json!([]), "a POST was done twice");
    assert!(
        report["closed"]
            .as_u64()
            .is_some_and(|closed| closed as usize > total / 20),
        "{report}"
    );
    lambda.end();
}

fn is_get(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// Stops and continues the process until the end; returns how often.
fn freeze(pid: u32, over: &AtomicBool) -> usize {
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &pid.to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {name}");
    };
    let mut times = 0;
    while !over.load(SeqCst) {
        signal("-STOP");
        thread::sleep(Duration::from_millis(15));
        signal("-CONT");
        thread::sleep(Duration::from_millis(35));
        times += 1;
    }
    times
}

/// The app's process; it exits when the pipe to it closes.
struct App {
    child: Child,
    port: u16,
}

impl App {
    fn start(test: &str) -> App {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args([
                "--exact",
                &format!("connections::races::{test}"),
                "--nocapture",
            ])
            .env(AS_APP, "1");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the app starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.rsplit_once("racing on ")?.1.parse().ok());
        App {
            child,
            port: port.expect("a port"),
        }
    }

    fn report(&self) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the app runs");
        stream
            .write_all(b"GET /report HTTP/1.1\r\nconnection: close\r\n\r\n")
            .expect("sent");
        let mut text = String::new();
        // The last line may be followed by what the test harness prints.
        let _ = stream.read_to_string(&mut text);
        let (_, body) = text.split_once("\r\n\r\n").expect("a response");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Default)]
struct Counts {
    posts: HashMap<String, usize>,
    served: usize,
    closed: usize,
    reset: usize,
}

fn run_app() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    println!(
        "racing on {}",
        listener.local_addr().expect("its address").port()
    );
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let counts: Arc<Mutex<Counts>> = Arc::default();
    for (number, stream) in (1..).zip(listener.incoming().flatten()) {
        let counts = counts.clone();
        thread::spawn(move || drop(serve(&stream, number, &counts)));
    }
}

fn serve(stream: &TcpStream, number: usize, counts: &Mutex<Counts>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    for round in 0.. {
        let idle = Duration::from_micros(random(number << 20 | round) % 6000);
        if round > 0 && !wait_for_request(stream, idle, round % 3 == 0, counts)? {
            return Ok(());
        }
        let Some(head) = http::read_head(&mut reader)? else {
            return Ok(());
        };
        let request = Message::parse(head);
        http::read_body(&mut reader, &request, &mut CollectedBody::default())?;
        let mut counts = counts.lock().unwrap();
        let id = request.target.trim_start_matches('/').to_owned();
        let body = if id == "report" {
            let twice: Vec<_> = counts
                .posts
                .iter()
                .filter(|(_, times)| **times > 1)
                .map(|(id, _)| id)
                .collect();
            json!({"twice": twice, "served": counts.served, "closed": counts.closed,
                "reset": counts.reset})
            .to_string()
        } else {
            id.clone()
        };
        if request.method == "POST" {
            *counts.posts.entry(id).or_default() += 1;
        }
        counts.served += 1;
        drop(counts);
        (&*stream).write_all(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )?;
    }
    Ok(())
}

/// Waits for the next request on an idle connection; false closes it. An abrupt close does not
/// check for a request first.
fn wait_for_request(
    stream: &TcpStream,
    idle: Duration,
    abrupt: bool,
    counts: &Mutex<Counts>,
) -> std::io::Result<bool> {
    let until = Instant::now() + idle;
    stream.set_nonblocking(true)?;
    loop {
        let late = Instant::now() >= until;
        let has_request = match stream.peek(&mut [0]) {
            Ok(count) => Some(count > 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => return Err(error),
        };
        if late && (abrupt || has_request.is_none()) {
            let mut counts = counts.lock().unwrap();
            counts.closed += 1;
            counts.reset += usize::from(has_request == Some(true));
            return Ok(false);
        }
        if let Some(has_request) = has_request {
            stream.set_nonblocking(false)?;
            return Ok(has_request);
        }
        thread::sleep(Duration::from_micros(50));
    }
}

/// A scrambled number (splitmix64), so that each run does the same.
pub fn random(number: usize) -> u64 {
    let mut bits = (number as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
