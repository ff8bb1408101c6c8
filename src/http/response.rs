//! The head of a response, as the mapping to a Lambda reply needs it.

use crate::http::headers::Headers;

#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    pub status: u16,
    pub headers: &'a Headers,
    /// Whether it responds to HEAD, and so has no body whatever its length (RFC 9110 9.3.2).
    pub to_head: bool,
}
