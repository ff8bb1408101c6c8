//! The end-to-end suite: runs the finished binary between a scripted Lambda and a scripted app.
//!
//! Each folder is one subject, each file one capability, each test one rule, which is its name:
//!
//! - `lifecycle/`: settings, init, the app as a child, several invocations at once, logs, shutdown
//! - `request/`, `response/`, `golden.rs`: an event to a request, a response to a reply
//! - `connections/`: TCP connections to the app, and the one safe retry
//! - `faults/`: an app or a Runtime API that misbehaves
//! - `local/`: `lambda-local`
//! - `repository`: the rules for the source and the documents
//! - `harness/`: the fakes, and the builder of every test
//!
//! `ADAPTER=/path` tests another adapter instead; see `harness/differences.rs`.

mod connections;
mod faults;
mod golden;
mod harness;
mod lifecycle;
mod local;
mod repository;
mod request;
mod response;
