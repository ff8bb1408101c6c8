//! The fuzz targets: one function each, called by the fuzzer and by the seeded test.
//!
//! Each target checks its results against an independent oracle, not only for panics: heads
//! parse as exactly one request, and bodies are unchanged, no matter how the bytes are cut. One
//! target has a time limit for each byte.

mod bytes;
mod strict;

pub mod body;
pub mod encodings;
pub mod growth;
pub mod guard;
#[cfg(feature = "compression")]
pub mod gzip;
pub mod head;
pub mod reply;
pub mod request;
pub mod settings;

/// Panics if the result for this input is wrong.
pub type Check = fn(&[u8]);

/// Every target, by name.
#[allow(dead_code, reason = "the binary of a fuzz target calls only its own")]
pub const TARGETS: &[(&str, Check)] = &[
    ("head", head::check),
    ("body", body::check),
    ("request", request::check),
    ("reply", reply::check),
    ("settings", settings::check),
    ("encodings", encodings::check),
    ("guard", guard::check),
    ("growth", growth::check),
    #[cfg(feature = "compression")]
    ("gzip", gzip::check),
];
