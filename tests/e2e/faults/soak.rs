//! Very many invocations of mixed kinds, with one bad response of the app in thirty: each
//! invocation gets one reply, its own, and neither memory nor descriptors grow. Four at a time,
//! buffered and streamed, then sixteen as on Managed Instances, then sixteen for a server that
//! serves one connection until it is closed, as Python's `HTTPServer` does.
//!
//! `make soak N=1000000` runs them against the release build and prints the figures; a plain test
//! run makes thousands.

use crate::connections::races::random;
use crate::harness::base64;
use crate::harness::events::*;
use crate::harness::http::{self, Message};
use crate::harness::load::{self, Adapter, CollectedBody};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

/// How many invocations two of the tests make together; the one with one worker, which is slower,
/// makes a tenth of its half.
const INVOCATIONS: &str = "SOAK";
/// Memory is measured from this invocation on.
const WARM_UP: usize = 1000;
/// The growth allowed after that for each thread, in kB: three buffers, all as large as the largest
/// response makes them. With four threads, a leak of five bytes an invocation exceeds it within
/// half a million.
const MAX_GROWTH: usize = 3 * 170;
const PROTOCOL: &str = "Function.AppProtocol";
/// A usual timeout of a function. No invocation waits that long, not even for the only worker.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the app treats one request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Good,
    /// A good response, and then the connection is closed.
    GoodAndGone,
    /// A good response with surplus bytes after it.
    GoodAndMore,
    /// A good response, byte by byte.
    Dripped,
    /// A good head; the body is cut short or contains nonsense.
    BrokenBody,
    /// No complete head.
    BrokenHead,
    Silent,
    Oops,
}

fn behaviour(number: usize) -> Behaviour {
    use Behaviour::*;
    match random(number) % 240 {
        0 => GoodAndGone,
        1 => GoodAndMore,
        2 => Dripped,
        3 | 4 => BrokenBody,
        5 | 6 => BrokenHead,
        7 => Silent,
        8 => Oops,
        _ => Good,
    }
}

/// The event of an invocation.
fn event(number: usize) -> Value {
    let path = format!("/{number}");
    let body = json!({"body": request_body(number)});
    let binary =
        json!({"body": base64::encode(request_body(number).as_bytes()), "isBase64Encoded": true});
    match number % 8 {
        0 => get(&path),
        1 => with(rest("POST", &path), body),
        2 => alb("GET", &path),
        3 => with(http_api("PUT", &path), binary),
        4 => lattice("GET", &path),
        5 => with(alb_multi("POST", &path), body),
        6 => rest("GET", &path),
        _ => json!({"Records": [{"body": number.to_string()}]}),
    }
}

fn is_pass_through(number: usize) -> bool {
    number % 8 == 7
}

/// Idempotent requests are retried when an idle connection turns out to be closed.
fn is_repeatable(number: usize) -> bool {
    !matches!(number % 8, 1 | 5 | 7)
}

/// The body of the client's request.
fn request_body(number: usize) -> String {
    format!("sent {number} ").repeat(random(number) as usize % 40)
}

/// The app's body: mostly small, one in a hundred large, one in eight not text.
fn expected_body(number: usize) -> Vec<u8> {
    let length = if number.is_multiple_of(101) {
        100_000
    } else {
        random(number + 1) as usize % 2000
    };
    let mut bytes = format!("owed {number} ")
        .repeat(length / 12 + 1)
        .into_bytes();
    if number.is_multiple_of(9) && !is_pass_through(number) {
        bytes.push(0xff);
    }
    bytes
}

#[derive(Default)]
struct Counts {
    good: AtomicUsize,
    failed: AtomicUsize,
    /// Sent on a connection that was being closed: lost, since they must not be retried.
    raced: AtomicUsize,
}

impl Counts {
    fn load(&self) -> (usize, usize, usize) {
        let [good, failed, raced] = [&self.good, &self.failed, &self.raced];
        (good.load(SeqCst), failed.load(SeqCst), raced.load(SeqCst))
    }
}

/// How the adapter runs, and in front of which app.
#[derive(Debug, Clone, Copy)]
struct Soak {
    mode: &'static str,
    concurrency: usize,
    has_one_worker: bool,
}

const USUAL: Soak = Soak {
    mode: "buffered",
    concurrency: 4,
    has_one_worker: false,
};

#[test]
fn each_of_many_invocations_is_answered_once_with_its_own() {
    USUAL.run();
}

#[test]
fn each_of_many_streamed_invocations_is_answered_once_with_its_own() {
    let mode = "response_stream";
    Soak { mode, ..USUAL }.run();
}

#[test]
fn each_of_many_invocations_of_a_managed_instance_is_answered_once_with_its_own() {
    let concurrency = 16;
    Soak {
        concurrency,
        ..USUAL
    }
    .run();
}

#[test]
fn no_invocation_waits_for_an_idle_connection_to_the_only_worker() {
    Soak {
        concurrency: 16,
        has_one_worker: true,
        ..USUAL
    }
    .run();
}

impl Soak {
    fn invocations(self) -> usize {
        let count = std::env::var(INVOCATIONS);
        let half = count.map_or(5000, |count| count.parse().expect("a number")) / 2;
        if self.has_one_worker {
            usize::max(half / 10, WARM_UP + 500)
        } else {
            half
        }
    }

    fn start_app(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if self.has_one_worker {
                    let _ = serve(&stream);
                } else {
                    thread::spawn(move || drop(serve(&stream)));
                }
            }
        });
        port
    }

    /// The event of an invocation. Pauses leave connections idle while requests wait for the
    /// worker.
    fn event(self, number: usize) -> Vec<u8> {
        if self.has_one_worker {
            thread::sleep(Duration::from_micros(random(number) % 2000));
        }
        event(number).to_string().into_bytes()
    }

    fn start_adapter(self, api: SocketAddr, app: u16) -> Adapter {
        let concurrency = self.concurrency.to_string();
        let env = [
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "lambda-managed-instances"),
            ("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.as_str()),
            ("AWS_LWA_INVOKE_MODE", self.mode),
            ("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "600"),
            ("AWS_LAMBDA_LOG_LEVEL", "error"),
        ];
        Adapter::start(api, app, &env)
    }

    fn run(self) {
        let total = self.invocations();
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        let lambda = load::start(
            total,
            Box::new(move |number| self.event(number)),
            Box::new(move |number, posted| check(number, posted, &shared)),
        );
        let started = Instant::now();
        let adapter = self.start_adapter(lambda.address, self.start_app());
        lambda.wait_for_count(WARM_UP, &adapter);
        let (warm, open) = (adapter.memory(), adapter.descriptors());
        let (mut memory, mut descriptors) = (Vec::new(), open);
        for step in 1..=20 {
            lambda.wait_for_count(WARM_UP + (total - WARM_UP) * step / 20, &adapter);
            memory.push(adapter.memory());
            descriptors = descriptors.max(adapter.descriptors());
        }
        lambda.finish(&adapter);
        let took = started.elapsed().as_secs_f64();
        let (good, failed, raced) = counts.load();
        let slowest = lambda.slowest();
        println!(
            "{self:?}: {total} invocations in {took:.0} s ({:.0}/s), the slowest in {slowest:.1?}: \
             {good} succeeded, {failed} failed as expected, {raced} lost to a closing connection; \
             memory (own, all) in kB {warm:?} after {WARM_UP}, then {memory:?}; descriptors \
             {open}, {descriptors} at most",
            total as f64 / took
        );
        assert!(failed > total / 60, "the app misbehaved too seldom");
        assert!(raced <= total / 100, "{raced} raced");
        assert!(slowest < TIMEOUT, "{slowest:?} for an invocation");
        let most = memory.iter().map(|(own, _)| *own).max().unwrap_or(0);
        let limit = warm.0 + self.concurrency * MAX_GROWTH;
        assert!(most <= limit, "memory grew from {} to {most} kB", warm.0);
        // A thread may be between two connections at this moment.
        assert!(
            descriptors <= open + 2 * self.concurrency,
            "descriptors grew from {open} to {descriptors}"
        );
        lambda.end();
    }
}

/// Checks that the post is the invocation's own, and as the app's behaviour implies.
fn check(number: usize, posted: &Message, counts: &Counts) -> Result<(), String> {
    let behaviour = behaviour(number);
    let failure = failure(posted);
    let count = |counter: &AtomicUsize| {
        counter.fetch_add(1, SeqCst);
        Ok(())
    };
    let broken = matches!(
        behaviour,
        Behaviour::BrokenBody | Behaviour::BrokenHead | Behaviour::Silent
    );
    let oops = behaviour == Behaviour::Oops && is_pass_through(number);
    match failure {
        Some(kind) if broken && kind == PROTOCOL => count(&counts.failed),
        Some(kind) if oops && kind == "Function.HttpStatus" => count(&counts.failed),
        Some(kind) if !broken && !oops && !is_repeatable(number) && kind == PROTOCOL => {
            count(&counts.raced)
        }
        Some(kind) => Err(format!("{kind} for {behaviour:?}: {}", posted.text())),
        None if broken || oops => Err(format!("a reply to {behaviour:?}: {}", posted.text())),
        None if is_own_reply(number, posted)? => count(&counts.good),
        None => Err(format!("not its own: {}", posted.text())),
    }
}

/// The error type, of a post to `/error` or in trailers.
fn failure(posted: &Message) -> Option<String> {
    let streamed = posted.trailer("lambda-runtime-function-error-type");
    let kind = posted
        .header("lambda-runtime-function-error-type")
        .or(streamed);
    kind.map(str::to_owned)
}

fn is_own_reply(number: usize, posted: &Message) -> Result<bool, String> {
    let expected_body = expected_body(number);
    let status = if behaviour(number) == Behaviour::Oops {
        500
    } else {
        200
    };
    let json =
        |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| error.to_string());
    if let Some(end) = posted.body.windows(8).position(|window| window == [0; 8]) {
        let prelude = json(&posted.body[..end])?;
        return Ok(prelude["statusCode"] == status && posted.body[end + 8..] == expected_body);
    }
    let reply = json(&posted.body)?;
    if is_pass_through(number) {
        return Ok(reply.as_str().map(str::as_bytes) == Some(&expected_body));
    }
    let text = reply["body"].as_str().unwrap_or_default();
    let body = if reply["isBase64Encoded"] == true {
        base64::decode(text)
    } else {
        text.as_bytes().to_vec()
    };
    Ok(reply["statusCode"] == status && body == expected_body)
}

/// The app: responds to each request by its number.
fn serve(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(64 << 10, stream);
    while let Some(head) = http::read_head(&mut reader)? {
        let request = Message::parse(head);
        let mut body = CollectedBody::default();
        http::read_body(&mut reader, &request, &mut body)?;
        let number = match request.target.as_str() {
            "/events" => serde_json::from_slice::<Value>(&body.bytes)
                .ok()
                .and_then(|event| event["Records"][0]["body"].as_str()?.parse().ok()),
            target => target.trim_start_matches('/').parse().ok(),
        };
        // The readiness probe requests `/`.
        let Some(number) = number else {
            (&*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        };
        let carries = !is_pass_through(number) && number % 2 == 1;
        let expected = if carries {
            request_body(number)
        } else {
            String::new()
        };
        if !is_pass_through(number) && body.bytes != expected.as_bytes() {
            // The check reports it as a response that is not its own.
            (&*stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nanother body")?;
            continue;
        }
        if !respond(stream, number)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Sends the response of the number's behaviour; false closes.
fn respond(mut stream: &TcpStream, number: usize) -> std::io::Result<bool> {
    let (expected_body, behaviour) = (expected_body(number), behaviour(number));
    let status = if behaviour == Behaviour::Oops {
        "500 Oops"
    } else {
        "200 OK"
    };
    let mut response = format!("HTTP/1.1 {status}\r\nX-Number: {number}\r\n").into_bytes();
    if number.is_multiple_of(3) {
        response.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in expected_body.chunks(700) {
            response.extend_from_slice(&crate::harness::app::chunk(chunk));
        }
        response.extend_from_slice(b"0\r\n\r\n");
    } else {
        response.extend_from_slice(
            format!("Content-Length: {}\r\n\r\n", expected_body.len()).as_bytes(),
        );
        response.extend_from_slice(&expected_body);
    }
    let head = response
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(0)
        + 4;
    match behaviour {
        Behaviour::Good | Behaviour::Oops => stream.write_all(&response)?,
        Behaviour::GoodAndGone => {
            stream.write_all(&response)?;
            return Ok(false);
        }
        Behaviour::GoodAndMore => {
            response.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            stream.write_all(&response)?;
        }
        Behaviour::Dripped => {
            for piece in response.chunks(response.len() / 20 + 1) {
                stream.write_all(piece)?;
                thread::sleep(Duration::from_micros(200));
            }
        }
        Behaviour::BrokenBody => {
            stream.write_all(&response[..head + 5])?;
            return Ok(false);
        }
        Behaviour::BrokenHead => {
            stream.write_all(&response[..random(number + 2) as usize % head])?;
            return Ok(false);
        }
        Behaviour::Silent => return Ok(false),
    }
    Ok(true)
}
