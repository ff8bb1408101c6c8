//! An app or a Runtime API that misbehaves: each failure stays with its own invocation.

mod errors;
mod limits;
mod matrix;
pub mod mutations;
mod soak;
