//! The I/O of the front ends: one HTTP request, one invocation, one HTTP response, buffered or
//! streamed.
//!
//! A streamed response is sent chunk by chunk. If the stream fails, the connection is closed before
//! the last chunk, so that the client detects a truncated response.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Front, GatewayError, HttpRequest, HttpResponse, ReplyError, invoke_api, web_function};
use crate::cli::options::{InvokeMode, Kind, kind_name};
use crate::clock;
use crate::front::invoke_api::Call;
use crate::function::Function;
use crate::http_server::{Exchange, Headers};
use crate::invocation::{Fault, InvokeRequest, Reply, THROTTLED, collect_stream};
use crate::log::request::RequestLine;
use crate::web::entry::Origin;
use crate::web::mark::Mark;
use crate::web::recorder::Recording;

/// Larger than the limit of any front end.
const BODY_LIMIT: usize = 16 << 20;
const PRELUDE_LIMIT: usize = 16 << 10;
/// The page has the requests that are refused, too.
const REFUSED: &str = "Refused by the front end";
const DELIMITER: [u8; 8] = [0; 8];
const INTEGRATION_RESPONSE: &str = "application/vnd.awslambda.http-integration-response";

/// Headers of the function that the front end replaces or drops.
const CONNECTION_HEADERS: [&str; 6] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "date",
    "upgrade",
    "trailer",
];

#[derive(Debug)]
pub struct Gateway {
    pub function: Arc<Function>,
    pub front: Front,
    pub port: u16,
}

/// The identifiers of one request.
struct Ids {
    request: String,
    trace: String,
    recording: Recording,
}

/// An error response of the front end, and the cause that it hides from the client.
struct Failed {
    error: GatewayError,
    cause: String,
}

impl Failed {
    fn function(cause: String) -> Failed {
        Failed {
            error: GatewayError::FunctionFailed,
            cause,
        }
    }
}

impl Gateway {
    /// Responds to one request and logs it.
    pub fn handle(&self, exchange: &mut Exchange<'_>) -> io::Result<()> {
        let started = Instant::now();
        let mut invocation = None;
        let result = self.respond(exchange, &mut invocation);
        let sent = exchange.sent();
        let line = RequestLine {
            method: exchange.head.method.clone(),
            target: exchange.head.target.clone(),
            status: sent.status,
            duration: started.elapsed(),
            body_len: sent.body_len,
            is_complete: result.is_ok(),
        };
        let logger = self.function.setup.logger.clone();
        // The channel closes after the REPORT line, which this line follows. The function may run
        // on after its response, which is complete for the client.
        match invocation {
            Some(replies) => drop(std::thread::spawn(move || {
                replies.iter().for_each(drop);
                logger.request(&line);
            })),
            None => logger.request(&line),
        }
        result
    }

    /// `invocation` becomes the channel of an invocation that is not reported yet.
    fn respond(
        &self,
        exchange: &mut Exchange<'_>,
        invocation: &mut Option<Receiver<Reply>>,
    ) -> io::Result<()> {
        if self.function.setup.options.web_function {
            return web_function::handle(&self.function, exchange);
        }
        if let Some(call) = Call::of(&exchange.head) {
            return invoke_api::handle(&self.function, call, exchange, invocation);
        }
        let mut ids = Ids {
            request: clock::uuid(),
            trace: clock::trace_root(clock::now_ms()),
            recording: Recording::default(),
        };
        let origin = Origin {
            request_id: ids.request.clone(),
            source: kind_name(self.front.kind).to_owned(),
            via: String::new(),
            method: exchange.head.method.clone(),
            target: exchange.head.target.clone(),
        };
        let recorder = &self.function.setup.recorder;
        let payload = match self.read_event(exchange, &ids)? {
            Ok(payload) => payload,
            Err(error) => {
                let cause = self.front.explain(error, &exchange.head);
                ids.recording = recorder.begin(origin, b"");
                ids.recording.refused(&Fault::new(REFUSED, cause.as_str()));
                self.warn(&format!("the front end refused a request: {cause}"));
                let response = self.front.error_response(error).with_cause(&cause);
                return self.send(exchange, &ids, &response);
            }
        };
        ids.recording = recorder.begin(origin, &payload);
        let replies = invocation.insert(self.function.invoke(InvokeRequest {
            id: ids.request.clone(),
            payload,
            trace: ids.trace.clone(),
            client_context: None,
            tenant: self.function.setup.options.tenant.clone(),
            recording: ids.recording.clone(),
        }));
        let response = match self.first_reply(replies) {
            Ok(Reply::StreamStart { content_type }) if self.is_streaming() => {
                return self.stream(exchange, &ids, replies, &content_type);
            }
            Ok(reply) => self.buffered_response(reply, replies),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Failed::function("lambda-local is shutting down".to_owned()))
            }
            Err(RecvTimeoutError::Timeout) => {
                let cause = "integration timeout of the front end: the function continues";
                self.warn(cause);
                // The function is reported later, after this request.
                *invocation = None;
                Err(Failed {
                    error: GatewayError::Timeout,
                    cause: cause.to_owned(),
                })
            }
        };
        let response = response.unwrap_or_else(|failed| self.failure_response(&failed));
        self.send(exchange, &ids, &response)
    }

    fn failure_response(&self, failed: &Failed) -> HttpResponse {
        let response = self.front.error_response(failed.error);
        response.with_cause(&failed.cause)
    }

    /// Reads the request and returns its event. The inner error is one that the front end reports
    /// itself.
    fn read_event(
        &self,
        exchange: &mut Exchange<'_>,
        ids: &Ids,
    ) -> io::Result<Result<Vec<u8>, GatewayError>> {
        if exchange.head.is_upgrade("websocket") {
            return Ok(Err(GatewayError::WebSocket));
        }
        if exchange.body.is_refusable(BODY_LIMIT) {
            return Ok(Err(GatewayError::RequestTooLarge));
        }
        if !origin_form(&exchange.head.target).starts_with('/') {
            return Ok(Err(GatewayError::NoPath));
        }
        let Some(body) = exchange.body.read_all(BODY_LIMIT)? else {
            return Ok(Err(GatewayError::RequestTooLarge));
        };
        let request = HttpRequest {
            id: ids.request.clone(),
            trace: ids.trace.clone(),
            time_ms: clock::now_ms(),
            method: exchange.head.method.clone(),
            target: origin_form(&exchange.head.target).to_owned(),
            headers: exchange.head.headers.clone(),
            body,
            source_ip: exchange.stream.peer_addr()?.ip().to_string(),
            port: self.port,
        };
        Ok(self.front.event(&request))
    }

    fn is_streaming(&self) -> bool {
        self.function.setup.options.invoke_mode == InvokeMode::ResponseStream
    }

    /// Waits for the reply; API Gateway has a timeout of its own.
    fn first_reply(&self, replies: &Receiver<Reply>) -> Result<Reply, RecvTimeoutError> {
        let seconds = match self.front.kind {
            Kind::RestApi if !self.is_streaming() => 29,
            Kind::HttpApi => 30,
            _ => return replies.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        replies.recv_timeout(Duration::from_secs(seconds))
    }

    fn buffered_response(
        &self,
        reply: Reply,
        replies: &Receiver<Reply>,
    ) -> Result<HttpResponse, Failed> {
        match reply {
            Reply::Buffered(payload) if self.is_streaming() => {
                // AWS passes a reply on unchanged that was expected to be streamed.
                self.warn(
                    "the reply was not streamed, although --invoke-mode is response_stream: \
                     the client receives its JSON",
                );
                Ok(HttpResponse::new(200, "application/octet-stream", payload))
            }
            Reply::Buffered(payload) => {
                let response = self.front.response(&payload);
                response.map_err(|error| self.invalid_reply(&error))
            }
            Reply::StreamStart { .. } => {
                let response = self.front.response(&collect_stream(replies));
                response.map_err(|error| {
                    self.warn(
                        "the reply was streamed, although --invoke-mode is buffered: \
                         set AWS_LWA_INVOKE_MODE and --invoke-mode to the same value",
                    );
                    self.invalid_reply(&error)
                })
            }
            Reply::Failed(fault) | Reply::StreamEnd(Some(fault)) => {
                self.function.log_fault(&fault);
                let error = if fault.error_type == THROTTLED {
                    GatewayError::Throttled
                } else if fault.is_timeout() {
                    GatewayError::Timeout
                } else {
                    GatewayError::FunctionFailed
                };
                let cause = fault.to_string();
                Err(Failed { error, cause })
            }
            Reply::Chunk(_) | Reply::StreamEnd(None) => {
                Err(Failed::function("the stream has no head".to_owned()))
            }
        }
    }

    fn invalid_reply(&self, error: &ReplyError) -> Failed {
        let cause = format!("the reply is not a valid HTTP response: {error}");
        self.warn(&cause);
        Failed::function(cause)
    }

    fn warn(&self, text: &str) {
        self.function.setup.logger.warn(text);
    }

    fn send(&self, exchange: &Exchange<'_>, ids: &Ids, response: &HttpResponse) -> io::Result<()> {
        let headers = self.response_headers(exchange, ids, response);
        ids.recording.sent(Some(response.status), &headers);
        exchange.respond(response.status, &headers, &response.body)?;
        ids.recording.mark(Mark::Sent);
        Ok(())
    }

    fn response_headers(
        &self,
        exchange: &Exchange<'_>,
        ids: &Ids,
        response: &HttpResponse,
    ) -> Headers {
        let is_head = exchange.head.method == "HEAD";
        let mut headers = response.headers.clone();
        headers.retain(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !CONNECTION_HEADERS.contains(&name.as_str()) && (name != "content-length" || is_head)
        });
        headers.push(("date".to_owned(), clock::http(clock::now_ms())));
        headers.extend(self.front.id_headers(&ids.request, &ids.trace));
        headers
    }

    /// Sends the head that the prelude contains, then each chunk as it arrives.
    fn stream(
        &self,
        exchange: &Exchange<'_>,
        ids: &Ids,
        replies: &Receiver<Reply>,
        content_type: &str,
    ) -> io::Result<()> {
        let begun = if content_type == INTEGRATION_RESPONSE {
            read_prelude(replies)
                .and_then(|(prelude, rest)| Ok((self.front.stream_head(&prelude)?, rest)))
        } else {
            // A stream of another type has no prelude.
            let head = HttpResponse::new(200, content_type, Vec::new());
            Ok((head, Vec::new()))
        };
        let (head, rest) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let response = self.failure_response(&self.invalid_reply(&error));
                return self.send(exchange, ids, &response);
            }
        };
        if exchange.head.method == "HEAD" || matches!(head.status, 204 | 304) {
            return self.send(exchange, ids, &head);
        }
        let headers = self.response_headers(exchange, ids, &head);
        ids.recording.sent(Some(head.status), &headers);
        let mut stream = exchange.begin_stream(head.status, &headers)?;
        stream.send(&rest)?;
        loop {
            match replies.recv() {
                Ok(Reply::Chunk(chunk)) => stream.send(&chunk)?,
                Ok(Reply::StreamEnd(None)) => {
                    stream.end()?;
                    ids.recording.mark(Mark::Sent);
                    return Ok(());
                }
                Ok(Reply::StreamEnd(Some(fault))) => {
                    self.function.log_fault(&fault);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Ok(_) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}

/// Reads the prelude of a stream; returns it and the part of the body that came with it.
fn read_prelude(replies: &Receiver<Reply>) -> Result<(Vec<u8>, Vec<u8>), ReplyError> {
    let mut received = Vec::new();
    loop {
        match replies.recv() {
            Ok(Reply::Chunk(chunk)) => received.extend_from_slice(&chunk),
            Ok(Reply::StreamEnd(Some(fault))) => return Err(ReplyError::Failed(fault)),
            _ => return Err(ReplyError::PreludeCutOff),
        }
        let mut windows = received.windows(DELIMITER.len());
        if let Some(end) = windows.position(|window| window == DELIMITER) {
            let body = received.split_off(end + DELIMITER.len());
            received.truncate(end);
            return Ok((received, body));
        }
        if received.len() > PRELUDE_LIMIT {
            return Err(ReplyError::PreludeTooLong {
                limit: PRELUDE_LIMIT,
            });
        }
    }
}

/// Reduces an absolute URI to its path and query: clients send one to a proxy (RFC 9112 3.2.2).
pub fn origin_form(target: &str) -> &str {
    let after_scheme = ["http://", "https://"]
        .iter()
        .find_map(|scheme| target.strip_prefix(scheme));
    let Some(rest) = after_scheme else {
        return target;
    };
    let path = rest.find('/').and_then(|start| rest.get(start..));
    path.unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prelude_of(chunks: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), ReplyError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        for chunk in chunks {
            sender.send(Reply::Chunk(chunk.to_vec())).expect("sent");
        }
        drop(sender);
        read_prelude(&receiver)
    }

    #[test]
    fn a_prelude_ends_at_eight_nuls_wherever_the_chunks_end() {
        let stream = b"{}\0\0\0\0\0\0\0\0body";
        for cut in 1..stream.len() {
            let (prelude, mut body) =
                prelude_of(&[&stream[..cut], &stream[cut..]]).expect("a prelude");
            assert_eq!(prelude, b"{}");
            body.truncate(4);
            assert!(b"body".starts_with(&body), "cut at {cut}");
        }
        let cut_off = prelude_of(&[b"{}\0\0"]);
        assert!(matches!(cut_off, Err(ReplyError::PreludeCutOff)));
        let too_long = prelude_of(&[&[b' '; PRELUDE_LIMIT + 1]]);
        assert!(matches!(too_long, Err(ReplyError::PreludeTooLong { .. })));
    }

    #[test]
    fn an_absolute_uri_is_reduced_to_its_path() {
        assert_eq!(origin_form("http://h:1/a?b"), "/a?b");
        assert_eq!(origin_form("http://h"), "/");
        assert_eq!(origin_form("//h/a"), "//h/a");
    }
}
