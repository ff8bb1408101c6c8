//! Between Lambda and the app: pure functions from events to requests and from responses to
//! replies.

pub mod compression;
pub mod context_headers;
pub mod event;
pub mod media_type;
pub mod reply;
pub mod request;
pub mod traceparent;
