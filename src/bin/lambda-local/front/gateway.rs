//! The front's I/O: one HTTP request in, one invocation, one HTTP answer out, buffered or as it comes.
//!
//! What a front does with event and answer is in `front/`; here it meets sockets. A streamed answer goes on chunk by chunk; when it breaks off,
//! so does the connection, since a client must be able to tell half an answer from a whole one.

use std::io::{self, BufRead};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::cli::options::Kind;
use crate::clock;
use crate::front::invoke_api;
use crate::front::{Front, HttpAnswer, HttpRequest, Trouble};
use crate::function::Function;
use crate::http_server::{self, Body, Head, Headers};
use crate::invocation::{Reply, Request};

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

/// One request, and the way back to its client.
struct Exchange<'e> {
    id: String,
    trace: String,
    head: &'e Head,
    stream: &'e TcpStream,
}

impl Gateway {
    pub fn handle<R: BufRead>(
        &self,
        head: &Head,
        body: &mut Body<'_, R>,
        stream: &TcpStream,
    ) -> io::Result<()> {
        if head.method == "POST" && invoke_api::is_invocation(head.path()) {
            return invoke_api::serve(&self.function, head, body, stream);
        }
        let exchange = Exchange {
            id: clock::uuid(),
            trace: clock::trace_root(clock::now_ms()),
            head,
            stream,
        };
        let payload = match self.event(&exchange, body)? {
            Ok(payload) => payload,
            Err(trouble) => return self.send(&exchange, &self.front.trouble(trouble)),
        };
        let options = &self.function.setup.options;
        let replies = self.function.invoke(Request {
            id: exchange.id.clone(),
            payload,
            trace: exchange.trace.clone(),
            client_context: None,
            tenant: options.tenant.clone(),
        });
        let answer = match self.first(&replies) {
            Ok(Reply::Stream { content_type }) if options.stream => {
                return self.stream(&exchange, &replies, &content_type);
            }
            Ok(Reply::Whole(payload)) if options.stream => Ok(self.unstreamed(payload)),
            Ok(Reply::Whole(payload)) => self
                .front
                .answer(&payload)
                .map_err(|error| self.malformed(&error)),
            Ok(Reply::Stream { .. }) => {
                let answer = self.front.answer(&collect(&replies));
                answer.map_err(|error| {
                    self.malformed(&format!(
                        "it was streamed to a buffered front (see --invoke-mode): {error}"
                    ))
                })
            }
            Ok(Reply::Failed(fault) | Reply::End(Some(fault))) => {
                self.warn(&format!(
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
                self.warn(
                    "this front waits no longer for the function, which goes on all the same",
                );
                Err(Trouble::Timeout)
            }
        };
        self.send(
            &exchange,
            &answer.unwrap_or_else(|trouble| self.front.trouble(trouble)),
        )
    }

    /// Reads the request and makes it an event; the inner error is what the front answers without asking the function.
    fn event<R: BufRead>(
        &self,
        exchange: &Exchange,
        body: &mut Body<'_, R>,
    ) -> io::Result<Result<Vec<u8>, Trouble>> {
        let Some(body) = body.all(BODY_LIMIT)? else {
            return Ok(Err(Trouble::TooLarge));
        };
        let request = HttpRequest {
            id: exchange.id.clone(),
            trace: exchange.trace.clone(),
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

    /// API Gateway gives up after a time of its own.
    fn first(&self, replies: &Receiver<Reply>) -> Result<Reply, RecvTimeoutError> {
        let patience = match self.front.kind {
            Kind::RestApi if !self.function.setup.options.stream => 29,
            Kind::HttpApi => 30,
            _ => return replies.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        replies.recv_timeout(Duration::from_secs(patience))
    }

    fn warn(&self, text: &str) {
        self.function.setup.output.warn(text);
    }

    fn malformed(&self, error: &str) -> Trouble {
        self.warn(&format!("the function's answer is no HTTP answer: {error}"));
        Trouble::Function
    }

    /// A streaming front relays what was not streamed as it is, JSON and all.
    fn unstreamed(&self, payload: Vec<u8>) -> HttpAnswer {
        self.warn("the answer was not streamed, though --invoke-mode is response_stream: the client gets its JSON");
        let headers = vec![(
            "content-type".to_owned(),
            "application/octet-stream".to_owned(),
        )];
        HttpAnswer {
            status: 200,
            headers,
            body: payload,
        }
    }

    fn send(&self, exchange: &Exchange, answer: &HttpAnswer) -> io::Result<()> {
        let headers = self.finished_headers(exchange, answer);
        http_server::respond(
            exchange.stream,
            exchange.head,
            answer.status,
            &headers,
            &answer.body,
        )
    }

    /// The answer's headers and the front's own; the connection's are the front's business alone.
    fn finished_headers(&self, exchange: &Exchange, answer: &HttpAnswer) -> Headers {
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
            !own.contains(&name.as_str())
                && (name != "content-length" || exchange.head.method == "HEAD")
        });
        headers.push(("date".to_owned(), clock::http(clock::now_ms())));
        headers.extend(self.front.stamps(&exchange.id, &exchange.trace));
        headers
    }

    /// Sends each piece as it comes, after a head made of the prelude.
    fn stream(
        &self,
        exchange: &Exchange,
        replies: &Receiver<Reply>,
        content_type: &str,
    ) -> io::Result<()> {
        let begun = if content_type == INTEGRATION_RESPONSE {
            prelude_of(replies)
                .and_then(|(prelude, rest)| Ok((self.front.prelude(&prelude)?, rest)))
        } else {
            // Bytes without a prelude are a body by themselves.
            let headers = vec![("content-type".to_owned(), content_type.to_owned())];
            Ok((
                HttpAnswer {
                    status: 200,
                    headers,
                    body: Vec::new(),
                },
                Vec::new(),
            ))
        };
        let (answer, rest) = match begun {
            Ok(begun) => begun,
            Err(error) => return self.send(exchange, &self.front.trouble(self.malformed(&error))),
        };
        if exchange.head.method == "HEAD" || matches!(answer.status, 204 | 304) {
            return self.send(exchange, &answer);
        }
        let headers = self.finished_headers(exchange, &answer);
        let mut out =
            http_server::Stream::begin(exchange.stream, exchange.head, answer.status, &headers)?;
        out.send(&rest)?;
        loop {
            match replies.recv() {
                Ok(Reply::Piece(piece)) => out.send(&piece)?,
                Ok(Reply::End(None)) => return out.end(),
                Ok(Reply::End(Some(fault))) => {
                    self.warn(&format!(
                        "the stream broke off: {}: {}",
                        fault.kind, fault.message
                    ));
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Ok(_) | Err(_) => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
}

/// The prelude of a stream, and what has come of the body with it.
fn prelude_of(replies: &Receiver<Reply>) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut gathered = Vec::new();
    loop {
        match replies.recv() {
            Ok(Reply::Piece(piece)) => gathered.extend_from_slice(&piece),
            Ok(Reply::End(Some(fault))) => {
                return Err(format!("{}: {}", fault.kind, fault.message));
            }
            _ => return Err("the stream ended before its prelude did".to_owned()),
        }
        if let Some(end) = gathered
            .windows(DELIMITER.len())
            .position(|window| window == DELIMITER)
        {
            let body = gathered.split_off(end + DELIMITER.len());
            gathered.truncate(end);
            return Ok((gathered, body));
        }
        if gathered.len() > PRELUDE_LIMIT {
            return Err("no end of its prelude in the first 16 KB".to_owned());
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

    fn streamed(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), String> {
        let (sender, receiver) = std::sync::mpsc::channel();
        pieces
            .iter()
            .for_each(|piece| drop(sender.send(Reply::Piece(piece.to_vec()))));
        drop(sender);
        prelude_of(&receiver)
    }

    #[test]
    fn a_prelude_ends_at_eight_nuls_wherever_the_pieces_end() {
        let whole = b"{}\0\0\0\0\0\0\0\0body";
        for cut in 1..whole.len() {
            let (prelude, mut body) = streamed(&[&whole[..cut], &whole[cut..]]).expect("a prelude");
            assert_eq!(prelude, b"{}");
            body.truncate(4);
            assert!(b"body".starts_with(&body), "cut at {cut}");
        }
        assert!(streamed(&[b"{}\0\0"]).is_err());
        assert!(
            streamed(&[&[b' '; PRELUDE_LIMIT + 1]]).is_err_and(|error| error.contains("16 KB"))
        );
    }

    #[test]
    fn a_whole_url_is_reduced_to_its_path() {
        assert_eq!(origin_form("http://h:1/a?b"), "/a?b");
        assert_eq!(origin_form("http://h"), "/");
        assert_eq!(origin_form("//h/a"), "//h/a");
    }
}
