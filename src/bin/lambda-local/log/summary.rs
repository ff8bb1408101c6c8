//! The last line of the log: number of invocations or requests, failures, duration, memory.

use std::fmt;
use std::time::Duration;

use crate::log::{Report, Status};

#[derive(Debug, Default)]
pub struct Summary {
    /// The noun for one of them.
    unit: &'static str,
    invocations: u32,
    failures: u32,
    environments: u32,
    total: Duration,
    peak_memory: u64,
}

impl Summary {
    pub fn new(unit: &'static str) -> Summary {
        Summary {
            unit,
            ..Summary::default()
        }
    }

    pub fn add_environment(&mut self) {
        self.environments += 1;
    }

    pub fn add(&mut self, report: &Report) {
        self.invocations += 1;
        self.failures += u32::from(report.status != Status::Success);
        self.total += report.duration;
        self.peak_memory = self.peak_memory.max(report.max_memory);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.invocations == 0 {
            return write!(f, "no {}s", self.unit);
        }
        let average = self.total.as_secs_f64() * 1000.0 / f64::from(self.invocations);
        let (invocations, environments) = (
            counted(self.invocations, self.unit),
            counted(self.environments, "environment"),
        );
        write!(
            f,
            "{invocations} in {environments}, {} failed, {average:.1} ms on average",
            self.failures
        )?;
        match self.peak_memory {
            0 => Ok(()),
            peak => write!(f, ", {} MB of memory at most", peak.div_ceil(1 << 20)),
        }
    }
}

fn counted(number: u32, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_averages() {
        let mut summary = Summary::new("invocation");
        assert_eq!(summary.to_string(), "no invocations");
        summary.add_environment();
        for (ms, status) in [(10, Status::Success), (20, Status::Timeout)] {
            summary.add(&Report {
                duration: Duration::from_millis(ms),
                status,
                max_memory: 3 << 20,
                ..Report::default()
            });
        }
        assert_eq!(
            summary.to_string(),
            "2 invocations in 1 environment, 1 failed, 15.0 ms on average, 3 MB of memory at most"
        );
    }
}
