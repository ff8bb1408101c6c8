//! Forwards one invocation to the app and makes its reply.

use crate::logger::line::{debug, warn};

use super::buffers::Buffers;
use super::plan::{self, Plan};
use super::split::{self, Split};
use crate::app::client::{Client, ResponseBody};
use crate::app::supervisor::Supervisor;
use crate::config::Config;
use crate::error::Failure;
use crate::http::Response;
use crate::http::body_reader::{BodyReader, Chunk, Wait};
use crate::http::headers::Headers;
use crate::http::request::Request;
use crate::invocation::Invocation;
use crate::lambda::deliver::Reply;
use crate::net::deadline::Deadline;
use crate::translate::compression::{self, Coding, Gzipped};
use crate::translate::event::{self, Kind};
use crate::translate::ping;
use crate::translate::records::Batch;
use crate::translate::reply;
use crate::translate::request::{self, Rejection};
use crate::translate::result;
use crate::translate::source;

/// API Gateway reads no more of a stream in search of the end of its prelude ("Set up a Lambda
/// proxy integration with payload response streaming").
const MAX_PRELUDE: usize = 16 << 10;

/// The app, in the generation that was ready when the invocation came.
pub struct App<'a> {
    pub client: &'a mut Client,
    pub supervisor: Option<&'a Supervisor>,
    pub generation: u32,
}

impl App<'_> {
    /// Adds the exit status to the failure of an app that has ended.
    pub fn add_exit_status(&self, failure: &mut Failure) {
        if let Some(supervisor) = self.supervisor {
            supervisor.add_exit_status(failure, self.generation);
        }
    }
}

/// Memory for the parts of a reply.
struct ReplyBuffers<'a> {
    body: &'a mut Vec<u8>,
    compressed: &'a mut Vec<u8>,
    reply: &'a mut Vec<u8>,
}

/// Forwards the event in `buffers.payload` and returns the reply. A streamed reply still reads
/// from the app, before `deadline`, which is set here. Sets `reached` if a request was sent.
pub fn forward<'a>(
    config: &Config,
    app: App<'a>,
    buffers: &'a mut Buffers,
    invocation: &Invocation,
    deadline: &'a mut Deadline,
    reached: &mut bool,
) -> Result<Reply<'a>, Failure> {
    let (supervisor, generation) = (app.supervisor, app.generation);
    let mut reply = exchange(config, app, buffers, invocation, deadline, reached);
    match (supervisor, &mut reply) {
        (Some(supervisor), Ok(_)) => supervisor.response_received(),
        (Some(supervisor), Err(failure)) => supervisor.add_exit_status(failure, generation),
        (None, _) => {}
    }
    reply
}

fn exchange<'a>(
    config: &Config,
    app: App<'a>,
    buffers: &'a mut Buffers,
    invocation: &Invocation,
    deadline: &'a mut Deadline,
    reached: &mut bool,
) -> Result<Reply<'a>, Failure> {
    let memory = ReplyBuffers {
        body: &mut buffers.body,
        compressed: &mut buffers.compressed,
        reply: &mut buffers.reply,
    };
    let (payload, decoded) = (&buffers.payload, &mut buffers.decoded);
    let event = event::parse(payload)?;
    let kind = event.kind();
    if kind.is_none() && ping::is_warm_up(payload) {
        debug!("a warm-up ping gets null, without a request to the app");
        memory.reply.extend_from_slice(b"null");
        return Ok(Reply::Buffered(memory.reply));
    }
    if config.split_batches
        && kind.is_none()
        && let Some(mut batch) = Batch::parse(payload)
    {
        let mut split = Split {
            config,
            app,
            invocation,
            target: request::pass_through_target(payload, config),
            reached,
            message: decoded,
            response: memory.body,
        };
        return split.forward(&mut batch, memory.reply);
    }
    let request = match request::build(event, payload, invocation, config, decoded) {
        Ok(request) => request,
        Err(rejection) => return reject(config, kind, &rejection, memory),
    };
    *deadline = Deadline::at(
        request.name(),
        invocation.effective_deadline_ms(),
        config.timeout_margin,
    );
    let sent = app.client.send(&request, deadline);
    *reached = !split::is_unreachable(&sent);
    let (response, mut body) = sent?;
    match plan::plan(config, kind, &request, &response, body.declared()) {
        Plan::Stream(kind, coding) => {
            let body = SupervisedBody {
                body,
                supervisor: app.supervisor,
                generation: app.generation,
            };
            Ok(stream(kind, coding, &response, body, memory.reply))
        }
        Plan::RenderWhileReading(kind) => {
            let (out, read) = (memory.reply, memory.body);
            // Enough for a text without escapes.
            let declared = body.declared().unwrap_or(0).min(reply::MAX_REPLY as u64);
            out.reserve(reply::ENVELOPE + declared as usize);
            reply::render_while_reading(&response, kind, &mut body, out, read)?;
            Ok(Reply::Buffered(out))
        }
        Plan::ReadWhole => read_whole(config, kind, &request, &response, body, memory),
    }
}

/// The reply to a request that the app never gets.
fn reject<'a>(
    config: &Config,
    kind: Option<Kind>,
    rejection: &Rejection,
    memory: ReplyBuffers<'a>,
) -> Result<Reply<'a>, Failure> {
    let Rejection { status, message } = rejection;
    warn!("the client gets status {status}: {message}");
    let mut headers = Headers::new();
    headers.push(b"content-type", b"text/plain; charset=utf-8");
    let response = Response {
        status: *status,
        headers: &headers,
        to_head: false,
    };
    let ReplyBuffers { body, reply, .. } = memory;
    body.extend_from_slice(message.as_bytes());
    match kind.filter(|kind| plan::streams(config, *kind)) {
        Some(kind) => {
            reply::write_prelude(reply, &response, kind);
            Ok(Reply::Streamed {
                prelude: reply,
                body: Box::new(&body[..]),
            })
        }
        None => {
            reply::render(&response, body, kind, reply)?;
            Ok(Reply::Buffered(reply))
        }
    }
}

fn stream<'a>(
    kind: Kind,
    coding: Coding,
    response: &Response,
    body: SupervisedBody<'a>,
    prelude: &'a mut Vec<u8>,
) -> Reply<'a> {
    let headers = compression::rewrite_headers(coding, response.headers);
    let response = Response {
        headers: &headers,
        ..*response
    };
    reply::write_prelude(prelude, &response, kind);
    if prelude.len() > MAX_PRELUDE {
        let size = prelude.len();
        warn!(
            "the headers of the response take {size} bytes of the reply, and API Gateway reads \
             {MAX_PRELUDE} at most: the client may get status 502"
        );
    }
    Reply::Streamed {
        prelude,
        body: match coding {
            Coding::Gzip(level) => Box::new(Gzipped::new(level, Box::new(body))),
            _ => Box::new(body),
        },
    }
}

/// Reads the whole body first: it may fail the invocation, or fit only compressed.
fn read_whole<'a>(
    config: &Config,
    kind: Option<Kind>,
    request: &Request,
    response: &Response,
    mut body: ResponseBody,
    memory: ReplyBuffers<'a>,
) -> Result<Reply<'a>, Failure> {
    let ReplyBuffers {
        body: read,
        compressed,
        reply,
    } = memory;
    let whole = body.read_to(read, reply::MAX_REPLY)?;
    let length = if whole {
        Some(read.len() as u64)
    } else {
        body.declared()
    };
    let mut coding = plan::coding(config, kind, request, response, length);
    if let Coding::Gzip(level) = coding
        && !compression::compress(level, read, &mut body, compressed, reply::MAX_BYTES)?
    {
        coding = Coding::Identity;
    }
    let is_compressed = matches!(coding, Coding::Gzip(_));
    if !whole && !is_compressed {
        let size = length.unwrap_or(reply::MAX_REPLY as u64 + 1);
        return Err(reply::too_large(size, None));
    }
    let headers = compression::rewrite_headers(coding, response.headers);
    let response = Response {
        headers: &headers,
        ..*response
    };
    let mut body: &[u8] = if is_compressed { compressed } else { read };
    reply::check_status(request, &response, body, kind, config)?;
    // The body of the request is the event.
    if kind.is_none() && source::is_polled(request.body) {
        body = result::of_batch(body)?;
    }
    reply::render(&response, body, kind, reply)?;
    Ok(Reply::Buffered(reply))
}

/// A streamed body; its failure names the exit status of an app that has ended.
struct SupervisedBody<'a> {
    body: ResponseBody<'a>,
    supervisor: Option<&'a Supervisor>,
    generation: u32,
}

impl BodyReader for SupervisedBody<'_> {
    fn fill(&mut self, wait: Wait) -> Result<Chunk<'_>, Failure> {
        let (supervisor, generation) = (self.supervisor, self.generation);
        let mut filled = self.body.fill(wait);
        if let (Some(supervisor), Err(failure)) = (supervisor, &mut filled) {
            supervisor.add_exit_status(failure, generation);
        }
        filled
    }

    fn consume(&mut self, count: usize) {
        self.body.consume(count);
    }
}
