//! The front's I/O: one HTTP request in, one invocation, one HTTP answer out, buffered or as it comes.
//!
//! What a front does with event and answer is in `front/`; here it meets sockets. A streamed answer goes on chunk by chunk; when it breaks off,
//! so does the connection, since a client must be able to tell half an answer from a whole one.

use std::io::{self, BufRead};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::args::Kind;
use crate::clock;
use crate::front::{Front, HttpAnswer, HttpRequest, Trouble};
use crate::function::Function;
use crate::invocation::{Reply, Request};
use crate::invoke;
use crate::wire::{self, Body, Head};

/// More than any front takes; what is larger is not even kept.
const BODY_LIMIT: usize = 16 << 20;
const PRELUDE_LIMIT: usize = 16 << 10;
const DELIMITER: [u8; 8] = [0; 8];
const INTEGRATION_RESPONSE: &str = "application/vnd.awslambda.http-integration-response";

pub struct Gateway {
    pub function: Arc<Function>,
    pub front: Front,
    pub port: u16,
}

impl Gateway {
    pub fn handle<R: BufRead>(
        &self,
        head: &Head,
        body: &mut Body<'_, R>,
        stream: &TcpStream,
    ) -> io::Result<()> {
        if head.method == "POST" && invoke::is_invocation(head.path()) {
            return invoke::serve(&self.function, head, body, stream);
        }
        let (id, trace) = (clock::uuid(), clock::trace_root(clock::now_ms()));
        let Some(body) = body.all(BODY_LIMIT)? else {
            return self.send(
                &self.front.trouble(Trouble::TooLarge),
                &id,
                &trace,
                head,
                stream,
            );
        };
        let request = HttpRequest {
            id: id.clone(),
            trace: trace.clone(),
            time_ms: clock::now_ms(),
            method: head.method.clone(),
            target: origin_form(&head.target).to_owned(),
            headers: head.headers.clone(),
            body,
            source_ip: stream.peer_addr()?.ip().to_string(),
            port: self.port,
        };
        let payload = match self.front.event(&request) {
            Ok(payload) => payload,
            Err(trouble) => {
                return self.send(&self.front.trouble(trouble), &id, &trace, head, stream);
            }
        };
        drop(request);
        let tenant = self.function.setup.options.tenant.clone();
        let replies = self.function.invoke(Request {
            id: id.clone(),
            payload,
            trace: trace.clone(),
            client_context: None,
            tenant,
        });
        let answer = match self.first(&replies) {
            Ok(Reply::Whole(payload)) if self.function.setup.options.stream => {
                Ok(self.unstreamed(payload))
            }
            Ok(Reply::Whole(payload)) => self
                .front
                .answer(&payload)
                .map_err(|error| self.malformed(&error)),
            Ok(Reply::Stream { content_type }) if self.function.setup.options.stream => {
                return self.stream(&replies, &content_type, &id, &trace, head, stream);
            }
            Ok(Reply::Stream { .. }) => self.front.answer(&collect(&replies)).map_err(|error| {
                self.malformed(&format!(
                    "it was streamed to a buffered front (see --invoke-mode): {error}"
                ))
            }),
            Ok(Reply::Failed(fault) | Reply::End(Some(fault))) => {
                self.function.setup.output.warn(&format!(
                    "the invocation failed: {}: {}",
                    fault.kind, fault.message
                ));
                Err(if fault.is_timeout() {
                    Trouble::Timeout
                } else {
                    Trouble::Function
                })
            }
            Ok(Reply::Piece(_) | Reply::End(None)) | Err(RecvTimeoutError::Disconnected) => {
                Err(Trouble::Function)
            }
            Err(RecvTimeoutError::Timeout) => {
                self.function.setup.output.warn(
                    "this front waits no longer for the function, which goes on all the same",
                );
                Err(Trouble::Timeout)
            }
        };
        self.send(
            &answer.unwrap_or_else(|trouble| self.front.trouble(trouble)),
            &id,
            &trace,
            head,
            stream,
        )
    }

    /// API Gateway gives up after a time of its own.
    fn first(&self, replies: &Receiver<Reply>) -> Result<Reply, RecvTimeoutError> {
        let patience = match self.front.kind {
            Kind::RestApi if !self.function.setup.options.stream => 29,
            Kind::HttpApi => 30,
            _ => return replies.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        replies.recv_timeout(Duration::from_secs(patience))
    }

    fn malformed(&self, error: &str) -> Trouble {
        self.function
            .setup
            .output
            .warn(&format!("the function's answer is no HTTP answer: {error}"));
        Trouble::Function
    }

    /// A streaming front relays what was not streamed as it is, JSON and all.
    fn unstreamed(&self, payload: Vec<u8>) -> HttpAnswer {
        self.function.setup.output.warn("the answer was not streamed, though --invoke-mode is response_stream: the client gets its JSON");
        HttpAnswer {
            status: 200,
            headers: vec![(
                "content-type".to_owned(),
                "application/octet-stream".to_owned(),
            )],
            body: payload,
        }
    }

    fn send(
        &self,
        answer: &HttpAnswer,
        id: &str,
        trace: &str,
        head: &Head,
        stream: &TcpStream,
    ) -> io::Result<()> {
        let headers = self.finished_headers(answer, id, trace, head);
        wire::respond(stream, head, answer.status, &headers, &answer.body)
    }

    /// The answer's headers and the front's own; the connection's are the front's business alone.
    fn finished_headers(
        &self,
        answer: &HttpAnswer,
        id: &str,
        trace: &str,
        head: &Head,
    ) -> Vec<(String, String)> {
        let own = [
            "connection",
            "keep-alive",
            "transfer-encoding",
            "date",
            "upgrade",
            "trailer",
        ];
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !own.contains(&name.as_str()) && (name != "content-length" || head.method == "HEAD")
        });
        headers.push(("date".to_owned(), clock::http(clock::now_ms())));
        headers.extend(self.front.stamps(id, trace));
        headers
    }

    fn stream(
        &self,
        replies: &Receiver<Reply>,
        content_type: &str,
        id: &str,
        trace: &str,
        head: &Head,
        stream: &TcpStream,
    ) -> io::Result<()> {
        let mut gathered = Vec::new();
        let mut started = content_type != INTEGRATION_RESPONSE;
        if started {
            let answer = HttpAnswer {
                status: 200,
                headers: vec![("content-type".to_owned(), content_type.to_owned())],
                body: Vec::new(),
            };
            wire::respond_chunked(
                stream,
                200,
                &self.finished_headers(&answer, id, trace, head),
            )?;
        }
        loop {
            match replies.recv() {
                Ok(Reply::Piece(piece)) if started => wire::chunk(stream, &piece)?,
                Ok(Reply::Piece(piece)) => {
                    gathered.extend_from_slice(&piece);
                    let Some(end) = gathered
                        .windows(DELIMITER.len())
                        .position(|window| window == DELIMITER)
                    else {
                        if gathered.len() > PRELUDE_LIMIT {
                            let trouble =
                                self.malformed("no end of its prelude in the first 16 KB");
                            return self.send(
                                &self.front.trouble(trouble),
                                id,
                                trace,
                                head,
                                stream,
                            );
                        }
                        continue;
                    };
                    let (prelude, rest) = gathered.split_at(end);
                    let answer = match self.front.prelude(prelude) {
                        Ok(answer) => answer,
                        Err(error) => {
                            return self.send(
                                &self.front.trouble(self.malformed(&error)),
                                id,
                                trace,
                                head,
                                stream,
                            );
                        }
                    };
                    if head.method == "HEAD" || matches!(answer.status, 204 | 304) {
                        return self.send(&answer, id, trace, head, stream);
                    }
                    wire::respond_chunked(
                        stream,
                        answer.status,
                        &self.finished_headers(&answer, id, trace, head),
                    )?;
                    started = true;
                    let body = rest.get(DELIMITER.len()..).unwrap_or_default();
                    if !body.is_empty() {
                        wire::chunk(stream, body)?;
                    }
                }
                Ok(Reply::End(None)) if started => return wire::end_chunks(stream),
                Ok(Reply::End(fault)) => {
                    let text = fault.map_or_else(
                        || "it ended before its prelude did".to_owned(),
                        |fault| format!("{}: {}", fault.kind, fault.message),
                    );
                    self.function
                        .setup
                        .output
                        .warn(&format!("the stream broke off: {text}"));
                    if started {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    }
                    return self.send(
                        &self.front.trouble(Trouble::Function),
                        id,
                        trace,
                        head,
                        stream,
                    );
                }
                Ok(_) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}

/// All that was streamed, in one.
pub fn collect(replies: &Receiver<Reply>) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Ok(Reply::Piece(piece)) = replies.recv() {
        whole.extend_from_slice(&piece);
    }
    whole
}

/// A client that takes this for a proxy sends a whole URL (RFC 9112 3.2.2).
fn origin_form(target: &str) -> &str {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| target.strip_prefix(scheme));
    rest.map_or(target, |rest| {
        rest.find('/')
            .and_then(|start| rest.get(start..))
            .unwrap_or("/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_url_is_reduced_to_its_path() {
        assert_eq!(origin_form("http://h:1/a?b"), "/a?b");
        assert_eq!(origin_form("http://h"), "/");
        assert_eq!(origin_form("//h/a"), "//h/a");
    }
}
