//! The value types of settings. Each parser returns `None` for a value it does not accept.

use std::time::Duration;

use super::Protocol;
use crate::gzip;
use crate::http::headers::is_token;
use crate::text::number;

/// A set of status codes, as inclusive ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Statuses {
    pub fn contains(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&status))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn range(low: u16, high: u16) -> Statuses {
        Statuses(vec![(low, high)])
    }

    pub fn parse(text: &str) -> Option<Statuses> {
        let range = |item: &str| -> Option<(u16, u16)> {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            let (low, high) = (status(low.trim())?, status(high.trim())?);
            (low <= high).then_some((low, high))
        };
        // A comma at the end is common in generated lists.
        text.split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(range)
            .collect::<Option<Vec<_>>>()
            .filter(|ranges| !ranges.is_empty())
            .map(Statuses)
    }
}

fn status(text: &str) -> Option<u16> {
    number(text).filter(|status| (100..=999).contains(status))
}

fn one_of<T: Copy>(text: &str, accepted: impl IntoIterator<Item = (&'static str, T)>) -> Option<T> {
    accepted
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, value)| value)
}

pub fn boolean(text: &str) -> Option<bool> {
    let yes = ["true", "1", "yes", "on"].map(|name| (name, true));
    let no = ["false", "0", "no", "off"].map(|name| (name, false));
    one_of(text, yes.into_iter().chain(no))
}

pub fn protocol(text: &str) -> Option<Protocol> {
    one_of(text, [("http", Protocol::Http), ("tcp", Protocol::Tcp)])
}

pub fn invoke_mode(text: &str) -> Option<bool> {
    one_of(text, [("buffered", false), ("response_stream", true)])
}

pub fn context_headers(text: &str) -> Option<bool> {
    one_of(text, [("full", true), ("off", false)])
}

pub fn prime(text: &str) -> Option<bool> {
    one_of(text, [("auto", false), ("always", true)])
}

/// Paths with a comma between them; a comma of their own is `%2C`.
pub fn paths(text: &str) -> Option<Vec<String>> {
    let paths = text.trim_end_matches(',').split(',');
    paths
        .map(|item| {
            Some(item.trim())
                .filter(|item| !item.is_empty())
                .and_then(path)
        })
        .collect()
}

/// Accepts true only in a build with compression.
pub fn compression(text: &str) -> Option<Option<gzip::Level>> {
    if boolean(text)? {
        gzip::LEVEL.map(Some)
    } else {
        Some(None)
    }
}

pub fn port(text: &str) -> Option<u16> {
    // `parse` accepts a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    number(text).filter(|port| digits && *port != 0)
}

/// A number of seconds with or without a fraction, of which nanoseconds count.
pub fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(fraction) || !is_number(whole) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    let seconds: u32 = number(whole)?;
    Some(Duration::new(seconds.into(), nanos))
}

/// A limit in seconds; none where it is zero or less.
pub fn limit(text: &str) -> Option<Option<Duration>> {
    match text.strip_prefix('-') {
        Some(positive) => seconds(positive).map(|_| None),
        None => seconds(text).map(|limit| Some(limit).filter(|limit| !limit.is_zero())),
    }
}

pub fn millis(text: &str) -> Option<Duration> {
    number::<u32>(text).map(|millis| Duration::from_millis(millis.into()))
}

/// A path with or without a query, as it is sent.
pub fn path(text: &str) -> Option<String> {
    encoded(text, b"\"<>`{}")
}

/// Percent-encodes spaces, non-ASCII characters and `reserved`, as the URL standard does in paths
/// (WHATWG URL 1.3). An escape stays as it is. No path has control characters, and a fragment is
/// never sent (RFC 9110 7.1).
fn encoded(text: &str, reserved: &[u8]) -> Option<String> {
    if text.contains(|c: char| c.is_control() || c == '#') {
        return None;
    }
    let mut path = String::new();
    if !text.starts_with('/') {
        path.push('/');
    }
    for byte in text.bytes() {
        match byte {
            byte if byte.is_ascii_graphic() && !reserved.contains(&byte) => path.push(byte.into()),
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(path)
}

/// The spellings of a base path, without a slash at the end: front ends send a path decoded or
/// percent-encoded. None for the root.
pub fn base_path(text: &str) -> Option<Vec<String>> {
    let slash = if text.starts_with('/') { "" } else { "/" };
    let mut spellings = vec![path(text)?, format!("{slash}{text}")];
    spellings.dedup();
    for spelling in &mut spellings {
        spelling.truncate(spelling.trim_end_matches('/').len());
    }
    spellings.retain(|spelling| !spelling.is_empty());
    Some(spellings)
}

/// Accepts braces only in `{source}`: a misspelt one must not become a path.
pub fn pass_through_path(text: &str) -> Option<String> {
    let path = encoded(text, b"\"<>`")?;
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'{' => after.strip_prefix(b"source}")?,
            b'}' => return None,
            _ => after,
        };
    }
    Some(path)
}

/// A host name or address, without the brackets around IPv6.
pub fn host(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let is_valid = bare
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-_:%".contains(&b));
    (is_valid && !bare.is_empty()).then(|| bare.to_owned())
}

/// `HOST:PORT`, with or without `http://` in front.
pub fn endpoint(text: &str) -> Option<String> {
    let text = text
        .strip_prefix("http://")
        .unwrap_or(text)
        .trim_end_matches('/');
    let (name, number) = text.rsplit_once(':')?;
    host(name)?;
    port(number)?;
    Some(text.to_owned())
}

/// The port of `HOST:PORT`, if a server that listens there is reached at `app_host`, or at the
/// loopback address where that is not set.
pub fn endpoint_port(text: &str, app_host: Option<&str>) -> Option<u16> {
    let (name, number) = text.rsplit_once(':')?;
    let bare = host(name)?;
    let is_local = |host| matches!(host, "localhost" | "127.0.0.1" | "::1" | "0.0.0.0" | "::");
    let is_reached = match bare.as_str() {
        "0.0.0.0" | "::" => true,
        local if is_local(local) => app_host.is_none_or(is_local),
        other => app_host == Some(other),
    };
    port(number).filter(|_| is_reached)
}

pub fn header_name(text: &str) -> Option<String> {
    is_token(text.as_bytes()).then(|| text.to_ascii_lowercase())
}
