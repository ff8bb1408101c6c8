//! One invocation: the headers of `/next`, without its payload (Runtime API, "Next invocation").

use std::borrow::Cow;

use crate::http::request;
use crate::text;

/// The headers that the adapter uses. An empty header counts as missing: some environments
/// always send every header.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub id: String,
    /// When Lambda ends the invocation, in milliseconds of Unix time.
    pub deadline_ms: Option<u64>,
    /// Whether that was past on arrival: the clocks differ, or an emulator has none.
    pub deadline_is_past: bool,
    pub function_arn: String,
    pub trace_id: Option<String>,
    /// Sent by the invoker; expected to be JSON.
    pub client_context: Option<String>,
    /// A JSON object.
    pub cognito_identity: Option<String>,
    pub tenant_id: Option<String>,
    /// Sent back with the reply, so that a late reply cannot reach another caller.
    pub invocation_id: Option<String>,
}

impl Invocation {
    /// Reads the headers of `/next`. Fails if no reply could be posted for them.
    pub fn from_headers<'h>(
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<Invocation, String> {
        let text = |name: &str| {
            let value = header(name).filter(|value| !value.is_empty())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let id = text("lambda-runtime-aws-request-id")
            .ok_or("the Runtime API sent an invocation without a request ID")?;
        // The ID becomes a path segment, so it must not contain a delimiter.
        if !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte))
        {
            let id = text::escaped(&id);
            return Err(format!(
                "the Runtime API sent the invalid request ID `{id}`"
            ));
        }
        Ok(Invocation {
            deadline_is_past: false,
            deadline_ms: text("lambda-runtime-deadline-ms").and_then(|ms| text::number(&ms)),
            function_arn: text("lambda-runtime-invoked-function-arn").unwrap_or_default(),
            trace_id: text("lambda-runtime-trace-id").map(clean),
            client_context: text("lambda-runtime-client-context"),
            cognito_identity: text("lambda-runtime-cognito-identity"),
            tenant_id: text("lambda-runtime-aws-tenant-id").map(clean),
            invocation_id: text("lambda-runtime-invocation-id"),
            id,
        })
    }
}

impl Invocation {
    /// The deadline that the adapter keeps. One that is past on arrival counts as none.
    pub fn effective_deadline_ms(&self) -> Option<u64> {
        self.deadline_ms.filter(|_| !self.deadline_is_past)
    }
}

/// Replaces control bytes: the value becomes a header of the request.
fn clean(value: String) -> String {
    match request::clean(&value) {
        Cow::Borrowed(_) => value,
        Cow::Owned(cleaned) => cleaned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &'static str)]) -> Result<Invocation, String> {
        Invocation::from_headers(|name| {
            let found = headers.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| value.as_bytes())
        })
    }

    #[test]
    fn empty_headers_count_as_missing() {
        let invocation = read(&[
            ("lambda-runtime-aws-request-id", "8f0a-1"),
            ("lambda-runtime-deadline-ms", "1770113480000"),
            ("lambda-runtime-trace-id", ""),
            ("lambda-runtime-aws-tenant-id", "a\u{7f}b"),
        ])
        .expect("usable");
        assert_eq!(invocation.deadline_ms, Some(1_770_113_480_000));
        assert_eq!(invocation.trace_id, None);
        assert_eq!(invocation.tenant_id.as_deref(), Some("a b"));
    }

    #[test]
    fn an_invalid_deadline_counts_as_missing() {
        let headers = [
            ("lambda-runtime-aws-request-id", "a"),
            ("lambda-runtime-deadline-ms", "soon"),
        ];
        assert_eq!(read(&headers).expect("usable").deadline_ms, None);
    }

    #[test]
    fn an_id_with_a_path_delimiter_is_rejected() {
        assert!(
            read(&[])
                .expect_err("missing")
                .contains("without a request ID")
        );
        for id in ["a/b", "a b", "a?b", "a#b", "a%2fb", "a\nb"] {
            assert!(
                read(&[("lambda-runtime-aws-request-id", id)]).is_err(),
                "{id}"
            );
        }
    }
}
