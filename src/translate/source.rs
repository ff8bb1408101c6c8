//! The AWS service that an event comes from, which becomes a segment of the pass-through path.
//!
//! An event has no member that names its sender in all cases. Its shape does: the members that
//! the service documents for its events ("Invoking Lambda with events from other AWS services").

use codec::json::{self, Object, Raw};

/// The source of an event of no known shape.
const OTHER: &str = "other";

/// A shape a line, behind its source, or behind a space if that is the one of the line before;
/// the first that an event has decides. Each of its members must be there and not null, and have
/// the value behind `=`, or be an ARN of the service behind `~`. Members are those of the event,
/// behind a dot those of its first record (or of the first element of an event that is an array),
/// and behind a slash those of its `requestContext`. A star marks the sources whose records an
/// event source mapping polls. The last event of a tumbling window has no records: it has the
/// shapes at the end.
///
/// It is text because a table of slices takes four times as much of the binary.
const SHAPES: &str = "\
*sqs .eventSource=aws:sqs
sns .EventSource=aws:sns
s3 .eventSource=aws:s3
*dynamodb .eventSource=aws:dynamodb
*kinesis .eventSource=aws:kinesis
ses .eventSource=aws:ses
edge .cf
*kafka eventSource=aws:kafka
 eventSource=SelfManagedKafka
*mq eventSource=aws:mq
 eventSource=aws:rmq
*documentdb eventSource=aws:docdb
schedule detail-type=Scheduled Event,source=aws.events
 detail-type=Scheduled Event,source=aws.scheduler
eventbridge detail-type,source
authorizer methodArn
 routeArn
 authorizationToken,requestContext
websocket /connectionId,/eventType
bedrock-agent agent,actionGroup
cognito triggerSource,userPoolId
 identityPoolId,datasetName
cloudwatch-logs awslogs
cloudformation StackId,ResponseURL
 transformId,fragment
codepipeline CodePipeline.job
config invokingEvent,configRuleName
iot serialNumber,clickType
 deviceEvent,placementInfo
 protocolData,connectionMetadata
 claimCertificateId,templateArn
lex bot,invocationSource
alexa version,context,request
 directive
appsync info,arguments
 .info,.arguments
 info,events
connect Name=ContactFlowEvent,Details
s3-object-lambda xAmzRequestId,userRequest
kinesis eventSourceARN~kinesis
dynamodb eventSourceARN~dynamodb
";

/// The members of an event; none if it is not an object.
#[inline(never)]
pub fn members(payload: &[u8]) -> Object<'_> {
    let text = str::from_utf8(payload).unwrap_or_default();
    Object::parse(text).unwrap_or_default()
}

/// The source of an event that is not an HTTP request.
pub fn of(payload: &[u8]) -> &'static str {
    let source = by_shape(payload);
    source.strip_prefix('*').unwrap_or(source)
}

/// Whether an event source mapping polled the records of this event. Their sender reads the
/// result: it is an object that lists the failed records, or null ("Reporting batch item
/// failures").
pub fn is_polled(payload: &[u8]) -> bool {
    by_shape(payload).starts_with('*')
}

/// The source of the first shape that the event has, with its star.
#[inline(never)]
fn by_shape(payload: &[u8]) -> &'static str {
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
        let (name, value) = cut(member, b'=');
        let (name, service) = cut(name, b'~');
        let Some(found) = object.member(name) else {
            return false;
        };
        let text = json::text(found).unwrap_or_default();
        (value.is_empty() || value == text) && (service.is_empty() || service == service_of(&text))
    };
    let (mut source, mut rest) = ("", SHAPES);
    while !rest.is_empty() {
        let (line, after) = cut(rest, b'\n');
        let (name, mut members) = cut(line, b' ');
        if !name.is_empty() {
            source = name;
        }
        loop {
            let (member, others) = cut(members, b',');
            if !has(member) {
                break;
            }
            if others.is_empty() {
                return source;
            }
            members = others;
        }
        rest = after;
    }
    OTHER
}

/// The service of an ARN.
fn service_of(arn: &str) -> &str {
    let (_arn, rest) = cut(arn, b':');
    let (_partition, rest) = cut(rest, b':');
    cut(rest, b':').0
}

/// The text before the first `mark` and the text behind it, which is empty if there is none.
/// (`split_once` is inlined, in some 100 bytes for each use.)
#[inline(never)]
fn cut(text: &str, mark: u8) -> (&str, &str) {
    let mut parts = text.as_bytes().splitn(2, |byte| *byte == mark);
    let before = parts.next().map_or(0, <[u8]>::len);
    let after = text.get(before + 1..).unwrap_or_default();
    (text.get(..before).unwrap_or_default(), after)
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
