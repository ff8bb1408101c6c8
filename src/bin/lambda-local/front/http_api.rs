//! Payload format 2.0: HTTP APIs and function URLs.
//!
//! "AWS Lambda proxy integrations for HTTP APIs" and "Invoking Lambda function URLs" describe it. The two differ in small things: an HTTP API
//! decodes the path and takes the cookies out of the headers, a function URL does neither.

use serde_json::Value;

use super::{
    HttpAnswer, HttpRequest, body, common, parse, scalar, single_headers, status, with_content_type,
};
use crate::clock;
use crate::http_server;
use crate::json::{Json, object};

const URL_ID: &str = "localfunctionurl";
const API_ID: &str = "localhttp0";

pub fn function_url_event(request: &HttpRequest, path: &str, query: &str) -> Json {
    let domain = format!("{URL_ID}.lambda-url.us-east-1.on.aws");
    let context = context(
        request,
        "anonymous",
        URL_ID,
        &domain,
        "$default",
        "$default",
        &common::decode(path, false),
    );
    event(request, path, query, "$default", context, true, None)
}

pub fn http_api_event(
    request: &HttpRequest,
    path: &str,
    inner: &str,
    query: &str,
    stage: Option<&str>,
) -> Json {
    let domain = format!("{API_ID}.execute-api.us-east-1.amazonaws.com");
    // This front decodes the path, and what is a question mark then ends it: so it is on AWS.
    let decoded = common::decode(path, false);
    let decoded = decoded.split('?').next().unwrap_or_default();
    let route = "ANY /{proxy+}";
    let context = context(
        request,
        "111122223333",
        API_ID,
        &domain,
        route,
        stage.unwrap_or("$default"),
        decoded,
    );
    let proxy = common::decode(inner.trim_start_matches('/'), false);
    event(
        request,
        decoded,
        query,
        route,
        context,
        false,
        (!proxy.is_empty()).then_some(proxy),
    )
}

fn context(
    request: &HttpRequest,
    account: &str,
    api: &str,
    domain: &str,
    route: &str,
    stage: &str,
    path: &str,
) -> Json {
    let agent = http_server::header(&request.headers, "user-agent").unwrap_or_default();
    object([
        ("accountId", account.into()),
        ("apiId", api.into()),
        ("domainName", domain.into()),
        ("domainPrefix", api.into()),
        (
            "http",
            object([
                ("method", request.method.as_str().into()),
                ("path", path.into()),
                ("protocol", "HTTP/1.1".into()),
                ("sourceIp", request.source_ip.as_str().into()),
                ("userAgent", agent.into()),
            ]),
        ),
        ("requestId", request.id.as_str().into()),
        ("routeKey", route.into()),
        ("stage", stage.into()),
        ("time", clock::apache(request.time_ms).into()),
        ("timeEpoch", request.time_ms.into()),
    ])
}

fn event(
    request: &HttpRequest,
    raw_path: &str,
    query: &str,
    route: &str,
    context: Json,
    keeps_cookie_header: bool,
    proxy: Option<String>,
) -> Json {
    let mut headers = common::lower_case(common::headers(request));
    let cookies: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name == "cookie")
        .flat_map(|(_, value)| {
            value
                .split(';')
                .map(|cookie| cookie.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect();
    if !keeps_cookie_header {
        headers.retain(|(name, _)| name != "cookie");
    }
    let mut event = object([
        ("version", "2.0".into()),
        ("routeKey", route.into()),
        ("rawPath", raw_path.into()),
        ("rawQueryString", query.into()),
    ]);
    if !cookies.is_empty() {
        event.push("cookies", cookies.into());
    }
    event.push("headers", common::joined(&headers, ","));
    if !query.is_empty() {
        event.push(
            "queryStringParameters",
            common::joined(&common::decoded_query_pairs(query), ","),
        );
    }
    event.push("requestContext", context);
    if let Some(proxy) = proxy {
        event.push("pathParameters", object([("proxy", proxy.into())]));
    }
    let mut is_base64 = false;
    if !request.body.is_empty() {
        let (body, encoded) = common::body(request, common::is_text);
        event.push("body", body.into());
        is_base64 = encoded;
    }
    event.push("isBase64Encoded", is_base64.into());
    event
}

/// Without a `statusCode` any JSON is a body by itself.
pub fn answer(payload: &[u8], content_type: &str) -> Result<HttpAnswer, String> {
    let given: Value =
        serde_json::from_slice(payload).map_err(|error| format!("it is not JSON: {error}"))?;
    if given.get("statusCode").is_none() {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        return Ok(HttpAnswer {
            status: 200,
            headers,
            body: payload.to_vec(),
        });
    }
    let answer = parse(payload)?;
    let mut rendered = head(&answer)?;
    rendered.body = body(&answer)?;
    Ok(if rendered.body.is_empty() {
        rendered
    } else {
        with_content_type(rendered, content_type)
    })
}

/// Status, headers and cookies; a streamed answer begins with the same.
pub fn head(answer: &Value) -> Result<HttpAnswer, String> {
    let mut headers = single_headers(answer)?;
    match answer.get("cookies") {
        None | Some(Value::Null) => {}
        Some(cookies) => {
            let cookies = cookies.as_array().ok_or("`cookies` is not a list")?;
            headers.extend(
                cookies
                    .iter()
                    .filter_map(scalar)
                    .map(|cookie| ("set-cookie".to_owned(), cookie)),
            );
        }
    }
    Ok(HttpAnswer {
        status: status(answer)?,
        headers,
        body: Vec::new(),
    })
}
