//! A Lambda for very many invocations: it records no conversation, checks each reply as it arrives,
//! and counts.
//!
//! It also has the adapter's process with its memory and descriptors, as proc(5) reports them.

use super::api::{self, ARN, DEADLINE};
use super::http::{self, BodySink, Message};
use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub struct LoadApi {
    pub address: SocketAddr,
    /// The number of replies to each invocation.
    replies: Vec<AtomicU8>,
    handed: AtomicUsize,
    replied: AtomicUsize,
    /// When each invocation without a reply was handed out.
    open: Mutex<HashMap<usize, Instant>>,
    slowest: Mutex<Duration>,
    wrong: Mutex<Vec<String>>,
    over: Mutex<bool>,
    ended: Condvar,
}

type Event = dyn Fn(usize) -> Vec<u8> + Send + Sync;
type Check = dyn Fn(usize, &Message) -> Result<(), String> + Send + Sync;

/// Hands out this many invocations, numbered from 1.
pub fn start(total: usize, event: Box<Event>, check: Box<Check>) -> Arc<LoadApi> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let lambda = Arc::new(LoadApi {
        address: listener.local_addr().expect("its address"),
        replies: (0..total).map(|_| AtomicU8::new(0)).collect(),
        handed: AtomicUsize::new(0),
        replied: AtomicUsize::new(0),
        open: Mutex::default(),
        slowest: Mutex::default(),
        wrong: Mutex::default(),
        over: Mutex::new(false),
        ended: Condvar::new(),
    });
    let (shared, script) = (lambda.clone(), Arc::new((event, check)));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if *shared.over.lock().unwrap() {
                return;
            }
            let (lambda, script) = (shared.clone(), script.clone());
            thread::spawn(move || {
                let _ = lambda.serve(stream, &script.0, &script.1);
            });
        }
    });
    lambda
}

impl LoadApi {
    fn serve(&self, mut stream: TcpStream, event: &Event, check: &Check) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(64 << 10, stream.try_clone()?);
        while let Some(head) = http::read_head(&mut reader)? {
            let mut request = Message::parse(head);
            let mut body = CollectedBody::default();
            let framing = request.clone();
            http::read_body(&mut reader, &framing, &mut body)?;
            (request.body, request.trailers) = (body.bytes, body.trailers);
            let response = match (request.target.as_str(), api::posted(&request.target)) {
                (_, Some(number)) => {
                    self.check(number, check(number, &request));
                    b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec()
                }
                ("/2018-06-01/runtime/invocation/next", _) => match self.next() {
                    Some(number) => {
                        let invocation = invocation(number, &event(number));
                        self.open.lock().unwrap().insert(number, Instant::now());
                        invocation
                    }
                    None => return Ok(()),
                },
                ("/2020-01-01/extension/register", _) => {
                    b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: x\r\nContent-Length: \
                        2\r\n\r\n{}"
                        .to_vec()
                }
                _ => {
                    self.park();
                    return Ok(());
                }
            };
            stream.write_all(&response)?;
        }
        Ok(())
    }

    fn next(&self) -> Option<usize> {
        let number = self.handed.fetch_add(1, SeqCst) + 1;
        if number > self.replies.len() {
            self.park();
            return None;
        }
        Some(number)
    }

    fn park(&self) {
        let over = self.over.lock().unwrap();
        drop(self.ended.wait_while(over, |over| !*over));
    }

    fn check(&self, number: usize, verdict: Result<(), String>) {
        let times = self.replies[number - 1].fetch_add(1, SeqCst) + 1;
        if let Some(since) = self.open.lock().unwrap().remove(&number) {
            let mut slowest = self.slowest.lock().unwrap();
            *slowest = slowest.max(since.elapsed());
        }
        let mut wrong = self.wrong.lock().unwrap();
        if times > 1 {
            wrong.push(format!("invocation {number} has {times} replies"));
        }
        wrong.extend(
            verdict
                .err()
                .map(|why| format!("invocation {number}: {why}")),
        );
        self.replied.fetch_add(1, SeqCst);
    }

    pub fn replied(&self) -> usize {
        self.replied.load(SeqCst)
    }

    /// The longest time between an invocation and its reply.
    pub fn slowest(&self) -> Duration {
        *self.slowest.lock().unwrap()
    }

    /// Waits for this many replies; fails when there is no progress for a long time, or a reply was
    /// wrong.
    pub fn wait_for_count(&self, count: usize, adapter: &Adapter) {
        let (mut seen, mut since) = (self.replied(), Instant::now());
        while self.replied() < count {
            let wrong = self.wrong.lock().unwrap();
            assert!(
                wrong.is_empty(),
                "{:#?}\n{}",
                &wrong[..wrong.len().min(20)],
                adapter.log()
            );
            drop(wrong);
            let moved = self.replied() != seen;
            if moved {
                (seen, since) = (self.replied(), Instant::now());
            }
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "stuck after {seen}\n{}",
                adapter.log()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for all replies and asserts that each invocation has one, and a right one.
    pub fn finish(&self, adapter: &Adapter) {
        self.wait_for_count(self.replies.len(), adapter);
        let wrong = self.wrong.lock().unwrap();
        assert!(
            wrong.is_empty(),
            "{:#?}\n{}",
            &wrong[..wrong.len().min(20)],
            adapter.log()
        );
        assert!(self.replies.iter().all(|times| times.load(SeqCst) == 1));
    }

    pub fn end(&self) {
        *self.over.lock().unwrap() = true;
        self.ended.notify_all();
        let _ = TcpStream::connect(self.address);
    }
}

fn invocation(number: usize, event: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: req-{number}\r\n\
            Lambda-Runtime-Deadline-Ms: {DEADLINE}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: {ARN}\r\nContent-Length: {}\r\n\r\n",
        event.len()
    )
    .into_bytes();
    bytes.extend_from_slice(event);
    bytes
}

/// Collects a whole body.
#[derive(Default)]
pub struct CollectedBody {
    pub bytes: Vec<u8>,
    trailers: Vec<(String, String)>,
}

impl BodySink for CollectedBody {
    fn piece(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        true
    }

    fn chunk(&mut self, _: usize) {}

    fn trailers(&mut self, fields: Vec<(String, String)>) {
        self.trailers = fields;
    }
}

/// The adapter's process; killed on drop.
pub struct Adapter {
    child: Child,
    /// The last part of its output.
    log: Arc<Mutex<Vec<u8>>>,
}

impl Adapter {
    pub fn start(api: SocketAddr, app: u16, env: &[(&str, &str)]) -> Adapter {
        let mut command = Command::new(crate::harness::differences::adapter());
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LWA_PORT", app.to_string())
            .envs(env.iter().copied());
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the adapter starts");
        let log: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (shared, mut stderr) = (log.clone(), child.stderr.take().expect("a pipe"));
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let mut log = shared.lock().unwrap();
                log.extend_from_slice(&buffer[..length]);
                let surplus = log.len().saturating_sub(4096);
                log.drain(..surplus);
            }
        });
        Adapter { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Memory in use, in kB: private (RssAnon of proc(5)), and with shared pages of files (VmRSS).
    pub fn memory(&self) -> (usize, usize) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("its status");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            number.unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        (field("RssAnon:"), field("VmRSS:"))
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid()))
            .expect("its descriptors")
            .count()
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
