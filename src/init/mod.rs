//! Init: once a process.

pub mod snapstart;
