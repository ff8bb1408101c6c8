//! Idle connections under concurrency: threads share them, and none holds a server's only worker.

use crate::harness::events::get;
use crate::harness::http;
use crate::harness::record::{EntryKind, Side};
use crate::harness::scenario::{Run, Scenario, scenario};
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A server with one worker, which serves one connection until its other end closes it, as
/// Python's `HTTPServer` does. It ends with the test's process.
struct OneWorker {
    port: u16,
    requests: Arc<AtomicUsize>,
}

fn one_worker() -> OneWorker {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let requests = Arc::default();
    let count = Arc::clone(&requests);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(&stream, &count);
        }
    });
    OneWorker { port, requests }
}

fn serve(mut stream: &TcpStream, count: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while http::read_head(&mut reader)?.is_some() {
        count.fetch_add(1, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
    }
    Ok(())
}

fn concurrent(number: usize) -> Scenario {
    scenario().env("AWS_LAMBDA_MAX_CONCURRENCY", &number.to_string())
}

fn assert_all_ok(run: &Run, count: usize) {
    assert!((1..=count).all(|number| run.reply(number)["body"] == "ok"));
}

#[test]
fn one_worker_serves_every_thread_after_a_tcp_probe_and_after_an_http_probe() {
    for protocol in ["tcp", "http"] {
        for timeout in ["0", "1", "4", "600"] {
            let app = one_worker();
            let mut run = concurrent(2)
                .env("AWS_LWA_PORT", &app.port.to_string())
                .env("AWS_LWA_READINESS_CHECK_PROTOCOL", protocol)
                .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", timeout)
                .start();
            // One at a time: Lambda hands them to either thread.
            for number in 1..=6 {
                run.invoke(get("/x"));
                run.wait_until("a reply", |run| !run.posts(number).is_empty());
            }
            run.finish();
            assert_all_ok(&run, 6);
        }
    }
}

#[test]
fn one_worker_serves_every_thread_under_constant_load() {
    let app = one_worker();
    let run = concurrent(16)
        .env("AWS_LWA_PORT", &app.port.to_string())
        .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "600")
        .invoke_all(vec![get("/x"); 400])
        .run();
    assert_all_ok(&run, 400);
    assert_eq!(app.requests.load(Ordering::Relaxed), 401, "with the probe");
}

#[test]
fn threads_share_idle_connections() {
    let mut run = concurrent(8).start();
    for number in 1..=40 {
        run.invoke(get("/x"));
        run.wait_until("a reply", |run| !run.posts(number).is_empty());
    }
    run.finish();
    assert_eq!(run.connections(Side::App), 1);
}

/// The number of connections of the app that are open.
fn open(run: &Run) -> usize {
    let entries = run.entries();
    let app = entries.iter().filter(|entry| entry.side == Side::App);
    app.fold(0, |open, entry| match entry.kind {
        EntryKind::Opened => open + 1,
        EntryKind::Closed => open - 1,
        _ => open,
    })
}

#[test]
fn idle_connections_are_closed_in_time_while_all_threads_wait() {
    let mut run = concurrent(4)
        .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "1")
        .invoke_all(vec![get("/x"); 20])
        .run();
    run.wait_until("no open connection", |run| open(run) == 0);
}

#[test]
fn idle_timeout_of_0_closes_after_each_response() {
    for threads in [1, 3] {
        let mut run = concurrent(threads)
            .env("AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS", "0")
            .invoke_all(vec![get("/x"); 9])
            .run();
        run.wait_until("no open connection", |run| open(run) == 0);
        for request in run.requests() {
            assert_eq!(request.header("connection"), Some("close"));
        }
    }
}

#[test]
fn the_connection_of_a_tcp_probe_is_closed() {
    let mut run = scenario()
        .env("AWS_LWA_READINESS_CHECK_PROTOCOL", "tcp")
        .start();
    run.wait_until("a probe, and no open connection", |run| {
        run.connections(Side::App) > 0 && open(run) == 0
    });
}
