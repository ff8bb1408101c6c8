//! Rules for any bytes: one function a target, called by the fuzzer and by the seeded test alike.
//!
//! Each target checks its results against an independent oracle: heads read back as exactly one
//! request, bodies decode to the bytes that were encoded, for all sizes of reads. A panic is only
//! the simplest failure.

mod bytes;
mod strict;

pub mod body;
pub mod guard;
#[cfg(feature = "compression")]
pub mod gzip;
pub mod head;
pub mod leaves;
pub mod reply;
pub mod request;
pub mod settings;

/// Panics when a rule is broken.
pub type Check = fn(&[u8]);

/// Every target by its name.
#[allow(dead_code, reason = "a fuzzer's binary calls one of them")]
pub const TARGETS: &[(&str, Check)] = &[
    ("head", head::check),
    ("body", body::check),
    ("request", request::check),
    ("reply", reply::check),
    ("settings", settings::check),
    ("leaves", leaves::check),
    ("guard", guard::check),
    #[cfg(feature = "compression")]
    ("gzip", gzip::check),
];
