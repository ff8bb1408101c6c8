//! The records of a batch, each as a request of its own, and the reply that lists the failed
//! ones ("Implementing partial batch responses", for SQS, Kinesis and DynamoDB).
//!
//! The headers of an SQS message are those of Elastic Beanstalk's daemon ("Elastic Beanstalk
//! worker environments"), which the queue middleware of frameworks understands.

use std::borrow::Cow;
use std::time::Duration;

use codec::base64;
use codec::escape::unescape;
use codec::json::{self, Object, Raw};

use super::{request, source};
use crate::config::Config;
use crate::http::headers::{Headers, is_token};
use crate::http::request::{Request, clean};
use crate::invocation::Invocation;
use crate::logger;
use crate::text;

pub const SOURCE: &[u8] = b"x-amzn-event-source";
pub const ID: &[u8] = b"x-amzn-event-id";
pub const ATTRIBUTES: &[u8] = b"x-amzn-event-attributes";
const SQSD: &str = "x-aws-sqsd-";
/// The middleware of frameworks looks for this name.
const SQSD_AGENT: &[u8] = b"aws-sqsd";
const USER_AGENT: &str = concat!("aws-sqsd/3.0 lambda-adapter/", env!("CARGO_PKG_VERSION"));

/// After more failed groups (batches of a FIFO queue have ten messages) all later records fail.
const MAX_GROUPS: usize = 100;

/// Whether a header is one of those of Elastic Beanstalk's daemon, which a client must not send
/// either; the name in lower case, with `-` for `_`.
pub fn is_reserved(name: &[u8], value: &[u8]) -> bool {
    let is_agent =
        |part: &[u8]| matches!(part, [b'a' | b'A', ..]) && part.eq_ignore_ascii_case(SQSD_AGENT);
    name.starts_with(SQSD.as_bytes())
        || name == b"user-agent" && value.windows(SQSD_AGENT.len()).any(is_agent)
}

/// Where the records of a service have their id, in a reply and elsewhere, and their message.
#[derive(Debug)]
struct Layout {
    service: Service,
    source: &'static str,
    /// The member with both; empty if they are members of the record.
    part: &'static str,
    id: &'static str,
    /// Empty if the whole record is the message.
    message: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Sqs,
    Sns,
    Kinesis,
    DynamoDb,
}

static LAYOUTS: [Layout; 4] = [
    Layout {
        service: Service::Sqs,
        source: "aws:sqs",
        part: "",
        id: "messageId",
        message: "body",
    },
    Layout {
        service: Service::Sns,
        source: "aws:sns",
        part: "Sns",
        id: "MessageId",
        message: "Message",
    },
    Layout {
        service: Service::Kinesis,
        source: "aws:kinesis",
        part: "kinesis",
        id: "sequenceNumber",
        message: "data",
    },
    Layout {
        service: Service::DynamoDb,
        source: "aws:dynamodb",
        part: "dynamodb",
        id: "SequenceNumber",
        message: "",
    },
];

impl Layout {
    fn of(record: &Object) -> Option<&'static Layout> {
        let source = record.first_text(&["eventSource", "EventSource"])?;
        LAYOUTS.iter().find(|layout| layout.source == source)
    }

    fn is(&self, service: Service) -> bool {
        self.service == service
    }

    /// Whether a failed record ends the batch: streams go on from it.
    fn is_stream(&self) -> bool {
        matches!(self.service, Service::Kinesis | Service::DynamoDb)
    }

    /// The member of a record, or of the part of it that has its id and its message.
    fn member<'a>(&self, record: &Object<'a>, name: &str) -> Option<Raw<'a>> {
        match self.part {
            "" => record.member(name),
            part => record.object(part).member(name),
        }
    }
}

/// The records of one event, and which of them are left: each that has not succeeded has failed.
#[derive(Debug)]
pub struct Batch<'a> {
    layout: &'static Layout,
    /// Whether they are of a FIFO queue.
    is_fifo: bool,
    records: Vec<Record<'a>>,
    next: usize,
    /// In these groups of a FIFO queue a record has failed: the later ones have to wait for it.
    failed_groups: Vec<&'a str>,
}

#[derive(Debug)]
struct Record<'a> {
    raw: Raw<'a>,
    id: Cow<'a, str>,
    succeeded: bool,
}

impl<'a> Batch<'a> {
    /// The records of the event; none if it is not a batch, if a record has no id, or if the
    /// reply must hold more than failures: that of a tumbling window holds its state.
    #[inline(never)]
    pub fn parse(payload: &'a [u8]) -> Option<Batch<'a>> {
        let event = source::members(payload);
        let elements = event.member("Records").map(json::elements)?;
        let mut batch = Batch {
            layout: LAYOUTS.first()?,
            is_fifo: false,
            records: Vec::new(),
            next: 0,
            failed_groups: Vec::new(),
        };
        for raw in elements {
            let record = Object::from_raw(raw);
            let layout = Layout::of(&record)?;
            let arn = record.member("eventSourceARN").map_or("", Raw::get);
            let is_fifo = layout.is(Service::Sqs) && arn.ends_with(".fifo\"");
            if batch.records.is_empty() {
                (batch.layout, batch.is_fifo) = (layout, is_fifo);
            } else if !layout.is(batch.layout.service) || is_fifo != batch.is_fifo {
                return None;
            }
            let id = layout.member(&record, layout.id).and_then(json::text)?;
            batch.records.push(Record {
                raw,
                id,
                succeeded: false,
            });
        }
        let is_window = event.member("window").is_some();
        (!batch.records.is_empty() && !is_window).then_some(batch)
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn id(&self, index: usize) -> &str {
        self.records.get(index).map_or("", |record| &record.id)
    }

    /// The record at `index` with its members.
    #[inline(never)]
    fn record(&self, index: usize) -> Object<'a> {
        let record = self.records.get(index);
        record
            .map(|record| Object::from_raw(record.raw))
            .unwrap_or_default()
    }

    /// Writes the message of the record at `index`, decoded, to `body`. `None` if it cannot be
    /// decoded.
    #[inline(never)]
    pub fn read_message(&self, index: usize, body: &mut Vec<u8>) -> Option<()> {
        body.clear();
        let message = match self.layout.message {
            "" => self.records.get(index).map(|record| record.raw),
            name => self.layout.member(&self.record(index), name),
        };
        let Some(message) = message else {
            return Some(());
        };
        match json::raw_contents(message) {
            Some(_) if self.layout.is(Service::Kinesis) => {
                base64::decode(body, json::text(message)?.as_bytes())
            }
            Some(escaped) => unescape(body, escaped),
            None => {
                body.extend_from_slice(message.get().as_bytes());
                Some(())
            }
        }
    }

    /// The request for the record at `index`, whose message is `body`.
    #[inline(never)]
    pub fn request<'b>(
        &self,
        index: usize,
        target: &[u8],
        invocation: &Invocation,
        config: &Config,
        body: &'b [u8],
    ) -> Request<'b> {
        let (record, layout, id) = (self.record(index), self.layout, self.id(index));
        let target = target.to_vec();
        let media_type = media_type(body);
        let mut request = request::pass_through(target, media_type, body, None, invocation, config);
        let headers = &mut request.headers;
        add(headers, SOURCE, layout.source);
        add(headers, ID, id);
        if layout.is(Service::Sqs) {
            add_sqsd(headers, &record, id);
        }
        if config.context_headers {
            let mut attributes = Vec::new();
            write_attributes(&mut attributes, record, layout.part, layout.message);
            headers.push(ATTRIBUTES, &attributes);
        }
        request
    }

    /// The message group of a record in a FIFO queue, as JSON: that is the same in each record.
    fn group(&self, index: usize) -> &'a str {
        let attributes = self.record(index).object("attributes");
        attributes.member("MessageGroupId").map_or("", Raw::get)
    }

    /// The record to forward now.
    #[inline(never)]
    pub fn next_index(&mut self) -> Option<usize> {
        loop {
            let index = self.next;
            self.records.get(index)?;
            self.next += 1;
            if !self.is_fifo || !self.failed_groups.contains(&self.group(index)) {
                return Some(index);
            }
        }
    }

    /// Records the outcome of the record that is forwarded.
    #[inline(never)]
    pub fn record_outcome(&mut self, index: usize, success: bool) {
        if let Some(record) = self.records.get_mut(index) {
            record.succeeded = success;
        }
        if success {
            return;
        }
        if self.is_fifo {
            let group = self.group(index);
            self.failed_groups.push(group);
        }
        if self.layout.is_stream() || self.failed_groups.len() > MAX_GROUPS {
            self.next = self.records.len();
        }
    }

    /// The number of failed records, and the id of the first.
    pub fn failed(&self) -> (usize, &str) {
        let (mut count, mut first) = (0, "");
        for record in self.records.iter().rev().filter(|record| !record.succeeded) {
            (count, first) = (count + 1, &*record.id);
        }
        (count, first)
    }

    /// Whether the invocation fails with so many failed records: where no record has succeeded,
    /// Lambda needs no list, and SNS reads none.
    pub fn fails(&self, failed: usize) -> bool {
        failed == self.records.len() || failed > 0 && self.layout.is(Service::Sns)
    }

    /// Writes the reply with the ids of the failed records, or of the first in a stream.
    pub fn write_reply(&self, out: &mut Vec<u8>) {
        let mut ids: Vec<&str> = Vec::new();
        for record in self.records.iter().filter(|record| !record.succeeded) {
            ids.push(&record.id);
        }
        if self.layout.is_stream() {
            ids.truncate(1);
        }
        ids.sort_unstable();
        // A message may come twice.
        let mut last = None;
        out.extend_from_slice(b"{\"batchItemFailures\":[");
        for id in ids {
            if last == Some(id) {
                continue;
            }
            if last.is_some() {
                out.push(b',');
            }
            last = Some(id);
            out.extend_from_slice(b"{\"itemIdentifier\":");
            json::write_string(out, id);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
}

fn media_type(body: &[u8]) -> &'static str {
    if json::is_valid(body) {
        "application/json"
    } else if str::from_utf8(body).is_ok() {
        "text/plain"
    } else {
        "application/octet-stream"
    }
}

#[inline(never)]
fn add(headers: &mut Headers, name: &[u8], value: &str) {
    headers.push(name, clean(value).as_bytes());
}

/// Adds the text of the first of these members that has one.
#[inline(never)]
fn add_text(headers: &mut Headers, name: &str, object: &Object, keys: &[&str]) {
    if let Some(text) = object.first_text(keys) {
        add(headers, name.as_bytes(), &text);
    }
}

/// Adds the headers of Elastic Beanstalk's daemon.
fn add_sqsd(headers: &mut Headers, record: &Object, id: &str) {
    add(headers, b"user-agent", USER_AGENT);
    add(headers, b"x-aws-sqsd-msgid", id);
    let arn = record.text("eventSourceARN").unwrap_or_default();
    let colon = arn.bytes().rposition(|byte| byte == b':');
    let queue = colon.and_then(|colon| arn.get(colon + 1..));
    add(headers, b"x-aws-sqsd-queue", queue.unwrap_or_default());
    let attributes = record.object("attributes");
    let ms = attributes.text("ApproximateFirstReceiveTimestamp");
    if let Some(ms) = ms.and_then(|ms| text::number(&ms)) {
        let time = logger::timestamp(Duration::from_millis(ms));
        add(headers, b"x-aws-sqsd-first-received-at", &time);
    }
    let count = "x-aws-sqsd-receive-count";
    add_text(headers, count, &attributes, &["ApproximateReceiveCount"]);
    add_text(headers, "x-aws-sqsd-sender-id", &attributes, &["SenderId"]);
    for (name, attribute) in &record.object("messageAttributes").into_members() {
        if is_token(name.as_bytes()) {
            let name = String::from("x-aws-sqsd-attr-") + name;
            let attribute = Object::from_raw(*attribute);
            add_text(headers, &name, &attribute, &["stringValue", "binaryValue"]);
        }
    }
}

/// Writes the record without its message, in ASCII: that is the member `message`, of `part` of
/// the record where there is one, or all of that part.
fn write_attributes(out: &mut Vec<u8>, record: Object, part: &str, message: &str) {
    out.push(b'{');
    let start = out.len();
    for (key, value) in &record.into_members() {
        let is_part = !part.is_empty() && key == part;
        if is_part && message.is_empty() || part.is_empty() && key == message {
            continue;
        }
        if out.len() > start {
            out.push(b',');
        }
        json::write_ascii_string(out, key);
        out.push(b':');
        if is_part {
            write_attributes(out, Object::from_raw(*value), "", message);
        } else {
            json::write_ascii(out, value.get());
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Sender {
        Sqs,
        SqsFifo,
        Sns,
        Kinesis,
        DynamoDb,
    }

    const SENDERS: [Sender; 5] = [
        Sender::Sqs,
        Sender::SqsFifo,
        Sender::Sns,
        Sender::Kinesis,
        Sender::DynamoDb,
    ];

    /// A record with an id and, in a FIFO queue, a group.
    fn record(service: Sender, id: &str, group: &str) -> String {
        match service {
            Sender::Sqs | Sender::SqsFifo => {
                let name = if service == Sender::Sqs {
                    "q"
                } else {
                    "q.fifo"
                };
                format!(
                    r#"{{"messageId":"{id}","body":"b","eventSource":"aws:sqs",
                        "eventSourceARN":"arn:aws:sqs:eu-west-1:1:{name}",
                        "attributes":{{"MessageGroupId":"{group}"}}}}"#
                )
            }
            Sender::Sns => {
                format!(r#"{{"EventSource":"aws:sns","Sns":{{"MessageId":"{id}","Message":"b"}}}}"#)
            }
            Sender::Kinesis => format!(
                r#"{{"eventSource":"aws:kinesis",
                    "kinesis":{{"sequenceNumber":"{id}","data":"YQ=="}}}}"#
            ),
            Sender::DynamoDb => format!(
                r#"{{"eventSource":"aws:dynamodb","dynamodb":{{"SequenceNumber":"{id}"}}}}"#
            ),
        }
    }

    fn event(records: &[String]) -> String {
        format!("{{\"Records\":[{}]}}", records.join(","))
    }

    /// The request for the first record of an event.
    fn request(record: &str, settings: &[(&str, &str)]) -> (Vec<(String, String)>, Vec<u8>) {
        let payload = event(&[record.to_owned()]);
        let batch = Batch::parse(payload.as_bytes()).expect("a batch");
        let lookup = |name: &str| {
            let known = settings.iter().chain(&[("AWS_LAMBDA_RUNTIME_API", "a:1")]);
            let mut named = known.filter(|(given, _)| *given == name);
            named.next().map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_env(&lookup, &mut Vec::new()).expect("valid settings");
        let mut body = b"before".to_vec();
        batch.read_message(0, &mut body).expect("a message");
        let request = batch.request(0, b"/events", &Invocation::default(), &config, &body);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = request.headers.iter();
        let headers = headers
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        (headers, request.body.to_vec())
    }

    #[test]
    fn the_message_is_the_body_byte_for_byte_with_a_type_to_match() {
        let sqs =
            |body: &str| format!(r#"{{"messageId":"m","eventSource":"aws:sqs","body":{body}}}"#);
        let kinesis = |data: &str| {
            let member = format!(r#"{{"sequenceNumber":"1","data":"{data}"}}"#);
            format!(r#"{{"eventSource":"aws:kinesis","kinesis":{member}}}"#)
        };
        let sns = r#"{"EventSource":"aws:sns","Sns":{"MessageId":"m","Message":"caf\u00e9 \/"}}"#;
        let dynamodb = record(Sender::DynamoDb, "1", "");
        for (record, body, kind) in [
            (
                sqs(r#""{\"a\" : 1.0e2}""#),
                &b"{\"a\" : 1.0e2}"[..],
                "application/json",
            ),
            (sqs(r#""17""#), b"17", "application/json"),
            (sqs(r#""hello\n""#), b"hello\n", "text/plain"),
            (sqs(r#""""#), b"", "text/plain"),
            (sqs(r#"{"a":1}"#), b"{\"a\":1}", "application/json"),
            (sqs("null"), b"", "text/plain"),
            (kinesis("/wD+"), b"\xff\0\xfe", "application/octet-stream"),
            (kinesis("e30\\u003d"), b"{}", "application/json"),
            (sns.to_owned(), "caf\u{e9} /".as_bytes(), "text/plain"),
            (dynamodb.clone(), dynamodb.as_bytes(), "application/json"),
        ] {
            let (headers, found) = request(&record, &[]);
            assert_eq!(found, body, "{record}");
            let named = |name: &str| headers.iter().find(|(given, _)| given == name);
            let (_, found) = named("content-type").expect("a type");
            assert_eq!(found, kind, "{record}");
            let (_, length) = named("content-length").expect("a length");
            assert_eq!(*length, body.len().to_string());
        }
    }

    /// Forwards all records, of which none succeeds but the first; returns the ids of the reply.
    fn listed_after_failures(payload: &str) -> Vec<String> {
        let mut batch = Batch::parse(payload.as_bytes()).expect("a batch");
        while let Some(index) = batch.next_index() {
            batch.record_outcome(index, index == 0);
        }
        let mut reply = Vec::new();
        batch.write_reply(&mut reply);
        let reply: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
        let items = reply["batchItemFailures"].as_array().expect("a list");
        let ids = items.iter().map(|item| item["itemIdentifier"].as_str());
        ids.map(|id| id.expect("an id").to_owned()).collect()
    }

    #[test]
    fn the_time_for_a_reply_does_not_grow_with_the_square_of_the_batch() {
        const COUNT: usize = 200_000;
        // Each id but the first comes twice.
        let records: Vec<_> = (0..COUNT)
            .map(|number| record(Sender::Sqs, &format!("m{}", number.div_ceil(2)), ""))
            .collect();
        let payload = event(&records);
        let started = std::time::Instant::now();
        let listed: HashSet<_> = listed_after_failures(&payload).into_iter().collect();
        assert_eq!(listed.len(), COUNT / 2);
        // 2 s unoptimized, and minutes where each id is compared with all others.
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_batch_ends_after_many_failed_groups_and_lists_the_rest() {
        let records: Vec<_> = (0..3 * MAX_GROUPS)
            .map(|number| record(Sender::SqsFifo, &number.to_string(), &number.to_string()))
            .collect();
        let listed = listed_after_failures(&event(&records));
        assert_eq!(listed.len(), 3 * MAX_GROUPS - 1);
    }

    #[test]
    fn a_message_that_cannot_be_decoded_is_an_error() {
        for record in [
            r#"{"messageId":"m","eventSource":"aws:sqs","body":"\ud800"}"#,
            r#"{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"1","data":"a"}}"#,
        ] {
            let payload = event(&[record.to_owned()]);
            let batch = Batch::parse(payload.as_bytes()).expect("a batch");
            let message = batch.read_message(0, &mut Vec::new());
            assert!(message.is_none(), "{record}");
        }
    }

    #[test]
    fn an_sqs_message_has_the_headers_of_elastic_beanstalks_daemon() {
        let record = r#"{"messageId":"m1","body":"b","eventSource":"aws:sqs",
            "eventSourceARN":"arn:aws:sqs:eu-west-1:111122223333:orders",
            "attributes":{"ApproximateReceiveCount":"3","SenderId":"AIDA",
                "ApproximateFirstReceiveTimestamp":"1770113472001"},
            "messageAttributes":{
                "Kind":{"stringValue":"a\r\nb: c","dataType":"String"},
                "Raw":{"binaryValue":"YQ==","dataType":"Binary"},
                "not a token":{"stringValue":"x"},"none":{"dataType":"String"}}}"#;
        let (headers, _) = request(record, &[]);
        let of_the_daemon: Vec<_> = headers
            .iter()
            .filter(|(name, _)| name.starts_with(SQSD))
            .map(|(name, value)| (&name[SQSD.len()..], value.as_str()))
            .collect();
        let expected = [
            ("msgid", "m1"),
            ("queue", "orders"),
            ("first-received-at", "2026-02-03T10:11:12.001Z"),
            ("receive-count", "3"),
            ("sender-id", "AIDA"),
            ("attr-kind", "a  b: c"),
            ("attr-raw", "YQ=="),
        ];
        assert_eq!(of_the_daemon, expected);
        let agent = headers.iter().find(|(name, _)| name == "user-agent");
        assert!(agent.is_some_and(|(_, value)| value.starts_with("aws-sqsd/")));
    }

    #[test]
    fn the_attributes_are_the_record_without_its_message() {
        for (service, expected) in [
            (
                Sender::Sqs,
                concat!(
                    r#"{"messageId":"i","eventSource":"aws:sqs","#,
                    r#""eventSourceARN":"arn:aws:sqs:eu-west-1:1:q","#,
                    r#""attributes":{"MessageGroupId":"g"}}"#
                ),
            ),
            (
                Sender::Sns,
                r#"{"EventSource":"aws:sns","Sns":{"MessageId":"i"}}"#,
            ),
            (
                Sender::Kinesis,
                r#"{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"i"}}"#,
            ),
            (Sender::DynamoDb, r#"{"eventSource":"aws:dynamodb"}"#),
        ] {
            let (headers, _) = request(&record(service, "i", "g"), &[]);
            let value = |name: &[u8]| {
                let mut found = headers.iter().filter(|(given, _)| given.as_bytes() == name);
                found.next().map(|(_, value)| value.as_str())
            };
            assert_eq!(value(ATTRIBUTES), Some(expected));
            assert_eq!(value(ID), Some("i"));
            let source = match service {
                Sender::Sqs | Sender::SqsFifo => "aws:sqs",
                Sender::Sns => "aws:sns",
                Sender::Kinesis => "aws:kinesis",
                Sender::DynamoDb => "aws:dynamodb",
            };
            assert_eq!(value(SOURCE), Some(source));
        }
        let off = [("AWS_LWA_CONTEXT_HEADERS", "off")];
        let (headers, _) = request(&record(Sender::Sqs, "i", "g"), &off);
        assert!(
            headers
                .iter()
                .all(|(name, _)| name.as_bytes() != ATTRIBUTES)
        );
    }

    #[test]
    fn other_events_are_not_split() {
        let sqs = record(Sender::Sqs, "m", "");
        for payload in [
            r#"{"Records":[]}"#.to_owned(),
            r#"{"Records":null}"#.to_owned(),
            r#"{"Records":[{"eventSource":"aws:s3"}]}"#.to_owned(),
            // Nothing that a reply could list.
            r#"{"Records":[{"eventSource":"aws:sqs","body":"b"}]}"#.to_owned(),
            event(&[sqs.clone(), record(Sender::Kinesis, "1", "")]),
            event(&[sqs, record(Sender::SqsFifo, "m", "")]),
            format!(
                r#"{{"Records":[{}],"window":{{}},"state":{{}}}}"#,
                record(Sender::Kinesis, "1", "")
            ),
            r#"[{"eventSource":"aws:sqs","messageId":"m"}]"#.to_owned(),
            "{".to_owned(),
        ] {
            assert!(Batch::parse(payload.as_bytes()).is_none(), "{payload}");
        }
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit as u64) as usize
        }
    }

    /// What the app would do with each record, and where the adapter stops, if it does.
    struct Script {
        ids: Vec<String>,
        groups: Vec<String>,
        successes: Vec<bool>,
        stops_at: usize,
    }

    impl Script {
        fn random(size: usize, random: &mut Random) -> Script {
            let failures = [0, 1, 10, 50, 100][random.below(5)];
            let distinct = [size * 100, size.div_ceil(3)][random.below(2)];
            let take = |random: &mut Random, limit: usize| random.below(limit).to_string();
            Script {
                ids: (0..size).map(|_| take(random, distinct)).collect(),
                groups: (0..size).map(|_| take(random, 1 + size / 4)).collect(),
                successes: (0..size).map(|_| random.below(100) >= failures).collect(),
                stops_at: [size, random.below(size)][random.below(2)],
            }
        }

        /// The ids that must come again, by the rule of each service, and whether none succeeded.
        fn expected(&self, service: Sender) -> (HashSet<&str>, bool) {
            let ok = |index: usize| self.successes[index] && index < self.stops_at;
            let all = 0..self.ids.len();
            let first = all.clone().find(|i| !ok(*i)).unwrap_or(all.end);
            let blocked = |index: usize| match service {
                Sender::SqsFifo => {
                    (0..index).any(|i| !ok(i) && self.groups[i] == self.groups[index])
                }
                Sender::Kinesis | Sender::DynamoDb => index > first,
                _ => false,
            };
            let failed: Vec<usize> = all.filter(|i| !ok(*i) || blocked(*i)).collect();
            let listed = match service {
                Sender::Kinesis | Sender::DynamoDb => failed.len().min(1),
                _ => failed.len(),
            };
            let ids = failed[..listed].iter().map(|i| self.ids[*i].as_str());
            (ids.collect(), failed.len() == self.ids.len())
        }
    }

    #[test]
    fn the_listed_ids_are_those_of_the_records_without_success_each_once() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let sizes = (1..40).chain([100, 101, 1_000, 10_000]);
        for size in sizes {
            for service in SENDERS {
                let size = if service == Sender::SqsFifo {
                    size.min(200)
                } else {
                    size
                };
                let script = Script::random(size, &mut random);
                let records: Vec<String> = script
                    .ids
                    .iter()
                    .zip(&script.groups)
                    .map(|(id, group)| record(service, id, group))
                    .collect();
                let payload = event(&records);
                let mut batch = Batch::parse(payload.as_bytes()).expect("a batch");
                let mut sent: HashMap<usize, usize> = HashMap::new();
                let mut last = None;
                while let Some(index) = batch.next_index() {
                    assert!(last < Some(index), "out of order");
                    last = Some(index);
                    *sent.entry(index).or_default() += 1;
                    if index >= script.stops_at {
                        break;
                    }
                    batch.record_outcome(index, script.successes[index]);
                }
                assert!(sent.values().all(|times| *times == 1));
                let (expected, none) = script.expected(service);
                let fails = none || service == Sender::Sns && !expected.is_empty();
                assert_eq!(batch.fails(batch.failed().0), fails, "{service:?} {size}");
                let mut reply = Vec::new();
                batch.write_reply(&mut reply);
                let reply: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
                let listed = reply["batchItemFailures"].as_array().expect("a list");
                let ids: HashSet<&str> = listed
                    .iter()
                    .map(|item| item["itemIdentifier"].as_str().expect("an id"))
                    .collect();
                assert_eq!(ids.len(), listed.len(), "an id twice");
                assert_eq!(ids, expected, "{service:?} {size}");
            }
        }
    }
}
