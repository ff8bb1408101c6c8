//! The end-to-end suite: judges the binary that is shipped, from outside, between a scripted Lambda and a scripted app.
//!
//! Each file holds one capability, each test one rule, named by it. `ADAPTER=/path` judges another adapter instead.

// The harness: both neighbours, the builder, the questions.
mod base64;
mod differences;
mod events;
mod fakes;
mod run;
mod scenario;

// The capabilities, in the order in which an invocation meets them.
mod compression;
mod concurrency;
mod entrypoint;
mod errors;
mod faults;
mod golden;
mod headers;
mod lifecycle;
mod local;
mod logging;
mod mutations;
mod output;
mod pass_through;
mod proxy;
mod races;
mod replies;
mod requests;
mod reuse;
mod settings;
mod smuggling;
mod snapstart;
mod soak;
mod streaming;
mod targets;

// The source.
mod tidy;
mod wrapper;
