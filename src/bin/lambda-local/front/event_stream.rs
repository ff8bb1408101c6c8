//! Messages of `application/vnd.amazon.eventstream`, in which SDKs receive a streamed result.
//!
//! "InvokeWithResponseStream" in the Lambda API reference, and "Event stream encoding" in the
//! developer guide of Amazon Transcribe: lengths and checksums are 32 bits, big-endian; a header is
//! a name and a value, both with their length, and type 7 is a string.

pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";
const STRING: u8 = 7;
/// Length of the message, length of the headers and the checksum of both.
const PRELUDE_LEN: usize = 12;
const CHECKSUM_LEN: usize = 4;

/// A part of the result.
pub fn payload_chunk(data: &[u8]) -> Vec<u8> {
    message("PayloadChunk", "application/octet-stream", data)
}

/// The end of the result, with a JSON object.
pub fn invoke_complete(json: &[u8]) -> Vec<u8> {
    message("InvokeComplete", "application/json", json)
}

fn message(event_type: &str, content_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [
        (":message-type", "event"),
        (":event-type", event_type),
        (":content-type", content_type),
    ] {
        headers.push(name.len() as u8);
        headers.extend_from_slice(name.as_bytes());
        headers.push(STRING);
        headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let len = PRELUDE_LEN + headers.len() + payload.len() + CHECKSUM_LEN;
    let mut message = Vec::with_capacity(len);
    message.extend_from_slice(&(len as u32).to_be_bytes());
    message.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message.extend_from_slice(&headers);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message
}

/// The checksum of gzip (RFC 1952 8).
fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        let entry = TABLE.get(index as usize).copied().unwrap_or_default();
        entry ^ (crc >> 8)
    };
    !data.iter().fold(!0, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < table.len() {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                0xedb8_8320 ^ (crc >> 1)
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_message_has_its_lengths_and_checksums() {
        let message = payload_chunk(b"abc");
        let number = |at: usize| {
            let bytes = message[at..at + 4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes)
        };
        assert_eq!(number(0) as usize, message.len());
        assert_eq!(number(8), crc32(&message[..8]));
        let end = message.len() - 4;
        assert_eq!(number(end), crc32(&message[..end]));
        let payload_start = PRELUDE_LEN + number(4) as usize;
        assert_eq!(&message[payload_start..end], b"abc");
        let first_header = b"\x0d:message-type\x07\x00\x05event";
        assert!(message[PRELUDE_LEN..].starts_with(first_header));
    }
}
