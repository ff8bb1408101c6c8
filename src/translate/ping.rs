//! Pings that keep an environment warm, in the shapes of the tools that send them.
//!
//! They are for the function and not for the app, which seldom has a route for them; a 404 would
//! be a failed invocation with retries and alarms. Only the exact shapes count: any other event,
//! that of a schedule too, is work for the app.

use codec::json::Object;

/// No ping is longer; other events need not be parsed again.
const MAX_LENGTH: usize = 1024;

/// Whether the event is the ping of `serverless-plugin-warmup` or of `lambda-warmer`.
pub fn is_warm_up(payload: &[u8]) -> bool {
    let text = match std::str::from_utf8(payload) {
        Ok(text) if text.len() <= MAX_LENGTH => text,
        _ => return false,
    };
    let Ok(event) = Object::parse(text) else {
        return false;
    };
    let is_plugin = event.string("source").as_deref() == Some("serverless-plugin-warmup");
    let is_warmer = event
        .member("warmer")
        .is_some_and(|raw| raw.get() == "true");
    // `concurrency`, and the numbers that lambda-warmer gives to the pings it sends itself.
    let is_of_warmer =
        |name: &str| ["warmer", "concurrency"].contains(&name) || name.starts_with("__WARMER_");
    let mut names = event.into_members().into_iter().map(|(name, _)| name);
    is_plugin && names.all(|name| name == "source") || is_warmer && names.all(|n| is_of_warmer(&n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_shapes_are_pings() {
        for (event, expected) in [
            (r#"{"source":"serverless-plugin-warmup"}"#, true),
            (r#" { "source" : "serverless-plugin-warmup" } "#, true),
            (r#"{"warmer":true}"#, true),
            (r#"{"warmer":true,"concurrency":3}"#, true),
            (
                r#"{"warmer":true,"concurrency":3,"__WARMER_INVOCATION__":1,
                    "__WARMER_CORRELATIONID__":"a"}"#,
                true,
            ),
            (
                r#"{"source":"serverless-plugin-warmup","detail":{}}"#,
                false,
            ),
            (r#"{"source":"aws.events"}"#, false),
            (r#"{"source":["serverless-plugin-warmup"]}"#, false),
            (r#"{"warmer":"true"}"#, false),
            (r#"{"warmer":false}"#, false),
            (r#"{"warmer":true,"job":"cleanup"}"#, false),
            (r#"[{"warmer":true}]"#, false),
            (r#""serverless-plugin-warmup""#, false),
            ("{}", false),
            ("", false),
        ] {
            assert_eq!(is_warm_up(event.as_bytes()), expected, "{event}");
        }
        let long = format!(
            "{{\"warmer\":true,\"__WARMER_A\":\"{}\"}}",
            "a".repeat(MAX_LENGTH)
        );
        assert!(!is_warm_up(long.as_bytes()));
    }
}
