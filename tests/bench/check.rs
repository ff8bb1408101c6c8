//! Checks the reply of each adapter and kind once before it is measured, so that a broken adapter
//! never passes for a fast one.

use crate::kinds::{Kind, Mode};
use crate::payload;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Checks one whole `/response`; returns the size of a compressed body.
pub fn response(kind: &Kind, reply: &[u8]) -> Result<Option<usize>, String> {
    let begin = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
    if find(reply, br#""statusCode":200"#).is_none() {
        return Err(format!("not a 200: {}", begin(reply)));
    }
    if kind.mode != Mode::Buffered {
        let nuls = find(reply, &[0; 8])
            .ok_or_else(|| format!("no eight NULs after the prelude: {}", begin(reply)))?;
        return same(kind, &reply[nuls + 8..]).map(|()| None);
    }
    let at = find(reply, br#""body":""#).ok_or_else(|| format!("no body: {}", begin(reply)))?;
    let text = payload::unescape(&reply[at + 8..]).ok_or("a body that is no JSON string")?;
    if find(reply, br#""isBase64Encoded":true"#).is_none() {
        if kind.gzip {
            return Err("the body was not compressed".into());
        }
        return same(kind, &text).map(|()| None);
    }
    let bytes = payload::from_base64(&text).ok_or("a body that is not base64")?;
    if !kind.gzip {
        return same(kind, &bytes).map(|()| None);
    }
    if find(reply, br#""content-encoding":"gzip""#).is_none() {
        return Err(format!("no content-encoding: gzip: {}", begin(reply)));
    }
    let (plain, _) = gzip("-dc", &bytes)?;
    same(kind, &plain).map(|()| Some(bytes.len()))
}

fn same(kind: &Kind, body: &[u8]) -> Result<(), String> {
    let expected = kind.expected();
    if expected == body {
        return Ok(());
    }
    let at = expected
        .iter()
        .zip(body)
        .take_while(|(a, b)| a == b)
        .count();
    Err(format!(
        "{} bytes, {} expected, different from byte {at} on",
        body.len(),
        expected.len()
    ))
}

/// Runs the machine's own gzip over `bytes`; returns the output and the time.
pub fn gzip(option: &str, bytes: &[u8]) -> Result<(Vec<u8>, Duration), String> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench.gzip");
    let input = || {
        std::fs::write(&path, bytes)?;
        File::open(&path)
    };
    let input = input().map_err(|e| format!("failed to write `{}`: {e}", path.display()))?;
    let started = Instant::now();
    let output = Command::new("gzip")
        .arg(option)
        .stdin(input)
        .stderr(Stdio::inherit())
        .output();
    let output = output.map_err(|e| format!("failed to run `gzip`: {e}"))?;
    let time = started.elapsed();
    output
        .status
        .success()
        .then_some((output.stdout, time))
        .ok_or_else(|| format!("`gzip {option}` failed"))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|w| w == part)
}
