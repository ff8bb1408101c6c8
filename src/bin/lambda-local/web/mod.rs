//! Web pages of lambda-local.

pub mod demo;
pub mod entry;
pub mod mark;
pub mod recorder;
pub mod relay;
pub mod requests;
pub mod send;
pub mod server;
