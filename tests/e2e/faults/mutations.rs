//! Thousands of broken events and broken responses: the process survives, each invocation gets one
//! reply, and every request that reaches the app is valid HTTP.
//!
//! The mutations come from a seeded xorshift generator, so that a failure can be reproduced.

use crate::harness::app::{Response, raw};
use crate::harness::events::*;
use crate::harness::http::Message;
use crate::harness::scenario::{Scenario, scenario};

const ROUNDS: usize = 2000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

/// Deletes, doubles, overwrites or inserts some bytes at random places.
fn mutate(bytes: &[u8], tokens: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(20)).min(bytes.len());
        match random.below(6) {
            0 if bytes.len() > 1 => drop(bytes.drain(at..end)),
            1 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            2 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            3 if random.below(4) == 0 => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, random.pick(tokens).iter().copied())),
        }
    }
    bytes
}

/// Replaces whole values of a JSON event: the text stays JSON and so reaches further code.
fn replace_values(event: &mut serde_json::Value, random: &mut Random) {
    let odd = [
        "null",
        "true",
        "-1",
        "\"\"",
        "\"\\u0000\\r\\nx: y\"",
        "[]",
        "{}",
        "[null,[{}]]",
        "{\"a\":{\"b\":null}}",
        "\"\\ud83e\\udd80\"",
        "\"%\"",
        "\"?#\"",
        "\"a b\"",
        "12345678901234567890123",
        "\"true\"",
        "\"..\\\\..\"",
    ];
    match &mut *event {
        serde_json::Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| replace_values(value, random)),
        serde_json::Value::Array(values) => values
            .iter_mut()
            .for_each(|value| replace_values(value, random)),
        _ => {}
    }
    if random.below(12) == 0 {
        *event = serde_json::from_str(random.pick(&odd)).unwrap_or_default();
    }
}

fn mutated_events(random: &mut Random) -> Vec<Vec<u8>> {
    let mut seeds = each_kind("POST", "/a%20b/c");
    seeds.push(sqs());
    let rich =
        serde_json::json!({"body": "AAH/", "isBase64Encoded": true, "cookies": ["a=1", "b=2"]});
    let seeds: Vec<_> = seeds
        .into_iter()
        .flat_map(|seed| [seed.clone(), with(seed, rich.clone())])
        .collect();
    let tokens: [&[u8]; 20] = [
        b"null",
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u0000",
        b"\\r\\nx-evil: 1",
        b"\\ud800",
        b"\xff",
        b"1e400",
        b"%",
        b"%0",
        b"?",
        b"#",
        b"..",
        b"\\\\",
        b"true",
    ];
    let each = |number: usize| {
        let mut event = seeds[number % seeds.len()].clone();
        if number.is_multiple_of(3) {
            replace_values(&mut event, random);
            return event.to_string().into_bytes();
        }
        mutate(event.to_string().as_bytes(), &tokens, random)
    };
    (0..ROUNDS).map(each).collect()
}

/// A head that any server accepts: RFC 9112 3 and 5.
pub fn is_well_formed(request: &Message) -> bool {
    let text = request.head.strip_suffix(b"\r\n\r\n").unwrap_or_default();
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let start = lines.next().unwrap_or_default();
    let parts: Vec<_> = start.split(|byte| *byte == b' ').collect();
    let target = parts.len() == 3
        && parts[1].starts_with(b"/")
        && parts[1].iter().all(|byte| (0x21..0x7f).contains(byte));
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(0);
        colon > 0
            && line[..colon].iter().all(token)
            && line[colon..]
                .iter()
                .all(|byte| *byte == b'\t' || *byte >= 0x20 && *byte != 0x7f)
    };
    let hosts = request.all("host").len() == 1;
    let lengths = request.all("content-length");
    let sized = lengths.len() <= 1
        && lengths
            .first()
            .is_none_or(|length| *length == request.body.len().to_string());
    target
        && parts[0].iter().all(token)
        && !parts[0].is_empty()
        && lines.all(field)
        && hosts
        && sized
}

#[test]
fn mutated_events_are_each_answered_once_and_reach_the_app_as_http() {
    let mut random = Random(0x5eed_1234_5678_9abd);
    let run = scenario().invoke_all(mutated_events(&mut random)).run();
    let requests = run.requests();
    assert!(
        requests.len() > ROUNDS / 4,
        "too few got through to prove anything: {}",
        requests.len()
    );
    for request in requests {
        assert!(is_well_formed(&request), "{}", request.head.escape_ascii());
    }
}

fn mutated_responses(random: &mut Random) -> Vec<Response> {
    let seeds: [&[u8]; 8] = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\nX-A: \
            b\r\n\r\nhello",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=1\r\n\r\n5\r\n\
            hello\r\n3;x=y\r\nyou\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Type: image/png\r\n\
            Connection: close\r\n\r\n\x89PNG\xff\x00",
        b"HTTP/1.0 200 OK\r\nX-Name: zo\xeb\r\n\r\nto the end",
        b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nVary: a\r\nVary: b\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: \
            3\r\n\r\nabc",
        b"HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    ];
    let tokens: [&[u8]; 20] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b":",
        b" ",
        b"\t",
        b"\xff",
        b"Content-Length: 7\r\n",
        b"\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"HTTP/1.1 ",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"-1",
        b"99999999999999999999",
        b",",
        b";",
        b"=\"",
        b"Connection: x-a, close\r\n",
    ];
    let each = |number: usize| {
        let bytes = mutate(seeds[number % seeds.len()], &tokens, random);
        // Sometimes in two writes, so that every boundary occurs.
        let cut = random.below(bytes.len());
        if number.is_multiple_of(4) {
            raw(&bytes[..cut]).send(&bytes[cut..]).close()
        } else {
            raw(bytes).close()
        }
    };
    (0..ROUNDS).map(each).collect()
}

/// Runs as many invocations as there are responses; each reply must be JSON, or one of our errors.
fn assert_survives(scenario: Scenario, streaming: bool) {
    let mut random = Random(0xbad_cafe_f00d);
    let scenario = mutated_responses(&mut random)
        .into_iter()
        .fold(scenario, Scenario::respond);
    let kinds = [
        get("/"),
        rest("POST", "/"),
        alb("GET", "/"),
        http_api("HEAD", "/"),
        sqs(),
    ];
    let run = scenario
        .invoke_all((0..ROUNDS).map(|number| kinds[number % kinds.len()].clone()))
        .run();
    let mut failures = 0;
    for (_, message) in run.all_posts() {
        failures += usize::from(message.target.ends_with("/error"));
        let json = match message.body.windows(8).position(|window| window == [0; 8]) {
            Some(end) if streaming => &message.body[..end],
            _ => &message.body[..],
        };
        assert!(
            serde_json::from_slice::<serde_json::Value>(json).is_ok(),
            "{}",
            message.body.escape_ascii()
        );
    }
    assert!(
        (ROUNDS / 10..ROUNDS).contains(&failures),
        "{failures} failures prove nothing"
    );
}

#[test]
fn mutated_answers_are_each_answered_once_to_lambda() {
    assert_survives(scenario(), false);
}

#[test]
fn mutated_answers_are_each_answered_once_to_lambda_in_a_stream() {
    assert_survives(
        scenario().env("AWS_LWA_INVOKE_MODE", "response_stream"),
        true,
    );
}

#[cfg(feature = "compression")]
#[test]
fn mutated_answers_are_each_answered_once_to_lambda_when_compressing() {
    assert_survives(scenario().env("AWS_LWA_ENABLE_COMPRESSION", "true"), false);
}
