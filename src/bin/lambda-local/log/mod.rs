//! The log: Lambda's own lines (START, END, REPORT), the output of the app and of extensions, and
//! the messages of lambda-local.
//!
//! Lambda's lines have the format of CloudWatch, or as JSON that of the Telemetry API's platform
//! events, so that existing tools can parse them. They and the output of the processes go to
//! standard output; the messages of lambda-local go to standard error.

pub mod cold_start;
pub mod platform;
pub mod request;
pub mod summary;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::web::recorder::Recorder;
use cold_start::ColdStart;
pub use platform::{PlatformEvent, Report, Status};
use platform::{event, platform_json, platform_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    Always,
    Never,
}

impl Color {
    fn is_enabled(self, stream: &impl IsTerminal) -> bool {
        let no_color = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Color::Auto => stream.is_terminal() && !no_color(),
            Color::Always => true,
            Color::Never => false,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Source {
    App,
    Extension(String),
}

#[derive(Debug)]
pub struct Logger {
    format: Format,
    colors_stdout: bool,
    colors_stderr: bool,
    /// The end of the log since the last START, for `X-Amz-Log-Type: Tail`.
    tail: Mutex<String>,
    prefix_width: usize,
    recorder: Arc<Recorder>,
}

const TAIL_LIMIT: usize = 4096;
const BOLD: &str = "1";
const GREY: &str = "90";
const GREEN: &str = "32";
const RED: &str = "31";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const MAGENTA: &str = "35";

impl Logger {
    /// Lines are prefixed with the name of their source; the prefix is as wide as the longest name.
    pub fn new(
        format: Format,
        color: Color,
        extensions: &[String],
        recorder: Arc<Recorder>,
    ) -> Logger {
        let widths = extensions.iter().map(|name| name.chars().count());
        Logger {
            format,
            colors_stdout: format == Format::Text && color.is_enabled(&std::io::stdout()),
            colors_stderr: color.is_enabled(&std::io::stderr()),
            tail: Mutex::new(String::new()),
            prefix_width: widths.max().unwrap_or(0).max("app".len()),
            recorder,
        }
    }

    /// Logs a line from the app or an extension.
    pub fn line(&self, source: &Source, text: &str) {
        let (event_type, name, color) = match source {
            Source::App => ("function", "app", CYAN),
            Source::Extension(name) => ("extension", name.as_str(), MAGENTA),
        };
        self.recorder.line(name, text);
        match self.format {
            Format::Json => self.print(&event(event_type, text.into()).to_string(), text),
            Format::Text => {
                let prefix = format!("{name:<width$} |", width = self.prefix_width);
                let prefix = self.paint(color, &prefix);
                self.print(&format!("{prefix} {text}"), text);
            }
        }
    }

    pub fn platform(&self, event: &PlatformEvent) {
        if matches!(event, PlatformEvent::Start { .. }) {
            self.lock_tail().clear();
        }
        let text = platform_text(event);
        self.recorder.line("lambda", &text);
        let color = match event {
            PlatformEvent::Report { report, .. } if report.status == Status::Success => GREEN,
            PlatformEvent::Report { .. }
            | PlatformEvent::Fault { .. }
            | PlatformEvent::InitReport { .. } => RED,
            _ => GREY,
        };
        match self.format {
            Format::Json => self.print(&platform_json(event).to_string(), &text),
            Format::Text => self.print(&self.paint(color, &text), &text),
        }
    }

    /// Logs a request after its REPORT line; not in JSON, which has Lambda's events only.
    pub fn request(&self, line: &request::RequestLine) {
        if self.format == Format::Text {
            let color = match line.status {
                0..400 => BOLD,
                400..500 => YELLOW,
                _ => RED,
            };
            let line = self.paint(color, &line.to_string());
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }

    /// Logs the phases of a cold start, on lines that belong together.
    pub fn cold_start(&self, cold_start: &ColdStart) {
        let line = match self.format {
            Format::Json => event("coldStart", cold_start.json()).to_string(),
            Format::Text => self.paint(GREY, &cold_start.to_string()),
        };
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }

    pub fn info(&self, text: &str) {
        self.print_stderr(BOLD, text);
    }

    pub fn warn(&self, text: &str) {
        self.print_stderr(YELLOW, text);
    }

    fn print_stderr(&self, color: &str, text: &str) {
        self.recorder.line("lambda-local", text);
        let mut stderr = std::io::stderr().lock();
        for line in text.lines() {
            let line = format!("lambda-local: {line}");
            // An error here has no place where it could be reported.
            let _ = if self.colors_stderr {
                writeln!(stderr, "\x1b[{color}m{line}\x1b[0m")
            } else {
                writeln!(stderr, "{line}")
            };
        }
    }

    /// Returns the last 4 KB of the log since the last START.
    pub fn tail(&self) -> String {
        self.lock_tail().clone()
    }

    fn lock_tail(&self) -> MutexGuard<'_, String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint(&self, color: &str, text: &str) -> String {
        if self.colors_stdout {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn print(&self, line: &str, plain: &str) {
        let mut tail = self.lock_tail();
        tail.push_str(plain);
        tail.push('\n');
        let excess = tail.len().saturating_sub(TAIL_LIMIT);
        let cut = (excess..tail.len()).find(|cut| tail.is_char_boundary(*cut));
        tail.drain(..cut.unwrap_or(0));
        drop(tail);
        // A reader that closes the pipe does not stop the function.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_cut_to_4_kb_at_a_character_boundary() {
        let logger = Logger::new(Format::Json, Color::Never, &[], Arc::default());
        logger.lock_tail().push_str(&"é".repeat(3000));
        logger.line(&Source::App, "last");
        assert!(logger.tail().len() <= TAIL_LIMIT);
        assert!(logger.tail().ends_with("last\n"));
    }
}
