//! The AWS service that an event comes from, which becomes a segment of the pass-through path.
//!
//! An event has no member that names its sender in all cases. Its shape does: the members that
//! the service documents for its events ("Invoking Lambda with events from other AWS services").

use codec::json::{self, Object};

use Within::{Context, Event, Record};

/// The source of an event of no known shape.
const OTHER: &str = "other";

/// Where members are looked up.
#[derive(Debug, Clone, Copy)]
enum Within {
    /// The event itself.
    Event,
    /// The first of its records, or the first element of an event that is an array.
    Record,
    /// Its `requestContext`.
    Context,
}

/// The members that make an event one of `source`; each must have one of its values, or any
/// value but null if it lists none.
struct Shape {
    source: &'static str,
    within: Within,
    members: &'static [(&'static str, &'static [&'static str])],
}

const fn shape(
    source: &'static str,
    within: Within,
    members: &'static [(&'static str, &'static [&'static str])],
) -> Shape {
    Shape {
        source,
        within,
        members,
    }
}

/// All shapes; the first that an event has decides.
const SHAPES: &[Shape] = &[
    shape("sqs", Record, &[("eventSource", &["aws:sqs"])]),
    shape("sns", Record, &[("EventSource", &["aws:sns"])]),
    shape("s3", Record, &[("eventSource", &["aws:s3"])]),
    shape("dynamodb", Record, &[("eventSource", &["aws:dynamodb"])]),
    shape("kinesis", Record, &[("eventSource", &["aws:kinesis"])]),
    shape("ses", Record, &[("eventSource", &["aws:ses"])]),
    // Lambda@Edge.
    shape("edge", Record, &[("cf", &[])]),
    shape(
        "kafka",
        Event,
        &[("eventSource", &["aws:kafka", "SelfManagedKafka"])],
    ),
    // ActiveMQ and RabbitMQ.
    shape("mq", Event, &[("eventSource", &["aws:mq", "aws:rmq"])]),
    shape("documentdb", Event, &[("eventSource", &["aws:docdb"])]),
    // Rules of EventBridge, and EventBridge Scheduler.
    shape(
        "schedule",
        Event,
        &[
            ("detail-type", &["Scheduled Event"]),
            ("source", &["aws.events", "aws.scheduler"]),
        ],
    ),
    shape(
        "eventbridge",
        Event,
        &[("detail-type", &[]), ("source", &[])],
    ),
    // API Gateway; the last is that of AppSync.
    shape("authorizer", Event, &[("methodArn", &[])]),
    shape("authorizer", Event, &[("routeArn", &[])]),
    shape(
        "authorizer",
        Event,
        &[("authorizationToken", &[]), ("requestContext", &[])],
    ),
    shape(
        "websocket",
        Context,
        &[("connectionId", &[]), ("eventType", &[])],
    ),
    shape(
        "bedrock-agent",
        Event,
        &[("agent", &[]), ("actionGroup", &[])],
    ),
    // User pools, and Cognito Sync.
    shape(
        "cognito",
        Event,
        &[("triggerSource", &[]), ("userPoolId", &[])],
    ),
    shape(
        "cognito",
        Event,
        &[("identityPoolId", &[]), ("datasetName", &[])],
    ),
    shape("cloudwatch-logs", Event, &[("awslogs", &[])]),
    // Custom resources, and macros.
    shape(
        "cloudformation",
        Event,
        &[("StackId", &[]), ("ResponseURL", &[])],
    ),
    shape(
        "cloudformation",
        Event,
        &[("transformId", &[]), ("fragment", &[])],
    ),
    shape("codepipeline", Event, &[("CodePipeline.job", &[])]),
    shape(
        "config",
        Event,
        &[("invokingEvent", &[]), ("configRuleName", &[])],
    ),
    // Buttons, 1-Click, custom authorizers, provisioning. A rule sends its own message.
    shape("iot", Event, &[("serialNumber", &[]), ("clickType", &[])]),
    shape(
        "iot",
        Event,
        &[("deviceEvent", &[]), ("placementInfo", &[])],
    ),
    shape(
        "iot",
        Event,
        &[("protocolData", &[]), ("connectionMetadata", &[])],
    ),
    shape(
        "iot",
        Event,
        &[("claimCertificateId", &[]), ("templateArn", &[])],
    ),
    shape("lex", Event, &[("bot", &[]), ("invocationSource", &[])]),
    // Custom skills, and smart homes.
    shape(
        "alexa",
        Event,
        &[("version", &[]), ("context", &[]), ("request", &[])],
    ),
    shape("alexa", Event, &[("directive", &[])]),
    // Resolvers, alone and in batches, and AppSync Events.
    shape("appsync", Event, &[("info", &[]), ("arguments", &[])]),
    shape("appsync", Record, &[("info", &[]), ("arguments", &[])]),
    shape("appsync", Event, &[("info", &[]), ("events", &[])]),
    shape(
        "connect",
        Event,
        &[("Name", &["ContactFlowEvent"]), ("Details", &[])],
    ),
    shape(
        "s3-object-lambda",
        Event,
        &[("xAmzRequestId", &[]), ("userRequest", &[])],
    ),
];

/// The source of an event that is not an HTTP request.
pub fn of(payload: &[u8]) -> &'static str {
    let Some(text) = str::from_utf8(payload).ok() else {
        return OTHER;
    };
    let event = Object::parse(text).unwrap_or_default();
    let first = match event.member("Records") {
        Some(records) => json::first(records.get()),
        None => json::first(text),
    };
    let record = first.map(Object::from_raw).unwrap_or_default();
    let context = event.object("requestContext");
    let has = |shape: &&Shape| {
        let object = match shape.within {
            Event => &event,
            Record => &record,
            Context => &context,
        };
        shape.members.iter().all(|(name, values)| match values {
            [] => object.member(name).is_some(),
            values => object
                .text(name)
                .is_some_and(|text| values.contains(&&*text)),
        })
    };
    if let Some(shape) = SHAPES.iter().find(has) {
        return shape.source;
    }
    // The last event of a tumbling window has no records.
    match event.text("eventSourceARN").as_deref().and_then(service) {
        Some("kinesis") => "kinesis",
        Some("dynamodb") => "dynamodb",
        _ => OTHER,
    }
}

/// The service in an ARN: its third part.
fn service(arn: &str) -> Option<&str> {
    arn.split(':').nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_alone_does_not_make_a_source() {
        for payload in [
            r#"{"Records":[]}"#,
            r#"{"Records":{"eventSource":"aws:sqs"}}"#,
            r#"{"Records":[{"eventSource":"aws:codecommit"}]}"#,
            r#"{"eventSource":"aws:sqs"}"#,
            r#"{"detail-type":null,"source":"a"}"#,
            r#"{"agent":{},"actionGroup":null}"#,
            r#"{"version":"1","request":{}}"#,
            "[]",
            "[1]",
            "null",
            "\"sqs\"",
            "{",
            "",
        ] {
            assert_eq!(of(payload.as_bytes()), OTHER, "{payload}");
        }
        assert_eq!(of(b"\xff"), OTHER);
    }

    #[test]
    fn an_array_is_named_by_its_first_element() {
        assert_eq!(of(br#" [ {"eventSource":"aws:sqs"}, 1]"#), "sqs");
        assert_eq!(of(br#"[{"info":{},"arguments":{}}]"#), "appsync");
    }

    #[test]
    fn a_schedule_is_one_of_aws_only() {
        let event = |source| format!(r#"{{"detail-type":"Scheduled Event","source":"{source}"}}"#);
        for (source, expected) in [
            ("aws.events", "schedule"),
            ("aws.scheduler", "schedule"),
            ("my.app", "eventbridge"),
        ] {
            assert_eq!(of(event(source).as_bytes()), expected);
        }
    }

    #[test]
    fn a_window_without_records_is_named_by_its_stream() {
        for (service, expected) in [
            ("kinesis", "kinesis"),
            ("dynamodb", "dynamodb"),
            ("x", OTHER),
        ] {
            let arn = format!("arn:aws:{service}:eu-west-1:111122223333:stream/a");
            let event = format!(r#"{{"Records":[],"window":{{}},"eventSourceARN":"{arn}"}}"#);
            assert_eq!(of(event.as_bytes()), expected);
        }
    }
}
