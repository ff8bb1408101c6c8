//! The two neighbours of the adapter, scripted: a Lambda (Runtime API and Extensions API) and a web app.
//!
//! Both are bare `TcpListener`s, because most of what must be tested is what no HTTP library does on purpose: bodies
//! that break off, two writes where one would do, a reset, trailers. Both write into one `Record`, so that a test can
//! ask what happened before what, on either side.

pub mod api;
pub mod app;
pub mod crowd;
pub mod record;
pub mod wire;
