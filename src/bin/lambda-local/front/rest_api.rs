//! REST APIs: proxy events of format 1.0.
//!
//! "Lambda proxy integrations in API Gateway". The binary media types of the API are assumed to be
//! `*/*`, which any web app that serves images needs: bodies that are not text are base64 in the
//! event, and base64 in replies is decoded.

use serde_json::Value;

use super::common::{self, Target};
use super::{HttpRequest, HttpResponse, ReplyError};
use crate::clock;
use crate::function::variables::ACCOUNT_ID;
use crate::http_server;
use crate::json::{Json, object};

const API_ID: &str = "localrest0";
const DOMAIN: &str = "localrest0.execute-api.us-east-1.amazonaws.com";

pub fn event(request: &HttpRequest, target: &Target<'_>, stage: Option<&str>) -> Json {
    let proxy = target.resource_path.trim_start_matches('/');
    let (resource, parameters) = match proxy {
        "" => ("/", Json::Null),
        proxy => ("/{proxy+}", object([("proxy", proxy.into())])),
    };
    let headers = common::headers(request);
    let query = common::decoded_query_pairs(target.query);
    let (last, lists) = match query.as_slice() {
        [] => (Json::Null, Json::Null),
        query => (common::last(query), common::lists(query)),
    };
    let (body, is_base64) = match request.body.as_slice() {
        [] => (Json::Null, false),
        _ => {
            let (text, is_base64) = common::event_body(request, is_text);
            (text.into(), is_base64)
        }
    };
    object([
        ("resource", resource.into()),
        ("path", target.resource_path.into()),
        ("httpMethod", request.method.as_str().into()),
        ("headers", common::last(&headers)),
        ("multiValueHeaders", common::lists(&headers)),
        ("queryStringParameters", last),
        ("multiValueQueryStringParameters", lists),
        ("pathParameters", parameters),
        ("stageVariables", Json::Null),
        (
            "requestContext",
            context(request, target.path, resource, stage),
        ),
        ("body", body),
        ("isBase64Encoded", is_base64.into()),
    ])
}

fn is_text(media_type: &str) -> bool {
    common::is_text(media_type)
        || media_type.is_empty()
        || media_type == "application/x-www-form-urlencoded"
}

fn context(request: &HttpRequest, path: &str, resource: &str, stage: Option<&str>) -> Json {
    object([
        ("resourceId", "local0".into()),
        ("resourcePath", resource.into()),
        ("httpMethod", request.method.as_str().into()),
        ("extendedRequestId", request.id.as_str().into()),
        ("requestTime", clock::apache(request.time_ms).into()),
        ("path", path.into()),
        ("accountId", ACCOUNT_ID.into()),
        ("protocol", "HTTP/1.1".into()),
        ("stage", stage.unwrap_or("prod").into()),
        ("domainPrefix", API_ID.into()),
        ("requestTimeEpoch", request.time_ms.into()),
        ("requestId", request.id.as_str().into()),
        ("identity", identity(request)),
        ("domainName", DOMAIN.into()),
        ("apiId", API_ID.into()),
    ])
}

fn identity(request: &HttpRequest) -> Json {
    let agent = http_server::header(&request.headers, "user-agent");
    object([
        ("cognitoIdentityPoolId", Json::Null),
        ("accountId", Json::Null),
        ("cognitoIdentityId", Json::Null),
        ("caller", Json::Null),
        ("sourceIp", request.source_ip.as_str().into()),
        ("principalOrgId", Json::Null),
        ("accessKey", Json::Null),
        ("cognitoAuthenticationType", Json::Null),
        ("cognitoAuthenticationProvider", Json::Null),
        ("userArn", Json::Null),
        ("userAgent", agent.into()),
        ("user", Json::Null),
    ])
}

pub fn response(payload: &[u8]) -> Result<HttpResponse, ReplyError> {
    let reply = common::parse_object(payload)?;
    let mut response = head(&reply)?;
    response.body = common::reply_body(&reply)?;
    if response.body.is_empty() {
        return Ok(response);
    }
    Ok(common::with_content_type(response, "application/json"))
}

/// Reads status and headers. Both kinds of headers are merged; `multiValueHeaders` takes precedence
/// where a name is in both. The prelude of a stream may have `cookies`, too.
pub fn head(reply: &Value) -> Result<HttpResponse, ReplyError> {
    let multi = common::multi_headers(reply)?;
    let mut single = common::single_headers(reply)?;
    single.retain(|(name, _)| http_server::header(&multi, name).is_none());
    let mut headers = [multi, single].concat();
    let cookies = reply.get("cookies").and_then(Value::as_array);
    for cookie in cookies.into_iter().flatten().filter_map(Value::as_str) {
        headers.push(("set-cookie".to_owned(), cookie.to_owned()));
    }
    Ok(HttpResponse {
        status: common::status(reply)?,
        headers,
        body: Vec::new(),
    })
}
