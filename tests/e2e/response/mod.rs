//! From the app's HTTP response to the reply that Lambda receives.

mod compression;
mod replies;
mod streaming;
