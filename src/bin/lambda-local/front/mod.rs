//! The AWS services that invoke functions over HTTP: each turns a request into an event, and a
//! reply into a response.
//!
//! Apart from `gateway.rs` and `invoke_api.rs`, which do the I/O, all of this is pure. Each service
//! has a file of its own; `common.rs` has the parts that they share. The formats are those of the
//! developer guides of Lambda, API Gateway, Elastic Load Balancing and VPC Lattice, and of events
//! captured on AWS.

mod alb;
mod common;
mod describe;
mod event_stream;
pub mod gateway;
mod http_api;
mod invoke_api;
mod lattice;
mod rest_api;
mod web_function;

use std::borrow::Cow;
use std::fmt;

use lambda_adapter::http::reason::reason;
use serde_json::Value;

use crate::api::PAYLOAD_LIMIT;
use crate::cli::options::Kind;
use crate::http_server::{Head, Headers};
use crate::invocation::Fault;
use common::{Target, ValueFormat};

/// An HTTP request before a front end has changed it.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub id: String,
    /// Root of the X-Ray trace, `1-...-...`.
    pub trace: String,
    pub time_ms: i64,
    pub method: String,
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub source_ip: String,
    pub port: u16,
}

#[derive(Debug, Default, PartialEq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

/// The header of an error response with the cause that Lambda hides from the client.
pub const ERROR_HEADER: &str = "x-lambda-local-error";

impl HttpResponse {
    /// Adds the cause in one line of ASCII.
    fn with_cause(mut self, cause: &str) -> HttpResponse {
        let is_visible = |c: &char| c.is_ascii_graphic() || *c == ' ';
        let cause = cause.replace(['\r', '\n', '\t'], " ");
        let cause = cause.chars().filter(is_visible).take(1000).collect();
        self.headers.push((ERROR_HEADER.to_owned(), cause));
        self
    }

    fn new(status: u16, content_type: &str, body: Vec<u8>) -> HttpResponse {
        HttpResponse {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Front {
    pub kind: Kind,
    pub stage: Option<String>,
}

/// Why a front end sends an error response of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayError {
    /// The function failed, or its reply is invalid.
    FunctionFailed,
    Timeout,
    /// All environments are in use.
    Throttled,
    RequestTooLarge,
    /// The path does not start with the stage.
    NotInStage,
    /// The target is neither a path nor an absolute URI.
    NoPath,
    /// The client asks for a WebSocket connection.
    WebSocket,
}

/// Why the reply of a function is not a valid response.
#[derive(Debug)]
pub enum ReplyError {
    NotJson(serde_json::Error),
    PreludeNotJson(serde_json::Error),
    PreludeTooLong {
        limit: usize,
    },
    PreludeCutOff,
    Failed(Fault),
    NotAnObject,
    NoStatus,
    InvalidStatus(Value),
    WrongType {
        field: String,
        expected: &'static str,
    },
    NotBase64,
    TooLarge {
        len: usize,
        limit: usize,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::NotJson(error) => write!(f, "it is not JSON: {error}"),
            ReplyError::PreludeNotJson(error) => write!(f, "its prelude is not JSON: {error}"),
            ReplyError::PreludeTooLong { limit } => {
                write!(
                    f,
                    "its prelude, which has the headers of the app's response, does not end \
                     within {limit} bytes"
                )
            }
            ReplyError::PreludeCutOff => f.write_str("it ended before its prelude was complete"),
            ReplyError::Failed(fault) => fault.fmt(f),
            ReplyError::NotAnObject => f.write_str("it is not an object"),
            ReplyError::NoStatus => f.write_str("it has no `statusCode`"),
            ReplyError::InvalidStatus(status) => {
                write!(f, "`statusCode` is {status}, which is not a valid status")
            }
            ReplyError::WrongType { field, expected } => write!(f, "`{field}` is not {expected}"),
            ReplyError::NotBase64 => {
                f.write_str("`body` is not base64, although `isBase64Encoded` is true")
            }
            ReplyError::TooLarge { len, limit } => {
                write!(f, "it has {len} bytes, more than the limit of {limit}")
            }
        }
    }
}

impl Front {
    /// Returns the event for a request, or the error that the front end reports itself.
    pub fn event(&self, request: &HttpRequest) -> Result<Vec<u8>, GatewayError> {
        if request.body.len() > self.body_limit() {
            return Err(GatewayError::RequestTooLarge);
        }
        let stage = self.stage.as_deref();
        let target = Target::parse(&request.target, stage).ok_or(GatewayError::NotInStage)?;
        let event = match self.kind {
            Kind::FunctionUrl => http_api::function_url_event(request, &target),
            Kind::HttpApi => http_api::http_api_event(request, &target, stage),
            Kind::RestApi => rest_api::event(request, &target, stage),
            Kind::Alb => alb::event(request, &target, ValueFormat::Single),
            Kind::AlbMultiValue => alb::event(request, &target, ValueFormat::Multi),
            Kind::Lattice => lattice::event(request, &target),
        };
        let event = event.bytes();
        if event.len() > PAYLOAD_LIMIT {
            return Err(GatewayError::RequestTooLarge);
        }
        Ok(event)
    }

    /// Returns the largest request body that the front end accepts.
    fn body_limit(&self) -> usize {
        match self.kind {
            Kind::Alb | Kind::AlbMultiValue => 1 << 20,
            Kind::RestApi | Kind::HttpApi => 10 << 20,
            Kind::FunctionUrl | Kind::Lattice => 6 << 20,
        }
    }

    /// Returns the HTTP response that a buffered reply contains.
    pub fn response(&self, payload: &[u8]) -> Result<HttpResponse, ReplyError> {
        match self.kind {
            Kind::FunctionUrl => http_api::response(payload, "application/json").map(remap),
            Kind::HttpApi => http_api::response(payload, "text/plain; charset=utf-8"),
            Kind::RestApi => rest_api::response(payload).map(remap),
            Kind::Alb => alb::response(payload, ValueFormat::Single),
            Kind::AlbMultiValue => alb::response(payload, ValueFormat::Multi),
            Kind::Lattice => lattice::response(payload),
        }
    }

    /// Returns the head of a streamed response: the JSON before the eight NUL bytes.
    pub fn stream_head(&self, prelude: &[u8]) -> Result<HttpResponse, ReplyError> {
        let prelude: Value = serde_json::from_slice(prelude).map_err(ReplyError::PreludeNotJson)?;
        let head = if self.kind == Kind::RestApi {
            rest_api::head(&prelude)?
        } else {
            http_api::head(&prelude)?
        };
        let head = common::with_content_type(head, "application/octet-stream");
        Ok(remap(head))
    }

    /// Returns why a request is refused, for the log and for the header of the response.
    pub fn explain(&self, error: GatewayError, head: &Head) -> String {
        let request = format!("{} {}", head.method, head.target);
        match error {
            GatewayError::RequestTooLarge => format!(
                "{request}: the body is larger than {} bytes, or its event than {PAYLOAD_LIMIT}",
                self.body_limit()
            ),
            GatewayError::NotInStage => format!(
                "{request}: the path does not start with the stage, /{}",
                self.stage.as_deref().unwrap_or_default()
            ),
            GatewayError::NoPath => format!("{request}: the target is not a path"),
            GatewayError::WebSocket => format!(
                "{request}: a function behind HTTP cannot accept a WebSocket; on AWS that takes \
                 an API Gateway WebSocket API"
            ),
            GatewayError::FunctionFailed | GatewayError::Timeout | GatewayError::Throttled => {
                request
            }
        }
    }

    /// Returns the error response of the front end.
    pub fn error_response(&self, error: GatewayError) -> HttpResponse {
        use GatewayError::{FunctionFailed, NotInStage, RequestTooLarge, Timeout};
        const JSON: &str = "application/json";
        const URL_LIMIT: &str = "{\"Message\":\"Request must be smaller than 6291456 bytes \
            for the InvokeFunction operation\"}";
        let page = |status| (status, "text/html", Cow::Owned(error_page(status)));
        let json = |status, body: &'static str| (status, JSON, Cow::Borrowed(body));
        let (status, content_type, body) = match (self.kind, error) {
            (Kind::FunctionUrl, GatewayError::Throttled) => {
                json(429, r#"{"Message":"Rate Exceeded."}"#)
            }
            (Kind::HttpApi, GatewayError::Throttled) => {
                json(503, r#"{"message":"Service Unavailable"}"#)
            }
            (Kind::RestApi, GatewayError::Throttled) => {
                json(500, r#"{"message": "Internal server error"}"#)
            }
            (_, GatewayError::NoPath) => (400, "text/plain", Cow::Borrowed("Bad Request")),
            (_, GatewayError::WebSocket) => (501, "text/plain", Cow::Borrowed("Not Implemented")),
            (Kind::FunctionUrl, FunctionFailed | Timeout) => json(502, "Internal Server Error"),
            (Kind::FunctionUrl, RequestTooLarge | NotInStage) => json(413, URL_LIMIT),
            (Kind::HttpApi, FunctionFailed) => json(500, r#"{"message":"Internal Server Error"}"#),
            (Kind::HttpApi, Timeout) => json(503, r#"{"message":"Service Unavailable"}"#),
            (Kind::HttpApi, RequestTooLarge) => {
                json(413, r#"{"message":"Request Entity Too Large"}"#)
            }
            (Kind::HttpApi, NotInStage) => json(404, r#"{"message":"Not Found"}"#),
            (Kind::RestApi, FunctionFailed) => json(502, r#"{"message": "Internal server error"}"#),
            (Kind::RestApi, Timeout) => json(504, r#"{"message": "Endpoint request timed out"}"#),
            (Kind::RestApi, RequestTooLarge) => json(413, r#"{"message": "Request Too Long"}"#),
            (Kind::RestApi, NotInStage) => json(403, r#"{"message":"Forbidden"}"#),
            (_, RequestTooLarge) => page(413),
            (Kind::Lattice, _) => (500, "text/plain", Cow::Borrowed("Internal Server Error")),
            (_, _) => page(502),
        };
        HttpResponse::new(status, content_type, body.into_owned().into_bytes())
    }

    /// Returns the identifiers that the front end adds to each response.
    pub fn id_headers(&self, id: &str, trace: &str) -> Headers {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let root = format!("Root={trace}");
        match self.kind {
            Kind::FunctionUrl => vec![
                header("x-amzn-requestid", id),
                header("x-amzn-trace-id", &root),
            ],
            Kind::RestApi => vec![
                header("x-amzn-requestid", id),
                header("x-amz-apigw-id", id),
                header("x-amzn-trace-id", &root),
            ],
            Kind::HttpApi => vec![header("apigw-requestid", id)],
            Kind::Alb | Kind::AlbMultiValue | Kind::Lattice => Vec::new(),
        }
    }
}

fn error_page(status: u16) -> String {
    let title = format!("{status} {}", reason(status));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
         <center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// REST APIs and function URLs set these headers themselves, and rename those of the function.
fn remap(mut response: HttpResponse) -> HttpResponse {
    let reserved = [
        "connection",
        "content-length",
        "date",
        "server",
        "www-authenticate",
    ];
    for (name, _) in &mut response.headers {
        let lower_case = name.to_ascii_lowercase();
        if reserved.contains(&lower_case.as_str()) {
            *name = format!("x-amzn-remapped-{lower_case}");
        }
    }
    response
}

#[cfg(test)]
mod tests;
