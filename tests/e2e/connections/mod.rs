//! TCP connections to the app: reuse, idle connections, and the one safe retry.

pub mod races;
mod reuse;
mod shared;
