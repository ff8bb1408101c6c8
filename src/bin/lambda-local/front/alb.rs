//! Application Load Balancers, with and without multi-value headers.
//!
//! "Lambda functions as targets" in the guide of Elastic Load Balancing: a target group has the one form or the other, in events and answers
//! alike. Bodies and answers are limited to 1 MB.

use super::{
    HttpAnswer, HttpRequest, body, common, multi_headers, parse, single_headers, status,
    with_content_type,
};
use crate::json::{Json, object};

const ANSWER_LIMIT: usize = 1 << 20;
const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/local/0123456789abcdef";

pub fn event(request: &HttpRequest, path: &str, query: &str, multi_value: bool) -> Json {
    let headers = common::lower_case(common::headers(request));
    // A load balancer leaves the query encoded.
    let query = common::query_pairs(query);
    let mut event = object([
        (
            "requestContext",
            object([("elb", object([("targetGroupArn", TARGET_GROUP.into())]))]),
        ),
        ("httpMethod", request.method.as_str().into()),
        ("path", path.into()),
    ]);
    if multi_value {
        event.push("multiValueQueryStringParameters", common::lists(&query));
        event.push("multiValueHeaders", common::lists(&headers));
    } else {
        event.push("queryStringParameters", common::last(&query));
        event.push("headers", common::last(&headers));
    }
    let (text, is_base64) = common::body(request, |media_type| {
        media_type.starts_with("text/")
            || [
                "application/json",
                "application/javascript",
                "application/xml",
            ]
            .contains(&media_type)
    });
    event.push(
        "body",
        if request.body.is_empty() {
            "".into()
        } else {
            text.into()
        },
    );
    event.push(
        "isBase64Encoded",
        (is_base64 && !request.body.is_empty()).into(),
    );
    event
}

pub fn answer(payload: &[u8], multi_value: bool) -> Result<HttpAnswer, String> {
    if payload.len() > ANSWER_LIMIT {
        return Err(format!(
            "it has {} bytes, more than the {ANSWER_LIMIT} that a load balancer takes",
            payload.len()
        ));
    }
    let answer = parse(payload)?;
    let headers = if multi_value {
        multi_headers(&answer)?
    } else {
        single_headers(&answer)?
    };
    let rendered = HttpAnswer {
        status: status(&answer)?,
        headers,
        body: body(&answer)?,
    };
    Ok(if rendered.body.is_empty() {
        rendered
    } else {
        with_content_type(rendered, "application/octet-stream")
    })
}
