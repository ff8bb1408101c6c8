//! Base64 as values: events carry binary bodies in it, answers come back in it.
//!
//! Decoding is strict, as the front ends of AWS are: a wrong letter is an error.

pub fn encode(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    codec::base64::encode(&mut text, bytes);
    text.into_iter().map(char::from).collect()
}

pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    codec::base64::decode(&mut bytes, text.as_bytes()).map(|()| bytes)
}
