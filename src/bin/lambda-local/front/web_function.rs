//! The endpoint of a Web Function ("HTTP requests and responses" of Lambda Web Functions): one
//! HTTP request to the app for each one of a client, without an event.
//!
//! The request is sent before the response is read, as on Lambda. The response is passed on while
//! it arrives. Where the app gives none, the client gets 502, or 504 after the timeout.

use std::io::{self, BufReader, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ureq::http::HeaderMap;
use ureq::{Agent, Body as AppBody, RequestBuilder, SendBody};

use super::HttpResponse;
use super::gateway::origin_form;
use super::invoke_api::Call;
use crate::cli::invoke::USER_AGENT;
use crate::clock;
use crate::function::web_function::{WebRequest, endpoint};
use crate::function::{Function, exit};
use crate::http_server::{Body, Exchange, Head, Headers, header};
use crate::log::{Report, Status};

/// Headers that are not forwarded, beside those that begin with `lambda-web-`.
const REMOVED: [&str; 14] = [
    "connection",
    "keep-alive",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "x-real-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];
/// Headers of a response that are valid for its connection only, or that Lambda sets.
const REPLACED: [&str; 6] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "date",
    "upgrade",
    "trailer",
];
const PREFIX: &str = "lambda-web-";
const REQUEST_ID: &str = "lambda-web-request-id";
const ERROR_TYPE: &str = "lambda-web-error-type";
const ENDPOINT_NAME: &str = "local";

type Response = ureq::http::Response<AppBody>;

/// A response that the app has not made.
struct Failure {
    status: u16,
    /// Where Lambda documents one.
    error_type: Option<&'static str>,
    cause: String,
}

impl Failure {
    fn refused(status: u16, cause: impl Into<String>) -> Failure {
        Failure {
            status,
            error_type: None,
            cause: cause.into(),
        }
    }
}

/// Responds to one request.
pub fn handle(function: &Function, exchange: &mut Exchange<'_>) -> io::Result<()> {
    let (id, started) = (clock::uuid(), Instant::now());
    let _unreported = function.unreported.begin();
    let (sent, status) = match forward(function, exchange, &id) {
        Ok((response, _request)) => {
            let result = relay(exchange, response, &id);
            let status = match &result {
                Ok(()) => Status::Success,
                Err(error) => report_incomplete(function, exchange, error),
            };
            (result, status)
        }
        Err(failure) => {
            let warning = format!("a request got status {}: {}", failure.status, failure.cause);
            function.setup.logger.warn(&warning);
            let status = match failure.status {
                504 => Status::Timeout,
                _ => Status::Error(failure.error_type.unwrap_or_default().to_owned()),
            };
            (respond(exchange, &failure, &id), status)
        }
    };
    function.count_request(&Report {
        duration: started.elapsed(),
        status,
        ..Report::default()
    });
    sent
}

/// Logs why the client has only a part of a response.
fn report_incomplete(function: &Function, exchange: &Exchange<'_>, error: &io::Error) -> Status {
    let Head { method, target, .. } = &exchange.head;
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let is_timeout = matches!(cause, Some(ureq::Error::Timeout(_)));
    let (cause, status) = if is_timeout {
        let seconds = function.setup.options.timeout.as_secs_f64();
        let cause = format!("it had not ended after {seconds:.2} seconds (see --timeout)");
        (cause, Status::Timeout)
    } else {
        (error.to_string(), Status::Error(String::new()))
    };
    let warning = format!("the response to {method} {target} is incomplete: {cause}");
    function.setup.logger.warn(&warning);
    status
}

/// Returns true for a request of `lambda-local invoke`. The same path may be one of the app.
fn is_event(head: &Head) -> bool {
    let user_agent = head.header("user-agent").unwrap_or_default();
    Call::of(head) == Some(Call::Invoke) && user_agent.starts_with(USER_AGENT)
}

/// Sends the request to the app, and returns the response with the place that it takes.
fn forward<'f>(
    function: &'f Function,
    exchange: &mut Exchange<'_>,
    id: &str,
) -> Result<(Response, WebRequest<'f>), Failure> {
    if exchange.head.is_http_1_0() {
        return Err(Failure::refused(505, "the client speaks HTTP/1.0"));
    }
    if is_event(&exchange.head) {
        let cause = "Web Functions take no events: send an HTTP request";
        return Err(Failure::refused(400, cause));
    }
    let client = exchange.stream.peer_addr().map(|peer| peer.ip());
    let client = client.map_err(|error| Failure::refused(400, error.to_string()))?;
    let request = function.begin_request().map_err(|fault| Failure {
        status: 502,
        error_type: Some("Application.InitCodeError"),
        cause: fault.to_string(),
    })?;
    let headers = request_headers(&exchange.head, id, &client.to_string());
    let timeout = function.setup.options.timeout;
    let port = request.environment.profile.ports.app;
    let url = format!(
        "http://{}{}",
        endpoint(port),
        origin_form(&exchange.head.target)
    );
    let method = exchange.head.method.clone();
    match send(&method, &url, &headers, &mut exchange.body, timeout)? {
        Ok(response) => Ok((response, request)),
        Err(ureq::Error::Timeout(_)) => Err(Failure {
            status: 504,
            error_type: Some("Runtime.RequestTimeout"),
            cause: format!("no response after {:.2} seconds", timeout.as_secs_f64()),
        }),
        Err(error @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
            let cause = format!("the request is not valid: {error}");
            Err(Failure::refused(400, cause))
        }
        // When the app crashes, the connection is lost first, and the exit follows.
        Err(error) => Err(match exit::wait_for_cause(&request.environment) {
            Some(fault) => Failure::refused(502, fault.to_string()),
            None => Failure::refused(502, format!("failed to get a response: {error}")),
        }),
    }
}

/// The headers that the app receives.
fn request_headers(head: &Head, id: &str, client: &str) -> Headers {
    let connection = head.header("connection").unwrap_or_default();
    let is_named = |name: &str| {
        let mut options = connection.split(',');
        options.any(|option| option.trim().eq_ignore_ascii_case(name))
    };
    let mut headers: Headers = Vec::new();
    for (name, value) in &head.headers {
        let name = name.to_ascii_lowercase();
        let is_removed = REMOVED.contains(&name.as_str()) || name.starts_with(PREFIX);
        if !is_removed && name != "x-forwarded-for" && !is_named(&name) {
            headers.push((name, value.clone()));
        }
    }
    let before = header(&head.headers, "x-forwarded-for");
    let forwarded = before.map_or(client.to_owned(), |before| format!("{before}, {client}"));
    headers.push(("x-forwarded-for".to_owned(), forwarded));
    headers.push((REQUEST_ID.to_owned(), id.to_owned()));
    headers.push((format!("{PREFIX}endpoint-name"), ENDPOINT_NAME.to_owned()));
    headers
}

/// The body that the client sends, while it arrives.
struct Upload<'u, 'c>(&'u mut Body<'c, BufReader<TcpStream>>);

impl Read for Upload<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Sends the request on a connection of its own, so that none can be stale. The outer error is
/// that of a method that Web Functions do not have.
fn send(
    method: &str,
    url: &str,
    headers: &Headers,
    body: &mut Body<'_, BufReader<TcpStream>>,
    timeout: Duration,
) -> Result<Result<Response, ureq::Error>, Failure> {
    let config = Agent::config_builder()
        .user_agent("")
        .accept("")
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .timeout_global(Some(timeout))
        .proxy(None)
        .build();
    let agent = config.new_agent();
    let has_body = !body.is_complete();
    let mut upload = Upload(body);
    Ok(match method {
        "GET" | "HEAD" | "OPTIONS" | "DELETE" => {
            let builder = match method {
                "GET" => agent.get(url),
                "HEAD" => agent.head(url),
                "OPTIONS" => agent.options(url),
                _ => agent.delete(url),
            };
            let builder = with_headers(builder, headers);
            if has_body {
                let body = SendBody::from_reader(&mut upload);
                builder.force_send_body().send(body)
            } else {
                builder.call()
            }
        }
        "POST" | "PUT" | "PATCH" => {
            let builder = match method {
                "POST" => agent.post(url),
                "PUT" => agent.put(url),
                _ => agent.patch(url),
            };
            let builder = with_headers(builder, headers);
            if has_body {
                builder.send(SendBody::from_reader(&mut upload))
            } else {
                builder.send_empty()
            }
        }
        _ => {
            let cause = "Web Functions do not support this method";
            return Err(Failure::refused(400, cause));
        }
    })
}

fn with_headers<B>(builder: RequestBuilder<B>, headers: &Headers) -> RequestBuilder<B> {
    let add = |builder: RequestBuilder<B>, (name, value): &(String, String)| {
        builder.header(name.as_str(), value.as_bytes())
    };
    headers.iter().fold(builder, add)
}

/// The headers that the client receives.
fn response_headers(from_app: &HeaderMap, id: &str) -> Headers {
    let mut headers: Headers = Vec::new();
    for (name, value) in from_app {
        if REPLACED.contains(&name.as_str()) || name.as_str().starts_with(PREFIX) {
            continue;
        }
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.push((name.to_string(), value));
    }
    headers.push(("date".to_owned(), clock::http(clock::now_ms())));
    headers.push((REQUEST_ID.to_owned(), id.to_owned()));
    headers
}

/// Sends the response of the app to the client, each part when it arrives. An error closes the
/// connection, so that the client detects a truncated response.
fn relay(exchange: &Exchange<'_>, response: Response, id: &str) -> io::Result<()> {
    let status = response.status().as_u16();
    let headers = response_headers(response.headers(), id);
    if exchange.head.method == "HEAD" || matches!(status, 204 | 304) {
        return exchange.respond(status, &headers, b"");
    }
    let mut body = response.into_body().into_reader();
    let mut stream = exchange.begin_stream(status, &headers)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match body.read(&mut buffer)? {
            0 => return stream.end(),
            read => stream.send(buffer.get(..read).unwrap_or_default())?,
        }
    }
}

fn respond(exchange: &Exchange<'_>, failure: &Failure, id: &str) -> io::Result<()> {
    let body = format!("{}\n", lambda_adapter::http::reason::reason(failure.status));
    let mut response = HttpResponse::new(failure.status, "text/plain", body.into_bytes());
    response
        .headers
        .push((REQUEST_ID.to_owned(), id.to_owned()));
    if let Some(error_type) = failure.error_type {
        let error_type = (ERROR_TYPE.to_owned(), error_type.to_owned());
        response.headers.push(error_type);
    }
    let response = response.with_cause(&failure.cause);
    exchange.respond(response.status, &response.headers, &response.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_gets_the_headers_that_lambda_forwards_and_sets() {
        let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, X-Hop\r\n\
            Upgrade: websocket\r\nX-Hop: 1\r\nLambda-Web-Request-Id: forged\r\n\
            X-Real-IP: 9.9.9.9\r\nX-Forwarded-For: 192.0.2.7\r\nX-Kept: a\r\nX-Kept: b\r\n\r\n";
        let head = Head::read(&mut request.as_bytes()).expect("valid");
        let headers = request_headers(&head.expect("a head"), "id-1", "127.0.0.1");
        let expected = [
            ("host", "h"),
            ("x-kept", "a"),
            ("x-kept", "b"),
            ("x-forwarded-for", "192.0.2.7, 127.0.0.1"),
            ("lambda-web-request-id", "id-1"),
            ("lambda-web-endpoint-name", "local"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, expected);
    }
}
