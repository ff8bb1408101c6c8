//! Logs a line: the macros that the adapter uses in place of those of `log`.
//!
//! Those of `log` write the check of the level, and the names of the module and the file, into
//! the code of each line. Nothing reads the names, and the check is as well made by one function:
//! 60 lines take some 100 bytes less each.

use std::fmt::Arguments;

use log::Level;

/// Logs a line at this level, if the settings have that logged.
#[cold]
#[inline(never)]
pub fn log(level: Level, line: Arguments) {
    log::log!(target: "lambda_adapter", level, "{line}");
}

macro_rules! error_line {
    ($($line:tt)+) => { $crate::logger::line::log(::log::Level::Error, format_args!($($line)+)) };
}
macro_rules! warn_line {
    ($($line:tt)+) => { $crate::logger::line::log(::log::Level::Warn, format_args!($($line)+)) };
}
macro_rules! info_line {
    ($($line:tt)+) => { $crate::logger::line::log(::log::Level::Info, format_args!($($line)+)) };
}
macro_rules! debug_line {
    ($($line:tt)+) => { $crate::logger::line::log(::log::Level::Debug, format_args!($($line)+)) };
}

pub(crate) use {debug_line as debug, error_line as error, info_line as info, warn_line as warn};
