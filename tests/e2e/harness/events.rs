//! Small events of each front end.
//!
//! Shapes as in the AWS pages "Working with AWS Lambda proxy integrations for HTTP APIs", "Lambda
//! function URLs", "Using AWS Lambda with an Application Load Balancer" and "Lambda functions as
//! targets in VPC Lattice".

use serde_json::{Value, json};

const TARGET_GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/tg/0a";

/// A Function URL event: `get("/p?q=1")`.
pub fn get(target: &str) -> Value {
    url("GET", target)
}

pub fn url(method: &str, target: &str) -> Value {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
        "headers": {"host": "u3.lambda-url.eu-west-1.on.aws"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "u3", "domainName": "u3.lambda-url.eu-west-1.on.aws",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7", "userAgent": "curl/8"},
            "requestId": "q-3", "routeKey": "$default", "stage": "$default",
            "timeEpoch": 1770113472000u64
        },
        "isBase64Encoded": false
    })
}

/// An HTTP API event, payload 2.0: that front end decodes paths.
pub fn http_api(method: &str, target: &str) -> Value {
    let event = url(method, target);
    with(
        event,
        json!({
            "routeKey": "ANY /{proxy+}",
            "headers": {"host": "h2.execute-api.eu-west-1.amazonaws.com"},
            "requestContext": {"domainName": "h2.execute-api.eu-west-1.amazonaws.com",
                "apiId": "h2", "routeKey": "ANY /{proxy+}"}
        }),
    )
}

pub fn rest(method: &str, path: &str) -> Value {
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": method,
        "headers": {"Host": "r1.execute-api.eu-west-1.amazonaws.com"},
        "multiValueHeaders": {"Host": ["r1.execute-api.eu-west-1.amazonaws.com"]},
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "pathParameters": {"proxy": "x"}, "stageVariables": null,
        "requestContext": {
            "accountId": "111122223333", "apiId": "r1", "resourcePath": "/{proxy+}",
            "path": format!("/live{path}"),
            "stage": "live", "requestId": "q-1", "httpMethod": method, "protocol": "HTTP/1.1",
            "domainName": "r1.execute-api.eu-west-1.amazonaws.com",
            "requestTimeEpoch": 1770113472000u64,
            "identity": {"sourceIp": "192.0.2.7", "userAgent": "curl/8"}
        },
        "body": null, "isBase64Encoded": false
    })
}

/// An HTTP API event, payload 1.0.
pub fn http_api_1_0(method: &str, path: &str) -> Value {
    with(rest(method, path), json!({"version": "1.0"}))
}

pub fn alb(method: &str, path: &str) -> Value {
    json!({
        "requestContext": {"elb": {"targetGroupArn": TARGET_GROUP}},
        "httpMethod": method, "path": path, "queryStringParameters": {},
        "headers": {"host": "lb.example.net", "x-forwarded-proto": "http"},
        "body": "", "isBase64Encoded": false
    })
}

pub fn alb_multi(method: &str, path: &str) -> Value {
    json!({
        "requestContext": {"elb": {"targetGroupArn": TARGET_GROUP}},
        "httpMethod": method, "path": path, "multiValueQueryStringParameters": {},
        "multiValueHeaders": {"host": ["lb.example.net"], "x-forwarded-proto": ["http"]},
        "body": "", "isBase64Encoded": false
    })
}

pub fn lattice(method: &str, path: &str) -> Value {
    json!({
        "version": "2.0", "path": path, "method": method, "headers": {"host": ["svc.lattice"]},
        "queryStringParameters": {}, "body": "", "isBase64Encoded": false,
        "requestContext": {
            "serviceNetworkArn": "arn:aws:vpc-lattice:eu-west-1:111122223333:servicenetwork/sn-1",
            "serviceArn": "arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-1",
            "targetGroupArn": "arn:aws:vpc-lattice:eu-west-1:111122223333:targetgroup/tg-1",
            "identity": {"sourceVpcArn": "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-1"},
            "region": "eu-west-1", "timeEpoch": "1770113472000000"
        }
    })
}

pub fn sqs() -> Value {
    json!({"Records": [{"messageId": "m1", "receiptHandle": "h", "body": "hi", "attributes": {},
        "messageAttributes": {}, "md5OfBody": "x", "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:111122223333:q", "awsRegion": "eu-west-1"}]})
}

/// An event of EventBridge, whose result is not read by its sender.
pub fn schedule() -> Value {
    json!({"version": "0", "id": "e1", "detail-type": "Scheduled Event", "source": "aws.events",
        "account": "111122223333", "time": "2026-02-03T10:11:12Z", "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:111122223333:rule/nightly"], "detail": {}})
}

/// Every kind of event that is an HTTP request, with its name.
pub fn http_kinds(method: &str, path: &str) -> Vec<(&'static str, Value)> {
    let mut kinds = vec![
        ("REST API", rest(method, path)),
        ("HTTP API", http_api(method, path)),
        ("Function URL", url(method, path)),
        ("ALB", alb(method, path)),
        ("ALB multi-value", alb_multi(method, path)),
        ("Lattice", lattice(method, path)),
    ];
    kinds.retain(|(kind, _)| !crate::harness::differences::does_not_support(kind));
    kinds
}

/// The same without the names.
pub fn each_kind(method: &str, path: &str) -> Vec<Value> {
    http_kinds(method, path)
        .into_iter()
        .map(|(_, event)| event)
        .collect()
}

/// Changes parts of the event: objects are merged, all else is replaced.
pub fn with(mut event: Value, change: Value) -> Value {
    merge(&mut event, change);
    event
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// The event without one top-level key.
pub fn without(mut event: Value, key: &str) -> Value {
    event.as_object_mut().expect("an object").remove(key);
    event
}

pub fn each_is(found: &[String], expected: &str) {
    assert!(
        found.iter().all(|target| target == expected),
        "{found:?} instead of {expected:?}"
    );
}
