//! Payload format 2.0: HTTP APIs and function URLs.
//!
//! "AWS Lambda proxy integrations for HTTP APIs" and "Invoking Lambda function URLs". They differ
//! in details: an HTTP API decodes the path and removes the `Cookie` header, a function URL does
//! neither.

use serde_json::Value;

use super::common::{self, Plus, Target};
use super::{HttpRequest, HttpResponse, ReplyError};
use crate::clock;
use crate::function::variables::ACCOUNT_ID;
use crate::http_server;
use crate::json::{Json, object};

const URL_ID: &str = "localfunctionurl";
const URL_DOMAIN: &str = "localfunctionurl.lambda-url.us-east-1.on.aws";
const API_ID: &str = "localhttp0";
const API_DOMAIN: &str = "localhttp0.execute-api.us-east-1.amazonaws.com";

/// The parts in which the two events differ.
struct Route<'a> {
    account: &'a str,
    api_id: &'a str,
    domain: &'a str,
    key: &'a str,
    stage: &'a str,
    raw_path: &'a str,
    /// `requestContext.http.path`
    path: &'a str,
    proxy: Option<String>,
    cookie_header: CookieHeader,
}

#[derive(PartialEq, Eq)]
enum CookieHeader {
    Keep,
    Remove,
}

pub fn function_url_event(request: &HttpRequest, target: &Target<'_>) -> Json {
    let route = Route {
        account: "anonymous",
        api_id: URL_ID,
        domain: URL_DOMAIN,
        key: "$default",
        stage: "$default",
        raw_path: target.path,
        path: &common::decode(target.path, Plus::Literal),
        proxy: None,
        cookie_header: CookieHeader::Keep,
    };
    event(request, target.query, route)
}

pub fn http_api_event(request: &HttpRequest, target: &Target<'_>, stage: Option<&str>) -> Json {
    // API Gateway cuts the decoded path at an encoded question mark.
    let path = common::decode(target.path, Plus::Literal);
    let path = path.split('?').next().unwrap_or_default();
    let proxy = target.resource_path.trim_start_matches('/');
    let route = Route {
        account: ACCOUNT_ID,
        api_id: API_ID,
        domain: API_DOMAIN,
        key: "ANY /{proxy+}",
        stage: stage.unwrap_or("$default"),
        raw_path: path,
        path,
        proxy: (!proxy.is_empty()).then(|| common::decode(proxy, Plus::Literal)),
        cookie_header: CookieHeader::Remove,
    };
    event(request, target.query, route)
}

fn event(request: &HttpRequest, query: &str, route: Route<'_>) -> Json {
    let mut headers = common::lower_case(common::headers(request));
    let cookies: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name == "cookie")
        .flat_map(|(_, value)| value.split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .filter(|cookie| !cookie.is_empty())
        .collect();
    if route.cookie_header == CookieHeader::Remove {
        headers.retain(|(name, _)| name != "cookie");
    }
    let mut event = object([
        ("version", "2.0".into()),
        ("routeKey", route.key.into()),
        ("rawPath", route.raw_path.into()),
        ("rawQueryString", query.into()),
    ]);
    if !cookies.is_empty() {
        event.push("cookies", cookies.into());
    }
    event.push("headers", common::joined(&headers));
    if !query.is_empty() {
        let query = common::decoded_query_pairs(query);
        event.push("queryStringParameters", common::joined(&query));
    }
    event.push("requestContext", context(request, &route));
    if let Some(proxy) = route.proxy {
        event.push("pathParameters", object([("proxy", proxy.into())]));
    }
    let mut is_base64 = false;
    if !request.body.is_empty() {
        let (body, is_encoded) = common::event_body(request, common::is_text);
        event.push("body", body.into());
        is_base64 = is_encoded;
    }
    event.push("isBase64Encoded", is_base64.into());
    event
}

fn context(request: &HttpRequest, route: &Route<'_>) -> Json {
    let agent = http_server::header(&request.headers, "user-agent").unwrap_or_default();
    let http = object([
        ("method", request.method.as_str().into()),
        ("path", route.path.into()),
        ("protocol", "HTTP/1.1".into()),
        ("sourceIp", request.source_ip.as_str().into()),
        ("userAgent", agent.into()),
    ]);
    object([
        ("accountId", route.account.into()),
        ("apiId", route.api_id.into()),
        ("domainName", route.domain.into()),
        ("domainPrefix", route.api_id.into()),
        ("http", http),
        ("requestId", request.id.as_str().into()),
        ("routeKey", route.key.into()),
        ("stage", route.stage.into()),
        ("time", clock::apache(request.time_ms).into()),
        ("timeEpoch", request.time_ms.into()),
    ])
}

/// JSON without a `statusCode` is the body of a response with status 200.
pub fn response(payload: &[u8], content_type: &str) -> Result<HttpResponse, ReplyError> {
    let reply: Value = serde_json::from_slice(payload).map_err(ReplyError::NotJson)?;
    if reply.get("statusCode").is_none() {
        let body = payload.to_vec();
        return Ok(HttpResponse::new(200, "application/json", body));
    }
    let mut response = head(&reply)?;
    response.body = common::reply_body(&reply)?;
    if response.body.is_empty() {
        return Ok(response);
    }
    Ok(common::with_content_type(response, content_type))
}

/// Reads status, headers and cookies, also of the prelude of a stream.
pub fn head(reply: &Value) -> Result<HttpResponse, ReplyError> {
    let mut headers = common::single_headers(reply)?;
    if let Some(cookies) = common::field(reply, "cookies") {
        let cookies = cookies.as_array();
        let cookies = cookies.ok_or_else(|| common::wrong_type("cookies", "a list"))?;
        let values = cookies.iter().filter_map(common::scalar);
        headers.extend(values.map(|cookie| ("set-cookie".to_owned(), cookie)));
    }
    Ok(HttpResponse {
        status: common::status(reply)?,
        headers,
        body: Vec::new(),
    })
}
