//! What looks at every byte of a body or a field: a package of its own so that it alone is
//! compiled for speed, and everything else for size (`[profile.release]`).

pub mod base64;
pub mod escape;
pub mod headers;
pub mod json;
pub mod simd;
