//! What `/next` says of one invocation, beside its payload (Runtime API, "Next invocation").

use std::borrow::Cow;

use crate::http::headers;

/// The fields of `/next` that matter. An empty one counts as missing: some environments send
/// every header always.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Invocation {
    pub id: String,
    /// Milliseconds of Unix time at which Lambda ends the invocation.
    pub deadline_ms: Option<u64>,
    pub function_arn: String,
    pub trace_id: Option<String>,
    /// JSON, in whatever shape the invoker gave it.
    pub client_context: Option<String>,
    /// JSON.
    pub cognito_identity: Option<String>,
    pub tenant_id: Option<String>,
    /// To be echoed with the answer, so that a late one cannot reach another caller.
    pub invocation_id: Option<String>,
}

impl Invocation {
    /// Reads the headers of `/next`; `Err` says why it cannot be answered at all.
    pub fn from_headers<'h>(
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Result<Invocation, String> {
        let text = |name: &str| {
            let value = header(name).filter(|value| !value.is_empty())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let id = text("lambda-runtime-aws-request-id")
            .ok_or("the Runtime API gave an invocation without a request id")?;
        // The id becomes part of a path; one that would change it is no id.
        if !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte))
        {
            let id = id.escape_debug();
            return Err(format!(
                "the Runtime API gave the unusable request id `{id}`"
            ));
        }
        Ok(Invocation {
            deadline_ms: text("lambda-runtime-deadline-ms").and_then(|ms| ms.parse().ok()),
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

/// What becomes a header of the request holds no control byte.
fn clean(value: String) -> String {
    match headers::clean(&value) {
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
    fn an_odd_deadline_is_none() {
        let headers = [
            ("lambda-runtime-aws-request-id", "a"),
            ("lambda-runtime-deadline-ms", "soon"),
        ];
        assert_eq!(read(&headers).expect("usable").deadline_ms, None);
    }

    #[test]
    fn an_id_that_would_change_a_path_is_refused() {
        assert!(
            read(&[])
                .expect_err("missing")
                .contains("without a request id")
        );
        for id in ["a/b", "a b", "a?b", "a#b", "a%2fb", "a\nb"] {
            assert!(
                read(&[("lambda-runtime-aws-request-id", id)]).is_err(),
                "{id}"
            );
        }
    }
}
