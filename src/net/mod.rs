//! Sockets: connections whose waits are bounded by a deadline, and host names.

pub mod connection;
pub mod deadline;
pub mod resolve;
