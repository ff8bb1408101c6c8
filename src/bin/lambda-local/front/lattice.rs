//! VPC Lattice, event version 2.0.
//!
//! "Lambda functions as targets in VPC Lattice": headers and query values are lists in the event
//! but strings in the reply, so a response cannot have more than one `Set-Cookie`.

use super::common::{self, Target};
use super::{HttpRequest, HttpResponse, ReplyError};
use crate::json::{Json, object};

const VPC: &str = "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-0123456789abcdef0";

pub fn event(request: &HttpRequest, target: &Target<'_>) -> Json {
    let arn = |rest: &str| Json::from(format!("arn:aws:vpc-lattice:us-east-1:111122223333:{rest}"));
    let headers = common::lower_case(common::headers(request));
    let mut event = object([
        ("version", "2.0".into()),
        ("path", target.path.into()),
        ("method", request.method.as_str().into()),
        ("headers", common::lists(&headers)),
    ]);
    if !target.query.is_empty() {
        let query = common::query_pairs(target.query);
        event.push("queryStringParameters", common::lists(&query));
    }
    if !request.body.is_empty() {
        let (body, is_base64) = common::event_body(request, common::is_text);
        event.push("body", body.into());
        event.push("isBase64Encoded", is_base64.into());
    }
    let context = object([
        (
            "serviceNetworkArn",
            arn("servicenetwork/sn-0123456789abcdef0"),
        ),
        ("serviceArn", arn("service/svc-0123456789abcdef0")),
        ("targetGroupArn", arn("targetgroup/tg-0123456789abcdef0")),
        ("identity", object([("sourceVpcArn", VPC.into())])),
        ("region", "us-east-1".into()),
        // Microseconds, as a string.
        ("timeEpoch", format!("{}000", request.time_ms).into()),
    ]);
    event.push("requestContext", context);
    event
}

pub fn response(payload: &[u8]) -> Result<HttpResponse, ReplyError> {
    let reply = common::parse_object(payload)?;
    Ok(HttpResponse {
        status: common::status(&reply)?,
        headers: common::single_headers(&reply)?,
        body: common::reply_body(&reply)?,
    })
}
