//! Strict parsers of RFC 9112 and RFC 4648, independent of those of the adapter.

pub type Fields = Vec<(String, Vec<u8>)>;

#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub fields: Fields,
    pub body: Vec<u8>,
}

impl Request {
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self
            .fields
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice()).collect()
    }
}

pub fn is_token(bytes: &[u8]) -> bool {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(of_token)
}

/// Whether the bytes are a field value: no control bytes, no surrounding blanks (RFC 9110 5.5).
pub fn is_value(bytes: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let visible = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f;
    bytes.iter().all(visible) && !blank(bytes.first()) && !blank(bytes.last())
}

/// The bytes without surrounding blanks.
pub fn bare(bytes: &[u8]) -> &[u8] {
    let visible = |byte: &u8| !b" \t".contains(byte);
    match (
        bytes.iter().position(visible),
        bytes.iter().rposition(visible),
    ) {
        (Some(first), Some(last)) => &bytes[first..=last],
        _ => b"",
    }
}

/// Parses exactly one request with nothing after it.
pub fn request(wire: &[u8]) -> Result<Request, String> {
    let end = find(wire, b"\r\n\r\n").ok_or("no end of the head")?;
    let (head, body) = (&wire[..end], &wire[end + 4..]);
    let mut lines = split(head, b"\r\n").into_iter();
    let start = lines.next().unwrap_or_default();
    let parts: Vec<_> = start.split(|byte| *byte == b' ').collect();
    let [method, target, b"HTTP/1.1"] = parts[..] else {
        return Err(format!("request line `{}`", start.escape_ascii()));
    };
    let visible = target.iter().all(|byte| (0x21..0x7f).contains(byte));
    if !is_token(method) || !target.starts_with(b"/") || !visible || target.contains(&b'#') {
        return Err(format!("request line `{}`", start.escape_ascii()));
    }
    let mut fields = Fields::new();
    for line in lines {
        let colon = find(line, b": ").ok_or(format!("line `{}`", line.escape_ascii()))?;
        let (name, value) = (&line[..colon], bare(&line[colon + 2..]));
        if !is_token(name) || !is_value(value) {
            return Err(format!("line `{}`", line.escape_ascii()));
        }
        fields.push((text(name), value.to_vec()));
    }
    let request = Request {
        method: text(method),
        target: text(target),
        fields,
        body: body.to_vec(),
    };
    let length = match request.all("content-length")[..] {
        [] => 0,
        [length] => text(length)
            .parse()
            .map_err(|_| "an invalid length".to_owned())?,
        _ => return Err("two lengths".to_owned()),
    };
    if length != body.len() || !request.all("transfer-encoding").is_empty() {
        return Err(format!("length {length} of {} bytes", body.len()));
    }
    Ok(request)
}

/// Decodes a chunked body (RFC 9112 7.1); returns the rest of the bytes, too.
pub fn chunked(mut wire: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line;
        (line, wire) = line_of(wire)?;
        let size = line.split(|byte| *byte == b';').next()?;
        let size = match size.iter().rposition(|byte| !b" \t".contains(byte)) {
            Some(last) => &size[..=last],
            None => return None,
        };
        if size.len() > 4000 || !size.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = usize::from_str_radix(&text(size), 16).ok()?;
        if size == 0 {
            break;
        }
        body.extend_from_slice(wire.get(..size)?);
        wire = wire.get(size..)?.strip_prefix(b"\r\n")?;
    }
    // A trailer line may end with LF alone.
    loop {
        let end = wire.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (&wire[..end], &wire[end + 1..]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&b'\r') {
            return None;
        }
        wire = rest;
        if line.is_empty() {
            return Some((body, wire));
        }
    }
}

/// A line without its CRLF and without other CRs and LFs, and the rest.
fn line_of(wire: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = find(wire, b"\r\n")?;
    let line = &wire[..end];
    (!line.contains(&b'\r') && !line.contains(&b'\n')).then_some((line, &wire[end + 2..]))
}

pub fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = text.as_bytes();
    let bare = match bytes {
        [bare @ .., b'=', b'='] | [bare @ .., b'='] => bare,
        bare => bare,
    };
    if !bytes.len().is_multiple_of(4) || bare.len() % 4 == 1 {
        return None;
    }
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in bare {
        let value = LETTERS.iter().position(|letter| letter == byte)?;
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn split<'a>(mut bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, by) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + by.len()..];
    }
    parts.push(bytes);
    parts
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
