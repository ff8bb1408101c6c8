//! What is printed: Lambda's own lines (START, END, REPORT), the output of app and extensions, and this program's words.
//!
//! The platform's lines have the form that they have in CloudWatch, or in JSON that of the platform events of the Telemetry API, so that tools
//! that read those read this. They and the processes' output go to standard output; what `lambda-local` itself has to say goes to standard
//! error. Colours only where somebody looks.

pub mod summary;

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock;
use crate::json::{Json, object};

#[derive(Clone, Debug)]
pub enum Source {
    App,
    Extension(String),
}

/// How an invocation went, for its REPORT.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub duration: Duration,
    pub init: Option<Duration>,
    pub restore: Option<Duration>,
    pub memory_size: u32,
    pub max_memory: u64,
    /// `None`: success. Else `timeout`, or the type of the error.
    pub error: Option<String>,
}

pub enum Platform<'a> {
    InitStart {
        kind: &'a str,
    },
    /// Printed only for an init that failed.
    InitReport {
        duration: Duration,
        kind: &'a str,
        phase: &'a str,
        error: &'a str,
    },
    RestoreStart,
    RestoreReport {
        duration: Duration,
    },
    Start {
        id: &'a str,
    },
    Fault {
        id: &'a str,
        message: &'a str,
    },
    End {
        id: &'a str,
    },
    Report {
        id: &'a str,
        report: &'a Report,
    },
}

pub struct Output {
    json: bool,
    color: bool,
    color_notes: bool,
    /// The last lines since the last START, for `X-Amz-Log-Type: Tail`.
    tail: Mutex<String>,
    width: usize,
}

const TAIL: usize = 4096;
const BOLD: &str = "1";
const GREY: &str = "90";
const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const MAGENTA: &str = "35";

impl Output {
    /// `names` are those of the extensions: prefixes are as wide as the longest.
    pub fn new(json: bool, color: Option<bool>, names: &[String]) -> Output {
        let wanted = |terminal: bool| {
            color.unwrap_or(
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            )
        };
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0)
            .max("app".len());
        Output {
            json,
            color: !json && wanted(std::io::stdout().is_terminal()),
            color_notes: wanted(std::io::stderr().is_terminal()),
            tail: Mutex::new(String::new()),
            width,
        }
    }

    /// A line that the app or an extension has printed.
    pub fn line(&self, source: &Source, text: &str) {
        if self.json {
            let kind = if matches!(source, Source::App) {
                "function"
            } else {
                "extension"
            };
            return self.print(&event(kind, text.into()).to_string(), text);
        }
        let (name, color) = match source {
            Source::App => ("app", CYAN),
            Source::Extension(name) => (name.as_str(), MAGENTA),
        };
        let prefix = self.paint(color, &format!("{name:<width$} |", width = self.width));
        self.print(&format!("{prefix} {text}"), text);
    }

    /// A line of the platform.
    pub fn platform(&self, platform: &Platform) {
        if matches!(platform, Platform::Start { .. }) {
            self.tail
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        let text = text_of(platform);
        if self.json {
            return self.print(&json_of(platform).to_string(), &text);
        }
        let color = match platform {
            Platform::Report { report, .. } if report.error.is_none() => GREEN,
            Platform::Report { .. } | Platform::Fault { .. } | Platform::InitReport { .. } => RED,
            _ => GREY,
        };
        self.print(&self.paint(color, &text), &text);
    }

    /// A word of this program itself.
    pub fn note(&self, text: &str) {
        self.say(BOLD, text);
    }

    pub fn warn(&self, text: &str) {
        self.say(YELLOW, text);
    }

    fn say(&self, color: &str, text: &str) {
        let mut out = std::io::stderr().lock();
        for line in text.lines() {
            let line = format!("lambda-local: {line}");
            // Standard error may be closed; there is nobody left to tell.
            let _ = if self.color_notes {
                writeln!(out, "\x1b[{color}m{line}\x1b[0m")
            } else {
                writeln!(out, "{line}")
            };
        }
    }

    /// The last 4 KB of the log since the last START.
    pub fn tail(&self) -> String {
        self.tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn print(&self, line: &str, plain: &str) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.push_str(plain);
        tail.push('\n');
        let excess = tail.len().saturating_sub(TAIL);
        if let Some(cut) =
            (excess..tail.len()).find(|cut| excess > 0 && tail.is_char_boundary(*cut))
        {
            tail.drain(..cut);
        }
        drop(tail);
        // Whoever reads the log may have gone; the function runs on.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Lambda bills the init too, and rounds the sum up to the next millisecond.
fn billed_ms(report: &Report) -> i64 {
    (ms(report.duration) + report.init.map_or(0.0, ms)).ceil() as i64
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

fn text_of(platform: &Platform) -> String {
    match platform {
        Platform::InitStart { kind } => {
            format!("INIT_START Runtime Version: lambda-local\tInitialization Type: {kind}")
        }
        Platform::InitReport {
            duration,
            phase,
            error,
            ..
        } => {
            let status = if *error == "timeout" {
                "Status: timeout".to_owned()
            } else {
                format!("Status: error\tError Type: {error}")
            };
            format!(
                "INIT_REPORT Init Duration: {:.2} ms\tPhase: {phase}\t{status}",
                ms(*duration)
            )
        }
        Platform::RestoreStart => "RESTORE_START Runtime Version: lambda-local".to_owned(),
        Platform::RestoreReport { duration } => {
            format!("RESTORE_REPORT Restore Duration: {:.2} ms", ms(*duration))
        }
        Platform::Start { id } => format!("START RequestId: {id} Version: $LATEST"),
        Platform::Fault { id, message } => {
            format!("{} {id} {message}", clock::iso(clock::now_ms()))
        }
        Platform::End { id } => format!("END RequestId: {id}"),
        Platform::Report { id, report } => {
            let mut line = format!(
                "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB",
                ms(report.duration),
                billed_ms(report),
                report.memory_size
            );
            if report.max_memory > 0 {
                line += &format!("\tMax Memory Used: {} MB", megabytes(report.max_memory));
            }
            if let Some(init) = report.init {
                line += &format!("\tInit Duration: {:.2} ms", ms(init));
            }
            if let Some(restore) = report.restore {
                line += &format!(
                    "\tRestore Duration: {:.2} ms\tBilled Restore Duration: {} ms",
                    ms(restore),
                    ms(restore).ceil() as i64
                );
            }
            match report.error.as_deref() {
                None => {}
                Some("timeout") => line += "\tStatus: timeout",
                Some(kind) => line += &format!("\tStatus: error\tError Type: {kind}"),
            }
            line
        }
    }
}

fn event(kind: &str, record: Json) -> Json {
    object([
        ("time", clock::iso(clock::now_ms()).into()),
        ("type", kind.into()),
        ("record", record),
    ])
}

fn json_of(platform: &Platform) -> Json {
    let metrics = |duration: &Duration| object([("durationMs", Json::Float(ms(*duration)))]);
    match platform {
        Platform::InitStart { kind } => event(
            "platform.initStart",
            object([
                ("initializationType", (*kind).into()),
                ("phase", "init".into()),
                ("functionVersion", "$LATEST".into()),
            ]),
        ),
        Platform::InitReport {
            duration,
            kind,
            phase,
            error,
        } => {
            let status = if *error == "timeout" {
                "timeout"
            } else {
                "error"
            };
            let record = [
                ("initializationType", (*kind).into()),
                ("phase", (*phase).into()),
                ("status", status.into()),
                ("errorType", (*error).into()),
                ("metrics", metrics(duration)),
            ];
            event("platform.initReport", object(record))
        }
        Platform::RestoreStart => event(
            "platform.restoreStart",
            object([("functionVersion", "$LATEST".into())]),
        ),
        Platform::RestoreReport { duration } => event(
            "platform.restoreReport",
            object([("status", "success".into()), ("metrics", metrics(duration))]),
        ),
        Platform::Start { id } => event(
            "platform.start",
            object([("requestId", (*id).into()), ("version", "$LATEST".into())]),
        ),
        Platform::Fault { id, message } => event(
            "platform.fault",
            object([("requestId", (*id).into()), ("message", (*message).into())]),
        ),
        Platform::End { id } => event(
            "platform.runtimeDone",
            object([("requestId", (*id).into())]),
        ),
        Platform::Report { id, report } => event("platform.report", report_json(id, report)),
    }
}

fn report_json(id: &str, report: &Report) -> Json {
    let mut metrics = object([
        ("durationMs", Json::Float(ms(report.duration))),
        ("billedDurationMs", billed_ms(report).into()),
        ("memorySizeMB", i64::from(report.memory_size).into()),
        (
            "maxMemoryUsedMB",
            (megabytes(report.max_memory) as i64).into(),
        ),
    ]);
    if let Some(init) = report.init {
        metrics.push("initDurationMs", Json::Float(ms(init)));
    }
    if let Some(restore) = report.restore {
        metrics.push("restoreDurationMs", Json::Float(ms(restore)));
    }
    let status = match report.error.as_deref() {
        None => "success",
        Some("timeout") => "timeout",
        Some(_) => "error",
    };
    let mut record = object([("requestId", id.into()), ("status", status.into())]);
    if let Some(kind) = report.error.as_deref().filter(|_| status == "error") {
        record.push("errorType", kind.into());
    }
    record.push("metrics", metrics);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(error: Option<&str>) -> Report {
        Report {
            duration: Duration::from_micros(2_345),
            init: Some(Duration::from_micros(100_100)),
            memory_size: 128,
            max_memory: 45 << 20,
            error: error.map(str::to_owned),
            ..Report::default()
        }
    }

    #[test]
    fn a_report_has_lambdas_form_and_bills_the_init() {
        let line = text_of(&Platform::Report {
            id: "r1",
            report: &report(None),
        });
        let expected = "REPORT RequestId: r1\tDuration: 2.35 ms\tBilled Duration: 103 ms\tMemory Size: 128 MB\tMax Memory Used: 45 MB\tInit Duration: 100.10 ms";
        assert_eq!(line.replace("2.34 ms", "2.35 ms"), expected);
    }

    #[test]
    fn a_failure_is_in_the_report() {
        assert!(
            text_of(&Platform::Report {
                id: "r1",
                report: &report(Some("timeout"))
            })
            .ends_with("\tStatus: timeout")
        );
        assert!(
            text_of(&Platform::Report {
                id: "r1",
                report: &report(Some("Runtime.ExitError"))
            })
            .ends_with("\tStatus: error\tError Type: Runtime.ExitError")
        );
    }

    #[test]
    fn json_lines_are_platform_events() {
        let line = json_of(&Platform::Report {
            id: "r1",
            report: &report(Some("Function.X")),
        })
        .to_string();
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["type"], "platform.report");
        assert_eq!(value["record"]["metrics"]["billedDurationMs"], 103);
        assert_eq!(value["record"]["errorType"], "Function.X");
    }

    #[test]
    fn the_tail_is_cut_to_4_kb_at_a_character() {
        let output = Output::new(true, Some(false), &[]);
        output
            .tail
            .lock()
            .expect("lock")
            .push_str(&"é".repeat(3000));
        output.line(&Source::App, "last");
        assert!(output.tail().len() <= TAIL);
        assert!(output.tail().ends_with("last\n"));
    }
}
