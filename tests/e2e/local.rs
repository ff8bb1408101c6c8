//! The local Lambda, judged from outside as well: HTTP in, through the adapter and a real web app, HTTP out.
//!
//! What is missing on this machine (python3, node) is said aloud and skipped.
#![cfg(feature = "local")]

#[path = "local_cli.rs"]
mod cli;
#[path = "local_life.rs"]
mod life;
#[path = "local_run.rs"]
mod run;
#[path = "local_trip.rs"]
mod trip;
