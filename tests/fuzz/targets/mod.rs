//! What must hold for any bytes: one function a target, called by the fuzzer and by the seeded test alike.
//!
//! "It does not panic" is the least of it. Each target knows what a right result looks like by means of its own, and
//! says so with an assertion: heads read back as exactly one request, bodies come out as they went in, however the
//! bytes were cut up on their way.

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

/// Panics where what must hold does not.
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
