//! The report of a cold start (`--report cold-start`): a line for each phase, with a bar that shows
//! when it was.
//!
//! The time between init and the first invocation is no part of it. A restore is drawn from the
//! left again: no client waits for the init before its snapshot, which is far longer.

use std::fmt;
use std::time::Duration;

use crate::json::{Json, object};

/// The width of the bars.
const COLUMNS: f64 = 40.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Init,
    Restore,
    Response,
}

/// The side that works in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Adapter,
    App,
}

#[derive(Clone, Debug)]
pub struct Phase {
    pub part: Part,
    pub name: &'static str,
    pub side: Side,
    pub duration: Duration,
    /// The request, if the phase is one.
    pub detail: String,
    pub times: u32,
    pub has_failed: bool,
}

impl Phase {
    fn remark(&self) -> String {
        let mut remark = self.detail.clone();
        if self.times > 1 {
            remark += &format!(" ({} times)", self.times);
        }
        if self.has_failed {
            remark += " failed";
        }
        remark.trim_start().to_owned()
    }
}

/// The phases of a cold start, one after the other.
#[derive(Clone, Debug)]
pub struct ColdStart {
    pub phases: Vec<Phase>,
}

impl ColdStart {
    fn total(&self, part: Part) -> Option<Duration> {
        let phases = self.phases.iter().filter(|phase| phase.part == part);
        let durations: Vec<Duration> = phases.map(|phase| phase.duration).collect();
        (!durations.is_empty()).then(|| durations.iter().sum())
    }

    /// Returns each phase with its start, which counts from the restore for what follows it.
    fn timed(&self) -> impl Iterator<Item = (Duration, &Phase)> {
        let init = self.total(Part::Init).unwrap_or_default();
        let has_restore = self.total(Part::Restore).is_some();
        self.phases.iter().scan(Duration::ZERO, move |at, phase| {
            let is_restored = has_restore && phase.part != Part::Init;
            let started = if is_restored {
                at.saturating_sub(init)
            } else {
                *at
            };
            *at += phase.duration;
            Some((started, phase))
        })
    }

    pub fn json(&self) -> Json {
        let phases = self.timed().map(|(started, phase)| {
            let (part, side) = (phase.part, phase.side);
            object([
                ("part", format!("{part:?}").to_lowercase().into()),
                ("name", phase.name.into()),
                ("side", format!("{side:?}").to_lowercase().into()),
                ("startMs", Json::Float(round(started))),
                ("durationMs", Json::Float(round(phase.duration))),
                ("remark", phase.remark().into()),
                ("failed", phase.has_failed.into()),
            ])
        });
        Json::List(phases.collect())
    }
}

/// Milliseconds with two digits.
fn round(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

impl fmt::Display for ColdStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let init = self.total(Part::Init).unwrap_or_default();
        let (restore, response) = (self.total(Part::Restore), self.total(Part::Response));
        let waited = restore.unwrap_or(init) + response.unwrap_or_default();
        write!(f, "cold start {}: ", ms(waited))?;
        match restore {
            Some(restore) => write!(f, "restore {}", ms(restore))?,
            None => write!(f, "init {}", ms(init))?,
        }
        if let Some(response) = response {
            write!(f, ", first response {}", ms(response))?;
        }
        if restore.is_some() {
            write!(f, "; init {} before the snapshot", ms(init))?;
        }
        for (started, phase) in self.timed() {
            let axis = match (phase.part, restore) {
                (Part::Init, Some(_)) => init,
                _ => waited,
            };
            let scale = COLUMNS / axis.as_secs_f64().max(f64::MIN_POSITIVE);
            let column = |at: Duration| (at.as_secs_f64() * scale) as usize;
            let from = column(started).min(COLUMNS as usize - 1);
            let len = (column(started + phase.duration) - column(started)).max(1);
            let bar = format!("{}{}", " ".repeat(from), "=".repeat(len));
            let (width, remark) = (COLUMNS as usize, phase.remark());
            let line = format!(
                "\n  {:<14} {:>10}  |{bar:<width$}| {remark}",
                phase.name,
                ms(phase.duration)
            );
            f.write_str(line.trim_end_matches(' '))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(part: Part, name: &'static str, ms: u64) -> Phase {
        Phase {
            part,
            name,
            side: Side::App,
            duration: Duration::from_millis(ms),
            detail: String::new(),
            times: 1,
            has_failed: false,
        }
    }

    #[test]
    fn bars_follow_one_another_and_fill_the_line() {
        let phases = vec![
            phase(Part::Init, "app start", 300),
            phase(Part::Init, "first /next", 0),
            phase(Part::Response, "first response", 100),
        ];
        let text = ColdStart { phases }.to_string();
        let expected = "cold start 400.0 ms: init 300.0 ms, first response 100.0 ms\n  \
             app start        300.0 ms  |==============================          |\n  \
             first /next        0.0 ms  |                              =         |\n  \
             first response   100.0 ms  |                              ==========|";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_restore_is_drawn_apart_from_the_init_before_its_snapshot() {
        let phases = vec![
            phase(Part::Init, "app start", 300),
            phase(Part::Restore, "first /next", 20),
            phase(Part::Response, "first response", 5),
        ];
        let text = ColdStart { phases }.to_string();
        let head = "cold start 25.0 ms: restore 20.0 ms, first response 5.0 ms; \
             init 300.0 ms before the snapshot";
        let expected = format!(
            "{head}\n  \
             app start        300.0 ms  |========================================|\n  \
             first /next       20.0 ms  |================================        |\n  \
             first response     5.0 ms  |                                ========|"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_remark_counts_requests_and_names_a_failure() {
        let mut probe = phase(Part::Init, "probe", 10_000);
        probe.detail = "GET / 503".to_owned();
        (probe.times, probe.has_failed) = (3, true);
        assert_eq!(probe.remark(), "GET / 503 (3 times) failed");
        assert_eq!(phase(Part::Init, "register", 1).remark(), "");
    }
}
