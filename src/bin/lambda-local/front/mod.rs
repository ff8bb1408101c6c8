//! The front ends of AWS: each makes an event of an HTTP request, and an HTTP answer of what the function gives back.
//!
//! All of this is pure: bytes in, bytes out. What differs between the kinds stands in a file each; what is the same for several is here and in
//! `parts.rs`. The shapes are those of the developer guides of Lambda, API Gateway, Elastic Load Balancing and VPC Lattice, and of events
//! captured on AWS.

mod alb;
pub mod common;
pub mod gateway;
mod http_api;
pub mod invoke_api;
mod lattice;
mod rest_api;

use serde_json::Value;

use crate::base64;
use crate::cli::options::Kind;
use crate::http_server::{self, Headers};
use crate::reason::reason;

/// A request as it came in, before any front has changed it.
pub struct HttpRequest {
    pub id: String,
    /// The root of its trace, `1-...-...`.
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
pub struct HttpAnswer {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

pub struct Front {
    pub kind: Kind,
    pub stage: Option<String>,
}

/// Why a front answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The function failed, or gave something that is no answer.
    Function,
    Timeout,
    TooLarge,
    /// The URL does not begin with the stage.
    NoStage,
}

impl Front {
    /// The event of a request; or what the front answers without asking the function.
    pub fn event(&self, request: &HttpRequest) -> Result<Vec<u8>, Trouble> {
        if request.body.len() > self.body_limit() {
            return Err(Trouble::TooLarge);
        }
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let inner = match &self.stage {
            None => path,
            Some(stage) => common::strip_stage(path, stage).ok_or(Trouble::NoStage)?,
        };
        let event = match self.kind {
            Kind::FunctionUrl => http_api::function_url_event(request, path, query),
            Kind::HttpApi => {
                http_api::http_api_event(request, path, inner, query, self.stage.as_deref())
            }
            Kind::RestApi => rest_api::event(request, path, inner, query, self.stage.as_deref()),
            Kind::Alb => alb::event(request, path, query, false),
            Kind::AlbMultiValue => alb::event(request, path, query, true),
            Kind::Lattice => lattice::event(request, path, query),
        };
        let event = event.bytes();
        if event.len() > crate::api::runtime::PAYLOAD_LIMIT {
            Err(Trouble::TooLarge)
        } else {
            Ok(event)
        }
    }

    /// The largest body that this front takes.
    fn body_limit(&self) -> usize {
        match self.kind {
            Kind::Alb | Kind::AlbMultiValue => 1 << 20,
            Kind::RestApi | Kind::HttpApi => 10 << 20,
            Kind::FunctionUrl | Kind::Lattice => 6 << 20,
        }
    }

    /// The HTTP answer in what the function has given; the error says what is wrong with it.
    pub fn answer(&self, payload: &[u8]) -> Result<HttpAnswer, String> {
        match self.kind {
            Kind::FunctionUrl => http_api::answer(payload, "application/json").map(remap),
            Kind::HttpApi => http_api::answer(payload, "text/plain; charset=utf-8"),
            Kind::RestApi => rest_api::answer(payload).map(remap),
            Kind::Alb => alb::answer(payload, false),
            Kind::AlbMultiValue => alb::answer(payload, true),
            Kind::Lattice => lattice::answer(payload),
        }
    }

    /// The head of a streamed answer: the JSON before the eight NULs.
    pub fn prelude(&self, prelude: &[u8]) -> Result<HttpAnswer, String> {
        let parsed: Value = serde_json::from_slice(prelude)
            .map_err(|error| format!("its prelude is not JSON: {error}"))?;
        let answer = if self.kind == Kind::RestApi {
            rest_api::head(&parsed)
        } else {
            http_api::head(&parsed)
        };
        answer
            .map(|answer| with_content_type(answer, "application/octet-stream"))
            .map(remap)
    }

    /// What this front answers by itself.
    pub fn trouble(&self, trouble: Trouble) -> HttpAnswer {
        let json = "application/json";
        let (status, content_type, body) = match (self.kind, trouble) {
            (Kind::FunctionUrl, Trouble::Function | Trouble::Timeout) => (502, json, "Internal Server Error".to_owned()),
            (Kind::FunctionUrl, _) => (413, json, r#"{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#.to_owned()),
            (Kind::HttpApi, Trouble::Function) => (500, json, r#"{"message":"Internal Server Error"}"#.to_owned()),
            (Kind::HttpApi, Trouble::Timeout) => (503, json, r#"{"message":"Service Unavailable"}"#.to_owned()),
            (Kind::HttpApi, Trouble::TooLarge) => (413, json, r#"{"message":"Request Entity Too Large"}"#.to_owned()),
            (Kind::HttpApi, Trouble::NoStage) => (404, json, r#"{"message":"Not Found"}"#.to_owned()),
            (Kind::RestApi, Trouble::Function) => (502, json, r#"{"message": "Internal server error"}"#.to_owned()),
            (Kind::RestApi, Trouble::Timeout) => (504, json, r#"{"message": "Endpoint request timed out"}"#.to_owned()),
            (Kind::RestApi, Trouble::TooLarge) => (413, json, r#"{"message": "Request Too Long"}"#.to_owned()),
            (Kind::RestApi, Trouble::NoStage) => (403, json, r#"{"message":"Forbidden"}"#.to_owned()),
            (_, Trouble::TooLarge) => (413, "text/html", page(413)),
            (Kind::Lattice, _) => (500, "text/plain", "Internal Server Error".to_owned()),
            (_, _) => (502, "text/html", page(502)),
        };
        HttpAnswer {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.into_bytes(),
        }
    }

    /// The identifiers that this front adds to each answer.
    pub fn stamps(&self, id: &str, trace: &str) -> Headers {
        let root = format!("Root={trace}");
        let stamps = match self.kind {
            Kind::FunctionUrl => vec![("x-amzn-requestid", id), ("x-amzn-trace-id", &root)],
            Kind::RestApi => vec![
                ("x-amzn-requestid", id),
                ("x-amz-apigw-id", id),
                ("x-amzn-trace-id", &root),
            ],
            Kind::HttpApi => vec![("apigw-requestid", id)],
            _ => Vec::new(),
        };
        stamps
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

fn page(status: u16) -> String {
    let title = format!("{status} {}", reason(status));
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
}

/// REST APIs and function URLs keep these names for themselves and pass the function's values on under others.
fn remap(mut answer: HttpAnswer) -> HttpAnswer {
    for (name, _) in &mut answer.headers {
        if [
            "connection",
            "content-length",
            "date",
            "server",
            "www-authenticate",
        ]
        .iter()
        .any(|kept| name.eq_ignore_ascii_case(kept))
        {
            *name = format!("x-amzn-remapped-{}", name.to_ascii_lowercase());
        }
    }
    answer
}

fn with_content_type(mut answer: HttpAnswer, content_type: &str) -> HttpAnswer {
    if http_server::header(&answer.headers, "content-type").is_none() {
        answer
            .headers
            .push(("content-type".to_owned(), content_type.to_owned()));
    }
    answer
}

/// `statusCode`, a number or, where the front takes it so, the same in a string.
fn status(answer: &Value) -> Result<u16, String> {
    let given = answer.get("statusCode").ok_or("it has no `statusCode`")?;
    let status = given
        .as_u64()
        .or_else(|| given.as_str().and_then(|text| text.parse().ok()));
    status
        .filter(|status| (100..1000).contains(status))
        .map(|status| status as u16)
        .ok_or_else(|| format!("`statusCode` is {given}, which is no status"))
}

/// `headers`: an object whose values are scalars. A list is no scalar: AWS drops it there.
fn single_headers(answer: &Value) -> Result<Headers, String> {
    let pairs = match answer.get("headers") {
        None | Some(Value::Null) => return Ok(Headers::new()),
        Some(headers) => headers.as_object().ok_or("`headers` is not an object")?,
    };
    Ok(pairs
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
        .collect())
}

/// `multiValueHeaders`: an object whose values are lists of scalars.
fn multi_headers(answer: &Value) -> Result<Headers, String> {
    let pairs = match answer.get("multiValueHeaders") {
        None | Some(Value::Null) => return Ok(Headers::new()),
        Some(headers) => headers
            .as_object()
            .ok_or("`multiValueHeaders` is not an object")?,
    };
    let mut headers = Headers::new();
    for (name, values) in pairs {
        let values = values
            .as_array()
            .ok_or_else(|| format!("`multiValueHeaders.{name}` is not a list"))?;
        headers.extend(
            values
                .iter()
                .filter_map(|value| Some((name.clone(), scalar(value)?))),
        );
    }
    Ok(headers)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// `body` and `isBase64Encoded`.
fn body(answer: &Value) -> Result<Vec<u8>, String> {
    let text = match answer.get("body") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(body) => body.as_str().ok_or("`body` is not a string")?,
    };
    match answer.get("isBase64Encoded") {
        None | Some(Value::Null | Value::Bool(false)) => Ok(text.as_bytes().to_vec()),
        Some(Value::Bool(true)) => base64::decode(text)
            .ok_or_else(|| "`body` is not base64, though `isBase64Encoded` is true".to_owned()),
        Some(other) => Err(format!("`isBase64Encoded` is {other}")),
    }
}

fn parse(payload: &[u8]) -> Result<Value, String> {
    let answer: Value =
        serde_json::from_slice(payload).map_err(|error| format!("it is not JSON: {error}"))?;
    if answer.is_object() {
        Ok(answer)
    } else {
        Err("it is not an object".to_owned())
    }
}

#[cfg(test)]
mod tests;
