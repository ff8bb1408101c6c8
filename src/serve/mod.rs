//! Serving: each turn of the loop takes an invocation, forwards it to the app, and delivers
//! the outcome.
//!
//! Why threads that block, and no event loop? Lambda limits how many invocations an
//! environment has in flight: one, or with Managed Instances a number that it sets. One thread
//! for each is all the concurrency there can be. Each owns its buffers and the connections that
//! are in use, and shares only idle ones, so a bad request affects its own turn only. A blocked
//! thread costs a few pages, wakes in the code that waits, and its stack shows where the
//! invocation is.

mod after_response;
mod buffers;
mod forward;
mod plan;
mod split;

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::logger::line::{debug, error, warn};

use crate::app::client::Client;
use crate::app::readiness;
use crate::app::supervisor::Supervisor;
use crate::config::Config;
use crate::config::settings::INVOKE_TIMEOUT_MARGIN;
use crate::error::{Class, Failure, Fatal};
use crate::init::Environment;
use crate::invocation::Invocation;
use crate::lambda::deliver::deliver;
use crate::lambda::{ApiError, Runtime};
use crate::logger;
use crate::net::deadline::{self, Deadline};
use crate::net::descriptors;
use crate::platform::start_thread;
use crate::shutdown::{self, Shutdown};
use buffers::Buffers;
use forward::forward;

/// How often `/next` may fail in a row; the pauses between add up to about three seconds.
const MAX_ATTEMPTS: u32 = 9;
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const STACK: usize = 256 << 10;
/// How long before the deadline work ends that must not reach it, where no margin is set.
const DEFAULT_MARGIN: Duration = Duration::from_millis(500);
/// Why a request is not sent then.
const NO_TIME: &str = "no time is left before the deadline";

/// Shared by the threads of the loop.
struct Shared {
    config: &'static Config,
    shutdown: &'static Shutdown,
    supervisor: Option<&'static Supervisor>,
    /// The app's generation that was seen ready, 0 before the first. An app that Lambda starts
    /// has only one.
    ready_generation: AtomicU32,
}

/// One thread of the loop, with its own connections and buffers.
struct Worker {
    shared: &'static Shared,
    runtime: Runtime,
    app: Client,
    buffers: Buffers,
}

/// How a turn of the loop ended.
enum Turn {
    /// The invocation has been replied to.
    Done,
    /// The process ends after the invocations in flight: the app has ended and is not restarted,
    /// or another thread of the loop cannot go on.
    Stopped,
}

/// Serves with as many threads as Lambda may have invocations in flight.
pub fn run(environment: Environment) -> ! {
    let Environment {
        config,
        shutdown,
        runtime,
        app,
        app_is_ready,
        supervisor,
    } = environment;
    // For ever, since this never returns: the threads only borrow it.
    let (config, shutdown, supervisor) = Box::leak(Box::new((config, shutdown, supervisor)));
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        config,
        shutdown,
        supervisor: supervisor.as_deref(),
        ready_generation: AtomicU32::new(u32::from(app_is_ready)),
    }));
    let threads = count(config.concurrency);
    let idle = app.share();
    descriptors::on_shortage(move || idle.close_idle());
    if threads > 1 {
        let app = app.share();
        if let Err(cause) = start_thread(STACK, Box::new(move || app.close_in_time())) {
            warn!("failed to start the thread that closes idle connections: {cause}");
        }
    }
    for number in 1..threads {
        let worker = Worker {
            shared,
            runtime: Runtime::new(&config.runtime_api),
            app: app.share(),
            buffers: Buffers::default(),
        };
        if let Err(cause) = start_thread(STACK, Box::new(move || worker.run())) {
            let wanted = config.concurrency;
            error!("serving with {number} threads, not {wanted}: {cause}");
            break;
        }
    }
    let worker = Worker {
        shared,
        runtime,
        app,
        buffers: Buffers::default(),
    };
    worker.run()
}

/// As many as `wanted`, if the limit of descriptors is enough for their connections.
fn count(wanted: usize) -> usize {
    let threads = descriptors::reserve(wanted);
    if threads < wanted {
        error!("serving with {threads} threads, not {wanted}: the limit of descriptors is too low");
    }
    threads
}

impl Worker {
    fn run(mut self) -> ! {
        loop {
            match self.serve_one() {
                Ok(Turn::Done) => {}
                Ok(Turn::Stopped) => park(),
                Err(fatal) => self.end_process(&fatal),
            }
        }
    }

    /// Takes one invocation, forwards it, delivers the outcome.
    fn serve_one(&mut self) -> Result<Turn, Fatal> {
        let Shared {
            config,
            shutdown,
            supervisor,
            ..
        } = *self.shared;
        if shutdown.is_draining() {
            return Ok(Turn::Stopped);
        }
        // Before /next: another environment may have an app that is up.
        if self.generation() > 1 && self.wait_until_ready(Duration::MAX).is_err() {
            return Ok(Turn::Stopped);
        }
        // Lambda may freeze a process that waits in /next.
        if let Some(supervisor) = supervisor {
            supervisor.flush();
        }
        let mut invocation = self.next()?;
        shutdown.invocation_begins();
        // Before the app's: threads that each hold one connection and need another would wait
        // for each other where no descriptor is left.
        self.runtime.connect_ahead();
        logger::set_request_id(&invocation.id);
        check_deadline(&mut invocation, config.timeout_margin);
        let margin = config.timeout_margin.unwrap_or(DEFAULT_MARGIN);
        let margin = deadline::margin_within(invocation.effective_deadline_ms(), margin);
        let left = deadline::time_left(invocation.effective_deadline_ms(), margin);
        let ready = self.wait_until_ready(left);
        let mut deadline = Deadline::none();
        let mut reached = false;
        let outcome = match &ready {
            Ok(Some(generation)) => {
                let app = forward::App {
                    client: &mut self.app,
                    supervisor,
                    generation: *generation,
                };
                let buffers = &mut self.buffers;
                forward(
                    config,
                    app,
                    buffers,
                    &invocation,
                    &mut deadline,
                    &mut reached,
                )
            }
            Ok(None) => Err(app_unavailable(&not_ready(left))),
            Err(fatal) => Err(app_unavailable(fatal)),
        };
        deliver(&mut self.runtime, &invocation, outcome);
        if let (Some(supervisor), Ok(Some(generation))) = (supervisor, &ready) {
            supervisor.kill_if_hung(*generation);
        }
        if reached && let Ok(Some(generation)) = &ready {
            self.after_response(&invocation, *generation, margin);
        }
        logger::set_request_id("");
        shutdown.invocation_ends();
        self.buffers.clear();
        match ready {
            Ok(_) => Ok(Turn::Done),
            Err(Fatal::AppExited { .. }) => Ok(Turn::Stopped),
            Err(fatal) => Err(fatal),
        }
    }

    /// Waits for the next invocation. Retries with exponential backoff, about 3 s in all.
    fn next(&mut self) -> Result<Invocation, Fatal> {
        let mut backoff = FIRST_BACKOFF;
        let mut attempts = 1;
        loop {
            let cause = match self.runtime.next(&mut self.buffers.payload) {
                Ok(invocation) => return Ok(invocation),
                Err(error) => error,
            };
            if attempts == MAX_ATTEMPTS {
                let api = &self.shared.config.runtime_api;
                return Err(Fatal::RuntimeApi {
                    act: "get the next invocation",
                    cause: format!("{cause} (tried {attempts} times at {api})"),
                });
            }
            match &cause {
                ApiError::Unusable(_) => error!("{cause}: the invocation gets no reply"),
                // The API may have closed an idle connection.
                ApiError::Closed(_) if attempts == 1 => {
                    debug!("failed to get the next invocation, connecting again: {cause}");
                }
                _ => warn!("failed to get the next invocation, retrying: {cause}"),
            }
            if attempts > 1 {
                thread::sleep(backoff);
                backoff *= 2;
            }
            attempts += 1;
        }
    }

    /// Runs the app's hook until `margin` before the deadline, unless the app has exited since.
    fn after_response(&mut self, invocation: &Invocation, generation: u32, margin: Duration) {
        let Shared {
            config, supervisor, ..
        } = *self.shared;
        if let Some(path) = &config.after_response
            && self.generation() == generation
        {
            let app = forward::App {
                client: &mut self.app,
                supervisor,
                generation,
            };
            after_response::run(config, path, app, &self.buffers.payload, invocation, margin);
        }
    }

    /// The app's current generation.
    fn generation(&self) -> u32 {
        self.shared.supervisor.map_or(1, Supervisor::generation)
    }

    /// Waits for an app that was not ready after asynchronous init, or that was restarted.
    /// Returns its generation, or none if it is not ready after `limit`.
    fn wait_until_ready(&mut self, limit: Duration) -> Result<Option<u32>, Fatal> {
        let Shared {
            config, supervisor, ..
        } = *self.shared;
        loop {
            let generation = self.generation();
            let ready = &self.shared.ready_generation;
            if ready.load(Ordering::Relaxed) == generation {
                return Ok(Some(generation));
            }
            if !readiness::wait(&mut self.app, config, limit, supervisor)? {
                return Ok(None);
            }
            ready.store(generation, Ordering::Relaxed);
        }
    }

    /// Ends the process after the invocations that are in flight.
    fn end_process(&self, fatal: &Fatal) -> ! {
        if !self.shared.shutdown.drain() {
            park();
        }
        logger::fatal(&fatal.to_string());
        if let Some(supervisor) = self.shared.supervisor {
            supervisor.kill();
        }
        shutdown::exit(fatal.exit_status())
    }
}

/// Marks a deadline that is past on arrival. Warns of that, and of a margin that is too large for
/// the time left: once, since the cause is a setting or a clock.
fn check_deadline(invocation: &mut Invocation, margin: Option<Duration>) {
    static PAST: Once = Once::new();
    static MARGIN: Once = Once::new();
    let Some(deadline_ms) = invocation.deadline_ms else {
        return;
    };
    let left = deadline::left(deadline_ms);
    if left.is_zero() {
        invocation.deadline_is_past = true;
        PAST.call_once(|| warn!("ignoring the deadline {deadline_ms}, which is in the past"));
    } else if let Some(margin) = margin.filter(|margin| *margin > left / 2) {
        let (name, margin) = (INVOKE_TIMEOUT_MARGIN.name, margin.as_millis() as u64);
        let left = left.as_millis() as u64;
        MARGIN.call_once(|| {
            warn!("{name}={margin} is more than half of the {left} ms left: half of them is used");
        });
    }
}

/// The failure of an invocation while the app is down.
#[cold]
#[inline(never)]
fn app_unavailable(fatal: &Fatal) -> Failure {
    let class = match fatal {
        Fatal::AppExited { .. } => Class::AppExited,
        _ => Class::AppUnreachable,
    };
    Failure::new(class, fatal.to_string())
}

/// Why an invocation fails that would otherwise outlive its deadline. The app goes on starting: the
/// next invocation may find it ready.
fn not_ready(waited: Duration) -> Fatal {
    Fatal::NotReady {
        waited_ms: waited.as_millis() as u64,
        last: NO_TIME.into(),
    }
}

/// Waits for the end of the process, which another thread brings about.
fn park() -> ! {
    loop {
        thread::park();
    }
}
