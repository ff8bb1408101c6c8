//! The tests that drive what users get, from the outside.

mod wrapper;
