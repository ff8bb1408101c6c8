//! What the fronts have in common: paths, queries, headers and bodies as parts of an event.

use super::HttpRequest;
use crate::base64;
use crate::http_server::{self, Headers};
use crate::json::Json;

/// What belongs to a connection and not to the request (RFC 9110 7.6.1); no front passes it on.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
    "expect",
    "trailer",
];

/// Percent-decoding; what is not UTF-8 then is replaced, as there is no other way to put it into JSON.
pub fn decode(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let pair = (byte == b'%')
            .then(|| Some((hex(ahead.next()?)? << 4) | hex(ahead.next()?)?))
            .flatten();
        bytes.push(match pair {
            Some(decoded) => {
                rest = ahead;
                decoded
            }
            None if plus_is_space && byte == b'+' => b' ',
            None => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The pairs of a query, still encoded. `a&b=` are two keys without a value.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

pub fn decoded_query_pairs(query: &str) -> Vec<(String, String)> {
    query_pairs(query)
        .iter()
        .map(|(key, value)| (decode(key, true), decode(value, true)))
        .collect()
}

/// Groups the values of equal keys; keys stand in the order of their first value.
pub fn grouped(pairs: &[(String, String)]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value.clone()),
            None => groups.push((key.clone(), vec![value.clone()])),
        }
    }
    groups
}

/// One value for each key, joined.
pub fn joined(pairs: &[(String, String)], separator: &str) -> Json {
    Json::Object(
        grouped(pairs)
            .into_iter()
            .map(|(key, values)| (key, values.join(separator).into()))
            .collect(),
    )
}

/// One value for each key: the last.
pub fn last(pairs: &[(String, String)]) -> Json {
    Json::Object(
        grouped(pairs)
            .into_iter()
            .map(|(key, mut values)| (key, values.pop().into()))
            .collect(),
    )
}

/// All values of each key.
pub fn lists(pairs: &[(String, String)]) -> Json {
    Json::Object(
        grouped(pairs)
            .into_iter()
            .map(|(key, values)| (key, values.into()))
            .collect(),
    )
}

/// The request's headers as any front passes them on: nothing of the connection, the length of the body as it is, and where it came from.
pub fn headers(request: &HttpRequest) -> Headers {
    let named: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| {
            value
                .split(',')
                .map(|name| name.trim().to_ascii_lowercase())
                .collect::<Vec<_>>()
        })
        .collect();
    let forwarded = |name: &str| {
        [
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-amzn-trace-id",
        ]
        .contains(&name)
    };
    let mut headers: Headers = request
        .headers
        .iter()
        .filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !HOP_BY_HOP.contains(&name.as_str())
                && !named.contains(&name)
                && !forwarded(&name)
                && name != "content-length"
        })
        .cloned()
        .collect();
    if !request.body.is_empty() || http_server::header(&request.headers, "content-length").is_some()
    {
        headers.push(("content-length".to_owned(), request.body.len().to_string()));
    }
    let client = http_server::header(&request.headers, "x-forwarded-for")
        .map(|before| format!("{before}, {}", request.source_ip));
    headers.push((
        "x-forwarded-for".to_owned(),
        client.unwrap_or_else(|| request.source_ip.clone()),
    ));
    headers.push(("x-forwarded-port".to_owned(), request.port.to_string()));
    headers.push(("x-forwarded-proto".to_owned(), "http".to_owned()));
    headers.push((
        "x-amzn-trace-id".to_owned(),
        format!("Root={}", request.trace),
    ));
    headers
}

pub fn lower_case(headers: Headers) -> Headers {
    headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

/// The body as text where it is text by its type (and in truth), else in base64; with the flag that says which.
pub fn body(request: &HttpRequest, is_text: impl Fn(&str) -> bool) -> (String, bool) {
    let media_type = http_server::header(&request.headers, "content-type")
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let encoded = http_server::header(&request.headers, "content-encoding")
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    match std::str::from_utf8(&request.body) {
        Ok(text) if !encoded && is_text(&media_type) => (text.to_owned(), false),
        _ => (base64::encode(&request.body), true),
    }
}

/// The types that HTTP APIs and function URLs pass on as text. A form is not among them.
pub fn is_text(media_type: &str) -> bool {
    let known = [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-javascript",
    ];
    media_type.starts_with("text/")
        || known.contains(&media_type)
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
}

/// The path behind `/stage`, or `None` when the path does not begin with it.
pub fn strip_stage<'p>(path: &'p str, stage: &str) -> Option<&'p str> {
    match path.strip_prefix('/')?.strip_prefix(stage)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_leaves_what_is_not_encoded() {
        assert_eq!(decode("a%20b+c%2", true), "a b c%2");
        assert_eq!(decode("a+b%zz%C3%A9", false), "a+b%zzé");
        assert_eq!(decode("%", false), "%");
    }

    #[test]
    fn a_query_keeps_its_order_and_its_empty_values() {
        let pairs = decoded_query_pairs("b=2&a=1&b=3&flag&&e=");
        assert_eq!(
            lists(&pairs).to_string(),
            r#"{"b":["2","3"],"a":["1"],"flag":[""],"e":[""]}"#
        );
        assert_eq!(
            last(&pairs).to_string(),
            r#"{"b":"3","a":"1","flag":"","e":""}"#
        );
        assert_eq!(
            joined(&pairs, ",").to_string(),
            r#"{"b":"2,3","a":"1","flag":"","e":""}"#
        );
    }

    #[test]
    fn a_stage_is_stripped_only_as_a_whole_segment() {
        assert_eq!(strip_stage("/live/x", "live"), Some("/x"));
        assert_eq!(strip_stage("/live", "live"), Some("/"));
        assert_eq!(strip_stage("/lively", "live"), None);
        assert_eq!(strip_stage("/", "live"), None);
    }
}
