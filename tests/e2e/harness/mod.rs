//! The harness: a scripted Lambda and a scripted web app on either side of the adapter, and the
//! builder that starts all three.
//!
//! Both fakes are bare `TcpListener`s, because most tests need behaviour that no HTTP library
//! offers: bodies cut short, two writes where one would do, resets, trailers. Both write into one
//! `Record`, which keeps the events of both sides in one order.

pub mod api;
pub mod app;
pub mod base64;
pub mod differences;
pub mod events;
pub mod http;
pub mod load;
pub mod record;
pub mod run;
pub mod scenario;
