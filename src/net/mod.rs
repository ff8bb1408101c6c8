//! Sockets: connections whose waits are bounded by a deadline, host names, descriptors.

pub mod connect;
pub mod connection;
pub mod deadline;
pub mod descriptors;
pub mod resolve;
