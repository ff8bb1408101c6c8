//! The payload of an invocation, parsed as one of the event kinds.
//!
//! A few members decide the kind, and the others may have any type. A strict model of each
//! kind would decide by whether every member parses, and misroute a request because of one odd
//! header. The shapes are those that API Gateway, Lambda function URLs, Application Load
//! Balancers and VPC Lattice document for their Lambda integrations.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Class, Failure};
use codec::headers::Names;
use codec::json::{self, Object, Raw};

/// The limit for all headers, and for a query in pairs. No front end accepts a tenth of it, but
/// an event that repeats a long key for each of many values would need memory without end.
pub const MAX_PAIRS: usize = 1 << 20;

#[derive(Debug)]
pub enum Event<'a> {
    Http(Http<'a>),
    /// Not an HTTP request: posted unchanged to the pass-through path.
    Other {
        context: Option<Raw<'a>>,
    },
}

/// The front end that sent the event. It decides the form of the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// API Gateway REST API, or an HTTP API with payload format 1.0.
    Rest,
    /// API Gateway HTTP API with payload format 2.0.
    HttpApi,
    FunctionUrl,
    /// Application Load Balancer; `multi` if the target group uses multi-value headers.
    Alb {
        multi: bool,
    },
    /// VPC Lattice, version 2.0.
    Lattice,
}

impl Kind {
    /// Whether the front end supports response streaming. An HTTP API does not, but its events
    /// have the format of a function URL's, and the invoke mode applies to the whole function.
    pub fn streams(self) -> bool {
        matches!(self, Kind::Rest | Kind::HttpApi | Kind::FunctionUrl)
    }
}

/// The HTTP request of an event, in one form for all kinds. Only JSON is decoded so far.
#[derive(Debug)]
pub struct Http<'a> {
    pub kind: Kind,
    pub method: Cow<'a, str>,
    pub path: Cow<'a, str>,
    /// Whether the front end has percent-decoded the path, so that a `%` may be literal.
    pub path_is_decoded: bool,
    pub query: Query<'a>,
    pub headers: Pairs<'a>,
    pub cookies: Vec<Cow<'a, str>>,
    pub body: Option<Raw<'a>>,
    pub is_base64: bool,
    pub context: Raw<'a>,
}

pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The query string, by how the front end passes it on.
#[derive(Debug)]
pub enum Query<'a> {
    /// One string, as the client sent it.
    Whole(Cow<'a, str>),
    /// Keys and values, still percent-encoded by the client.
    Encoded(Pairs<'a>),
    /// Keys and values, percent-decoded once.
    Decoded(Pairs<'a>),
}

impl<'a> Event<'a> {
    /// The `requestContext`.
    pub fn context(&self) -> Option<Raw<'a>> {
        match self {
            Event::Http(http) => Some(http.context),
            Event::Other { context } => *context,
        }
    }

    pub fn kind(&self) -> Option<Kind> {
        match self {
            Event::Http(http) => Some(http.kind),
            Event::Other { .. } => None,
        }
    }
}

/// Parses the payload. It fails only if the payload is not JSON.
pub fn parse(payload: &[u8]) -> Result<Event<'_>, Failure> {
    let event = object(payload)?;
    let raw_context = event.member("requestContext");
    let context = raw_context.map(Object::from_raw).unwrap_or_default();
    let other = Event::Other {
        context: raw_context,
    };
    // The event of a Lambda authorizer contains a whole request, too.
    if event.member("methodArn").is_some() || event.member("routeArn").is_some() {
        return Ok(other);
    }
    let is_object = |raw: &Raw| raw.get().starts_with('{');
    let Some(raw_context) = raw_context.filter(is_object) else {
        return Ok(other);
    };
    let http = context.object("http");
    Ok(if context.member("elb").as_ref().is_some_and(is_object) {
        let multi = is_multi(&event);
        Event::Http(simple(Kind::Alb { multi }, &event, raw_context))
    } else if http.member("method").is_some() {
        Event::Http(http_v2(&event, raw_context, &context, &http))
    } else if event.text("version").as_deref() == Some("2.0")
        && event.member("method").is_some()
        && (context.member("serviceNetworkArn").is_some() || context.member("serviceArn").is_some())
    {
        Event::Http(simple(Kind::Lattice, &event, raw_context))
    } else if context.member("connectionId").is_some() && context.member("eventType").is_some() {
        other
    } else if event.member("httpMethod").is_some() {
        Event::Http(simple(Kind::Rest, &event, raw_context))
    } else {
        other
    })
}

/// The members of the payload; none if it is not an object.
fn object(payload: &[u8]) -> Result<Object<'_>, Failure> {
    let not_json = |cause: &dyn fmt::Display| {
        let message = format!("the payload of the invocation is not JSON: {cause}");
        Failure::new(Class::InvalidEvent, message)
    };
    let text = str::from_utf8(payload).map_err(|error| not_json(&error))?;
    Object::parse(text).map_err(|error| not_json(&error))
}

/// The request of an event of the older kinds, which differ in little.
fn simple<'a>(kind: Kind, event: &Object<'a>, context: Raw<'a>) -> Http<'a> {
    let (method, multi) = match kind {
        Kind::Lattice => ("method", ""),
        _ => ("httpMethod", "multiValueQueryStringParameters"),
    };
    let pairs = merged(event, multi, "queryStringParameters");
    let is_rest = kind == Kind::Rest;
    Http {
        method: event.text(method).unwrap_or_default(),
        path: event.text("path").unwrap_or_default(),
        // The events of REST APIs have no version, those of HTTP APIs have 1.0.
        path_is_decoded: is_rest && event.member("version").is_some(),
        query: if is_rest {
            Query::Decoded(pairs)
        } else {
            Query::Encoded(pairs)
        },
        ..common(kind, event, context)
    }
}

/// Whether a load balancer sends several values of a name. An event has either the single-value
/// or the multi-value maps; both may be null.
fn is_multi(event: &Object) -> bool {
    event.member("multiValueHeaders").is_some()
        || event.member("multiValueQueryStringParameters").is_some()
}

/// A part of the domain of every function URL.
const URL_DOMAIN: &[u8] = b".lambda-url.";

fn http_v2<'a>(
    event: &Object<'a>,
    raw_context: Raw<'a>,
    context: &Object<'a>,
    http: &Object<'a>,
) -> Http<'a> {
    let domain = context.text("domainName").unwrap_or_default();
    let mut parts = domain.as_bytes().windows(URL_DOMAIN.len());
    let kind = if parts.any(|part| part == URL_DOMAIN) {
        Kind::FunctionUrl
    } else {
        Kind::HttpApi
    };
    let path = event.first_text(&["rawPath", "path"]);
    let mut cookies = Vec::new();
    if let Some(list) = event.member("cookies") {
        for cookie in json::elements(list) {
            cookies.extend(json::text(cookie));
        }
    }
    Http {
        method: http.text("method").unwrap_or_default(),
        path: path.unwrap_or_default(),
        path_is_decoded: kind == Kind::HttpApi,
        query: match event.text("rawQueryString") {
            Some(query) => Query::Whole(query),
            // Handwritten test events often omit it.
            None => Query::Decoded(merged(event, "queryStringParameters", "")),
        },
        cookies,
        ..common(kind, event, raw_context)
    }
}

/// The members that the kinds have in common; the caller sets the others.
fn common<'a>(kind: Kind, event: &Object<'a>, context: Raw<'a>) -> Http<'a> {
    Http {
        kind,
        method: Cow::default(),
        path: Cow::default(),
        path_is_decoded: false,
        query: Query::Encoded(Vec::new()),
        headers: merged(event, "multiValueHeaders", "headers"),
        cookies: Vec::new(),
        body: event.member("body"),
        is_base64: event.text("isBase64Encoded").as_deref() == Some("true"),
        context,
    }
}

/// All pairs of the first map, then the pairs of the second whose key the first lacks.
fn merged<'a>(event: &Object<'a>, first: &str, second: &str) -> Pairs<'a> {
    let mut pairs = Pairs::new();
    extend(&mut pairs, event.object(first).into_members());
    let mut rest = event.object(second).into_members();
    let known = Names::new(pairs.iter().map(|(key, _)| key.as_bytes()));
    rest.retain(|(key, _)| !known.contains(key.as_bytes()));
    extend(&mut pairs, rest);
    pairs
}

/// Appends a pair for each value of the members, until the pairs are oversized.
fn extend<'a>(pairs: &mut Pairs<'a>, members: Vec<(Cow<'a, str>, Raw<'a>)>) {
    let mut size = size(pairs);
    pairs.reserve(members.len());
    for (key, value) in members {
        for text in json::elements(value).filter_map(json::text) {
            if size > MAX_PAIRS {
                return;
            }
            size += pair_size(&key, &text);
            pairs.push((key.clone(), text));
        }
    }
}

/// Whether the pairs are more than a front end ever sends. The last of them may be missing.
pub fn is_oversized(pairs: &Pairs) -> bool {
    size(pairs) > MAX_PAIRS
}

fn size(pairs: &Pairs) -> usize {
    pairs.iter().map(|(key, text)| pair_size(key, text)).sum()
}

/// The size of a pair as a header line.
fn pair_size(key: &str, text: &str) -> usize {
    key.len() + text.len() + ": \r\n".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(payload: &str) -> Option<Kind> {
        parse(payload.as_bytes()).expect("JSON").kind()
    }

    #[test]
    fn the_shape_decides_the_kind() {
        for (payload, expected) in [
            (
                r#"{"requestContext":{"http":{"method":"GET"}}}"#,
                Some(Kind::HttpApi),
            ),
            (
                r#"{"requestContext":{"http":{"method":"GET"},
                    "domainName":"u.lambda-url.eu-west-1.on.aws"}}"#,
                Some(Kind::FunctionUrl),
            ),
            (
                r#"{"httpMethod":"GET","path":"/x","requestContext":{}}"#,
                Some(Kind::Rest),
            ),
            (
                r#"{"httpMethod":"GET","requestContext":{"identity":null,"requestTimeEpoch":1.5}}"#,
                Some(Kind::Rest),
            ),
            (
                r#"{"httpMethod":"GET","headers":{},"requestContext":{"elb":{}}}"#,
                Some(Kind::Alb { multi: false }),
            ),
            (
                r#"{"httpMethod":"GET","multiValueHeaders":{},"requestContext":{"elb":{}}}"#,
                Some(Kind::Alb { multi: true }),
            ),
            (
                r#"{"version":"2.0","method":"GET","requestContext":{"serviceArn":"a"}}"#,
                Some(Kind::Lattice),
            ),
            (r#"{"raw_path":"/","method":"GET"}"#, None),
            (
                r#"{"requestContext":{"connectionId":"c","eventType":"CONNECT"}}"#,
                None,
            ),
            (r#"{"httpMethod":"GET","apiPath":"/x","agent":{}}"#, None),
            (
                r#"{"type":"REQUEST","methodArn":"a","httpMethod":"GET","path":"/",
                    "requestContext":{"httpMethod":"GET"}}"#,
                None,
            ),
            (
                r#"{"type":"REQUEST","routeArn":"a","requestContext":{"http":{"method":"GET"}}}"#,
                None,
            ),
            (r#"{"Records":[]}"#, None),
            ("[]", None),
            ("\"hi\"", None),
            ("5", None),
            ("null", None),
        ] {
            assert_eq!(kind(payload), expected, "{payload}");
        }
    }

    #[test]
    fn a_payload_that_is_not_json_is_a_failure() {
        for payload in [&b""[..], b"{", b"{} x", b"\xff", b"{\"a\":\"\xff\"}"] {
            let failure = parse(payload).expect_err("not JSON");
            assert_eq!(failure.class, Class::InvalidEvent);
            assert!(failure.message.contains("not JSON"), "{failure}");
        }
    }

    #[test]
    fn multi_value_maps_come_first_and_single_ones_fill_in() {
        let payload = r#"{"httpMethod":"GET","requestContext":{},
            "multiValueHeaders":{"B":["1","2"],"n":[null,3]},
            "headers":{"b":"2","c":"4","d":null}}"#;
        let Ok(Event::Http(http)) = parse(payload.as_bytes()) else {
            panic!("a request");
        };
        let headers: Vec<_> = http
            .headers
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(headers, ["B=1", "B=2", "n=3", "c=4"]);
    }
}
