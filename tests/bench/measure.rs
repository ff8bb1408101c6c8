//! Runs the subjects through one kind of invocation, in turns.
//!
//! All subjects of a steady measurement run at the same time and work in short slices, one after
//! the other, round after round, each round in another order: other load on the machine affects all
//! of them alike, and their ratios are stable where their times are not.

use crate::app::{self, App};
use crate::check;
use crate::fake::Fake;
use crate::kinds::{Kind, Mode};
use crate::ledger::Event;
use crate::process::{Process, adapter_env};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone)]
pub struct Subject {
    pub name: &'static str,
    pub program: PathBuf,
    pub argument: Option<&'static str>,
    /// Whether it requests a hook after each response (`AWS_LWA_AFTER_RESPONSE_PATH`).
    pub has_hook: bool,
}

/// All values of one metric, round by round.
pub struct Series {
    pub kind: &'static str,
    pub metric: &'static str,
    pub subject: &'static str,
    pub rounds: Vec<Vec<f64>>,
}

/// A subject that cannot be measured, and why.
pub type Broken = (&'static str, &'static str, String);

const SLICE: Duration = Duration::from_millis(100);

pub const LATENCY: &str = "latency us";
pub const CPU: &str = "cpu us";
pub const RATE: &str = "invocations/s";
pub const FIRST_BYTE: &str = "first byte us";
pub const SPEED: &str = "MB/s";
pub const RATIO: &str = "gzip ratio";
pub const RESIDENT: &str = "rss kB";
pub const ANONYMOUS: &str = "anonymous kB";
pub const PEAK: &str = "peak rss kB";
pub const REGISTER: &str = "exec to register us";
pub const NEXT: &str = "listening to next us";
pub const INSTRUCTIONS: &str = "user instructions";
pub const SYSTEM_CALLS: &str = "system calls";
pub const EXEC_TO_NEXT: &str = "app exec to next us";
pub const WAIT_CPU: &str = "adapter cpu until next us";
pub const FAULTS: &str = "page faults";

/// A running subject: dropped in this order, so that the process goes first.
struct Running<'a> {
    subject: &'a Subject,
    process: Process,
    fake: Fake,
    app: Option<App>,
    series: Vec<Series>,
}

impl<'a> Running<'a> {
    fn start(
        subject: &'a Subject,
        kind: &Kind,
        floor: (&'static str, String),
        port: u16,
        app: Option<App>,
    ) -> Result<Self, String> {
        let fake = Fake::start(kind.in_flight, kind.gzip).map_err(|e| e.to_string())?;
        let mut env = adapter_env(fake.address(), port);
        env.extend(kind.env());
        if subject.has_hook {
            env.push(("AWS_LWA_AFTER_RESPONSE_PATH", "/_after".into()));
        }
        if subject.argument.is_some() {
            env.push(floor);
        }
        let process =
            Process::start(&subject.program, subject.argument, &env).map_err(|e| e.to_string())?;
        Ok(Running {
            subject,
            process,
            fake,
            app,
            series: Vec::new(),
        })
    }

    fn note(&mut self, kind: &Kind, metric: &'static str, values: Vec<f64>) {
        note(
            &mut self.series,
            (kind.name, metric, self.subject.name),
            values,
        );
    }
}

/// Adds a round to the series of a kind, a metric and a subject.
pub fn note(
    all: &mut Vec<Series>,
    (kind, metric, subject): (&'static str, &'static str, &'static str),
    values: Vec<f64>,
) {
    let known = all
        .iter_mut()
        .find(|s| (s.kind, s.metric, s.subject) == (kind, metric, subject));
    match known {
        Some(series) => series.rounds.push(values),
        None => all.push(Series {
            kind,
            metric,
            subject,
            rounds: vec![values],
        }),
    }
}

/// Latency, processor time and memory of back-to-back invocations.
pub fn steady(
    kind: &Kind,
    subjects: &[Subject],
    seconds: f64,
    series: &mut Vec<Series>,
    broken: &mut Vec<Broken>,
) {
    let script = Arc::new(kind.app());
    let gzipped = kind
        .gzip
        .then(|| check::gzip("-6c", &kind.expected()).map_or(0, |(bytes, _)| bytes.len()));
    let floor = kind.floor(gzipped).to_env();
    let event = Arc::new(Event::new(&kind.event("/shop/item/42")));
    let mut running = Vec::new();
    for subject in subjects {
        let started = App::start(local(0), kind.in_flight + 6, script.clone())
            .map_err(|e| e.to_string())
            .and_then(|app| {
                Running::start(
                    subject,
                    kind,
                    floor.clone(),
                    app.address().port(),
                    Some(app),
                )
            })
            .and_then(|mut it| prepare(kind, &mut it, &event).map(|()| it));
        match started {
            Ok(it) => running.push(it),
            Err(why) => broken.push((kind.name, subject.name, why)),
        }
    }
    let rounds = (seconds / SLICE.as_secs_f64()).ceil() as usize;
    for _ in 0..rounds {
        running.retain_mut(|it| match round(kind, it, &event) {
            Ok(()) => true,
            Err(why) => {
                broken.push((kind.name, it.subject.name, why));
                false
            }
        });
        if !running.is_empty() {
            running.rotate_left(1);
        }
    }
    for mut it in running {
        it.note(kind, RESIDENT, vec![it.process.resident() as f64]);
        it.note(kind, ANONYMOUS, vec![it.process.anonymous() as f64]);
        it.note(kind, PEAK, vec![it.process.peak() as f64]);
        series.append(&mut it.series);
    }
}

/// One checked reply, then a slice to warm up.
fn prepare(kind: &Kind, it: &mut Running, event: &Arc<Event>) -> Result<(), String> {
    it.fake.parked()?;
    if it.subject.argument.is_none() {
        let reply = it
            .fake
            .once(&Arc::new(Event::new(&kind.event("/verify"))))?;
        if let Some(size) = check::response(kind, &reply)? {
            it.note(
                kind,
                RATIO,
                vec![kind.expected().len() as f64 / size as f64],
            );
        }
    }
    it.fake.round(event, kind.in_flight, SLICE).map(|_| ())
}

fn round(kind: &Kind, it: &mut Running, event: &Arc<Event>) -> Result<(), String> {
    let cpu = it.process.cpu();
    let round = it.fake.round(event, kind.in_flight, SLICE)?;
    let cpu = it.process.cpu().saturating_sub(cpu);
    let count = round.latency.len() as f64;
    let micros = |nanos: Vec<u64>| {
        nanos
            .into_iter()
            .map(|n| n as f64 / 1e3)
            .collect::<Vec<f64>>()
    };
    let latency = micros(round.latency);
    if let Mode::Chunks(times) = kind.mode {
        let bytes = (times * crate::kinds::CHUNK) as f64;
        it.note(kind, SPEED, latency.iter().map(|us| bytes / us).collect());
    }
    it.note(kind, LATENCY, latency);
    it.note(kind, CPU, vec![cpu as f64 / 1e3 / count]);
    if kind.in_flight > 1 {
        it.note(kind, RATE, vec![count / round.elapsed.as_secs_f64()]);
    }
    if !round.first_byte.is_empty() {
        it.note(kind, FIRST_BYTE, micros(round.first_byte));
    }
    Ok(())
}

/// A start from nothing: the app begins to listen this long after the registration.
pub struct Cold {
    pub name: &'static str,
    pub app_after: Duration,
    /// One in this many of the requested runs.
    pub share: usize,
}

pub const COLD: [Cold; 2] = [
    Cold {
        name: "start, app up after 30 ms",
        app_after: Duration::from_millis(30),
        share: 1,
    },
    Cold {
        name: "start, app up after 500 ms",
        app_after: Duration::from_millis(500),
        share: 4,
    },
];

pub fn cold(
    cold: &Cold,
    subjects: &[Subject],
    runs: usize,
    series: &mut Vec<Series>,
    broken: &mut Vec<Broken>,
) {
    let kind = Kind {
        name: cold.name,
        ..crate::kinds::KINDS[0]
    };
    let script = Arc::new(kind.app());
    let mut found: Vec<Vec<Series>> = subjects.iter().map(|_| Vec::new()).collect();
    for run in 0..runs.div_ceil(cold.share).max(3) {
        for turn in 0..subjects.len() {
            let at = (run + turn) % subjects.len();
            // The phase against the adapter's polling differs from run to run.
            let delay = cold.app_after + Duration::from_micros(370 * (run as u64 % 27));
            match start(&kind, &subjects[at], &script, delay) {
                Ok(new) => merge(&mut found[at], new),
                Err(why) => broken.push((cold.name, subjects[at].name, why)),
            }
        }
    }
    series.extend(found.into_iter().flatten());
}

fn merge(into: &mut Vec<Series>, news: Vec<Series>) {
    for new in news {
        match into.iter_mut().find(|s| s.metric == new.metric) {
            Some(old) => old.rounds.extend(new.rounds),
            None => into.push(new),
        }
    }
}

fn start(
    kind: &Kind,
    subject: &Subject,
    script: &Arc<app::Script>,
    delay: Duration,
) -> Result<Vec<Series>, String> {
    let reserved = TcpListener::bind(local(0))
        .and_then(|l| l.local_addr())
        .map_err(|e| e.to_string())?;
    let mut it = Running::start(
        subject,
        kind,
        kind.floor(None).to_env(),
        reserved.port(),
        None,
    )?;
    let registered = it.fake.registered()?;
    std::thread::sleep(delay);
    it.app = Some(app::start_at(reserved, script).map_err(|e| e.to_string())?);
    let listening = it.app.as_ref().map(App::listening).ok_or("no app")?;
    let next = it.fake.first_next()?;
    it.fake.parked()?;
    let micros = |span: Duration| vec![span.as_nanos() as f64 / 1e3];
    it.note(kind, REGISTER, micros(registered - it.process.started));
    it.note(
        kind,
        NEXT,
        micros(next.saturating_duration_since(listening)),
    );
    it.note(kind, CPU, vec![it.process.cpu() as f64 / 1e3]);
    it.note(kind, PEAK, vec![it.process.peak() as f64]);
    it.note(kind, ANONYMOUS, vec![it.process.anonymous() as f64]);
    it.note(kind, FAULTS, vec![it.process.page_faults() as f64]);
    Ok(it.series.split_off(0))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
