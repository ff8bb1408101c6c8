//! Sockets: connections with a deadline, and host names.

pub mod connection;
pub mod resolve;
