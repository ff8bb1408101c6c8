//! Sample events of AWS services that invoke functions with something else than an HTTP request.
//!
//! The adapter posts such an event to the pass-through path of the app.

use std::fmt;

pub const SAMPLES: [(&str, &str, &str); 18] = [
    (
        "sqs",
        "two messages of a queue",
        include_str!("samples/sqs.json"),
    ),
    (
        "sns",
        "a notification of a topic",
        include_str!("samples/sns.json"),
    ),
    (
        "s3",
        "an object was created in a bucket",
        include_str!("samples/s3.json"),
    ),
    (
        "dynamodb",
        "an item was changed in a table",
        include_str!("samples/dynamodb.json"),
    ),
    (
        "kinesis",
        "a record of a data stream",
        include_str!("samples/kinesis.json"),
    ),
    (
        "kafka",
        "a record of a topic",
        include_str!("samples/kafka.json"),
    ),
    (
        "mq",
        "a message of an ActiveMQ broker",
        include_str!("samples/mq.json"),
    ),
    (
        "documentdb",
        "a document was inserted",
        include_str!("samples/documentdb.json"),
    ),
    (
        "eventbridge",
        "an event of an event bus",
        include_str!("samples/eventbridge.json"),
    ),
    (
        "schedule",
        "a schedule of EventBridge is due",
        include_str!("samples/schedule.json"),
    ),
    (
        "websocket",
        "a message of a WebSocket client",
        include_str!("samples/websocket.json"),
    ),
    (
        "authorizer",
        "a REST API asks whether a request is allowed",
        include_str!("samples/authorizer.json"),
    ),
    (
        "cognito",
        "a user signs up",
        include_str!("samples/cognito.json"),
    ),
    (
        "ses",
        "an e-mail has arrived",
        include_str!("samples/ses.json"),
    ),
    (
        "cloudwatch-logs",
        "log lines of a subscription, compressed",
        include_str!("samples/cloudwatch-logs.json"),
    ),
    (
        "cloudformation",
        "a custom resource is created",
        include_str!("samples/cloudformation.json"),
    ),
    (
        "bedrock-agent",
        "an agent calls an action",
        include_str!("samples/bedrock-agent.json"),
    ),
    (
        "alb-health-check",
        "a load balancer checks the health of its target",
        include_str!("samples/alb-health-check.json"),
    ),
];

#[derive(Debug)]
pub struct UnknownSample(String);

impl std::error::Error for UnknownSample {}

impl fmt::Display for UnknownSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = SAMPLES.map(|(name, _, _)| name).join(", ");
        write!(
            f,
            "unknown sample event `{}`: expected one of {names}",
            self.0
        )
    }
}

pub fn find(name: &str) -> Result<&'static str, UnknownSample> {
    let found = SAMPLES.iter().find(|(known, _, _)| *known == name);
    found
        .map(|(_, _, event)| *event)
        .ok_or_else(|| UnknownSample(name.to_owned()))
}

/// Returns the list that `lambda-local events` prints.
pub fn list() -> String {
    let lines = SAMPLES.map(|(name, meaning, _)| format!("{name:<18}{meaning}\n"));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_a_json_object() {
        for (name, _, event) in SAMPLES {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(event);
            assert!(parsed.is_ok_and(|event| event.is_object()), "{name}");
        }
    }
}
