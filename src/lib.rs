//! lambda-adapter
