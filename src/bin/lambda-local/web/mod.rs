//! The page that shows an app what reaches it.

pub mod demo;
