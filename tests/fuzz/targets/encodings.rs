//! JSON, base64 and the headers of `/next`, compared with simple implementations.

use codec::base64;
use codec::json::{self, Object, Raw};
use lambda_adapter::http::request::clean;
use lambda_adapter::invocation::Invocation;
use serde_json::Value;
use serde_json::value::RawValue;

use super::strict;

pub fn check(data: &[u8]) {
    check_base64(data);
    check_json(data);
    let text = String::from_utf8_lossy(data);
    check_strings(&text);
    check_invocation(&text);
}

fn check_base64(data: &[u8]) {
    let mut encoded = b"before".to_vec();
    base64::encode(&mut encoded, data);
    assert_eq!(encoded.len(), 6 + data.len().div_ceil(3) * 4);
    let text = strict::text(&encoded[6..]);
    assert_eq!(strict::base64(&text).as_deref(), Some(data));
    let mut decoded = b"before".to_vec();
    assert_eq!(
        base64::decode(&mut decoded, text.as_bytes()),
        Some(()),
        "{text}"
    );
    assert_eq!(&decoded[6..], data);
    decoded.clear();
    let result = base64::decode(&mut decoded, data).map(|()| decoded);
    let expected = std::str::from_utf8(data).ok().and_then(strict::base64);
    assert_eq!(result, expected);
}

fn check_strings(text: &str) {
    let (mut utf8, mut ascii) = (Vec::new(), Vec::new());
    json::write_string(&mut utf8, text);
    json::write_ascii_string(&mut ascii, text);
    assert!(ascii.iter().all(|byte| (b' '..=b'~').contains(byte)));
    for written in [utf8, ascii] {
        let read: Result<String, _> = serde_json::from_slice(&written);
        assert_eq!(read.ok().as_deref(), Some(text));
    }
    let cleaned = clean(text);
    assert!(!cleaned.contains(|c: char| c.is_ascii_control() && c != '\t'));
}

fn check_json(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let library: Option<&RawValue> = serde_json::from_str(text).ok();
    let raw = Raw::parse(text).ok();
    assert_eq!(raw.map(Raw::get), library.map(RawValue::get));
    assert_eq!(json::is_valid(data), raw.is_some());
    assert_eq!(Object::parse(text).is_ok(), raw.is_some());
    let (Some(raw), Ok(value)) = (raw, serde_json::from_slice::<Value>(data)) else {
        return;
    };
    let mut line = Vec::new();
    json::write_ascii(&mut line, raw.get());
    assert!(
        line.iter().all(|byte| (b' '..=b'~').contains(byte)),
        "{line:?}"
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&line).ok(),
        Some(value.clone())
    );
    let object = Object::from_raw(raw);
    let expected = value.as_object().cloned().unwrap_or_default();
    assert_eq!(object.is_empty(), expected.is_empty());
    for (key, value) in &expected {
        let member = object.member(key);
        assert_eq!(member.is_none(), value.is_null());
        if let Value::String(text) = value {
            assert_eq!(object.text(key).as_deref(), Some(&**text));
            assert_eq!(object.string(key).as_deref(), Some(&**text));
        }
        let length = value.as_array().map_or(1, Vec::len);
        assert_eq!(
            member.map_or(length, |raw| json::elements(raw).count()),
            length
        );
    }
}

/// The ID of an accepted invocation is one path segment, and its values are valid headers.
fn check_invocation(text: &str) {
    let read = Invocation::from_headers(|name| match name {
        "lambda-runtime-deadline-ms" | "lambda-runtime-aws-request-id" => Some(text.as_bytes()),
        "lambda-runtime-aws-tenant-id" | "lambda-runtime-trace-id" => Some(text.as_bytes()),
        _ => None,
    });
    let Ok(invocation) = read else { return };
    let path = format!("/2018-06-01/runtime/invocation/{}/response", invocation.id);
    assert_eq!(path.split('/').count(), 6, "{path}");
    assert!(
        path.bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte))
    );
    for value in [invocation.tenant_id, invocation.trace_id]
        .into_iter()
        .flatten()
    {
        assert!(
            strict::is_value(value.trim_matches([' ', '\t']).as_bytes()),
            "{value:?}"
        );
    }
}
