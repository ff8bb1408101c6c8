//! What is said at the end of it all: how many invocations, how they went, what they took.

use std::fmt;
use std::time::Duration;

use crate::log::Report;

#[derive(Default)]
pub struct Summary {
    invocations: u32,
    failures: u32,
    environments: u32,
    total: Duration,
    peak_memory: u64,
}

impl Summary {
    pub fn add_environment(&mut self) {
        self.environments += 1;
    }

    pub fn add(&mut self, report: &Report) {
        self.invocations += 1;
        self.failures += u32::from(report.error.is_some());
        self.total += report.duration;
        self.peak_memory = self.peak_memory.max(report.max_memory);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.invocations == 0 {
            return write!(out, "no invocations");
        }
        let average = self.total.as_secs_f64() * 1000.0 / f64::from(self.invocations);
        let (invocations, environments) = (
            counted(self.invocations, "invocation"),
            counted(self.environments, "environment"),
        );
        write!(
            out,
            "{invocations} in {environments}, {} failed, {average:.1} ms on average",
            self.failures
        )?;
        match self.peak_memory {
            0 => Ok(()),
            peak => write!(out, ", {} MB of memory at most", peak.div_ceil(1 << 20)),
        }
    }
}

fn counted(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_and_averages() {
        let mut summary = Summary::default();
        assert_eq!(summary.to_string(), "no invocations");
        summary.add_environment();
        for (ms, error) in [(10, None), (20, Some("timeout".to_owned()))] {
            summary.add(&Report {
                duration: Duration::from_millis(ms),
                error,
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
