//! The loops that go over every byte of a body: a package of their own so that they alone
//! are compiled for speed, and everything else for size (`[profile.release]`).

pub mod base64;
pub mod escape;
