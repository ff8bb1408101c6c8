//! The code that visits every byte of a body or a header.
//!
//! It is a package of its own so that it is compiled for speed, and the rest of the adapter for
//! size (`[profile.release]` in Cargo.toml). Headers are here for that reason: compiled for
//! size, reading a response and rendering its reply takes 28 % longer.

pub mod base64;
mod blocks;
pub mod escape;
pub mod headers;
pub mod json;
mod scan;
pub mod simd;
pub mod zeros;
