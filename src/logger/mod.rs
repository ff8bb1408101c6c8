//! Writes log lines to stderr, as text or as JSON.
//!
//! `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT` are Lambda's advanced logging controls
//! ("Configuring JSON and plain text log formats"): Lambda filters JSON lines by level only if
//! they have the keys `timestamp` and `level`. If the level is not set there, `RUST_LOG` sets
//! it, provided it names a level and nothing else.

pub mod line;
pub mod stderr;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{LevelFilter, Log, Metadata, Record};

use crate::text::{self, Form};

/// AWS's log scanner for Managed Instances reads no further after a line of 64 KiB. A line of
/// the adapter is far below that, with room for everything beside the message.
const MAX_MESSAGE: usize = (8 << 10) - 512;
/// An id of Lambda has 36 bytes.
const MAX_ID: usize = 256;

struct Logger;

static JSON: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The id of the invocation that this thread serves; empty between invocations.
    static REQUEST_ID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Installs the logger; `lookup` reads environment variables.
pub fn init(lookup: &dyn Fn(&str) -> Option<String>) {
    let json = lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|f| f.eq_ignore_ascii_case("json"));
    let level = lookup("AWS_LAMBDA_LOG_LEVEL").or_else(|| lookup("RUST_LOG"));
    log::set_max_level(
        level
            .as_deref()
            .and_then(filter)
            .unwrap_or(LevelFilter::Info),
    );
    JSON.store(json, Ordering::Relaxed);
    // Fails only if a logger is installed already.
    let _ = log::set_logger(&Logger);
}

fn filter(level: &str) -> Option<LevelFilter> {
    match level.trim() {
        // Lambda has this level above ERROR; only `fatal` writes it.
        fatal if fatal.eq_ignore_ascii_case("fatal") => Some(LevelFilter::Off),
        level => level.parse().ok(),
    }
}

/// Sets the invocation id for the log lines of this thread.
pub fn set_request_id(id: &str) {
    REQUEST_ID.with_borrow_mut(|current| {
        current.clear();
        current.push_str(id);
    });
}

/// Logs the reason why the process exits, at any level setting.
pub fn fatal(message: &str) {
    write("FATAL", message);
}

fn write(level: &str, message: &str) {
    let line = REQUEST_ID.with_borrow(|id| line(level, id, message));
    stderr::write_line(&line, dropped);
}

/// The line that precedes the next one after `count` dropped ones.
fn dropped(count: u64) -> Option<Vec<u8>> {
    let message = format!("{count} log lines were dropped, because stderr was full");
    (log::max_level() >= LevelFilter::Warn).then(|| line("WARN", "", &message))
}

fn line(level: &str, id: &str, message: &str) -> Vec<u8> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    if JSON.load(Ordering::Relaxed) {
        json_line(now, level, id, message)
    } else {
        text_line(level, id, message)
    }
}

impl Log for Logger {
    /// Drops the lines of libraries.
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("lambda_adapter")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            write(record.level().as_str(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// `lambda-adapter WARN message requestId=...`, without a time: CloudWatch adds its own.
fn text_line(level: &str, id: &str, message: &str) -> Vec<u8> {
    let mut line = format!("lambda-adapter {level} ").into_bytes();
    text::write(&mut line, message.as_bytes(), MAX_MESSAGE, Form::Plain);
    if !id.is_empty() {
        line.extend_from_slice(b" requestId=");
        text::write(&mut line, id.as_bytes(), MAX_ID, Form::Plain);
    }
    line.push(b'\n');
    line
}

fn json_line(now: Duration, level: &str, id: &str, message: &str) -> Vec<u8> {
    let mut line = format!(
        "{{\"timestamp\":\"{}\",\"level\":\"{level}\",\"message\":\"",
        timestamp(now)
    )
    .into_bytes();
    text::write(&mut line, message.as_bytes(), MAX_MESSAGE, Form::Json);
    if !id.is_empty() {
        line.extend_from_slice(b"\",\"requestId\":\"");
        text::write(&mut line, id.as_bytes(), MAX_ID, Form::Json);
    }
    line.extend_from_slice(b"\"}\n");
    line
}

/// RFC 3339 in UTC with milliseconds. The date is computed by Howard Hinnant's
/// `civil_from_days` algorithm.
pub fn timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let millis = since_epoch.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_the_calendar_date_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (1_770_113_472_001, "2026-02-03T10:11:12.001Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(timestamp(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn control_characters_in_a_message_are_escaped() {
        let text = |line| String::from_utf8(line).expect("UTF-8");
        let line = text(text_line("WARN", "id-1", "a\nb\x1b[0m"));
        assert_eq!(line, "lambda-adapter WARN a\\nb\\u{1b}[0m requestId=id-1\n");
        let line = text(json_line(Duration::ZERO, "ERROR", "", "a\n\"b\""));
        let expected = "{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"level\":\"ERROR\",\
                        \"message\":\"a\\n\\\"b\\\"\"}\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_has_at_most_8_kib() {
        for piece in ["x", "\"", "\n", "\u{7f}", "é"] {
            let long = piece.repeat(100_000);
            let lines = [
                text_line("ERROR", &long, &long),
                json_line(Duration::ZERO, "ERROR", &long, &long),
            ];
            for line in lines {
                assert!((7 << 10..=8 << 10).contains(&line.len()), "{}", line.len());
                let line = String::from_utf8(line).expect("UTF-8");
                let size = format!("{} bytes in all", long.len());
                assert_eq!(line.matches(&size).count(), 2, "{line}");
                assert_eq!(line.lines().count(), 1, "{line}");
            }
        }
    }

    #[test]
    fn lambdas_level_names_are_known() {
        assert_eq!(filter("FATAL"), Some(LevelFilter::Off));
        assert_eq!(filter("debug"), Some(LevelFilter::Debug));
        assert_eq!(filter("adapter=debug,hyper=info"), None);
    }
}
