//! The table, the bars, and the raw figures as CSV.

use crate::measure::{self, Broken, Series};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// A limit for the adapter as shipped, relative to the floor or the peer, or absolute.
enum Bar {
    Floor(f64),
    Peer(f64),
    Below(f64),
    /// More is better here.
    AbovePeer(f64),
    /// With a hook after each response, relative to without.
    Hook(f64),
}

/// The adapter with such a hook.
pub const HOOK: &str = "hook";

const BARS: [(&str, &str, Bar); 14] = [
    ("small", measure::LATENCY, Bar::Floor(1.35)),
    ("small", measure::LATENCY, Bar::Hook(1.05)),
    ("small", measure::CPU, Bar::Peer(0.5)),
    ("small", measure::RESIDENT, Bar::Below(512.0)),
    ("start, app up after 30 ms", measure::NEXT, Bar::Peer(0.5)),
    (
        "start, app up after 30 ms",
        measure::REGISTER,
        Bar::Peer(1.0),
    ),
    ("small streamed", measure::LATENCY, Bar::Floor(1.6)),
    ("text out 4 MB", measure::LATENCY, Bar::Floor(2.0)),
    ("binary out 3 MB", measure::LATENCY, Bar::Peer(0.4)),
    ("text in 3 MB", measure::LATENCY, Bar::Peer(0.4)),
    ("stream 64 MB", measure::SPEED, Bar::AbovePeer(1.0)),
    ("stream 64 MB", measure::PEAK, Bar::Below(1536.0)),
    (
        "head and body apart, nagle",
        measure::LATENCY,
        Bar::Floor(1.6),
    ),
    ("small, 64 in flight", measure::RATE, Bar::AbovePeer(1.0)),
];

pub const COLUMNS: &str = "| kind | metric | floor | ours | peer | ours p99 | peer p99 | \
    ours/floor | ours/peer |\n\
     |---|---|---:|---:|---:|---:|---:|---:|---:|\n";

/// One line for each metric, in the order of measurement.
pub fn lines(series: &[Series]) -> String {
    let mut lines = String::new();
    let mut seen = Vec::new();
    for Series { kind, metric, .. } in series {
        if seen.contains(&(kind, metric)) {
            continue;
        }
        seen.push((kind, metric));
        let middle = |subject| quantile(series, kind, metric, subject, 0.5);
        let (floor, ours, peer) = (middle("floor"), middle("ours"), middle("peer"));
        let far = |subject| quantile(series, kind, metric, subject, 0.99);
        let ratio = |of: Option<f64>| Some(ours? / of?);
        let _ = writeln!(
            lines,
            "| {kind} | {metric} | {} | {} | {} | {} | {} | {} | {} |",
            number(floor),
            number(ours),
            number(peer),
            number(far("ours")),
            number(far("peer")),
            number(ratio(floor)),
            number(ratio(peer)),
        );
    }
    lines
}

/// Each bar with figures, and whether it holds.
pub fn bars(series: &[Series]) -> String {
    let mut text = String::new();
    for (kind, metric, bar) in &BARS {
        let middle = |subject| quantile(series, kind, metric, subject, 0.5);
        let (floor, ours, peer) = (middle("floor"), middle("ours"), middle("peer"));
        let limit_and_rule = match bar {
            Bar::Floor(f) => floor.map(|floor| (f * floor, format!("at most {f} x floor"))),
            Bar::Peer(f) => peer.map(|peer| (f * peer, format!("at most {f} x peer"))),
            Bar::Below(limit) => Some((*limit, format!("at most {limit}"))),
            Bar::AbovePeer(f) => peer.map(|peer| (f * peer, format!("at least {f} x peer"))),
            Bar::Hook(f) => ours.map(|ours| (f * ours, format!("at most {f} x without the hook"))),
        };
        let ours = match bar {
            Bar::Hook(_) => middle(HOOK),
            _ => ours,
        };
        let (Some(ours), Some((limit, rule))) = (ours, limit_and_rule) else {
            continue;
        };
        let more = matches!(bar, Bar::AbovePeer(_));
        let holds = if more { ours >= limit } else { ours <= limit };
        let verdict = if holds { "holds " } else { "MISSED" };
        let _ = writeln!(
            text,
            "{verdict} {kind}, {metric}: {} ({rule} = {})",
            number(Some(ours)),
            number(Some(limit))
        );
    }
    text
}

/// Gzip beside the machine's own at its default level: the surplus of the kind with compression
/// over the one without counts as the compression's.
pub fn gzip(series: &[Series]) -> String {
    let mut text = String::new();
    for (with, without, bytes) in [
        (
            "gzip html 1 MB",
            "text out 1 MB",
            crate::payload::html(1_000_000),
        ),
        (
            "gzip json 1 MB",
            "json out 1 MB",
            crate::payload::json(1_000_000),
        ),
    ] {
        for subject in ["ours", "peer"] {
            let middle = |kind, metric| quantile(series, kind, metric, subject, 0.5);
            let (Some(cpu), Some(ratio)) =
                (middle(with, measure::CPU), middle(with, measure::RATIO))
            else {
                continue;
            };
            let more = cpu - middle(without, measure::CPU).unwrap_or(0.0);
            let _ = writeln!(
                text,
                "{with}: {subject} {ratio:.2} : 1 at {:.0} MB/s",
                1e6 / more
            );
        }
        let runs: Vec<_> = (0..5)
            .filter_map(|_| crate::check::gzip("-6c", &bytes).ok())
            .collect();
        if let (false, Some((out, time))) =
            (text.is_empty(), runs.iter().min_by_key(|(_, time)| *time))
        {
            let (ratio, speed) = (1e6 / out.len() as f64, 1.0 / time.as_secs_f64());
            let _ = writeln!(
                text,
                "{with}: gzip -6 {ratio:.2} : 1 at {speed:.0} MB/s, its start included"
            );
        }
    }
    text
}

pub fn broken(broken: &[Broken]) -> String {
    let mut text = String::new();
    for (kind, subject, why) in broken {
        let _ = writeln!(text, "BROKEN {subject}, {kind}: {why}");
    }
    text
}

/// `tests/bench/runs/<date>-<host>.csv`: one line for each round.
pub fn csv(series: &[Series]) -> (PathBuf, String) {
    let mut text = String::from("kind,metric,subject,round,count,p50,p99\n");
    for Series {
        kind,
        metric,
        subject,
        rounds,
    } in series
    {
        for (n, values) in rounds.iter().enumerate() {
            let at = |q| number(nearest(values.clone(), q));
            let _ = writeln!(
                text,
                "\"{kind}\",{metric},{subject},{n},{},{},{}",
                values.len(),
                at(0.5),
                at(0.99)
            );
        }
    }
    let host = std::env::var("BENCH_HOST")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    let name = format!("{}-{}.csv", today(), host.unwrap_or_default().trim());
    (
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/runs")).join(name),
        text,
    )
}

fn quantile(series: &[Series], kind: &str, metric: &str, subject: &str, q: f64) -> Option<f64> {
    let found = series
        .iter()
        .find(|s| (s.kind, s.metric, s.subject) == (kind, metric, subject))?;
    nearest(found.rounds.concat(), q)
}

fn nearest(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values
        .get(((values.len() as f64 * q) as usize).min(values.len().saturating_sub(1)))
        .copied()
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(v) if v < 10.0 => format!("{v:.2}"),
        Some(v) if v < 1000.0 => format!("{v:.1}"),
        Some(v) => format!("{v:.0}"),
    }
}

/// The day in UTC, `YYYY-MM-DD` (days counted from 1 March 0000, so that a leap day comes last).
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (d, m) = (
        day - (153 * month + 2) / 5 + 1,
        if month < 10 { month + 3 } else { month - 9 },
    );
    format!("{:04}-{m:02}-{d:02}", era * 400 + year + u64::from(m <= 2))
}
