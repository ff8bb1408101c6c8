//! Lambda's X-Ray trace ID as a W3C `traceparent`, for tracers that do not read X-Ray's header.
//!
//! A valid `traceparent` of the client is kept: its span was recorded by the user's tracer,
//! whereas the derived parent is X-Ray's segment, which most OpenTelemetry back ends never
//! receive. An invalid one, which a tracer would ignore, is replaced, and `tracestate` is
//! dropped with it because it belongs to that parent (W3C Trace Context 3.3 and 4.3; X-Ray,
//! "Tracing header").

use crate::logger::line::debug;

use crate::http::headers::Headers;
use crate::text;

const TRACEPARENT: &[u8] = b"traceparent";

/// Adds a `traceparent` unless the request has a valid one.
pub fn add_parent(headers: &mut Headers, trace_id: &str) {
    let given: Vec<&[u8]> = headers.all(TRACEPARENT).collect();
    if matches!(given[..], [one] if is_traceparent(one)) {
        return;
    }
    let Some(parent) = traceparent(trace_id) else {
        let trace_id = text::escaped(trace_id);
        debug!("no traceparent added: the trace ID `{trace_id}` has no valid parent");
        return;
    };
    headers.remove(TRACEPARENT);
    headers.remove(b"tracestate");
    headers.push(TRACEPARENT, parent.as_bytes());
}

/// Converts `Root=1-TIME-RANDOM;Parent=SPAN;Sampled=0`, in any order and among other keys.
/// `None` without a span or a sampling decision: inventing one would start another trace.
fn traceparent(trace_id: &str) -> Option<String> {
    let value = |key: &str| {
        let mut pairs = trace_id.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| (name.trim() == key).then_some(value.trim()))
    };
    let (time, random) = value("Root")?.strip_prefix("1-")?.split_once('-')?;
    let parent = value("Parent")?;
    let flags = match value("Sampled")? {
        "1" => "01",
        "0" => "00",
        _ => return None,
    };
    if (time.len(), random.len()) != (8, 24) {
        return None;
    }
    let derived = format!("00-{time}{random}-{parent}-{flags}").to_ascii_lowercase();
    is_traceparent(derived.as_bytes()).then_some(derived)
}

/// Whether the value is valid. Later versions may add fields at the end.
fn is_traceparent(value: &[u8]) -> bool {
    let hex = |field: &[u8], length| {
        field.len() == length
            && field
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id = |field: &[u8], length| hex(field, length) && field.iter().any(|byte| *byte != b'0');
    let mut fields = value.split(|byte| *byte == b'-');
    let mut next = || fields.next().unwrap_or_default();
    let version = next();
    let shape = hex(version, 2) && id(next(), 32) && id(next(), 16) && hex(next(), 2);
    shape && version != b"ff" && (version != b"00" || fields.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str =
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";
    const DERIVED: &str = "00-5bef4de7ad49b0e87f6ef6c87fc2e700-9a9197af755a6419-01";

    #[test]
    fn root_parent_and_sampling_decision_are_kept() {
        let unsampled = DERIVED.replace("-01", "-00");
        for (trace_id, expected) in [
            (TRACE.to_owned(), DERIVED),
            (TRACE.replace("Sampled=1", "Sampled=0"), &unsampled),
            (format!("Self=1-2-3;Lineage=a:1|b:2;{TRACE}"), DERIVED),
            (format!("{TRACE};Lineage=1:d5e6f7a8:0;"), DERIVED),
            (TRACE.replace(';', "; "), DERIVED),
            (TRACE.replace("ad49b0e8", "AD49B0E8"), DERIVED),
            (
                "Sampled=1;Parent=9a9197af755a6419;Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".into(),
                DERIVED,
            ),
        ] {
            assert_eq!(
                traceparent(&trace_id).as_deref(),
                Some(expected),
                "{trace_id}"
            );
        }
    }

    #[test]
    fn an_invalid_trace_id_adds_no_parent() {
        for (from, to) in [
            (TRACE, ""),
            (";Parent=9a9197af755a6419", ""),
            (";Sampled=1", ""),
            ("Sampled=1", "Sampled=?"),
            ("Sampled=1", "Sampled=01"),
            ("Root=1-", "Root=2-"),
            ("Root=1-5bef4de7-ad", "Root=1-5bef4de7ad"),
            ("5bef4de7-a", "5bef4de-a"),
            ("5bef4de7-ad", "5bef4de-7ad"),
            ("5bef4de7", "5bef4deg"),
            ("9a9197af755a6419", "9a9197af755a641"),
            ("9a9197af755a6419", "0000000000000000"),
            (
                "5bef4de7-ad49b0e87f6ef6c87fc2e700",
                "00000000-000000000000000000000000",
            ),
            ("9a9197af755a6419", "é9197af755a6419"),
        ] {
            let trace_id = TRACE.replacen(from, to, 1);
            assert_eq!(traceparent(&trace_id), None, "{trace_id}");
        }
    }

    fn with(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut headers = Headers::new();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        add_parent(&mut headers, TRACE);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        headers.iter().map(|(n, v)| (text(n), text(v))).collect()
    }

    #[test]
    fn a_valid_parent_from_the_client_is_kept() {
        for parent in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            let found = with(&[("traceparent", parent), ("tracestate", "a=1")]);
            assert_eq!(found[0].1, parent);
            assert_eq!(found[1].1, "a=1");
            assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn an_invalid_parent_is_replaced_and_its_state_dropped() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let expected = [("traceparent".to_owned(), DERIVED.to_owned())];
        for given in [
            &[][..],
            &[("tracestate", "a=1")],
            &[("traceparent", ""), ("tracestate", "a=1")],
            &[("traceparent", valid), ("traceparent", valid)],
            &[("traceparent", &valid.to_uppercase())],
            &[("traceparent", &valid.replacen("00", "ff", 1))],
            &[("traceparent", &format!("{valid}-more"))],
            &[(
                "traceparent",
                &valid.replace("00f067aa0ba902b7", "0000000000000000"),
            )],
        ] {
            assert_eq!(with(given), expected, "{given:?}");
        }
    }
}
