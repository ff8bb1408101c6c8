//! Batches of records: a sample event with any number of them, and how Lambda acts on the result.
//!
//! The rules are those of "Implementing partial batch responses" in the developer guide, for SQS
//! and for streams.

use serde_json::{Value, json};

/// The services whose events are batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Sqs,
    Sns,
    Kinesis,
    DynamoDb,
}

impl Service {
    fn of(record: &Value) -> Option<Service> {
        let source = record.get("eventSource").or(record.get("EventSource"));
        Some(match source?.as_str()? {
            "aws:sqs" => Service::Sqs,
            "aws:sns" => Service::Sns,
            "aws:kinesis" => Service::Kinesis,
            "aws:dynamodb" => Service::DynamoDb,
            _ => return None,
        })
    }

    /// The JSON pointer of the id in a record.
    fn id(self) -> &'static str {
        match self {
            Service::Sqs => "/messageId",
            Service::Sns => "/Sns/MessageId",
            Service::Kinesis => "/kinesis/sequenceNumber",
            Service::DynamoDb => "/dynamodb/SequenceNumber",
        }
    }
}

/// Returns the sample event with `count` records, each with an id of its own; `None` if its events
/// are not batches.
pub fn expand(sample: &str, count: usize) -> Option<String> {
    let mut event: Value = serde_json::from_str(sample).ok()?;
    let samples = event.get("Records")?.as_array()?.clone();
    let service = Service::of(samples.first()?).filter(|service| *service != Service::Sns)?;
    let records = samples.iter().cycle().take(count).zip(1..);
    let records = records.map(|(record, number)| {
        let mut record = record.clone();
        number_record(&mut record, service, number);
        record
    });
    event["Records"] = records.collect();
    Some(event.to_string())
}

fn number_record(record: &mut Value, service: Service, number: usize) {
    if let Some(id) = record.pointer_mut(service.id()) {
        let start: String = id
            .as_str()
            .unwrap_or_default()
            .chars()
            .rev()
            .skip(5)
            .collect();
        let start: String = start.chars().rev().collect();
        *id = json!(format!("{start}{number:05}"));
    }
    if service == Service::Sqs {
        record["body"] = json!(format!("{{\"order\":{number}}}"));
    }
}

/// Returns how Lambda acts on the result of an event, if the event is a batch.
pub fn consequence(event: &[u8], result: &[u8], has_failed: bool) -> Option<String> {
    let event: Value = serde_json::from_slice(event).ok()?;
    let records = event.get("Records")?.as_array()?;
    let service = Service::of(records.first()?)?;
    let count = records.len();
    let ids: Vec<&str> = records
        .iter()
        .filter_map(|record| record.pointer(service.id())?.as_str())
        .collect();
    if service == Service::Sns {
        let text = "Lambda sends the event again, by default twice";
        return has_failed.then(|| text.to_owned());
    }
    if has_failed {
        return Some(format!(
            "Lambda retries the whole batch: {}",
            of(count, count)
        ));
    }
    let Some(listed) = listed(result, &ids) else {
        return Some(format!(
            "with ReportBatchItemFailures, Lambda retries the whole batch: the result is not a \
             list of ids of this batch; without it, all {count} records count as processed"
        ));
    };
    if listed.is_empty() {
        let act = if service == Service::Sqs {
            "deletes"
        } else {
            "goes on after"
        };
        return Some(format!("Lambda {act} {}", of(count, count)));
    }
    let failed = |id: &&str| listed.contains(id);
    let text = if service == Service::Sqs {
        let failed: Vec<&str> = ids.iter().copied().filter(failed).collect();
        let retried = failed.len();
        let deleted = of(count - retried, count);
        format!(
            "Lambda deletes {deleted} and retries {retried}: {}",
            failed.join(", ")
        )
    } else {
        let first = ids.iter().position(failed).unwrap_or_default();
        let retried = of(count - first, count);
        let id = ids.get(first).unwrap_or(&"");
        format!("Lambda retries {retried}, from {id} on")
    };
    Some(format!(
        "with ReportBatchItemFailures, {text}; without it, all {count} records count as processed"
    ))
}

fn of(part: usize, count: usize) -> String {
    format!("{part} of {count} records")
}

/// The listed ids, each once; `None` for a result that Lambda takes for a complete failure.
fn listed<'a>(result: &[u8], ids: &[&'a str]) -> Option<Vec<&'a str>> {
    let result: Value = if result.trim_ascii().is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(result).ok()?
    };
    let list = match &result {
        Value::Null => return Some(Vec::new()),
        Value::Object(members) => members.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return None,
    };
    let items = match list {
        Value::Null => return Some(Vec::new()),
        list => list.as_array()?,
    };
    let item = |item: &Value| {
        let id = item.get("itemIdentifier")?.as_str()?;
        ids.iter().find(|known| **known == id).copied()
    };
    items.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    fn event(name: &str, count: usize) -> Value {
        let sample = samples::find(name).expect("a sample");
        let event = expand(sample, count).expect("a batch");
        serde_json::from_str(&event).expect("JSON")
    }

    fn ids(event: &Value, service: Service) -> Vec<String> {
        let records = event["Records"].as_array().expect("records").iter();
        records
            .map(|record| record.pointer(service.id()).expect("an id"))
            .map(|id| id.as_str().expect("a text").to_owned())
            .collect()
    }

    #[test]
    fn a_sample_gets_as_many_records_as_asked_for_with_ids_in_order() {
        for (name, service) in [
            ("sqs", Service::Sqs),
            ("kinesis", Service::Kinesis),
            ("dynamodb", Service::DynamoDb),
        ] {
            for count in [1, 2, 3, 10_000] {
                let ids = ids(&event(name, count), service);
                assert_eq!(ids.len(), count, "{name}");
                let numbers = ids.iter().map(|id| id[id.len() - 5..].parse().expect(id));
                let numbers: Vec<usize> = numbers.collect();
                assert!(numbers.iter().copied().eq(1..=count), "{name}");
            }
        }
        for name in ["sns", "s3", "eventbridge", "kafka"] {
            assert_eq!(expand(samples::find(name).expect("a sample"), 2), None);
        }
    }

    #[test]
    fn the_consequence_follows_the_rules_of_each_service() {
        let (queue, stream) = (event("sqs", 3), event("kinesis", 3));
        let (queued, streamed) = (ids(&queue, Service::Sqs), ids(&stream, Service::Kinesis));
        let list = |ids: &[&String]| {
            let items = ids.iter().map(|id| json!({"itemIdentifier": id}));
            json!({"batchItemFailures": items.collect::<Vec<_>>()}).to_string()
        };
        let text = |event: &Value, result: &str, has_failed| {
            consequence(event.to_string().as_bytes(), result.as_bytes(), has_failed)
        };
        let whole = "retries the whole batch";
        for (event, result, has_failed, expected) in [
            (&queue, list(&[]), false, "deletes 3 of 3"),
            (&queue, "null".into(), false, "deletes 3 of 3"),
            (&queue, "{}".into(), false, "deletes 3 of 3"),
            (
                &queue,
                list(&[&queued[1]]),
                false,
                "deletes 2 of 3 records and retries 1",
            ),
            (&queue, list(&[&queued[1]]), false, &queued[1]),
            (&queue, list(&[&"unknown".into()]), false, whole),
            (&queue, "[1]".into(), false, whole),
            (&queue, "\"text\"".into(), false, whole),
            (
                &queue,
                r#"{"batchItemFailures":[{"id":"a"}]}"#.into(),
                false,
                whole,
            ),
            (&queue, "{}".into(), true, whole),
            (&stream, list(&[]), false, "goes on after 3 of 3"),
            (&stream, list(&[&streamed[1]]), false, "retries 2 of 3"),
            // The lowest number counts.
            (
                &stream,
                list(&[&streamed[2], &streamed[0]]),
                false,
                "retries 3 of 3",
            ),
        ] {
            let found = text(event, &result, has_failed).expect("a batch");
            assert!(found.contains(expected), "{result}: {found}");
        }
        let sns = samples::find("sns").expect("a sample");
        let sns: Value = serde_json::from_str(sns).expect("JSON");
        assert!(text(&sns, "", true).is_some_and(|text| text.contains("again")));
        assert_eq!(text(&sns, "", false), None);
        assert_eq!(text(&json!({"a": 1}), "null", true), None);
    }
}
