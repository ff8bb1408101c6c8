//! Sample events, as their sources send them.
//!
//! For trying what an app does with something that is no HTTP request: the adapter posts these to the app's pass-through path.

pub const SAMPLES: [(&str, &str, &str); 9] = [
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
        "eventbridge",
        "an event of a bus",
        include_str!("samples/eventbridge.json"),
    ),
    (
        "bedrock-agent",
        "an agent calls an action",
        include_str!("samples/bedrock-agent.json"),
    ),
    (
        "alb-health-check",
        "a load balancer asks whether the target lives",
        include_str!("samples/alb-health-check.json"),
    ),
];

/// A sample by its name; the error tells the names that there are.
pub fn find(name: &str) -> Result<&'static str, String> {
    let found = SAMPLES.iter().find(|(known, _, _)| *known == name);
    let names = SAMPLES.map(|(name, _, _)| name).join(", ");
    found
        .map(|(_, _, event)| *event)
        .ok_or_else(|| format!("no sample event `{name}`: there are {names}"))
}

/// The list that `lambda-local events` prints.
pub fn list() -> String {
    SAMPLES
        .iter()
        .map(|(name, meaning, _)| format!("{name:<18}{meaning}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_json() {
        for (name, _, event) in SAMPLES {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(event);
            assert!(parsed.is_ok_and(|event| event.is_object()), "{name}");
        }
    }
}
