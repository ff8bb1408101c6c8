//! The end-to-end suite: judges the binary that is shipped, from outside, between a scripted Lambda and a scripted app.
//!
//! Each file holds one capability, each test one rule, named by it. `ADAPTER=/path` judges another adapter instead.

mod differences;
mod events;
mod fakes;
mod golden;
mod lifecycle;
mod pass_through;
mod requests;
mod run;
mod scenario;
mod targets;
