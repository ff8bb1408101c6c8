//! `lambda-local` from outside: HTTP in, through the adapter and a real web app, HTTP out.
//!
//! Tests that need python3 or node print a line and pass where it is missing.
#![cfg(feature = "local")]

mod cli;
mod clients;
mod cold_start;
mod documented;
mod fidelity;
mod lifecycle;
mod log;
mod page;
mod reload;
mod round_trip;
mod run;
mod sdk;
mod start;
mod web_function;
