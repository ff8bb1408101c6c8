//! Decides how a response goes back to Lambda. Pure: see the table in its test.

use crate::config::Config;
use crate::http::Response;
use crate::http::request::Request;
use crate::translate::compression::{self, Coding};
use crate::translate::event::Kind;
use crate::translate::reply::MAX_REPLY;

/// How a response goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Posted while it comes.
    Stream(Kind, Coding),
    /// Written into the reply while it comes, which saves a copy of the body.
    RenderWhileReading(Kind),
    /// Read whole, then checked, compressed where that helps, and written into the reply.
    ReadWhole,
}

/// Plans for a response whose head declares a body of `declared` bytes, or none.
///
/// A response that counts as an error is read whole, since its body goes into the failure. So
/// is the result of an event that is no request: `kind` is `None` there.
pub fn plan(
    config: &Config,
    kind: Option<Kind>,
    request: &Request,
    response: &Response,
    declared: Option<u64>,
) -> Plan {
    let Some(kind) = kind.filter(|_| !is_error(config, response)) else {
        return Plan::ReadWhole;
    };
    let coding = coding(config, Some(kind), request, response, declared);
    let fits = declared.is_none_or(|length| length <= MAX_REPLY as u64);
    if streams(config, kind) {
        // A function URL may decode the coding of a stream, and CloudFront rejects what is left.
        // A REST API sends streams as they are, and compresses none.
        match kind {
            Kind::Rest => Plan::Stream(kind, coding),
            _ => Plan::Stream(kind, Coding::Identity),
        }
    } else if fits && coding == Coding::Identity {
        Plan::RenderWhileReading(kind)
    } else {
        Plan::ReadWhole
    }
}

/// Whether the reply to an event of this kind is streamed.
pub fn streams(config: &Config, kind: Kind) -> bool {
    config.streaming && kind.streams()
}

/// The coding of a body of this length. Errors and the results of events stay as they are.
pub fn coding(
    config: &Config,
    kind: Option<Kind>,
    request: &Request,
    response: &Response,
    length: Option<u64>,
) -> Coding {
    match config.compression {
        Some(level) if kind.is_some() && !is_error(config, response) => {
            compression::choose(level, request, response, length)
        }
        _ => Coding::Identity,
    }
}

fn is_error(config: &Config, response: &Response) -> bool {
    config.error_statuses.contains(response.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::headers::Headers;

    /// The plan for a response of 1,000 bytes of text.
    fn planned(settings: &[(&str, &str)], kind: Option<Kind>, status: u16, length: u64) -> Plan {
        let lookup = |name: &str| {
            let api = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
            let mut known = settings.iter().chain([&api]);
            let found = known.find(|(given, _)| *given == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_env(&lookup, &mut Vec::new()).expect("valid settings");
        let mut accepts = Headers::new();
        accepts.push(b"accept-encoding", b"gzip");
        let request = Request {
            method: "GET".into(),
            target: b"/".to_vec(),
            headers: accepts,
            body: b"",
        };
        let mut headers = Headers::new();
        headers.push(b"content-type", b"text/plain");
        let response = Response {
            status,
            headers: &headers,
            to_head: false,
        };
        plan(&config, kind, &request, &response, Some(length))
    }

    #[test]
    fn settings_event_kind_and_status_decide() {
        let stream = ("AWS_LWA_INVOKE_MODE", "response_stream");
        let errors = ("AWS_LWA_ERROR_STATUS_CODES", "500");
        let alb = Kind::Alb { multi: false };
        let (url, identity) = (Kind::FunctionUrl, Coding::Identity);
        for (settings, kind, status, length, expected) in [
            (&[][..], Some(url), 200, 1000, Plan::RenderWhileReading(url)),
            (&[], Some(alb), 404, 1000, Plan::RenderWhileReading(alb)),
            (&[], None, 200, 1000, Plan::ReadWhole),
            (&[], Some(url), 200, 7 << 20, Plan::ReadWhole),
            (&[errors], Some(url), 500, 1000, Plan::ReadWhole),
            (
                &[errors],
                Some(url),
                501,
                1000,
                Plan::RenderWhileReading(url),
            ),
            (
                &[stream],
                Some(url),
                200,
                7 << 20,
                Plan::Stream(url, identity),
            ),
            (
                &[stream],
                Some(alb),
                200,
                1000,
                Plan::RenderWhileReading(alb),
            ),
            (&[stream], None, 200, 1000, Plan::ReadWhole),
            (&[stream, errors], Some(url), 500, 1000, Plan::ReadWhole),
        ] {
            let plan = planned(settings, kind, status, length);
            assert_eq!(plan, expected, "{settings:?} {kind:?} {status} {length}");
        }
    }

    #[cfg(feature = "compression")]
    #[test]
    fn a_compressed_response_is_streamed_or_read_whole() {
        let gzip = ("AWS_LWA_ENABLE_COMPRESSION", "true");
        let stream = ("AWS_LWA_INVOKE_MODE", "response_stream");
        let kind = Some(Kind::Rest);
        assert_eq!(planned(&[gzip], kind, 200, 1000), Plan::ReadWhole);
        let small = planned(&[gzip], kind, 200, 10);
        assert_eq!(small, Plan::RenderWhileReading(Kind::Rest));
        let streamed = planned(&[gzip, stream], kind, 200, 1000);
        assert!(matches!(
            streamed,
            Plan::Stream(Kind::Rest, Coding::Gzip(_))
        ));
        for kind in [Kind::FunctionUrl, Kind::HttpApi] {
            let streamed = planned(&[gzip, stream], Some(kind), 200, 1000);
            assert_eq!(streamed, Plan::Stream(kind, Coding::Identity));
        }
        assert_eq!(planned(&[gzip, stream], None, 200, 1000), Plan::ReadWhole);
    }
}
