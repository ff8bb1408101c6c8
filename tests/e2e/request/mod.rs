//! From an event to the HTTP request that the app receives.

mod headers;
mod method_and_body;
mod pass_through;
mod smuggling;
mod split;
mod target;
