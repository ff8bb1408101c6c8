//! The command line: options, the arguments they are read from, and the commands that need no function.

pub mod arg_reader;
pub mod options;
pub mod samples;
