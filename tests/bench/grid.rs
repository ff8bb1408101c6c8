//! The grid: how soon the adapter asks for the first event, by how long the app takes to listen
//! and by how much processor both of them share.
//!
//! A probe wakes on a processor that the app may need, so that an adapter that probes often sees
//! an app early on idle processors and late on a busy one. The app is this program again with
//! `--app`: it burns or sleeps its time, listens, and prints both moments. The adapter and the app
//! share what the cell gives them: every processor, one of them, or a share of one by a control
//! group (cpu.max, or cpu.cfs_quota_us where control groups have version 1).

use crate::app;
use crate::fake::Fake;
use crate::kinds::KINDS;
use crate::measure::{self, Broken, Series, Subject};
use crate::process::{Process, adapter_env};
use std::fs;
use std::io::{BufRead, BufReader, Error, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ChildStdout;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the adapter and the app have in common.
#[derive(Clone, Copy, PartialEq)]
enum Share {
    All,
    One,
    /// This many hundredths of a processor.
    Quota(u32),
}

#[derive(Clone, Copy)]
enum Work {
    Burn,
    Sleep,
}

#[derive(Clone, Copy)]
struct Cell {
    share: Share,
    work: Work,
    ms: u64,
}

pub const NAME: &str = "grid";
const TIMES: [u64; 5] = [0, 50, 300, 1_500, 8_000];
/// Longer than this a run is left out: nobody waits for it.
const LONGEST: u64 = 20_000;
/// A period of the kernel's bandwidth control.
const PERIOD_US: u32 = 100_000;

/// The cells in their order.
fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for share in [Share::All, Share::One, Share::Quota(50), Share::Quota(10)] {
        for work in [Work::Burn, Work::Sleep] {
            for ms in TIMES {
                let cell = Cell { share, work, ms };
                if (ms > 0 || matches!(work, Work::Burn)) && cell.expected_ms() <= LONGEST {
                    cells.push(cell);
                }
            }
        }
    }
    cells
}

impl Cell {
    fn expected_ms(&self) -> u64 {
        match (self.work, self.share) {
            (Work::Burn, Share::Quota(hundredths)) => self.ms * 100 / u64::from(hundredths),
            _ => self.ms,
        }
    }

    fn name(&self) -> String {
        let work = match self.work {
            Work::Burn => "burns",
            Work::Sleep => "sleeps",
        };
        let share = match self.share {
            Share::All => "every CPU".into(),
            Share::One => "one CPU".into(),
            Share::Quota(hundredths) => format!("{hundredths} % of a CPU"),
        };
        format!("{NAME}: {share}, app {work} {} ms", self.ms)
    }

    /// Many of the short runs, few of the long ones.
    fn runs(&self, most: usize) -> usize {
        let budget = 100 * most as u64;
        most.min((budget / (self.expected_ms() + 20)) as usize)
            .max(3)
    }
}

/// Measures the cells whose name `wanted` accepts, the subjects in turns.
pub fn grid(
    subjects: &[Subject],
    runs: usize,
    wanted: impl Fn(&str) -> bool,
    mut done: impl FnMut(Vec<Series>),
    broken: &mut Vec<Broken>,
) {
    let adapters: Vec<&Subject> = subjects.iter().filter(|s| s.argument.is_none()).collect();
    for cell in cells() {
        let name = cell.name();
        if !wanted(&name) {
            continue;
        }
        // One name a cell, for as long as the bench runs.
        let name: &'static str = Box::leak(name.into_boxed_str());
        let mut found: Vec<Vec<Series>> = adapters.iter().map(|_| Vec::new()).collect();
        'runs: for run in 0..cell.runs(runs) {
            for turn in 0..adapters.len() {
                let at = (run + turn) % adapters.len();
                match start(&cell, adapters[at], run as u64) {
                    Ok(values) => {
                        for (metric, value) in values {
                            measure::note(
                                &mut found[at],
                                (name, metric, adapters[at].name),
                                vec![value],
                            );
                        }
                    }
                    Err(why) => {
                        broken.push((name, adapters[at].name, why));
                        break 'runs;
                    }
                }
            }
        }
        done(found.into_iter().flatten().collect());
    }
}

/// One start, and its figures.
fn start(
    cell: &Cell,
    subject: &Subject,
    run: u64,
) -> std::result::Result<Vec<(&'static str, f64)>, String> {
    let text = |error: Error| error.to_string();
    let group = match cell.share {
        Share::Quota(hundredths) => Some(Group::new(hundredths).map_err(text)?),
        _ => None,
    };
    let prefix = prefix(cell.share, group.as_ref());
    let fake = Fake::start(1, false).map_err(text)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(text)?
        .port();
    let env = adapter_env(fake.address(), port);
    let adapter = Process::start_in(&prefix, &subject.program, &[], &env).map_err(text)?;
    fake.registered()?;
    // The phase of the app against the probes differs from run to run.
    thread::sleep(Duration::from_micros(370 * (run % 27)));
    let own = std::env::current_exe().map_err(text)?;
    let (port, ms) = (port.to_string(), cell.ms.to_string());
    let work = match cell.work {
        Work::Burn => "burn",
        Work::Sleep => "sleep",
    };
    let mut app =
        Process::start_in(&prefix, &own, &["--app", &port, &ms, work], &[]).map_err(text)?;
    let printed = app.stdout().ok_or("no stdout of the app")?;
    let next = fake.first_next()?;
    let cpu = adapter.cpu();
    let next = since_epoch(next);
    let (started, listening) = moments(printed).map_err(text)?;
    drop(app);
    drop(adapter);
    Ok(vec![
        (measure::EXEC_TO_NEXT, micros(next, started)),
        (measure::NEXT, micros(next, listening)),
        (measure::WAIT_CPU, cpu as f64 / 1e3),
    ])
}

fn micros(later: Duration, earlier: Duration) -> f64 {
    later.saturating_sub(earlier).as_nanos() as f64 / 1e3
}

/// An instant as time since the epoch, which another process can print.
fn since_epoch(instant: Instant) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().saturating_sub(instant.elapsed())
}

/// The two moments that the app printed.
fn moments(printed: ChildStdout) -> Result<(Duration, Duration)> {
    let mut lines = BufReader::new(printed).lines();
    let mut moment = || -> Result<Duration> {
        let line = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let nanos = line.parse().map_err(Error::other)?;
        Ok(Duration::from_nanos(nanos))
    };
    Ok((moment()?, moment()?))
}

/// The program and arguments that give a process its share, before its own.
fn prefix(share: Share, group: Option<&Group>) -> Vec<String> {
    let last = thread::available_parallelism().map_or(1, |count| count.get()) - 1;
    match (share, group) {
        (Share::One, _) => vec!["taskset".into(), "-c".into(), last.to_string()],
        (_, Some(group)) => {
            let script = "echo $$ >\"$0\" && exec \"$@\"".into();
            let members = group.path.join("cgroup.procs").display().to_string();
            vec!["sh".into(), "-c".into(), script, members]
        }
        _ => Vec::new(),
    }
}

/// A control group with a quota, removed when both processes have ended.
struct Group {
    path: PathBuf,
}

impl Group {
    fn new(hundredths: u32) -> Result<Group> {
        let quota = PERIOD_US / 100 * hundredths;
        let version1 = own_group_of_version_1();
        let is_version1 = version1.is_some();
        let root = version1.unwrap_or_else(|| "/sys/fs/cgroup".into());
        let path = root.join(format!("adapter-bench-{}", std::process::id()));
        let named = |error: Error| {
            let text = format!(
                "failed to make the control group `{}`: {error}",
                path.display()
            );
            Error::new(error.kind(), text)
        };
        let _ = fs::remove_dir(&path);
        fs::create_dir(&path).map_err(named)?;
        let group = Group { path: path.clone() };
        let write = |name: &str, value: String| fs::write(path.join(name), value).map_err(named);
        if is_version1 {
            write("cpu.cfs_period_us", PERIOD_US.to_string())?;
            write("cpu.cfs_quota_us", quota.to_string())?;
        } else {
            write("cpu.max", format!("{quota} {PERIOD_US}"))?;
        }
        Ok(group)
    }
}

/// The folder of this process's own group, where the cpu controller has version 1.
fn own_group_of_version_1() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == "cpu")
            .then_some(path)
    })?;
    Some(Path::new("/sys/fs/cgroup/cpu").join(path.trim_start_matches('/')))
}

impl Drop for Group {
    fn drop(&mut self) {
        // Empty as soon as the kernel has seen the end of both processes.
        for _ in 0..100 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The app: `--app PORT MS burn|sleep`.
pub fn run_app(arguments: &[String]) -> Result<()> {
    let now = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().as_nanos()
    };
    println!("{}", now());
    let [port, ms, work] = arguments else {
        return Err(Error::other("usage: --app PORT MS burn|sleep"));
    };
    let port = port.parse().map_err(Error::other)?;
    let time = Duration::from_millis(ms.parse().map_err(Error::other)?);
    match work.as_str() {
        "sleep" => thread::sleep(time),
        _ => burn(time)?,
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let app = app::start_at(address, &Arc::new(KINDS[0].app()))?;
    let listening = SystemTime::now() - app.listening().elapsed();
    let listening = listening.duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("{}", listening.as_nanos());
    loop {
        thread::park();
    }
}

/// Uses a processor for so long, however long that takes.
fn burn(time: Duration) -> Result<()> {
    loop {
        let text = fs::read_to_string("/proc/thread-self/schedstat")?;
        let used = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        if Duration::from_nanos(used.unwrap_or(u64::MAX)) >= time {
            return Ok(());
        }
        let mut state = std::hint::black_box(1u64);
        for _ in 0..100_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
        }
        std::hint::black_box(state);
    }
}
