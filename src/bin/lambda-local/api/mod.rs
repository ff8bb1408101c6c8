//! The APIs that Lambda offers to the runtime and to extensions.

pub mod extensions;
pub mod runtime;
