//! Base64 (RFC 4648) with padding, independent of the adapter's own so that the two can disagree.

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= group.len() { letter } else { '=' });
        }
    }
    text
}

pub fn decode(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0, "base64 without padding");
    let mut values = [0; 256];
    LETTERS
        .iter()
        .zip(0..)
        .for_each(|(letter, value)| values[usize::from(*letter)] = value);
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let letters = group.iter().take_while(|letter| **letter != b'=').count();
        let number = group[..letters]
            .iter()
            .fold(0u32, |sum, letter| sum << 6 | values[usize::from(*letter)]);
        let number = number << (6 * (4 - letters));
        bytes.extend_from_slice(&number.to_be_bytes()[1..letters]);
    }
    bytes
}
