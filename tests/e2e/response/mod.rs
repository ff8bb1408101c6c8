//! From the app's HTTP response to the reply that Lambda receives.

#[cfg(feature = "compression")]
mod compression;
mod deviations;
mod replies;
mod streaming;
