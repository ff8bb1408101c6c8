//! The AWS service that an event comes from, which becomes a segment of the pass-through path.
//!
//! An event has no member that names its sender in all cases. Its shape does: the members that
//! the service documents for its events ("Invoking Lambda with events from other AWS services").

use codec::json::{self, Object, Raw};

/// The source of an event of no known shape.
const OTHER: &str = "other";

/// A shape a line, behind its source; the first that an event has decides. Each of its members
/// must be there and not null, and have the value behind `=`. Members are those of the
/// event, behind a dot those of its first record (or of the first element of an event that
/// is an array), and behind a slash those of its `requestContext`.
///
/// It is text because a table of slices takes four times as much of the binary.
const SHAPES: &str = "\
sqs .eventSource=aws:sqs
sns .EventSource=aws:sns
s3 .eventSource=aws:s3
dynamodb .eventSource=aws:dynamodb
kinesis .eventSource=aws:kinesis
ses .eventSource=aws:ses
edge .cf
kafka eventSource=aws:kafka
kafka eventSource=SelfManagedKafka
mq eventSource=aws:mq
mq eventSource=aws:rmq
documentdb eventSource=aws:docdb
schedule detail-type=Scheduled Event,source=aws.events
schedule detail-type=Scheduled Event,source=aws.scheduler
eventbridge detail-type,source
authorizer methodArn
authorizer routeArn
authorizer authorizationToken,requestContext
websocket /connectionId,/eventType
bedrock-agent agent,actionGroup
cognito triggerSource,userPoolId
cognito identityPoolId,datasetName
cloudwatch-logs awslogs
cloudformation StackId,ResponseURL
cloudformation transformId,fragment
codepipeline CodePipeline.job
config invokingEvent,configRuleName
iot serialNumber,clickType
iot deviceEvent,placementInfo
iot protocolData,connectionMetadata
iot claimCertificateId,templateArn
lex bot,invocationSource
alexa version,context,request
alexa directive
appsync info,arguments
appsync .info,.arguments
appsync info,events
connect Name=ContactFlowEvent,Details
s3-object-lambda xAmzRequestId,userRequest
";

/// The sources whose records an event source mapping polls.
const POLLED: [&str; 6] = ["sqs", "kinesis", "dynamodb", "kafka", "mq", "documentdb"];

/// The streams that have tumbling windows.
const STREAMS: [&str; 2] = ["kinesis", "dynamodb"];

/// The members of an event; none if it is not an object.
#[inline(never)]
pub fn members(payload: &[u8]) -> Object<'_> {
    let text = str::from_utf8(payload).unwrap_or_default();
    Object::parse(text).unwrap_or_default()
}

/// The source of an event that is not an HTTP request.
pub fn of(payload: &[u8]) -> &'static str {
    if let Some(source) = by_shape(payload) {
        return source;
    }
    // The last event of a tumbling window has no records.
    let stream = members(payload).text("eventSourceARN").unwrap_or_default();
    let service = stream.as_bytes().split(|byte| *byte == b':').nth(2);
    let is_of = |stream: &&str| service == Some(stream.as_bytes());
    STREAMS.into_iter().find(is_of).unwrap_or(OTHER)
}

/// Whether an event source mapping polled the records of this event. Their sender reads the
/// result: it is an object that lists the failed records, or null ("Reporting batch item
/// failures").
pub fn is_polled(payload: &[u8]) -> bool {
    by_shape(payload).is_some_and(|source| POLLED.contains(&source))
}

#[inline(never)]
fn by_shape(payload: &[u8]) -> Option<&'static str> {
    let text = str::from_utf8(payload).unwrap_or_default();
    let event = members(payload);
    let records = event.member("Records").or_else(|| Raw::parse(text).ok());
    let records = records.filter(|records| records.get().starts_with('['));
    let first = records.and_then(|records| json::elements(records).next());
    let record = first.map(Object::from_raw).unwrap_or_default();
    let context = event.object("requestContext");
    let has = |member: &str| {
        let (object, member) = match member.split_at_checked(1) {
            Some((".", member)) => (&record, member),
            Some(("/", member)) => (&context, member),
            _ => (&event, member),
        };
        match member.split_once('=') {
            Some((name, value)) => object.text(name).is_some_and(|text| text == value),
            None => object.member(member).is_some(),
        }
    };
    for line in SHAPES.split('\n') {
        if let Some((source, members)) = line.split_once(' ')
            && members.split(',').all(has)
        {
            return Some(source);
        }
    }
    None
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

    #[test]
    fn the_source_of_the_records_or_of_the_event_tells_batches_apart() {
        for (payload, expected) in [
            (r#"{"Records":[{"eventSource":"aws:sqs"},{}]}"#, true),
            (r#"{"Records":[{"eventSource":"aws:kinesis"}]}"#, true),
            (r#"{"Records":[{"eventSource":"aws:dynamodb"}]}"#, true),
            (r#"{"eventSource":"aws:kafka","records":{}}"#, true),
            (r#"{"eventSource":"SelfManagedKafka","records":{}}"#, true),
            (r#"{"eventSource":"aws:mq","messages":[]}"#, true),
            (r#"{"eventSource":"aws:rmq","rmqMessagesByQueue":{}}"#, true),
            (r#"{"eventSource":"aws:docdb","events":[]}"#, true),
            (r#"{"Records":[{"EventSource":"aws:sns"}]}"#, false),
            (r#"{"Records":[{"eventSource":"aws:s3"}]}"#, false),
            (r#"{"Records":[]}"#, false),
            (r#"{"source":"aws.events"}"#, false),
            ("[]", false),
            ("", false),
        ] {
            assert_eq!(is_polled(payload.as_bytes()), expected, "{payload}");
        }
    }
}
