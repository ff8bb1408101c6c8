//! Media types (RFC 9110 8.3.1): which are text, and which are compressed already.

/// Whether a body of this type may be carried as a JSON string: the type is a text type, and
/// its charset, if it names one, is UTF-8 or a subset.
pub fn is_text(content_type: &[u8]) -> bool {
    let lower = content_type.to_ascii_lowercase();
    let mut parts = lower.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media_type = parts.next().unwrap_or_default();
    let is_utf8 = parts
        .filter_map(|parameter| parameter.strip_prefix(b"charset="))
        .all(|charset| UTF8.contains(&charset));
    let has_text_suffix = || TEXT_SUFFIXES.iter().any(|end| media_type.ends_with(end));
    is_utf8
        && (media_type.is_empty()
            || media_type.starts_with(b"text/")
            || has_text_suffix()
            || TEXT_TYPES.contains(&media_type))
}

const UTF8: [&[u8]; 5] = [
    b"utf-8",
    b"\"utf-8\"",
    b"utf8",
    b"us-ascii",
    b"\"us-ascii\"",
];

/// Structured syntax suffixes (RFC 6839) of text formats.
const TEXT_SUFFIXES: [&[u8]; 3] = [b"+json", b"+xml", b"+yaml"];

/// Text formats outside `text/` and without such a suffix.
const TEXT_TYPES: [&[u8]; 13] = [
    b"application/json",
    b"application/javascript",
    b"application/x-javascript",
    b"application/ecmascript",
    b"application/xml",
    b"application/xml-dtd",
    b"application/yaml",
    b"application/x-yaml",
    b"application/toml",
    b"application/graphql",
    b"application/x-ndjson",
    b"application/jsonl",
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
    fn text_types_are_text_in_utf8_only() {
        for (content_type, expected) in [
            ("text/html", true),
            ("Text/HTML; Charset=UTF-8", true),
            ("text/plain;charset=us-ascii", true),
            ("application/json ; charset=\"utf-8\"", true),
            ("application/vnd.api+json", true),
            ("image/svg+xml", true),
            ("", true),
            ("text/html; charset=iso-8859-1", false),
            ("application/json; charset=utf-16", false),
            ("application/octet-stream", false),
            ("application/jsonx", false),
            ("image/png", false),
        ] {
            let is_text = is_text(content_type.as_bytes());
            assert_eq!(is_text, expected, "{content_type}");
        }
    }
}
