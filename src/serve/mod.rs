//! The loop: one turn of it takes an invocation, asks the app, and posts what came of it.
//!
//! Why threads that block, and no event loop? Lambda says how many invocations an environment
//! has in flight: one, or with Managed Instances a number that it sets. A thread for each is
//! all the concurrency there can ever be; each owns its connections and buffers and shares
//! nothing with the others, so one bad request has nothing to break but its own turn. A
//! blocked thread costs a few pages, wakes straight in the code that waits, and its stack
//! says where an invocation is.

mod buffers;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use log::{debug, error, warn};

use crate::app::client::{App, Incoming, Response};
use crate::app::readiness;
use crate::app::supervisor::Child;
use crate::config::Config;
use crate::error::{Class, Failure, Fatal};
use crate::http::body_reader::Source;
use crate::http::headers::Headers;
use crate::invocation::Invocation;
use crate::lambda::deliver::{self, Lines};
use crate::lambda::{ApiError, Runtime};
use crate::logger;
use crate::net::connection::Watch;
use crate::shutdown::Stop;
use crate::translate::compression::{self, Coding, Gzipped};
use crate::translate::event;
use crate::translate::reply::{self, Answer};
use crate::translate::request;
use buffers::Buffers;

/// How often `/next` may fail in a row; the pauses between add up to some three seconds.
const TRIES: u32 = 9;
const STACK: usize = 256 << 10;

/// Serves with as many threads as Lambda asks for; comes back only when the environment is
/// of no more use.
pub fn run(
    config: &Config,
    stop: &Stop,
    runtime: Runtime,
    app: App,
    ready: bool,
    child: Option<&Child>,
) -> Fatal {
    let ready = AtomicU32::new(u32::from(ready));
    let ready = &ready;
    thread::scope(|scope| {
        for number in 1..config.concurrency {
            let runtime = Runtime::new(&config.runtime_api);
            let app = App::new(config.app.clone(), config.pool_idle);
            let serve = move || {
                // The first thread meets the same end and reports it.
                let _ = Server::new(config, stop, runtime, app, ready, child).serve();
            };
            let builder = thread::Builder::new().stack_size(STACK);
            if let Err(cause) = builder.spawn_scoped(scope, serve) {
                error!(
                    "serving with {number} threads, not {}: {cause}",
                    config.concurrency
                );
                break;
            }
        }
        let fatal = Server::new(config, stop, runtime, app, ready, child).serve();
        if let Some(child) = child {
            child.kill();
        }
        // Ends the process from here: the others would be waited for.
        crate::end(&fatal)
    })
}

/// What one thread of the loop owns.
struct Server<'a> {
    config: &'a Config,
    stop: &'a Stop,
    runtime: Runtime,
    lines: Lines,
    app: App,
    child: Option<&'a Child>,
    /// Which life of the app has been seen ready; where it is not our child, it has but one.
    ready: &'a AtomicU32,
    buffers: Buffers,
}

impl<'a> Server<'a> {
    fn new(
        config: &'a Config,
        stop: &'a Stop,
        runtime: Runtime,
        app: App,
        ready: &'a AtomicU32,
        child: Option<&'a Child>,
    ) -> Server<'a> {
        Server {
            config,
            stop,
            runtime,
            lines: Lines::default(),
            app,
            child,
            ready,
            buffers: Buffers::default(),
        }
    }

    fn serve(&mut self) -> Fatal {
        loop {
            match self.turn() {
                Ok(()) => {}
                // Who looks after the app has said so, and ends the process after whatever is
                // still in flight.
                Err(Fatal::AppExited { .. }) => loop {
                    thread::park();
                },
                Err(fatal) => return fatal,
            }
        }
    }

    fn turn(&mut self) -> Result<(), Fatal> {
        if self.config.streaming {
            self.lines.prepare(&self.config.runtime_api);
        }
        // An invocation that waits elsewhere may find an app that is up.
        if self.life() > 1 {
            self.await_app()?;
        }
        // What waits for an invocation may be frozen.
        if let Some(child) = self.child {
            child.settle();
        }
        let invocation = self.next()?;
        self.stop.invocation_begins();
        logger::set_request_id(&invocation.id);
        let life = self.await_app();
        let answered = match &life {
            Ok(life) => self.answer(&invocation, *life),
            Err(fatal) => Err(gone(fatal)),
        };
        match answered {
            Ok(Answered::Whole) => {
                deliver::reply(&mut self.runtime, &invocation, &self.buffers.out)
            }
            Ok(Answered::Streamed) => {}
            Err(failure) => deliver::failure(&mut self.runtime, &invocation, &failure),
        }
        if let (Some(child), Ok(life)) = (self.child, &life) {
            child.end_hung(*life);
        }
        logger::set_request_id("");
        self.stop.invocation_ends();
        self.buffers.tidy();
        life.map(|_| ())
    }

    /// The next invocation. A failure is tried again a few times, ever more slowly: an API
    /// that is gone must neither be stormed nor waited for.
    fn next(&mut self) -> Result<Invocation, Fatal> {
        let mut pause = Duration::from_millis(10);
        let mut tries = 1;
        loop {
            let cause = match self.runtime.next(&mut self.buffers.payload) {
                Ok(invocation) => return Ok(invocation),
                Err(error) => error,
            };
            if tries == TRIES {
                return Err(Fatal::RuntimeApi {
                    act: "get the next invocation",
                    cause: format!(
                        "{cause} (tried {tries} times at {})",
                        self.config.runtime_api
                    ),
                });
            }
            match &cause {
                ApiError::Unusable(_) => error!("{cause}: left unanswered"),
                // A kept connection may have been closed; a fresh one tells.
                ApiError::Closed(_) if tries == 1 => {
                    debug!("failed to get the next invocation, connecting again: {cause}");
                }
                _ => warn!("failed to get the next invocation, trying again: {cause}"),
            }
            if tries > 1 {
                thread::sleep(pause);
                pause *= 2;
            }
            tries += 1;
        }
    }

    fn life(&self) -> u32 {
        self.child.map_or(1, Child::life)
    }

    /// With asynchronous init the first invocations may be here before the app is, and a child
    /// may have been started again. Says which life of it is ready.
    fn await_app(&mut self) -> Result<u32, Fatal> {
        loop {
            let life = self.life();
            if self.ready.load(Ordering::Relaxed) == life {
                return Ok(life);
            }
            if readiness::wait(&mut self.app, self.config, Duration::MAX, self.child)? {
                self.ready.store(life, Ordering::Relaxed);
            }
        }
    }

    /// Asks the app, and looks whether it lives where that fails.
    fn answer(&mut self, invocation: &Invocation, life: u32) -> Result<Answered, Failure> {
        let answered = self.ask(invocation, life);
        let Some(child) = self.child else {
            return answered;
        };
        if answered.is_ok() {
            child.answered();
        }
        answered.map_err(|failure| child.explain(failure, life))
    }

    /// Asks the app; the reply is in `self.buffers.out` then, or streamed already.
    fn ask(&mut self, invocation: &Invocation, life: u32) -> Result<Answered, Failure> {
        let config = self.config;
        let event = event::parse(&self.buffers.payload)?;
        let kind = event.kind();
        let streams = kind.filter(|kind| config.streaming && kind.streams());
        let decoded = &mut self.buffers.decoded;
        let request =
            match request::build(&event, &self.buffers.payload, invocation, config, decoded) {
                Ok(request) => request,
                Err(rejection) => {
                    warn!(
                        "the client gets status {}: {}",
                        rejection.status, rejection.message
                    );
                    let mut headers = Headers::new();
                    headers.push(b"content-type", b"text/plain; charset=utf-8");
                    let mut answer = Answer {
                        status: rejection.status,
                        headers: &headers,
                        body: rejection.message.as_bytes(),
                        to_head: false,
                    };
                    let Some(kind) = streams else {
                        reply::render(&answer, kind, &mut self.buffers.out)?;
                        return Ok(Answered::Whole);
                    };
                    reply::write_prelude(&mut self.buffers.out, &answer, kind);
                    deliver::stream(
                        config,
                        &mut self.lines,
                        invocation,
                        &self.buffers.out,
                        &mut answer.body,
                    );
                    return Ok(Answered::Streamed);
                }
            };
        let what = format!("{} {}", request.method, request.target.escape_ascii());
        let mut watch = Watch::until(what, invocation.deadline_ms, config.timeout_margin);
        let Response {
            head,
            headers,
            mut body,
        } = self.app.exchange(&request, &mut watch)?;
        let mut answer = Answer {
            status: head.status,
            headers,
            body: &[],
            to_head: request.method == "HEAD",
        };
        let is_error = config.error_statuses.contains(head.status);
        let choose = |length| match config.compression {
            Some(level) if kind.is_some() && !is_error => {
                compression::choose(level, &request, head.status, headers, length)
            }
            _ => Coding::AsItIs,
        };
        if let Some(kind) = streams
            && !is_error
        {
            let coding = choose(body.declared());
            let described = compression::describe(coding, headers);
            answer.headers = &described;
            reply::write_prelude(&mut self.buffers.out, &answer, kind);
            let mut told = Told {
                body,
                child: self.child,
                life,
            };
            let mut gzipped;
            let body: &mut dyn Source = match coding {
                Coding::Gzip(level) => {
                    gzipped = Gzipped::new(level, &mut told);
                    &mut gzipped
                }
                _ => &mut told,
            };
            deliver::stream(config, &mut self.lines, invocation, &self.buffers.out, body);
            return Ok(Answered::Streamed);
        }
        if let Some(kind) = kind
            && !is_error
            && body
                .declared()
                .is_none_or(|length| length <= reply::MAX_REPLY as u64)
            && choose(body.declared()) == Coding::AsItIs
        {
            let (out, read) = (&mut self.buffers.out, &mut self.buffers.body);
            reply::render_as_it_comes(&answer, kind, &mut body, out, read)?;
            return Ok(Answered::Whole);
        }
        let whole = body.read_to(&mut self.buffers.body, reply::MAX_REPLY)?;
        let length = match whole {
            true => Some(self.buffers.body.len() as u64),
            false => body.declared(),
        };
        let mut coding = choose(length);
        // What is too large as it is may still fit compressed.
        let (read, coded) = (&self.buffers.body, &mut self.buffers.coded);
        if let Coding::Gzip(level) = coding
            && !compression::compress(level, read, &mut body, coded, reply::MAX_BYTES)?
        {
            coding = Coding::AsItIs;
        }
        let compressed = matches!(coding, Coding::Gzip(_));
        if !whole && !compressed {
            let size = length.unwrap_or(reply::MAX_REPLY as u64 + 1);
            return Err(reply::too_large(size, None));
        }
        let described = compression::describe(coding, headers);
        answer.headers = &described;
        answer.body = match compressed {
            true => &self.buffers.coded,
            false => &self.buffers.body,
        };
        reply::check_status(&answer, kind, config)?;
        reply::render(&answer, kind, &mut self.buffers.out)?;
        Ok(Answered::Whole)
    }
}

/// The failure of an invocation that waited for the app in vain.
fn gone(fatal: &Fatal) -> Failure {
    let class = match fatal {
        Fatal::AppExited { .. } => Class::AppExited,
        _ => Class::AppUnreachable,
    };
    Failure::new(class, fatal.to_string())
}

/// A body to be streamed; where it breaks off, the end of the app is told.
struct Told<'a> {
    body: Incoming<'a>,
    child: Option<&'a Child>,
    life: u32,
}

impl Source for Told<'_> {
    fn next(&mut self, wait: bool) -> Result<Option<&[u8]>, Failure> {
        let (child, life) = (self.child, self.life);
        let next = self.body.next(wait);
        next.map_err(|failure| match child {
            Some(child) => child.explain(failure, life),
            None => failure,
        })
    }

    fn consume(&mut self, count: usize) {
        self.body.consume(count);
    }
}

/// How an invocation was answered.
#[derive(Debug, Clone, Copy)]
enum Answered {
    /// The reply is ready to be posted.
    Whole,
    /// It has been posted as it came.
    Streamed,
}
