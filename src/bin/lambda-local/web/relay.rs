//! A TCP relay between the adapter and the app, which records their HTTP messages for the page.
//!
//! lambda-local is not on this connection otherwise. Bytes, half-closes and resets are passed on
//! unchanged and in their order, one connection to the app for each of the adapter's. The relay
//! refuses connections while the app does: its port is bound, but not listened on, until the app
//! accepts a connection. That connection is used for the first of the adapter's, so that the app
//! sees no other connections than the adapter's.
//!
//! A recorded request belongs to the invocation that `x-amzn-lambda-context` names; a readiness
//! probe has no such header. It is a step of the start of its environment, like the requests of
//! priming and of hooks.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
use serde_json::Value;

use crate::function::startup::{OwnRequest, Startups, Step};
use crate::platform;
use crate::web::entry::Message;
use crate::web::recorder::{Recorder, Recording};
use crate::web::requests::status;

const CONTEXT_HEADER: &[u8] = b"x-amzn-lambda-context:";
const PRIME_HEADER: &[u8] = b"x-amzn-lambda-prime:";
/// A request is recorded only if its head ends within this.
const HEAD_LIMIT: usize = 128 << 10;
const BACKLOG: i32 = 128;
/// The interval between two attempts to connect to the app grows between these.
const MIN_INTERVAL: Duration = Duration::from_millis(2);
const MAX_INTERVAL: Duration = Duration::from_millis(10);

/// The app of one environment, and where its messages are recorded.
#[derive(Clone, Debug)]
struct App {
    port: u16,
    recorder: Arc<Recorder>,
    startups: Arc<Startups>,
}

/// Returns true if the app listens on localhost, by its `AWS_LWA_HOST`.
pub fn can_relay_to(host: Option<&str>) -> bool {
    matches!(
        host.unwrap_or_default(),
        "" | "0.0.0.0" | "127.0.0.1" | "localhost"
    )
}

/// Starts the relay to the app on this port of localhost, and returns the relay's port.
pub fn start(app_port: u16, recorder: &Arc<Recorder>, startups: &Arc<Startups>) -> io::Result<u16> {
    let reserved = reserve(0)?;
    let address: SocketAddr = rustix::net::getsockname(&reserved)?.try_into()?;
    let port = address.port();
    let app = App {
        port: app_port,
        recorder: recorder.clone(),
        startups: startups.clone(),
    };
    std::thread::spawn(move || serve(reserved, port, &app));
    Ok(port)
}

/// Binds a port without listening on it: connections to it are refused.
fn reserve(port: u16) -> io::Result<OwnedFd> {
    let reserved = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    fcntl_setfd(&reserved, FdFlags::CLOEXEC)?;
    sockopt::set_socket_reuseaddr(&reserved, true)?;
    bind(&reserved, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(reserved)
}

/// Listens while the app does.
fn serve(mut reserved: OwnedFd, port: u16, app: &App) {
    loop {
        let mut first = Some(wait_for_app(app.port));
        app.startups.step(app.port, Step::Listening);
        if listen(&reserved, BACKLOG).is_ok() {
            let listener = TcpListener::from(reserved);
            for client in listener.incoming().flatten() {
                match first.take().map_or_else(|| connect(app.port), Ok) {
                    Ok(server) => {
                        app.startups.step(app.port, Step::Listening);
                        relay(client, server, app);
                    }
                    Err(_) => {
                        reset_on_close(&client);
                        break;
                    }
                }
            }
        }
        // The app listens no longer; neither does the relay.
        reserved = loop {
            match reserve(port) {
                Ok(reserved) => break reserved,
                Err(_) => std::thread::sleep(MAX_INTERVAL),
            }
        };
    }
}

/// Connects to the app, which may listen on IPv6 only.
fn connect(app_port: u16) -> io::Result<TcpStream> {
    let ipv6 = || connect_to((Ipv6Addr::LOCALHOST, app_port).into());
    connect_to((Ipv4Addr::LOCALHOST, app_port).into()).or_else(|error| ipv6().map_err(|_| error))
}

/// Without a listener, a connection whose own port happens to be the same is connected to itself
/// (RFC 9293 3.5), and would keep the port from the app.
pub fn connect_to(app: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect(app)?;
    if server.local_addr()? == app {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(server)
}

fn wait_for_app(app_port: u16) -> TcpStream {
    let mut interval = MIN_INTERVAL;
    loop {
        if let Ok(server) = connect(app_port) {
            return server;
        }
        std::thread::sleep(interval);
        interval = (interval + interval / 8).min(MAX_INTERVAL);
    }
}

/// A close sends a reset instead of an end.
fn reset_on_close(stream: &TcpStream) {
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

fn relay(client: TcpStream, server: TcpStream, app: &App) {
    // The adapter and the app decide how their data is split into packets.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client, server) = (Arc::new(client), Arc::new(server));
    let exchange = Arc::new(Mutex::new(Exchange::default()));
    let (requested, to_app) = (app.clone(), exchange.clone());
    let (from, to) = (client.clone(), server.clone());
    let responding = app.clone();
    std::thread::spawn(move || {
        pump(&from, &to, |data| with(&to_app).request(data, &requested));
        with(&to_app).end(&requested);
    });
    std::thread::spawn(move || {
        pump(&server, &client, |data| {
            with(&exchange).response(data, &responding)
        });
        with(&exchange).end(&responding);
    });
}

fn with(exchange: &Mutex<Exchange>) -> std::sync::MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes data on in one direction until its end, or until the connection breaks.
fn pump(mut from: &TcpStream, mut to: &TcpStream, mut record: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        // An app that writes head and body one by one sends the body only after an
        // acknowledgment of the head (RFC 9293 3.7.4), which would come 40 ms later.
        let _ = platform::acknowledge_at_once(from);
        match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(read) => {
                let data = buffer.get(..read).unwrap_or_default();
                // Before the write, so that a response is recorded after its request.
                record(data);
                if to.write_all(data).is_err() {
                    // The other direction may still have data for `from`; then it is reset, too.
                    return reset_on_close(from);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                reset_on_close(to);
                // Wakes the other direction without sending anything.
                let _ = to.shutdown(Shutdown::Read);
                return;
            }
        }
    }
}

/// The request that is on a connection, and its response.
#[derive(Debug, Default)]
struct Exchange {
    recording: Recording,
    is_hook: bool,
    /// A request that belongs to no invocation.
    own: Option<OwnRequest>,
    /// The request until the end of its head, and its start.
    head: Vec<u8>,
    head_started: Option<Instant>,
    is_head_complete: bool,
    has_response: bool,
}

impl Exchange {
    fn request(&mut self, data: &[u8], app: &App) {
        // The rest of a request may follow a response that came early.
        if self.has_response && starts_a_request(data) {
            *self = Exchange::default();
        }
        if self.is_head_complete {
            if !self.is_hook {
                self.recording.append(Message::Request, data);
            }
            return;
        }
        self.head_started.get_or_insert_with(Instant::now);
        self.head.extend_from_slice(data);
        let end = self.head.windows(4).position(|end| end == b"\r\n\r\n");
        if end.is_none() && self.head.len() < HEAD_LIMIT {
            return;
        }
        self.is_head_complete = true;
        let head = std::mem::take(&mut self.head);
        let fields = head.get(..end.unwrap_or(0)).unwrap_or_default();
        let Some(id) = request_id(fields) else {
            self.own = own_request(fields, self.head_started.unwrap_or_else(Instant::now));
            if let Some(own) = &self.own {
                app.startups.begin_request(app.port, own);
            }
            return;
        };
        self.recording = app.recorder.find(&id);
        let started = self.head_started.unwrap_or_else(Instant::now);
        self.is_hook = self.recording.begin_request(fields, started);
        if !self.is_hook {
            self.recording.append(Message::Request, &head);
        }
    }

    fn response(&mut self, data: &[u8], app: &App) {
        if let Some(own) = &mut self.own {
            if !self.has_response {
                own.status = status(data);
            }
            app.startups.end_request(app.port, own);
        }
        self.has_response = true;
        if self.is_hook {
            return self.recording.hook_response(data);
        }
        self.recording.append(Message::Response, data);
    }

    /// The connection has ended.
    fn end(&self, app: &App) {
        if let Some(own) = self.own.as_ref().filter(|_| !self.has_response) {
            app.startups.end_request(app.port, own);
        }
    }
}

/// Returns true for a method and the start of a target (RFC 9112 3).
fn starts_a_request(data: &[u8]) -> bool {
    let mut words = data.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let is_method = (1..=32).contains(&method.len()) && method.iter().all(u8::is_ascii_graphic);
    is_method && target.first().is_some_and(|byte| b"/*".contains(byte))
}

/// Returns the id in `x-amzn-lambda-context`, which the adapter adds to each request.
fn request_id(head: &[u8]) -> Option<String> {
    let value = header(head, CONTEXT_HEADER)?;
    let context: Value = serde_json::from_slice(value.trim_ascii()).ok()?;
    context.get("request_id")?.as_str().map(str::to_owned)
}

/// Returns the value of the header with this name and colon.
fn header<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let (known, value) = line.split_at_checked(name.len())?;
        known.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn own_request(head: &[u8], started: Instant) -> Option<OwnRequest> {
    let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next()?);
    let mut words = line.split(' ');
    Some(OwnRequest {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        is_priming: header(head, PRIME_HEADER).is_some(),
        started,
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::entry::Origin;
    use std::io::ErrorKind;

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn app() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    fn connect_client(port: u16) -> TcpStream {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
                    return stream;
                }
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn read_all(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        stream.read_to_end(&mut data).map(|_| data)
    }

    #[test]
    fn the_port_refuses_connections_while_the_app_does() {
        let (listener, address) = app();
        drop(listener);
        let port = start(address.port(), &Recorder::new(true), &Arc::default()).expect("a port");
        let refused = TcpStream::connect(("127.0.0.1", port)).expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind(address).expect("the app");
        let client = connect_client(port);
        let (server, _) = listener.accept().expect("a connection");
        drop(listener);
        // The first connection after the end of the app is reset; the port refuses the next ones.
        let deadline = Instant::now() + TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_ok() {
            assert!(Instant::now() < deadline, "still listening");
        }
        (&server).write_all(b"still here").expect("written");
        drop(server);
        assert_eq!(read_all(&client).expect("data"), b"still here");
    }

    #[test]
    fn the_app_sees_one_connection_for_each_of_the_adapter() {
        let (listener, address) = app();
        let port = start(address.port(), &Recorder::new(true), &Arc::default()).expect("a port");
        let clients = [connect_client(port), connect_client(port)];
        let servers = [0, 1].map(|_| listener.accept().expect("a connection").0);
        listener.set_nonblocking(true).expect("nonblocking");
        let none = listener.accept().expect_err("no third connection");
        assert_eq!(none.kind(), ErrorKind::WouldBlock);
        drop((clients, servers));
    }

    #[test]
    fn ends_and_resets_are_passed_on() {
        let (listener, address) = app();
        let port = start(address.port(), &Recorder::new(true), &Arc::default()).expect("a port");
        let client = connect_client(port);
        let (server, _) = listener.accept().expect("a connection");
        (&client).write_all(b"request").expect("written");
        client.shutdown(Shutdown::Write).expect("half-closed");
        assert_eq!(read_all(&server).expect("the request"), b"request");
        (&server).write_all(b"response").expect("written");
        drop(server);
        assert_eq!(read_all(&client).expect("the response"), b"response");

        let client = connect_client(port);
        let (server, _) = listener.accept().expect("a connection");
        reset_on_close(&server);
        drop(server);
        let error = read_all(&client).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_body_that_is_written_after_its_head_is_not_delayed() {
        let (listener, address) = app();
        let port = start(address.port(), &Recorder::new(true), &Arc::default()).expect("a port");
        let mut client = connect_client(port);
        let (mut server, _) = listener.accept().expect("a connection");
        let app = std::thread::spawn(move || {
            while server.read(&mut [0; 7]).is_ok_and(|read| read > 0) {
                server.write_all(b"head").expect("written");
                server.write_all(b"body").expect("written");
            }
        });
        // Without an acknowledgment at once, most of these take 40 ms.
        let mut durations = [0; 41].map(|_| {
            let started = Instant::now();
            client.write_all(b"request").expect("written");
            client.read_exact(&mut [0; 8]).expect("the response");
            started.elapsed()
        });
        durations.sort_unstable();
        assert!(durations[20] < Duration::from_millis(30), "{durations:?}");
        drop(client);
        app.join().expect("the app");
    }

    #[test]
    fn a_request_belongs_to_the_invocation_that_its_header_names() {
        let recorder = Recorder::new(true);
        let begin = |id: &str| {
            let request_id = id.to_owned();
            let origin = Origin {
                request_id,
                ..Origin::default()
            };
            recorder.begin(origin, b"{}")
        };
        let message = |recording: &Recording, message| {
            let number = recording.number().expect("a number");
            let (bytes, _) = recorder.message(number, message, 0).expect("a message");
            String::from_utf8(bytes).expect("text")
        };
        let (first, second) = (begin("r1"), begin("r2"));
        let mut exchange = Exchange::default();
        let app = App {
            port: 1,
            recorder: recorder.clone(),
            startups: Arc::default(),
        };
        exchange.request(b"GET /probe HTTP/1.1\r\n\r\n", &app);
        exchange.response(b"HTTP/1.1 200 OK\r\n\r\n", &app);
        let head = "POST / HTTP/1.1\r\nX-Amzn-Lambda-Context: {\"request_id\":\"r1\"}\r\n\r\n";
        for part in [&head[..8], &head[8..40], &head[40..]] {
            exchange.request(part.as_bytes(), &app);
        }
        exchange.response(b"HTTP/1.1 100 Continue\r\n\r\n", &app);
        exchange.request(b"body", &app);
        exchange.response(b"HTTP/1.1 200 OK\r\n\r\n", &app);
        exchange.request(head.replace("r1", "r2").as_bytes(), &app);
        exchange.response(b"HTTP/1.1 204 No Content\r\n\r\n", &app);
        assert_eq!(message(&first, Message::Request), format!("{head}body"));
        let response = message(&first, Message::Response);
        assert!(response.contains("100 Continue") && response.ends_with("200 OK\r\n\r\n"));
        assert!(message(&second, Message::Request).contains("\"r2\""));
        assert!(message(&second, Message::Response).starts_with("HTTP/1.1 204"));
    }
}
