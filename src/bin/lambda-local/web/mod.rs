//! Web pages of lambda-local.

pub mod demo;
