//! The app's side: its HTTP client, the readiness probe, and the app as a child process.

pub mod client;
mod phase;
mod pool;
pub mod readiness;
pub mod signals;
pub mod spawn;
pub mod stdio;
pub mod supervisor;
