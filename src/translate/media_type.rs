//! Media types (RFC 9110 8.3.1): which are text, and which are compressed already.

/// Whether a body of this type may be carried as a JSON string, if its bytes are UTF-8.
///
/// The charset is not asked: UTF-8 is carried byte for byte whatever its label says, and other
/// charsets are not UTF-8 once they use a byte above 127.
pub fn is_text(content_type: &[u8]) -> bool {
    let lower = content_type.trim_ascii().to_ascii_lowercase();
    // Servers also write `application/json charset=utf-8`, `text/html,text/html`.
    let is_end = |byte: &u8| b"; \t,".contains(byte);
    let media_type = lower.split(is_end).next().unwrap_or_default();
    media_type.is_empty()
        || TEXT_SUFFIXES.iter().any(|end| media_type.ends_with(end))
        || TEXT_PREFIXES
            .iter()
            .any(|start| media_type.starts_with(start))
}

/// Structured syntax suffixes (RFC 6839) of text formats.
const TEXT_SUFFIXES: [&[u8]; 3] = [b"+json", b"+xml", b"+yaml"];

/// How the names of text formats without such a suffix begin: `application/json` is also the
/// start of jsonp, json-seq, jsonlines and json5.
const TEXT_PREFIXES: [&[u8]; 13] = [
    b"text",
    b"application/json",
    b"application/javascript",
    b"application/x-javascript",
    b"application/ecmascript",
    b"application/xml",
    b"application/yaml",
    b"application/x-yaml",
    b"application/toml",
    b"application/graphql",
    b"application/ndjson",
    b"application/x-ndjson",
    b"application/x-www-form-urlencoded",
];

/// Whether gzip is likely to make a body of this type smaller. Unknown types are tried; an
/// event stream is not, because its clients seldom expect a content coding.
pub fn is_compressible(content_type: &[u8]) -> bool {
    let media_type = content_type.split(|byte| *byte == b';').next();
    let media_type = media_type
        .unwrap_or_default()
        .trim_ascii()
        .to_ascii_lowercase();
    let starts = |prefix: &&[u8]| media_type.starts_with(prefix);
    let ends = |suffix: &&[u8]| media_type.ends_with(suffix);
    media_type == b"image/svg+xml"
        || !COMPRESSED_PREFIXES.iter().any(starts) && !COMPRESSED_SUFFIXES.iter().any(ends)
}

const COMPRESSED_PREFIXES: [&[u8]; 6] = [
    b"image/",
    b"video/",
    b"audio/",
    b"text/event-stream",
    b"application/grpc",
    b"application/vnd.openxmlformats",
];

/// `zip` covers gzip and every `+zip`, `compressed` 7z and RAR, `archive` the Java and Android
/// packages.
const COMPRESSED_SUFFIXES: [&[u8]; 9] = [
    b"zip",
    b"zip2",
    b"/x-xz",
    b"zstd",
    b"rar",
    b"compressed",
    b"archive",
    b"woff",
    b"woff2",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_types_are_text_whatever_their_charset() {
        for (content_type, expected) in [
            ("text/html", true),
            ("Text/HTML; Charset=UTF-8", true),
            ("text/html;charset=ISO-8859-1", true),
            ("text/html; charset=", true),
            ("text/html,text/html", true),
            ("application/json;charset=ISO-8859-1", true),
            ("application/json charset=utf-8", true),
            ("application/json; charset=utf-16", true),
            ("application/jsonp", true),
            ("application/vnd.api+json", true),
            ("application/rss+xml ;charset=x", true),
            ("image/svg+xml", true),
            ("", true),
            (" ; charset=utf-8", true),
            ("application/octet-stream", false),
            ("application/octet-stream; x=+json", false),
            ("image/png", false),
        ] {
            let is_text = is_text(content_type.as_bytes());
            assert_eq!(is_text, expected, "{content_type}");
        }
    }
}
