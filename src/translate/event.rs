//! The payload of an invocation as one of the events we know, told apart by shape alone.
//!
//! A strict model of each event would decide the kind by whether every field parses, and send
//! a request with one odd header to the wrong place. Here a few members say the kind, and
//! everything else is taken as it comes. The shapes are those of the API Gateway, Lambda
//! function URL, Application Load Balancer and VPC Lattice pages on Lambda integration.

use std::borrow::Cow;
use std::fmt;

use crate::error::{Class, Failure};
use codec::json::{self, Object, Raw};

#[derive(Debug)]
pub enum Event<'a> {
    Http(Http<'a>),
    /// Not a request: goes to the pass-through path as it is.
    Other {
        context: Option<Raw<'a>>,
    },
}

/// Which front end made the event, and so which answer it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// API Gateway REST API, or an HTTP API with payload format 1.0.
    Rest,
    /// API Gateway HTTP API with payload format 2.0.
    HttpApi,
    FunctionUrl,
    /// Application Load Balancer; `multi` with multi-value headers switched on.
    Alb {
        multi: bool,
    },
    /// VPC Lattice, version 2.0.
    Lattice,
}

impl Kind {
    /// Whether the front end can take an answer while it is made. An HTTP API cannot, but its
    /// events are those of a function URL, and Lambda's invoke mode is set for the function.
    pub fn streams(self) -> bool {
        matches!(self, Kind::Rest | Kind::HttpApi | Kind::FunctionUrl)
    }
}

/// An HTTP request in the form that all kinds share; nothing is decoded yet but JSON.
#[derive(Debug)]
pub struct Http<'a> {
    pub kind: Kind,
    pub method: Cow<'a, str>,
    pub path: Cow<'a, str>,
    pub query: Query<'a>,
    pub headers: Pairs<'a>,
    pub cookies: Vec<Cow<'a, str>>,
    pub body: Option<Raw<'a>>,
    pub is_base64: bool,
    pub context: Raw<'a>,
}

pub type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The query, by how much of it the front end has decoded.
#[derive(Debug)]
pub enum Query<'a> {
    /// As the client sent it.
    Whole(Cow<'a, str>),
    /// Keys and values as the client encoded them.
    Encoded(Pairs<'a>),
    /// Keys and values percent-decoded once.
    Decoded(Pairs<'a>),
}

impl Event<'_> {
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Event::Http(http) => Some(http.kind),
            Event::Other { .. } => None,
        }
    }
}

/// Tells what the payload is. Only a payload that is no JSON at all is a failure.
pub fn parse(payload: &[u8]) -> Result<Event<'_>, Failure> {
    let event = object(payload)?;
    let raw_context = event.member("requestContext");
    let context = raw_context.map(Object::from_raw).unwrap_or_default();
    let other = Event::Other {
        context: raw_context,
    };
    // A Lambda authorizer's event holds a whole request beside the ARN it is asked about.
    if event.member("methodArn").is_some() || event.member("routeArn").is_some() {
        return Ok(other);
    }
    let is_object = |raw: &Raw| raw.get().starts_with('{');
    let Some(raw_context) = raw_context.filter(is_object) else {
        return Ok(other);
    };
    let http = context.object("http");
    Ok(if context.member("elb").as_ref().is_some_and(is_object) {
        Event::Http(alb(event, raw_context))
    } else if http.member("method").is_some() {
        Event::Http(http_v2(event, raw_context, &context, &http))
    } else if event.text("version").as_deref() == Some("2.0")
        && event.member("method").is_some()
        && (context.member("serviceNetworkArn").is_some() || context.member("serviceArn").is_some())
    {
        Event::Http(lattice(event, raw_context))
    } else if context.member("connectionId").is_some() && context.member("eventType").is_some() {
        other
    } else if event.member("httpMethod").is_some() {
        Event::Http(rest(event, raw_context))
    } else {
        other
    })
}

/// The payload's members; none of a payload that is no object.
fn object(payload: &[u8]) -> Result<Object<'_>, Failure> {
    let not_json = |cause: &dyn fmt::Display| {
        let message = format!("the payload of the invocation is not JSON: {cause}");
        Failure::new(Class::InvalidEvent, message)
    };
    let text = str::from_utf8(payload).map_err(|error| not_json(&error))?;
    Object::parse(text).map_err(|error| not_json(&error))
}

fn rest<'a>(event: Object<'a>, context: Raw<'a>) -> Http<'a> {
    let pairs = either(
        &event,
        "multiValueQueryStringParameters",
        "queryStringParameters",
    );
    Http {
        query: Query::Decoded(pairs),
        ..common(Kind::Rest, &event, context, "httpMethod", "path")
    }
}

fn alb<'a>(event: Object<'a>, context: Raw<'a>) -> Http<'a> {
    // The two forms never mix; the maps themselves may be null.
    let multi = event.member("multiValueHeaders").is_some()
        || event.member("multiValueQueryStringParameters").is_some();
    let pairs = either(
        &event,
        "multiValueQueryStringParameters",
        "queryStringParameters",
    );
    Http {
        query: Query::Encoded(pairs),
        ..common(Kind::Alb { multi }, &event, context, "httpMethod", "path")
    }
}

fn lattice<'a>(event: Object<'a>, context: Raw<'a>) -> Http<'a> {
    let pairs = either(&event, "queryStringParameters", "");
    Http {
        query: Query::Encoded(pairs),
        ..common(Kind::Lattice, &event, context, "method", "path")
    }
}

fn http_v2<'a>(
    event: Object<'a>,
    raw_context: Raw<'a>,
    context: &Object<'a>,
    http: &Object<'a>,
) -> Http<'a> {
    let domain = context.text("domainName").unwrap_or_default();
    let kind = match domain.contains(".lambda-url.") {
        true => Kind::FunctionUrl,
        false => Kind::HttpApi,
    };
    let path = ["rawPath", "path"].iter().find_map(|key| event.text(key));
    let cookies = event
        .member("cookies")
        .map(json::elements)
        .unwrap_or_default();
    Http {
        method: http.text("method").unwrap_or_default(),
        path: path.unwrap_or_default(),
        query: match event.text("rawQueryString") {
            Some(query) => Query::Whole(query),
            // Events written by hand often leave it out.
            None => Query::Decoded(either(&event, "queryStringParameters", "")),
        },
        cookies: cookies.into_iter().filter_map(json::text).collect(),
        ..common(kind, &event, raw_context, "", "")
    }
}

/// What the kinds have in common; the caller replaces the rest.
fn common<'a>(
    kind: Kind,
    event: &Object<'a>,
    context: Raw<'a>,
    method: &str,
    path: &str,
) -> Http<'a> {
    Http {
        kind,
        method: event.text(method).unwrap_or_default(),
        path: event.text(path).unwrap_or_default(),
        query: Query::Encoded(Vec::new()),
        headers: either(event, "multiValueHeaders", "headers"),
        cookies: Vec::new(),
        body: event.member("body"),
        is_base64: event.text("isBase64Encoded").as_deref() == Some("true"),
        context,
    }
}

/// All pairs of the first map, then those of the second whose key the first has not.
fn either<'a>(event: &Object<'a>, first: &str, second: &str) -> Pairs<'a> {
    let mut pairs = Pairs::new();
    for map in [first, second] {
        let known = pairs.len();
        for (key, value) in event.object(map).into_members() {
            let seen = pairs
                .iter()
                .take(known)
                .any(|(name, _)| name.eq_ignore_ascii_case(&key));
            for element in json::elements(value) {
                if let (false, Some(text)) = (seen, json::text(element)) {
                    pairs.push((key.clone(), text));
                }
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(payload: &str) -> Option<Kind> {
        parse(payload.as_bytes()).expect("JSON").kind()
    }

    #[test]
    fn the_shape_tells_the_kind() {
        for (payload, expected) in [
            (
                r#"{"requestContext":{"http":{"method":"GET"}}}"#,
                Some(Kind::HttpApi),
            ),
            (
                r#"{"requestContext":{"http":{"method":"GET"},"domainName":"u.lambda-url.eu-west-1.on.aws"}}"#,
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
                r#"{"type":"REQUEST","methodArn":"a","httpMethod":"GET","path":"/","requestContext":{"httpMethod":"GET"}}"#,
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
    fn what_is_not_json_is_a_failure_that_says_so() {
        for payload in [&b""[..], b"{", b"{} x", b"\xff", b"{\"a\":\"\xff\"}"] {
            let failure = parse(payload).expect_err("not JSON");
            assert_eq!(failure.class, Class::InvalidEvent);
            assert!(failure.message.contains("not JSON"), "{failure}");
        }
    }

    #[test]
    fn multi_value_maps_come_first_and_single_ones_fill_in() {
        let payload = r#"{"httpMethod":"GET","requestContext":{},
            "multiValueHeaders":{"B":["1","2"],"n":[null,3]},"headers":{"b":"2","c":"4","d":null}}"#;
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
