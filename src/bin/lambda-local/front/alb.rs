//! Application Load Balancers, with and without multi-value headers.
//!
//! "Lambda functions as targets" in the Elastic Load Balancing guide: a target group uses one of
//! the two formats, in events and replies alike. Requests and replies are limited to 1 MB.

use super::common::{self, Target, ValueFormat};
use super::{HttpRequest, HttpResponse, ReplyError};
use crate::json::{Json, object};

const REPLY_LIMIT: usize = 1 << 20;
const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/local/0123456789abcdef";

pub fn event(request: &HttpRequest, target: &Target<'_>, format: ValueFormat) -> Json {
    let headers = common::lower_case(common::headers(request));
    // A load balancer does not decode the query.
    let query = common::query_pairs(target.query);
    let target_group = object([("targetGroupArn", TARGET_GROUP.into())]);
    let mut event = object([
        ("requestContext", object([("elb", target_group)])),
        ("httpMethod", request.method.as_str().into()),
        ("path", target.path.into()),
    ]);
    match format {
        ValueFormat::Multi => {
            event.push("multiValueQueryStringParameters", common::lists(&query));
            event.push("multiValueHeaders", common::lists(&headers));
        }
        ValueFormat::Single => {
            event.push("queryStringParameters", common::last(&query));
            event.push("headers", common::last(&headers));
        }
    }
    let (body, is_base64) = if request.body.is_empty() {
        (String::new(), false)
    } else {
        common::event_body(request, is_text)
    };
    event.push("body", body.into());
    event.push("isBase64Encoded", is_base64.into());
    event
}

fn is_text(media_type: &str) -> bool {
    let text_types = [
        "application/json",
        "application/javascript",
        "application/xml",
    ];
    media_type.starts_with("text/") || text_types.contains(&media_type)
}

pub fn response(payload: &[u8], format: ValueFormat) -> Result<HttpResponse, ReplyError> {
    if payload.len() > REPLY_LIMIT {
        return Err(ReplyError::TooLarge {
            len: payload.len(),
            limit: REPLY_LIMIT,
        });
    }
    let reply = common::parse_object(payload)?;
    let headers = match format {
        ValueFormat::Multi => common::multi_headers(&reply)?,
        ValueFormat::Single => common::single_headers(&reply)?,
    };
    let response = HttpResponse {
        status: common::status(&reply)?,
        headers,
        body: common::reply_body(&reply)?,
    };
    if response.body.is_empty() {
        return Ok(response);
    }
    Ok(common::with_content_type(
        response,
        "application/octet-stream",
    ))
}
