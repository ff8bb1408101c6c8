//! VPC Lattice, event version 2.0.
//!
//! "Lambda functions as targets in VPC Lattice": headers and query values are lists in the event and joined strings in the answer; a repeated
//! Set-Cookie cannot be carried, as there is no list in the answer.

use super::{HttpAnswer, HttpRequest, body, common, parse, single_headers, status};
use crate::json::{Json, object};

pub fn event(request: &HttpRequest, path: &str, query: &str) -> Json {
    let arn = |rest: &str| Json::from(format!("arn:aws:vpc-lattice:us-east-1:111122223333:{rest}"));
    let headers = common::lower_case(common::headers(request));
    let mut event = object([
        ("version", "2.0".into()),
        ("path", path.into()),
        ("method", request.method.as_str().into()),
        ("headers", common::lists(&headers)),
    ]);
    if !query.is_empty() {
        event.push(
            "queryStringParameters",
            common::lists(&common::query_pairs(query)),
        );
    }
    if !request.body.is_empty() {
        let (text, is_base64) = common::body(request, common::is_text);
        event.push("body", text.into());
        event.push("isBase64Encoded", is_base64.into());
    }
    event.push(
        "requestContext",
        object([
            (
                "serviceNetworkArn",
                arn("servicenetwork/sn-0123456789abcdef0"),
            ),
            ("serviceArn", arn("service/svc-0123456789abcdef0")),
            ("targetGroupArn", arn("targetgroup/tg-0123456789abcdef0")),
            (
                "identity",
                object([(
                    "sourceVpcArn",
                    "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-0123456789abcdef0".into(),
                )]),
            ),
            ("region", "us-east-1".into()),
            // A string, in microseconds.
            ("timeEpoch", format!("{}000", request.time_ms).into()),
        ]),
    );
    event
}

pub fn answer(payload: &[u8]) -> Result<HttpAnswer, String> {
    let answer = parse(payload)?;
    Ok(HttpAnswer {
        status: status(&answer)?,
        headers: single_headers(&answer)?,
        body: body(&answer)?,
    })
}
