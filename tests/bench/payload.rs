//! Payloads: pages, records and noise of a given size, the same in every run.
//!
//! The texts have a page's share of quotes, newlines and non-ASCII letters, which a JSON string has
//! to escape, and a page's repetitions, which gzip depends on. The codecs are simple on purpose:
//! they check the adapters' own.

/// xorshift64: noise that is the same everywhere.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }
}

const WORDS: [&str; 48] = [
    "the", "of", "and", "to", "in", "is", "that", "for", "on", "with", "as", "by", "at", "from",
    "harbour", "lantern", "orchard", "copper", "window", "winter", "garden", "letter", "bridge",
    "market", "thunder", "velvet", "marble", "river", "engine", "canvas", "crêpe", "naïve",
    "Zürich", "señor", "measure", "between", "without", "another", "thought", "nothing", "morning",
    "evening", "quietly", "gather", "listen", "follow", "answer", "remember",
];

fn words(noise: &mut Noise, count: usize) -> String {
    let picked: Vec<&str> = (0..count).map(|_| WORDS[noise.next(WORDS.len())]).collect();
    picked.join(" ")
}

pub fn html(size: usize) -> Vec<u8> {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<body>\n");
    while page.len() < size {
        let (n, id) = (12 + noise.next(20), noise.next(100_000));
        let text = words(&mut noise, n);
        let name = words(&mut noise, 2);
        page += &format!(
            "  <p class=\"note\" id=\"p{id}\">{text}.</p>\n  <a href=\"/item/{id}\">{name}</a>\n"
        );
    }
    cut(page, size)
}

pub fn json(size: usize) -> Vec<u8> {
    let mut noise = Noise(0xD1B5_4A32_D192_ED03);
    let mut text = String::from("[");
    while text.len() < size {
        let (id, price, stock) = (noise.next(1 << 24), noise.next(100_000), noise.next(500));
        let name = words(&mut noise, 3);
        text += &format!(
            "{{\"id\":{id},\"name\":\"{name}\",\"price\":{}.{:02},\"stock\":{stock},\
             \"active\":{}}},\n",
            price / 100,
            price % 100,
            stock % 2 == 0
        );
    }
    cut(text, size)
}

pub fn binary(size: usize) -> Vec<u8> {
    let mut noise = Noise(0x2545_F491_4F6C_DD1D);
    (0..size).map(|_| noise.next(256) as u8).collect()
}

/// Exactly `size` bytes, and still UTF-8.
fn cut(text: String, size: usize) -> Vec<u8> {
    let mut end = size;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bytes = text.into_bytes();
    bytes.truncate(end);
    bytes.resize(size, b' ');
    bytes
}

pub fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for piece in bytes.chunks(3) {
        let at = |n: usize| piece.get(n).map_or(0, |b| usize::from(*b));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let sign = SIGNS[group >> (18 - 6 * n) & 63];
            text.push(if n <= piece.len() {
                char::from(sign)
            } else {
                '='
            });
        }
    }
    text
}

/// The inverse of [`base64`]; `None` for any other byte.
pub fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for piece in text.chunks(4) {
        let mut group = 0u32;
        for sign in piece {
            let value = match sign {
                b'A'..=b'Z' => sign - b'A',
                b'a'..=b'z' => sign - b'a' + 26,
                b'0'..=b'9' => sign - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => 0,
                _ => return None,
            };
            group = group << 6 | u32::from(value);
        }
        let padding = piece.iter().filter(|b| **b == b'=').count();
        if piece.len() != 4 || padding > 2 {
            return None;
        }
        bytes.extend_from_slice(&group.to_be_bytes()[1..4 - padding]);
    }
    Some(bytes)
}

/// The inside of a JSON string (RFC 8259 section 7).
pub fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
    out
}

/// The string that starts right after its opening quote, up to the closing one.
pub fn unescape(json: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    let mut bytes = json.iter();
    loop {
        match bytes.next()? {
            b'"' => return Some(out),
            b'\\' => match bytes.next()? {
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'u' => {
                    let digits: Vec<u8> = bytes.by_ref().take(4).copied().collect();
                    let code = u32::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
                    let mut utf8 = [0; 4];
                    out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut utf8).as_bytes());
                }
                plain => out.push(*plain),
            },
            plain => out.push(*plain),
        }
    }
}
