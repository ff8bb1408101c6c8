//! Parts of events and replies that several front ends share.

use serde_json::Value;

use super::{HttpRequest, HttpResponse, ReplyError};
use crate::http_server::{self, Headers};
use crate::json::Json;

/// Hop-by-hop headers (RFC 9110 7.6.1), which no front end forwards.
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

/// Headers that the front end sets itself.
const SET_HERE: [&str; 5] = [
    "content-length",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-amzn-trace-id",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFormat {
    /// `headers`
    Single,
    /// `multiValueHeaders`
    Multi,
}

/// A request target in its parts.
#[derive(Debug)]
pub struct Target<'t> {
    pub path: &'t str,
    /// The path without the stage.
    pub resource_path: &'t str,
    pub query: &'t str,
}

impl<'t> Target<'t> {
    /// Returns `None` if the path does not start with the stage.
    pub fn parse(target: &'t str, stage: Option<&str>) -> Option<Target<'t>> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let resource_path = match stage {
            None => path,
            Some(stage) => strip_stage(path, stage)?,
        };
        Some(Target {
            path,
            resource_path,
            query,
        })
    }
}

fn strip_stage<'p>(path: &'p str, stage: &str) -> Option<&'p str> {
    match path.strip_prefix('/')?.strip_prefix(stage)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// The meaning of `+` in percent-encoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    Literal,
    Space,
}

/// Decodes percent-encoded text. Bytes that are not UTF-8 are replaced, because JSON cannot hold
/// them.
pub fn decode(text: &str, plus: Plus) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let mut pair = || Some((hex(ahead.next()?)? << 4) | hex(ahead.next()?)?);
        match (byte, plus) {
            (b'%', _) => match pair() {
                Some(decoded) => {
                    rest = ahead;
                    bytes.push(decoded);
                }
                None => bytes.push(b'%'),
            },
            (b'+', Plus::Space) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Splits a query into its pairs without decoding. `a&b=` are two keys with empty values.
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
        .map(|(key, value)| (decode(key, Plus::Space), decode(value, Plus::Space)))
        .collect()
}

/// Groups the values by key, in the order of the first value of each key.
fn grouped(pairs: &[(String, String)]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value.clone()),
            None => groups.push((key.clone(), vec![value.clone()])),
        }
    }
    groups
}

/// Returns an object with the values of each key joined by commas.
pub fn joined(pairs: &[(String, String)]) -> Json {
    let groups = grouped(pairs).into_iter();
    Json::Object(
        groups
            .map(|(key, values)| (key, values.join(",").into()))
            .collect(),
    )
}

/// Returns an object with the last value of each key.
pub fn last(pairs: &[(String, String)]) -> Json {
    let groups = grouped(pairs).into_iter();
    Json::Object(
        groups
            .map(|(key, mut values)| (key, values.pop().into()))
            .collect(),
    )
}

/// Returns an object with a list of all values of each key.
pub fn lists(pairs: &[(String, String)]) -> Json {
    let groups = grouped(pairs).into_iter();
    Json::Object(groups.map(|(key, values)| (key, values.into())).collect())
}

/// Returns the headers that a front end forwards: without hop-by-hop headers, and with the ones
/// that it sets itself.
pub fn headers(request: &HttpRequest) -> Headers {
    // RFC 9110 7.6.1: `Connection` lists further hop-by-hop headers.
    let listed: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_forwarded = |name: &str| {
        let name = name.to_ascii_lowercase();
        !HOP_BY_HOP.contains(&name.as_str())
            && !SET_HERE.contains(&name.as_str())
            && !listed.contains(&name)
    };
    let given = request.headers.iter();
    let mut headers: Headers = given
        .filter(|(name, _)| is_forwarded(name))
        .cloned()
        .collect();
    let mut push = |name: &str, value: String| headers.push((name.to_owned(), value));
    let has_length = http_server::header(&request.headers, "content-length").is_some();
    if !request.body.is_empty() || has_length {
        push("content-length", request.body.len().to_string());
    }
    let source_ip = &request.source_ip;
    let forwarded_for = match http_server::header(&request.headers, "x-forwarded-for") {
        Some(before) => format!("{before}, {source_ip}"),
        None => source_ip.clone(),
    };
    push("x-forwarded-for", forwarded_for);
    push("x-forwarded-port", request.port.to_string());
    push("x-forwarded-proto", "http".to_owned());
    push("x-amzn-trace-id", format!("Root={}", request.trace));
    headers
}

pub fn lower_case(headers: Headers) -> Headers {
    headers
        .into_iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

/// Returns `body` and `isBase64Encoded` of an event. A body is text if its media type is one, if it
/// has no content coding, and if it is valid UTF-8.
pub fn event_body(request: &HttpRequest, is_text: impl Fn(&str) -> bool) -> (String, bool) {
    let content_type = http_server::header(&request.headers, "content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let coding = http_server::header(&request.headers, "content-encoding");
    let is_encoded = coding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    match std::str::from_utf8(&request.body) {
        Ok(text) if !is_encoded && is_text(&media_type) => (text.to_owned(), false),
        _ => (encode_base64(&request.body), true),
    }
}

/// Returns true for the media types that HTTP APIs and function URLs pass on as text. Forms are not
/// among them.
pub fn is_text(media_type: &str) -> bool {
    let text_types = [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-javascript",
    ];
    media_type.starts_with("text/")
        || text_types.contains(&media_type)
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
}

/// Parses a reply that must be an object.
pub fn parse_object(payload: &[u8]) -> Result<Value, ReplyError> {
    let reply: Value = serde_json::from_slice(payload).map_err(ReplyError::NotJson)?;
    if !reply.is_object() {
        return Err(ReplyError::NotAnObject);
    }
    Ok(reply)
}

/// Reads `statusCode`: a number, or a number in a string.
pub fn status(reply: &Value) -> Result<u16, ReplyError> {
    let given = reply.get("statusCode").ok_or(ReplyError::NoStatus)?;
    let parsed = || given.as_str()?.parse().ok();
    let status = given.as_u64().or_else(parsed);
    match status {
        Some(status) if (100..1000).contains(&status) => Ok(status as u16),
        _ => Err(ReplyError::InvalidStatus(given.clone())),
    }
}

/// Reads `headers`: an object of scalars. AWS drops a value that is a list.
pub fn single_headers(reply: &Value) -> Result<Headers, ReplyError> {
    let Some(headers) = field(reply, "headers") else {
        return Ok(Headers::new());
    };
    let headers = headers.as_object();
    let headers = headers.ok_or_else(|| wrong_type("headers", "an object"))?;
    Ok(headers
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
        .collect())
}

/// Reads `multiValueHeaders`: an object of lists of scalars.
pub fn multi_headers(reply: &Value) -> Result<Headers, ReplyError> {
    let Some(lists) = field(reply, "multiValueHeaders") else {
        return Ok(Headers::new());
    };
    let lists = lists.as_object();
    let lists = lists.ok_or_else(|| wrong_type("multiValueHeaders", "an object"))?;
    let mut headers = Headers::new();
    for (name, values) in lists {
        let values = values
            .as_array()
            .ok_or_else(|| wrong_type(&format!("multiValueHeaders.{name}"), "a list"))?;
        let values = values.iter().filter_map(scalar);
        headers.extend(values.map(|value| (name.clone(), value)));
    }
    Ok(headers)
}

/// Reads `body` and `isBase64Encoded`.
pub fn reply_body(reply: &Value) -> Result<Vec<u8>, ReplyError> {
    let Some(body) = field(reply, "body") else {
        return Ok(Vec::new());
    };
    let text = body
        .as_str()
        .ok_or_else(|| wrong_type("body", "a string"))?;
    match field(reply, "isBase64Encoded") {
        None | Some(Value::Bool(false)) => Ok(text.as_bytes().to_vec()),
        Some(Value::Bool(true)) => decode_base64(text).ok_or(ReplyError::NotBase64),
        Some(_) => Err(wrong_type("isBase64Encoded", "a boolean")),
    }
}

/// Returns a field that is neither missing nor null.
pub fn field<'r>(reply: &'r Value, name: &str) -> Option<&'r Value> {
    reply.get(name).filter(|value| !value.is_null())
}

pub fn wrong_type(field: &str, expected: &'static str) -> ReplyError {
    ReplyError::WrongType {
        field: field.to_owned(),
        expected,
    }
}

pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Adds `content-type` to a response without one.
pub fn with_content_type(mut response: HttpResponse, content_type: &str) -> HttpResponse {
    if http_server::header(&response.headers, "content-type").is_none() {
        let header = ("content-type".to_owned(), content_type.to_owned());
        response.headers.push(header);
    }
    response
}

pub fn encode_base64(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    codec::base64::encode(&mut text, bytes);
    text.into_iter().map(char::from).collect()
}

/// Decodes as strictly as the front ends of AWS; `None` for invalid base64.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    codec::base64::decode(&mut bytes, text.as_bytes()).map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_percent_encoding_is_kept() {
        assert_eq!(decode("a%20b+c%2", Plus::Space), "a b c%2");
        assert_eq!(decode("a+b%zz%C3%A9", Plus::Literal), "a+b%zzé");
        assert_eq!(decode("%", Plus::Literal), "%");
    }

    #[test]
    fn a_query_keeps_its_order_and_empty_values() {
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
            joined(&pairs).to_string(),
            r#"{"b":"2,3","a":"1","flag":"","e":""}"#
        );
    }

    #[test]
    fn a_stage_is_stripped_only_at_a_segment_boundary() {
        assert_eq!(strip_stage("/live/x", "live"), Some("/x"));
        assert_eq!(strip_stage("/live", "live"), Some("/"));
        assert_eq!(strip_stage("/lively", "live"), None);
        assert_eq!(strip_stage("/", "live"), None);
    }
}
