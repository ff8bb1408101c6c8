//! The command line: its options, and the commands that run without a function.

pub mod arg_reader;
mod batch;
mod contradictions;
pub mod help;
pub mod invoke;
pub mod options;
pub mod samples;
