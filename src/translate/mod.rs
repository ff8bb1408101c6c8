//! The mapping between Lambda and HTTP: events to requests, responses to replies.
//!
//! Everything here is a pure function of its arguments: no socket, clock, thread or environment,
//! so that golden files and fuzz targets cover it.

pub mod compression;
pub mod context_headers;
pub mod event;
pub mod media_type;
pub mod ping;
pub mod records;
pub mod reply;
pub mod request;
pub mod result;
pub mod set_cookie;
pub mod source;
pub mod traceparent;
