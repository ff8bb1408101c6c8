//! REST APIs: proxy events of format 1.0.
//!
//! "Lambda proxy integrations in API Gateway" describes event and answer. Binary media types are taken to be set to `*/*`, which any web app
//! that serves images needs: bodies that are not text come in base64, and base64 in answers is decoded.

use serde_json::Value;

use super::{
    HttpAnswer, HttpRequest, body, common, multi_headers, parse, single_headers, status,
    with_content_type,
};
use crate::clock;
use crate::http_server;
use crate::json::{Json, object};

const API_ID: &str = "localrest0";
const DOMAIN: &str = "localrest0.execute-api.us-east-1.amazonaws.com";

pub fn event(
    request: &HttpRequest,
    path: &str,
    inner: &str,
    query: &str,
    stage: Option<&str>,
) -> Json {
    let proxy = inner.trim_start_matches('/');
    let resource = if proxy.is_empty() { "/" } else { "/{proxy+}" };
    let headers = common::headers(request);
    let query = common::decoded_query_pairs(query);
    let has_query = !query.is_empty();
    let (text, is_base64) = common::body(request, |media_type| {
        common::is_text(media_type)
            || media_type.is_empty()
            || media_type == "application/x-www-form-urlencoded"
    });
    let agent = http_server::header(&request.headers, "user-agent");
    object([
        ("resource", resource.into()),
        ("path", inner.into()),
        ("httpMethod", request.method.as_str().into()),
        ("headers", common::last(&headers)),
        ("multiValueHeaders", common::lists(&headers)),
        (
            "queryStringParameters",
            if has_query {
                common::last(&query)
            } else {
                Json::Null
            },
        ),
        (
            "multiValueQueryStringParameters",
            if has_query {
                common::lists(&query)
            } else {
                Json::Null
            },
        ),
        (
            "pathParameters",
            if proxy.is_empty() {
                Json::Null
            } else {
                object([("proxy", proxy.into())])
            },
        ),
        ("stageVariables", Json::Null),
        (
            "requestContext",
            object([
                ("resourceId", "local0".into()),
                ("resourcePath", resource.into()),
                ("httpMethod", request.method.as_str().into()),
                ("extendedRequestId", request.id.as_str().into()),
                ("requestTime", clock::apache(request.time_ms).into()),
                ("path", path.into()),
                ("accountId", "111122223333".into()),
                ("protocol", "HTTP/1.1".into()),
                ("stage", stage.unwrap_or("prod").into()),
                ("domainPrefix", API_ID.into()),
                ("requestTimeEpoch", request.time_ms.into()),
                ("requestId", request.id.as_str().into()),
                ("identity", identity(&request.source_ip, agent)),
                ("domainName", DOMAIN.into()),
                ("apiId", API_ID.into()),
            ]),
        ),
        (
            "body",
            if request.body.is_empty() {
                Json::Null
            } else {
                text.into()
            },
        ),
        (
            "isBase64Encoded",
            (is_base64 && !request.body.is_empty()).into(),
        ),
    ])
}

fn identity(source_ip: &str, agent: Option<&str>) -> Json {
    object([
        ("cognitoIdentityPoolId", Json::Null),
        ("accountId", Json::Null),
        ("cognitoIdentityId", Json::Null),
        ("caller", Json::Null),
        ("sourceIp", source_ip.into()),
        ("principalOrgId", Json::Null),
        ("accessKey", Json::Null),
        ("cognitoAuthenticationType", Json::Null),
        ("cognitoAuthenticationProvider", Json::Null),
        ("userArn", Json::Null),
        ("userAgent", agent.into()),
        ("user", Json::Null),
    ])
}

pub fn answer(payload: &[u8]) -> Result<HttpAnswer, String> {
    let answer = parse(payload)?;
    let mut rendered = head(&answer)?;
    rendered.body = body(&answer)?;
    Ok(if rendered.body.is_empty() {
        rendered
    } else {
        with_content_type(rendered, "application/json")
    })
}

/// Status and headers: both forms are merged, and `multiValueHeaders` wins where a name is in both. A streamed answer may have `cookies` too.
pub fn head(answer: &Value) -> Result<HttpAnswer, String> {
    let mut headers = multi_headers(answer)?;
    let single = single_headers(answer)?;
    headers.extend(
        single
            .into_iter()
            .filter(|(name, _)| http_server::header(&headers, name).is_none())
            .collect::<Vec<_>>(),
    );
    if let Some(cookies) = answer.get("cookies").and_then(Value::as_array) {
        headers.extend(
            cookies
                .iter()
                .filter_map(Value::as_str)
                .map(|cookie| ("set-cookie".to_owned(), cookie.to_owned())),
        );
    }
    Ok(HttpAnswer {
        status: status(answer)?,
        headers,
        body: Vec::new(),
    })
}
