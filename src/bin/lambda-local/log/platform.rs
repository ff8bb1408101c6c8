//! Lambda's own lines, in the format of CloudWatch and in that of the Telemetry API.

use std::time::Duration;

use crate::clock;
use crate::json::{Json, object};

/// The result of an invocation, for its REPORT line.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub duration: Duration,
    pub init: Option<Duration>,
    pub restore: Option<Duration>,
    pub memory_size: u32,
    pub max_memory: u64,
    pub status: Status,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Success,
    Timeout,
    /// The error type.
    Error(String),
}

impl Status {
    fn name(&self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Timeout => "timeout",
            Status::Error(_) => "error",
        }
    }

    /// Returns the last fields of a REPORT line.
    fn text(&self) -> String {
        match self {
            Status::Success => String::new(),
            Status::Timeout => "\tStatus: timeout".to_owned(),
            Status::Error(error_type) => format!("\tStatus: error\tError Type: {error_type}"),
        }
    }
}

/// An event that Lambda itself logs.
#[derive(Debug)]
pub enum PlatformEvent<'a> {
    InitStart {
        init_type: &'a str,
    },
    /// Logged only for a failed init.
    InitReport {
        duration: Duration,
        init_type: &'a str,
        phase: &'a str,
        status: &'a Status,
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

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

/// Lambda bills the init, too, and rounds the sum up to the next millisecond.
fn billed_ms(report: &Report) -> i64 {
    (ms(report.duration) + report.init.map_or(0.0, ms)).ceil() as i64
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

pub fn platform_text(event: &PlatformEvent) -> String {
    match event {
        PlatformEvent::InitStart { init_type } => {
            format!("INIT_START Runtime Version: lambda-local\tInitialization Type: {init_type}")
        }
        PlatformEvent::InitReport {
            duration,
            phase,
            status,
            ..
        } => format!(
            "INIT_REPORT Init Duration: {:.2} ms\tPhase: {phase}{}",
            ms(*duration),
            status.text()
        ),
        PlatformEvent::RestoreStart => "RESTORE_START Runtime Version: lambda-local".to_owned(),
        PlatformEvent::RestoreReport { duration } => {
            format!("RESTORE_REPORT Restore Duration: {:.2} ms", ms(*duration))
        }
        PlatformEvent::Start { id } => format!("START RequestId: {id} Version: $LATEST"),
        PlatformEvent::Fault { id, message } => {
            format!("{} {id} {message}", clock::iso(clock::now_ms()))
        }
        PlatformEvent::End { id } => format!("END RequestId: {id}"),
        PlatformEvent::Report { id, report } => report_text(id, report),
    }
}

fn report_text(id: &str, report: &Report) -> String {
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
    line + &report.status.text()
}

pub fn event(event_type: &str, record: Json) -> Json {
    object([
        ("time", clock::iso(clock::now_ms()).into()),
        ("type", event_type.into()),
        ("record", record),
    ])
}

pub fn platform_json(platform: &PlatformEvent) -> Json {
    let metrics = |duration: &Duration| object([("durationMs", Json::Float(ms(*duration)))]);
    match platform {
        PlatformEvent::InitStart { init_type } => event(
            "platform.initStart",
            object([
                ("initializationType", (*init_type).into()),
                ("phase", "init".into()),
                ("functionVersion", "$LATEST".into()),
            ]),
        ),
        PlatformEvent::InitReport {
            duration,
            init_type,
            phase,
            status,
        } => {
            let error_type = match status {
                Status::Error(error_type) => error_type,
                status => status.name(),
            };
            let record = [
                ("initializationType", (*init_type).into()),
                ("phase", (*phase).into()),
                ("status", status.name().into()),
                ("errorType", error_type.into()),
                ("metrics", metrics(duration)),
            ];
            event("platform.initReport", object(record))
        }
        PlatformEvent::RestoreStart => event(
            "platform.restoreStart",
            object([("functionVersion", "$LATEST".into())]),
        ),
        PlatformEvent::RestoreReport { duration } => event(
            "platform.restoreReport",
            object([("status", "success".into()), ("metrics", metrics(duration))]),
        ),
        PlatformEvent::Start { id } => event(
            "platform.start",
            object([("requestId", (*id).into()), ("version", "$LATEST".into())]),
        ),
        PlatformEvent::Fault { id, message } => event(
            "platform.fault",
            object([("requestId", (*id).into()), ("message", (*message).into())]),
        ),
        PlatformEvent::End { id } => event(
            "platform.runtimeDone",
            object([("requestId", (*id).into())]),
        ),
        PlatformEvent::Report { id, report } => event("platform.report", report_json(id, report)),
    }
}

fn report_json(id: &str, report: &Report) -> Json {
    let max_memory = megabytes(report.max_memory) as i64;
    let mut metrics = object([
        ("durationMs", Json::Float(ms(report.duration))),
        ("billedDurationMs", billed_ms(report).into()),
        ("memorySizeMB", i64::from(report.memory_size).into()),
        ("maxMemoryUsedMB", max_memory.into()),
    ]);
    if let Some(init) = report.init {
        metrics.push("initDurationMs", Json::Float(ms(init)));
    }
    if let Some(restore) = report.restore {
        metrics.push("restoreDurationMs", Json::Float(ms(restore)));
    }
    let mut record = object([
        ("requestId", id.into()),
        ("status", report.status.name().into()),
    ]);
    if let Status::Error(error_type) = &report.status {
        record.push("errorType", error_type.as_str().into());
    }
    record.push("metrics", metrics);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: Status) -> Report {
        Report {
            duration: Duration::from_micros(2_345),
            init: Some(Duration::from_micros(100_100)),
            memory_size: 128,
            max_memory: 45 << 20,
            status,
            ..Report::default()
        }
    }

    #[test]
    fn a_report_has_the_format_of_lambda_and_bills_the_init() {
        let line = report_text("r1", &report(Status::Success));
        let expected = "REPORT RequestId: r1\tDuration: 2.35 ms\tBilled Duration: 103 ms\t\
            Memory Size: 128 MB\tMax Memory Used: 45 MB\tInit Duration: 100.10 ms";
        assert_eq!(line.replace("2.34 ms", "2.35 ms"), expected);
    }

    #[test]
    fn a_report_has_the_status_of_a_failure() {
        let timeout = report_text("r1", &report(Status::Timeout));
        assert!(timeout.ends_with("\tStatus: timeout"));
        let error = report_text("r1", &report(Status::Error("Runtime.ExitError".to_owned())));
        assert!(error.ends_with("\tStatus: error\tError Type: Runtime.ExitError"));
    }

    #[test]
    fn json_lines_are_platform_events() {
        let report = report(Status::Error("Function.X".to_owned()));
        let line = platform_json(&PlatformEvent::Report {
            id: "r1",
            report: &report,
        });
        let value: serde_json::Value = serde_json::from_str(&line.to_string()).expect("JSON");
        assert_eq!(value["type"], "platform.report");
        assert_eq!(value["record"]["metrics"]["billedDurationMs"], 103);
        assert_eq!(value["record"]["errorType"], "Function.X");
    }
}
