//! A running `lambda-local`, and an HTTP client for it and for the app behind it.
//!
//! It gets SIGTERM on drop, like a user's Ctrl-C, so that no app is left over; a failing test
//! prints its output.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(30);
const LOCAL: &str = env!("CARGO_BIN_EXE_lambda-local");

pub struct Local {
    child: Child,
    output: Arc<Mutex<String>>,
    /// They end when every writer has closed.
    readers: Vec<JoinHandle<()>>,
    pub address: SocketAddr,
    pub app: SocketAddr,
    ended: bool,
}

/// A fixture in `apps/`.
pub fn fixture(name: &str) -> String {
    format!("{}/tests/e2e/local/apps/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub fn has(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: there is no {program} here");
    }
    there
}

/// `lambda-local` with these arguments.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(LOCAL);
    command.args(args).stdin(Stdio::null());
    for unwanted in ["PORT", "AWS_LWA_PORT", "NO_COLOR"] {
        command.env_remove(unwanted);
    }
    command
}

/// The adapter under test.
pub fn adapter() -> PathBuf {
    let given = std::env::var_os("ADAPTER").map(PathBuf::from);
    let built = PathBuf::from(env!("CARGO_BIN_EXE_lambda-adapter"));
    given.map_or(built, |path| std::path::absolute(path).expect("a path"))
}

/// Starts `lambda-local ARGS -- APP` and waits until it listens.
pub fn start(args: &[&str], app: &[&str]) -> Local {
    let app_port = free_port().to_string();
    let adapter = adapter();
    let mut all = vec!["--port", "0", "--app-port", &app_port];
    if !args.contains(&"--no-adapter") && !args.contains(&"web-function") {
        all.extend(["--adapter", adapter.to_str().expect("a path")]);
    }
    all.extend(args);
    if !app.is_empty() {
        all.push("--");
        all.extend(app);
    }
    let app = SocketAddr::from(([127, 0, 0, 1], app_port.parse().expect("a port")));
    let mut local = launch(command(&all), app);
    local.address = address_in(&local.wait_for("listening on http://"));
    local
}

/// The address in the line that names it.
pub fn address_in(line: &str) -> SocketAddr {
    let address = line.split("http://").nth(1).expect("an address");
    let address = address.split([' ', '/']).next().expect("an address");
    address.parse().expect("an address")
}

/// Starts `lambda-local` and does not wait.
pub fn launch(mut command: Command, app: SocketAddr) -> Local {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lambda-local starts");
    let output = Arc::new(Mutex::new(String::new()));
    let readers = vec![
        listen(child.stdout.take().expect("stdout"), &output),
        listen(child.stderr.take().expect("stderr"), &output),
    ];
    Local {
        child,
        output,
        readers,
        address: app,
        app,
        ended: false,
    }
}

/// With the Python site as its app; prints a line and returns `None` where there is no Python.
pub fn python_site(args: &[&str]) -> Option<Local> {
    has("python3").then(|| start(args, &["python3", &fixture("site.py")]))
}

/// A port for an app that cannot bind port 0, below those that the kernel assigns
/// (`ip_local_port_range`), so that no other test gets it before the app binds it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 50) as u16 * 400;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 400;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn listen(pipe: impl Read + Send + 'static, output: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let output = output.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut output = output.lock().expect("output");
            output.push_str(&line);
            output.push('\n');
        }
    })
}

impl Local {
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn output(&self) -> String {
        self.output.lock().expect("output").clone()
    }

    /// Waits for a line with this text, and returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let output = self.output();
            if let Some(line) = output.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            let gone = self.child.try_wait().expect("a child").is_some();
            assert!(
                !gone && Instant::now() < deadline,
                "not in the output: `{text}`"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until this many lines have this text.
    pub fn wait_for_count(&self, text: &str, count: usize) {
        let deadline = Instant::now() + TIMEOUT;
        while self.output().matches(text).count() < count {
            assert!(
                Instant::now() < deadline,
                "not in the output {count} times: `{text}`"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn get(&self, target: &str) -> Response {
        send(self.address, "GET", target, &[], b"")
    }

    pub fn invoke(&self, event: &str, headers: &[(&str, &str)]) -> Response {
        send(
            self.address,
            "POST",
            "/2015-03-31/functions/function/invocations",
            headers,
            event.as_bytes(),
        )
    }

    pub fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// Sends the signal, and waits for the exit and the end of the output.
    pub fn end(&mut self, name: &str) -> ExitStatus {
        self.signal(name);
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if self.readers.iter().all(JoinHandle::is_finished)
                && let Some(status) = self.child.try_wait().expect("a child")
            {
                self.ended = true;
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it did not end after SIG{name}");
    }
}

pub fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(process.to_string())
        .status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
}

/// The standard output of a program.
pub fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect(program);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until a process has this state, a letter of ps(1).
pub fn wait_for_state(process: &str, state: char) {
    let deadline = Instant::now() + TIMEOUT;
    while !output("ps", &["-o", "state=", "-p", process]).starts_with(state) {
        assert!(
            Instant::now() < deadline,
            "{process} is not in state {state}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a process is gone.
pub fn wait_for_end(process: impl AsRef<str>) {
    let process = process.as_ref();
    let deadline = Instant::now() + TIMEOUT;
    while is_alive(process) {
        assert!(Instant::now() < deadline, "{process} is still alive");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn is_alive(process: &str) -> bool {
    let sent = Command::new("kill")
        .args(["-0", process])
        .stderr(Stdio::null())
        .status();
    sent.is_ok_and(|status| status.success())
}

impl Drop for Local {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- output of lambda-local:\n{}---", self.output());
        }
        if !self.ended && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal("TERM");
            // Shutdown has a limit of its own; this one is only for a bug.
            let deadline = Instant::now() + TIMEOUT;
            while self.child.try_wait().is_ok_and(|status| status.is_none())
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The framing was followed to its end.
    pub complete: bool,
    /// The arrival of each chunk of a chunked body.
    pub arrivals: Vec<Instant>,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own, and its response.
pub fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    let mut head =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .expect("a request");
    stream.write_all(body).expect("a request");
    read_response(BufReader::new(stream), method == "HEAD")
}

/// Everything that comes back for these bytes until the connection ends.
pub fn raw(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    stream.write_all(request).expect("a request");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("a response");
    String::from_utf8_lossy(&received).into_owned()
}

fn read_response(mut reader: impl BufRead, bodiless: bool) -> Response {
    let mut response = Response::default();
    let first = line(&mut reader);
    response.status = first
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    loop {
        let line = line(&mut reader);
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        response
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length: Option<usize> = response
        .header("content-length")
        .and_then(|length| length.parse().ok());
    if bodiless || matches!(response.status, 204 | 304) {
        response.complete = true;
    } else if response.header("transfer-encoding").is_some() {
        while let Ok(size) = usize::from_str_radix(&line(&mut reader), 16) {
            let mut chunk = vec![0; size + 2];
            if reader.read_exact(&mut chunk).is_err() {
                break;
            }
            if size == 0 {
                response.complete = true;
                break;
            }
            response.body.extend_from_slice(&chunk[..size]);
            response.arrivals.push(Instant::now());
        }
    } else {
        let read = reader.read_to_end(&mut response.body).is_ok();
        response.complete = read && length.is_none_or(|length| length == response.body.len());
    }
    response
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    // A connection that breaks here is an empty line, and then a response that is not complete.
    let _ = reader.read_line(&mut line);
    line.trim_end().to_owned()
}
