//! The adapter as a process: settings, init, the app as its child, several invocations at once,
//! snapshots, logs, shutdown.

mod after_response;
mod bootstrap;
mod concurrency;
mod descriptors;
pub mod entrypoint;
mod init;
mod logging;
mod prime;
mod proxy;
mod settings;
mod snapstart;
mod stdio;
