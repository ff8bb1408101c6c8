//! A running adapter, and the queries and assertions of the tests.
//!
//! Every wait has a deadline, the child is killed on drop, and a failing test prints the adapter's
//! output and the recorded conversation of both sides.

use crate::harness::api::{self, Invocation};
use crate::harness::app;
use crate::harness::differences::APP;
use crate::harness::http::Message;
use crate::harness::record::{Entry, EntryKind, Record, Side};
use crate::harness::scenario::{Output, ReservedAddress};
use crate::lifecycle::entrypoint::{children, in_set};
use serde_json::Value;
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing in this suite takes this long unless it hangs.
const TIMEOUT: Duration = Duration::from_secs(20);

pub struct Run {
    child: Option<Child>,
    status: Option<ExitStatus>,
    output: File,
    app: ReservedAddress,
    api: ReservedAddress,
    /// The adapter started the suite's default app, which traps SIGTERM.
    app_traps_sigterm: bool,
    invocations: usize,
    script: Arc<Mutex<api::Script>>,
    app_script: Option<app::Script>,
    pub record: Arc<Record>,
}

impl Run {
    /// Creates both sides and starts nothing.
    pub fn new(
        app: ReservedAddress,
        api: ReservedAddress,
        app_script: app::Script,
        api_script: api::Script,
    ) -> Run {
        let invocations = api_script
            .invocations
            .iter()
            .filter(|invocation| invocation.raw.is_none())
            .count();
        Run {
            child: None,
            status: None,
            output: unnamed_file(),
            app,
            api,
            app_traps_sigterm: false,
            invocations,
            script: Arc::new(Mutex::new(api_script)),
            app_script: Some(app_script),
            record: Arc::default(),
        }
    }

    /// Starts the adapter; with arguments, its standard input stays open.
    pub fn spawn(
        &mut self,
        binary: PathBuf,
        args: Vec<String>,
        env: Vec<(String, String)>,
        output: Output,
    ) {
        self.app_traps_sigterm = args == APP;
        let log = || self.output.try_clone().expect("one more handle");
        let streams = streams(output);
        let ends = || match &streams {
            Some((_, writer)) => writer.try_clone().expect("one more handle").into(),
            None => Stdio::from(log()),
        };
        let input = if args.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        let mut command = Command::new(binary);
        command
            .args(args)
            .env_clear()
            .envs(env)
            .stdin(input)
            .stdout(ends())
            .stderr(ends());
        self.child = Some(command.spawn().expect("the adapter starts"));
        if let Some((reader, _)) = streams {
            let (mut log, record) = (log(), self.record.clone());
            thread::spawn(move || {
                if output == Output::Pipe || record.wait_for(Output::READ) {
                    let _ = io::copy(&mut File::from(reader), &mut log);
                }
            });
        }
    }

    pub fn start_app(&mut self) {
        if let Some(script) = self.app_script.take() {
            app::start(self.app.listen(), script, self.record.clone());
        }
    }

    /// Stops the app: nothing listens any more, and its connections are closed.
    pub fn stop_app(&mut self) {
        self.record.open(app::DOWN);
        app::stop(self.app.address);
        self.wait_until("the app is down", |run| {
            TcpStream::connect(run.app.address).is_err()
        });
    }

    /// Starts the app again with the default responses.
    pub fn restart_app(&mut self) {
        self.record.close(app::DOWN);
        app::start(
            self.app.listen(),
            app::Script::default(),
            self.record.clone(),
        );
    }

    pub fn start_api(&mut self) {
        api::start(self.api.listen(), self.script.clone(), self.record.clone());
    }

    /// Sends a signal, by name, to the adapter, after the default app has set its trap.
    pub fn signal(&mut self, name: &str) {
        if self.app_traps_sigterm {
            self.wait_until("the app traps SIGTERM", |run| {
                let apps = children(run.pid());
                let mut states = apps
                    .into_iter()
                    .filter_map(|app| fs::read_to_string(format!("/proc/{app}/status")).ok());
                states.any(|status| in_set(&status, "SigCgt", 15))
            });
        }
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.pid().to_string())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    pub fn pid(&self) -> u32 {
        self.child
            .as_ref()
            .map(Child::id)
            .expect("a running adapter")
    }

    pub fn app_address(&self) -> SocketAddr {
        self.app.address
    }

    pub fn api_address(&self) -> SocketAddr {
        self.api.address
    }

    /// Hands out one more invocation.
    pub fn invoke(&mut self, invocation: impl Into<Invocation>) {
        self.script
            .lock()
            .unwrap()
            .invocations
            .push_back(invocation.into());
        self.invocations += 1;
        self.record.open("");
    }

    pub fn open(&self, gate: &str) {
        self.record.open(gate);
    }

    pub fn is_open(&self, gate: &str) -> bool {
        self.record.lock().gates.contains(gate)
    }

    /// Waits until the condition is met; fails after the timeout.
    pub fn wait_until(&mut self, description: &str, condition: impl Fn(&Run) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !condition(self) {
            assert!(Instant::now() < deadline, "still waiting: {description}");
            let ended = self.ended();
            // A message sent just before the exit may not be recorded yet.
            let grace = Instant::now() + Duration::from_millis(500);
            while ended.is_some() && !condition(self) {
                assert!(
                    Instant::now() < grace,
                    "the adapter ended ({ended:?}) while waiting: {description}"
                );
                self.record.wait_briefly();
            }
            self.record.wait_briefly();
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        if let (None, Some(child)) = (self.status, &mut self.child) {
            self.status = child.try_wait().expect("the adapter's state");
        }
        self.status
    }

    /// Waits until every invocation has exactly one reply, and the next one is requested.
    pub fn finish(&mut self) {
        self.wait_until(
            "a reply to every invocation and a request for the next",
            |run| {
                let (posts, next_requests) = run.tally();
                posts.iter().all(|posts| *posts > 0) && next_requests > run.invocations
            },
        );
        let (posts, _) = self.tally();
        let odd: Vec<_> = (1..)
            .zip(&posts)
            .filter(|(_, posts)| **posts != 1)
            .collect();
        assert!(
            odd.is_empty(),
            "invocations and their number of replies: {odd:?}"
        );
    }

    /// The number of complete posts of each invocation, and of requests for the next one.
    fn tally(&self) -> (Vec<usize>, usize) {
        let (mut posts, mut next_requests) = (vec![0; self.invocations], 0);
        let record = self.record.lock();
        for message in record
            .entries
            .iter()
            .filter_map(Entry::message)
            .filter(|message| message.complete)
        {
            match api::posted(&message.target) {
                Some(number) if number <= self.invocations => posts[number - 1] += 1,
                _ if message.target == "/2018-06-01/runtime/invocation/next" => next_requests += 1,
                _ => {}
            }
        }
        (posts, next_requests)
    }

    /// Waits for the adapter's exit.
    pub fn exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        while self.ended().is_none() {
            assert!(Instant::now() < deadline, "the adapter still runs");
            self.record.wait_briefly();
        }
        self.status.expect("an exit status")
    }

    /// Peak memory of the adapter in bytes (VmHWM of proc(5)); `None` under an emulator.
    pub fn memory(&self) -> Option<usize> {
        let process = format!("/proc/{}", self.pid());
        let program = std::fs::read_link(format!("{process}/exe")).expect("the program");
        if program.to_string_lossy().contains("qemu") {
            println!("skipped: memory, which is the emulator's here");
            return None;
        }
        let status =
            std::fs::read_to_string(format!("{process}/status")).expect("the adapter's status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("its peak memory");
        Some(
            line.trim()
                .trim_end_matches(" kB")
                .parse::<usize>()
                .expect("a number of kilobytes")
                * 1024,
        )
    }

    /// The adapter's standard output and error so far.
    pub fn log(&self) -> String {
        let length = self
            .output
            .metadata()
            .expect("the length of the output")
            .len();
        let mut text = vec![0; length as usize];
        self.output.read_exact_at(&mut text, 0).expect("the output");
        String::from_utf8_lossy(&text).into_owned()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.record.lock().entries.clone()
    }

    fn messages(&self, side: Side) -> Vec<(Entry, Message)> {
        let entries = self
            .entries()
            .into_iter()
            .filter(|entry| entry.side == side);
        entries
            .filter_map(|entry| entry.message().cloned().map(|message| (entry, message)))
            .collect()
    }

    /// The calls that Lambda received, in order, as "METHOD /path".
    pub fn api_calls(&self) -> Vec<String> {
        self.messages(Side::Api)
            .iter()
            .map(|(_, m)| format!("{} {}", m.method, m.target))
            .collect()
    }

    pub fn api_requests(&self, target: &str) -> Vec<(Entry, Message)> {
        self.messages(Side::Api)
            .into_iter()
            .filter(|(_, message)| message.target == target)
            .collect()
    }

    /// The posts of one invocation, counted from 1.
    pub fn posts(&self, number: usize) -> Vec<(Entry, Message)> {
        let mine = |(_, message): &(Entry, Message)| api::posted(&message.target) == Some(number);
        self.messages(Side::Api).into_iter().filter(mine).collect()
    }

    /// The posts of all invocations, in their order.
    pub fn all_posts(&self) -> Vec<(Entry, Message)> {
        let posts = self.messages(Side::Api).into_iter();
        posts
            .filter(|(_, message)| api::posted(&message.target).is_some())
            .collect()
    }

    /// The post to `/response` for one invocation.
    pub fn response(&self, number: usize) -> Message {
        self.post(number, "/response")
    }

    /// The post to `/error` for one invocation.
    pub fn error(&self, number: usize) -> Message {
        self.post(number, "/error")
    }

    fn post(&self, number: usize, kind: &str) -> Message {
        let mut posts = self.posts(number).into_iter();
        let (_, message) = posts
            .next()
            .unwrap_or_else(|| panic!("invocation {number} has no reply"));
        assert!(
            message.target.ends_with(kind),
            "{} instead of {kind}: {}",
            message.target,
            message.text()
        );
        message
    }

    /// The reply to one invocation, as JSON.
    pub fn reply(&self, number: usize) -> Value {
        let message = self.response(number);
        serde_json::from_slice(&message.body)
            .unwrap_or_else(|error| panic!("{error} in reply {}", message.text()))
    }

    /// The error posted for one invocation: type and message. Header and body must agree.
    pub fn failure(&self, number: usize) -> (String, String) {
        let message = self.error(number);
        let body: Value = serde_json::from_slice(&message.body).expect("an error body in JSON");
        let kind = body["errorType"].as_str().expect("an errorType");
        assert_eq!(
            message.header("lambda-runtime-function-error-type"),
            Some(kind),
            "header and body differ"
        );
        (
            kind.to_owned(),
            body["errorMessage"]
                .as_str()
                .expect("an errorMessage")
                .to_owned(),
        )
    }

    /// Asserts the error of one invocation: its type, and words in its message.
    pub fn assert_failure(&self, number: usize, kind: &str, words: &[&str]) {
        let (found, message) = self.failure(number);
        assert_eq!(found, kind, "{message}");
        for word in words {
            assert!(message.contains(word), "{message:?} does not hold {word:?}");
        }
    }

    /// The requests of invocations, as the app received them.
    pub fn requests(&self) -> Vec<Message> {
        self.app_requests()
            .into_iter()
            .filter(|(_, message)| !app::is_probe(message))
            .map(|(_, m)| m)
            .collect()
    }

    /// The request of one invocation, counted from 1.
    pub fn request(&self, number: usize) -> Message {
        let mut requests = self.requests();
        assert!(
            requests.len() >= number,
            "the app got {} requests",
            requests.len()
        );
        requests.swap_remove(number - 1)
    }

    pub fn probes(&self) -> Vec<(Entry, Message)> {
        self.app_requests()
            .into_iter()
            .filter(|(_, message)| app::is_probe(message))
            .collect()
    }

    /// All requests to the app, probes included.
    pub fn app_requests(&self) -> Vec<(Entry, Message)> {
        self.messages(Side::App)
    }

    /// The number of connections one side has accepted.
    pub fn connections(&self, side: Side) -> usize {
        self.entries()
            .iter()
            .filter(|entry| entry.side == side && matches!(entry.kind, EntryKind::Opened))
            .count()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.record.end();
        app::stop(self.app.address);
        app::stop(self.api.address);
        if thread::panicking() {
            println!("--- output of the adapter\n{}", self.log());
            println!("--- the conversation\n{}", self.record.dump());
        }
    }
}

/// Both ends of a stream for the output; `None` for a file.
fn streams(output: Output) -> Option<(OwnedFd, OwnedFd)> {
    match output {
        Output::File => None,
        Output::Pipe | Output::UnreadPipe => {
            let (reader, writer) = io::pipe().expect("a pipe");
            Some((reader.into(), writer.into()))
        }
        Output::UnreadSocket => {
            let (reader, writer) = UnixStream::pair().expect("two sockets");
            Some((reader.into(), writer.into()))
        }
    }
}

/// The file for both output streams of the adapter.
///
/// A file and not a pipe: output that precedes another visible effect is complete when that is
/// seen.
fn unnamed_file() -> File {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path =
        std::env::temp_dir().join(format!("adapter-e2e-{}-{number}.log", std::process::id()));
    let file = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&path)
        .expect("a file");
    std::fs::remove_file(path).expect("its name removed");
    file
}
