//! The server of the page at `/__lambda/`: its three files, the live list, the messages, and the
//! actions.
//!
//! The page can start invocations and shows their content, so it is only for this machine: the
//! client's address is loopback, `Host` names this machine (another name may have been rebound to
//! it by DNS), and a request from a page of another origin is refused (RFC 6454). The list is a
//! stream of server-sent events: a snapshot first, then the rows that change.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::api::PAYLOAD_LIMIT;
use crate::cli::options::{Init, InvokeMode, KINDS, kind_name};
use crate::cli::samples::SAMPLES;
use crate::function::Function;
use crate::function::controls::InjectedFailure;
use crate::http_server::{Exchange, Head};
use crate::json::{Json, object};
use crate::web::entry::MESSAGES;
use crate::web::recorder::Recorder;
use crate::web::send::{self, SendError};

pub const PATH: &str = "/__lambda/";
const HTML: &str = include_str!("inspector.html");
const CSS: &str = include_str!("inspector.css");
const JS: &str = include_str!("inspector.js");

/// A comment on an idle stream finds out whether the client has disconnected.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Changes within this time are sent together.
const BATCH: Duration = Duration::from_millis(40);

const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

#[derive(Debug)]
pub struct Page {
    pub function: Arc<Function>,
    pub port: u16,
}

/// Returns true for the paths that the app behind the front end does not get.
pub fn is_page(path: &str) -> bool {
    path.starts_with(PATH) || path == PATH.trim_end_matches('/')
}

impl Page {
    pub fn handle(&self, exchange: &mut Exchange<'_>) -> io::Result<()> {
        let peer = exchange.stream.peer_addr()?.ip();
        let body = exchange.body.read_all(PAYLOAD_LIMIT)?;
        if let Some(refusal) = refusal(&exchange.head, peer) {
            return respond(
                exchange,
                403,
                "text/plain",
                format!("{refusal}\n").as_bytes(),
            );
        }
        let path = exchange.head.path().to_owned();
        let Some(path) = path.strip_prefix(PATH) else {
            let headers = [("location", PATH)];
            return exchange.respond(308, &headers, b"");
        };
        let segments: Vec<&str> = path.split('/').collect();
        match (exchange.head.method.as_str(), segments.as_slice()) {
            ("GET" | "HEAD", [""]) => {
                respond(exchange, 200, "text/html; charset=utf-8", HTML.as_bytes())
            }
            ("GET", ["inspector.css"]) => respond(exchange, 200, "text/css", CSS.as_bytes()),
            ("GET", ["inspector.js"]) => respond(
                exchange,
                200,
                "text/javascript; charset=utf-8",
                JS.as_bytes(),
            ),
            ("GET", ["config"]) => respond_json(exchange, 200, &self.config()),
            ("GET", ["feed"]) => feed(exchange, self.recorder()),
            ("GET", ["invocations", number]) => {
                let detail = number.parse().ok().and_then(|n| self.recorder().detail(n));
                match detail {
                    Some(detail) => respond_json(exchange, 200, &detail),
                    None => respond_error(exchange, 404, "this invocation is not kept any more"),
                }
            }
            ("GET", ["invocations", number, message]) => self.message(exchange, number, message),
            ("POST", [action]) => self.act(exchange, action, body),
            _ => respond_error(exchange, 404, "there is no such page"),
        }
    }

    fn recorder(&self) -> &Arc<Recorder> {
        &self.function.setup.recorder
    }

    /// Responds with the kept bytes of a message from `?from=N`.
    fn message(&self, exchange: &Exchange<'_>, number: &str, name: &str) -> io::Result<()> {
        let from = exchange.head.target.split_once("?from=");
        let from = from.and_then(|(_, from)| from.parse().ok()).unwrap_or(0);
        let message = MESSAGES.iter().find(|(known, _)| *known == name);
        let found = number.parse().ok().zip(message);
        let found = found.and_then(|(n, (_, message))| self.recorder().message(n, *message, from));
        let Some((bytes, size)) = found else {
            return respond_error(exchange, 404, "this message is not kept any more");
        };
        let size = size.to_string();
        let mut headers = SECURITY_HEADERS.to_vec();
        headers.push(("content-type", "application/octet-stream"));
        headers.push(("x-full-size", &size));
        exchange.respond(200, &headers, &bytes)
    }

    /// Starts an invocation, or changes the environment.
    fn act(&self, exchange: &Exchange<'_>, action: &str, body: Option<Vec<u8>>) -> io::Result<()> {
        let is_json = exchange.head.header("content-type") == Some("application/json");
        let Some(body) = body.filter(|_| is_json) else {
            return respond_error(
                exchange,
                400,
                "the body is not `application/json`, or too large",
            );
        };
        let function = &self.function;
        let sent = match action {
            "request" => send::request(function, self.port, &body),
            "event" => send::event(function, body),
            "replay" => parse_number(&body).and_then(|number| send::replay(function, number)),
            _ => return self.control(exchange, action),
        };
        match sent {
            Ok(number) => respond_json(exchange, 200, &object([("n", Json::Int(number as i64))])),
            Err(error) => respond_error(exchange, 400, &error.to_string()),
        }
    }

    fn control(&self, exchange: &Exchange<'_>, action: &str) -> io::Result<()> {
        let function = self.function.clone();
        match action {
            "clear" => self.recorder().clear(),
            // It waits for the running invocation.
            "cold-start" => {
                thread::spawn(move || function.discard_environment());
            }
            "freeze" if function.setup.options.concurrency.is_some() => {
                return respond_error(exchange, 409, "Managed Instances are never frozen");
            }
            "freeze" if !function.freeze_now() => {
                return respond_error(exchange, 409, "no environment is idle");
            }
            "freeze" => {}
            "timeout" => function.fail(InjectedFailure::Timeout),
            "crash" => function.fail(InjectedFailure::Crash),
            _ => return respond_error(exchange, 404, "there is no such action"),
        }
        respond_json(exchange, 200, &object([]))
    }

    fn config(&self) -> Json {
        let setup = &self.function.setup;
        let options = &setup.options;
        let samples = SAMPLES.map(|(name, meaning, event)| {
            object([
                ("name", name.into()),
                ("meaning", meaning.into()),
                ("event", event.into()),
            ])
        });
        let kinds: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        let init = match options.init {
            Init::OnDemand => "on-demand",
            Init::Provisioned => "provisioned",
            Init::SnapStart => "snap-start",
        };
        let is_streaming = options.invoke_mode == InvokeMode::ResponseStream;
        object([
            ("function", options.function_name.as_str().into()),
            ("kind", kind_name(options.kind).into()),
            ("kinds", kinds.into()),
            ("stage", options.stage.as_deref().into()),
            ("streaming", is_streaming.into()),
            ("timeout", Json::Float(options.timeout.as_secs_f64())),
            ("memory", Json::Int(options.memory.into())),
            ("init", init.into()),
            ("freeze", options.freeze.into()),
            (
                "concurrency",
                Json::Int(options.managed_concurrency().unwrap_or(0).into()),
            ),
            (
                "appPort",
                Json::Int(setup.ports.first().map_or(0, |ports| ports.app.into())),
            ),
            (
                "relay",
                setup
                    .ports
                    .first()
                    .is_some_and(|ports| ports.relay.is_some())
                    .into(),
            ),
            ("command", options.command.join(" ").into()),
            ("samples", Json::List(samples.into())),
        ])
    }
}

fn parse_number(body: &[u8]) -> Result<u64, SendError> {
    let body: Value = serde_json::from_slice(body).map_err(SendError::NotJson)?;
    let number = body.get("n").and_then(Value::as_u64);
    number.ok_or(SendError::Invalid { field: "number" })
}

/// Returns why a request to the page is refused.
fn refusal(head: &Head, peer: IpAddr) -> Option<&'static str> {
    if !peer.to_canonical().is_loopback() {
        return Some("this page is only for clients on this machine");
    }
    let mut hosts = head
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = hosts
        .next()
        .map(|(_, host)| host.as_str())
        .unwrap_or_default();
    if !is_local_name(host) || hosts.next().is_some() {
        return Some("this page is only for http://localhost and http://127.0.0.1: another `Host`");
    }
    let origin = head.header("origin");
    let is_foreign = origin.is_some_and(|origin| origin.strip_prefix("http://") != Some(host));
    let site = head.header("sec-fetch-site").unwrap_or("none");
    let is_link = head.method == "GET" && head.header("sec-fetch-mode") == Some("navigate");
    if is_foreign || !(is_link || ["none", "same-origin"].contains(&site)) {
        return Some("this page takes no requests from other origins");
    }
    None
}

fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let ipv6 = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let ipv6: Option<Ipv6Addr> = ipv6.and_then(|name| name.parse().ok());
    let ipv4: Option<Ipv4Addr> = name.parse().ok();
    name.eq_ignore_ascii_case("localhost")
        || ipv4.is_some_and(|address| address.is_loopback())
        || ipv6.is_some_and(|address| address.is_loopback())
}

/// Sends a snapshot and then each change until the client disconnects.
fn feed(exchange: &Exchange<'_>, recorder: &Recorder) -> io::Result<()> {
    let mut headers = SECURITY_HEADERS.to_vec();
    headers.push(("content-type", "text/event-stream"));
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut stream = exchange.begin_stream(200, &headers)?;
    let mut changes = recorder.snapshot();
    stream.send(format!("retry: 500\nevent: snapshot\ndata: {}\n\n", changes.json).as_bytes())?;
    loop {
        match recorder.wait(changes.version, HEARTBEAT) {
            None => stream.send(b":\n\n")?,
            Some(next) => {
                stream.send(format!("event: change\ndata: {}\n\n", next.json).as_bytes())?;
                changes = next;
                thread::sleep(BATCH);
            }
        }
    }
}

fn respond(exchange: &Exchange<'_>, status: u16, kind: &str, body: &[u8]) -> io::Result<()> {
    let mut headers = SECURITY_HEADERS.to_vec();
    headers.push(("content-type", kind));
    exchange.respond(status, &headers, body)
}

fn respond_json(exchange: &Exchange<'_>, status: u16, json: &Json) -> io::Result<()> {
    respond(exchange, status, "application/json", &json.bytes())
}

fn respond_error(exchange: &Exchange<'_>, status: u16, message: &str) -> io::Result<()> {
    respond_json(exchange, status, &object([("error", message.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn is_refused(request: &str, peer: IpAddr) -> bool {
        let text = format!("{request}\r\n\r\n");
        let head = Head::read(&mut text.as_bytes())
            .expect("head")
            .expect("head");
        refusal(&head, peer).is_some()
    }

    #[test]
    fn only_names_of_this_machine_are_accepted_as_host() {
        for host in [
            "localhost",
            "LOCALHOST:3000",
            "127.0.0.1:3000",
            "127.1.2.3",
            "[::1]:80",
            "[::1]",
        ] {
            let request = format!("GET /__lambda/ HTTP/1.1\r\nHost: {host}");
            assert!(!is_refused(&request, LOOPBACK), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:3000",
            "10.0.0.1",
            "",
            "::1",
            "[::2]",
        ] {
            let request = format!("GET /__lambda/ HTTP/1.1\r\nHost: {host}");
            assert!(is_refused(&request, LOOPBACK), "{host}");
        }
        assert!(is_refused("GET / HTTP/1.1", LOOPBACK), "no Host");
        assert!(is_refused(
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil",
            LOOPBACK
        ));
    }

    #[test]
    fn only_clients_on_this_machine_are_accepted() {
        let request = "GET /__lambda/ HTTP/1.1\r\nHost: localhost";
        for peer in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(
                !is_refused(request, peer.parse().expect("an address")),
                "{peer}"
            );
        }
        for peer in ["192.168.0.7", "::ffff:10.0.0.1", "fe80::1"] {
            assert!(
                is_refused(request, peer.parse().expect("an address")),
                "{peer}"
            );
        }
    }

    #[test]
    fn requests_of_other_origins_are_refused() {
        let refused = |method: &str, headers: &str| {
            let head =
                format!("{method} /__lambda/event HTTP/1.1\r\nHost: localhost:3000\r\n{headers}");
            is_refused(&head, LOOPBACK)
        };
        assert!(!refused("POST", "Origin: http://localhost:3000"));
        assert!(!refused("POST", "Sec-Fetch-Site: same-origin"));
        assert!(
            !refused(
                "GET",
                "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate"
            ),
            "a link"
        );
        for origin in [
            "http://evil.example",
            "null",
            "https://localhost:3000",
            "http://localhost:3001",
        ] {
            assert!(refused("POST", &format!("Origin: {origin}")), "{origin}");
        }
        assert!(refused("POST", "Sec-Fetch-Site: cross-site"));
        assert!(refused(
            "POST",
            "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate"
        ));
        assert!(refused(
            "GET",
            "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors"
        ));
    }

    #[test]
    fn the_page_has_a_path_of_its_own() {
        assert!(is_page("/__lambda/") && is_page("/__lambda") && is_page("/__lambda/feed"));
        assert!(!is_page("/") && !is_page("/__lambdas") && !is_page("/x/__lambda/"));
    }

    #[test]
    fn the_page_is_small_and_puts_no_data_into_markup() {
        let size = HTML.len() + CSS.len() + JS.len();
        assert!(size < 60_000, "{size} bytes");
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ] {
            assert!(!JS.contains(forbidden), "{forbidden}");
        }
        assert!(!HTML.contains("<style") && !HTML.contains("style=") && !HTML.contains("onclick"));
    }
}
