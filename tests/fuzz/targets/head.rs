//! Heads of responses: the same result at every cut, and only what RFC 9112 4, 5 and 6.3 allow,
//! or a deviation after which the connection is not reused.

use lambda_adapter::http::headers::Headers;
use lambda_adapter::http::{self, Error, Framing, Head, Input};

use super::bytes::{Bytes, Pieces};
use super::strict::is_token;

const LENGTH: &[u8] = b"content-length";

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Head, fields and the number of bytes consumed; or the error, and whether it was an
/// incomplete head.
type Outcome = Result<(Head, Fields, usize), (String, bool)>;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (to_head, size) = (bytes.coin(), bytes.below(20) + 1);
    let wire = bytes.0;
    let whole = read(wire, usize::MAX, to_head);
    let kind = |outcome: &Outcome| outcome.clone().map_err(|(_, incomplete)| incomplete);
    let in_pieces = read(wire, size, to_head);
    assert_eq!(kind(&whole), kind(&in_pieces), "cut into {size}");
    let Ok((head, fields, used)) = whole else {
        return;
    };
    for cut in (0..used).step_by(1 + used / 40) {
        let cut = read(&wire[..cut], usize::MAX, to_head);
        assert_eq!(kind(&cut).err(), Some(true), "a prefix is incomplete");
    }
    check_fields(&fields, &wire[..used], head.framing == Framing::Empty);
    check_framing(&head, &fields, to_head);
    assert!(
        is_regular(&wire[..used]) || !head.reusable,
        "an odd head is reusable"
    );
    check_round_trip(&head, &fields, to_head);
}

/// Whether all lines end with CRLF, and none is empty but the last of each head.
fn is_regular(wire: &[u8]) -> bool {
    let text: String = wire.iter().map(|byte| char::from(*byte)).collect();
    !text.replace("\r\n", "").contains('\n')
        && !text.starts_with("\r\n")
        && !text.contains("\r\n\r\n\r\n")
}

pub fn read(wire: &[u8], size: usize, to_head: bool) -> Outcome {
    let (mut input, mut headers) = (Input::new(16), Headers::new());
    let mut from = Pieces { bytes: wire, size };
    match http::read_head(&mut input, &mut from, &mut headers, to_head) {
        Ok(head) => {
            let fields = headers.iter().map(|(n, v)| (n.to_vec(), v.to_vec()));
            let unused = from.bytes.len() + input.pending().len();
            Ok((head, fields.collect(), wire.len() - unused))
        }
        Err(error) => {
            let incomplete = matches!(error, Error::ClosedInHead(_));
            Err((error.to_string(), incomplete))
        }
    }
}

/// The fields are those of the last head, without surrounding spaces and tabs.
fn check_fields(fields: &Fields, wire: &[u8], may_drop_length: bool) {
    let text: String = wire.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("\r\n", "\n");
    let last = text.trim_matches('\n').rsplit("\n\n").next();
    let lines = last.unwrap_or_default().split('\n').skip(1);
    let latin = |text: &str| -> Vec<u8> { text.chars().map(|c| c as u8).collect() };
    let expected = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a colon");
        let value = value.trim_matches([' ', '\t']);
        (latin(&name.to_ascii_lowercase()), latin(value))
    });
    let mut expected: Fields = expected.collect();
    // An invalid length is dropped where there is no body.
    if !fields.iter().any(|(name, _)| name == LENGTH) {
        let dropped = expected.extract_if(.., |(name, _)| name == LENGTH);
        assert!(dropped.count() == 0 || may_drop_length);
    }
    assert_eq!(*fields, expected);
    for (name, value) in fields {
        assert!(
            is_token(name) && name.to_ascii_lowercase() == *name,
            "{name:?}"
        );
        assert!(!value.iter().any(|b| b"\r\n\0".contains(b)), "{value:?}");
        let outer = [value.first(), value.last()];
        assert!(
            !outer.contains(&Some(&b' ')) && !outer.contains(&Some(&b'\t')),
            "{value:?}"
        );
    }
}

fn check_framing(head: &Head, fields: &Fields, to_head: bool) {
    assert!((200..1000).contains(&head.status), "{}", head.status);
    let members = |name: &[u8]| -> Vec<Vec<u8>> {
        let values = fields.iter().filter(|(given, _)| given == name);
        let values = values.flat_map(|(_, value)| value.split(|byte| *byte == b','));
        let blank = |byte: &&u8| b" \t".contains(*byte);
        values
            .map(|member| {
                let start = member.iter().take_while(blank).count();
                let end = member.iter().rev().take_while(blank).count();
                let end = member.len().saturating_sub(end).max(start);
                member[start..end].to_ascii_lowercase()
            })
            .collect()
    };
    let lengths = members(LENGTH);
    let mut codings = members(b"transfer-encoding");
    codings.retain(|coding| !coding.is_empty());
    let number = |text: &Vec<u8>| -> Option<u64> {
        let is_decimal = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        String::from_utf8_lossy(text)
            .parse()
            .ok()
            .filter(|_| is_decimal)
    };
    let numbers: Option<Vec<u64>> = lengths.iter().map(number).collect();
    let numbers = numbers.filter(|numbers| numbers.windows(2).all(|pair| pair[0] == pair[1]));
    let has_codings = fields.iter().any(|(name, _)| name == b"transfer-encoding");
    let is_chunked = codings.contains(&b"chunked".to_vec());
    let expected = if to_head || matches!(head.status, 204 | 304) {
        assert!(numbers.is_some(), "an invalid length would be forwarded");
        let body_may_follow = head.status == 204 && (has_codings || numbers != Some(Vec::new()));
        let is_zero = numbers.is_some_and(|numbers| numbers.iter().all(|length| *length == 0));
        assert!(
            to_head || !body_may_follow || is_zero && !has_codings || !head.reusable,
            "a body may follow"
        );
        Framing::Empty
    } else {
        let first = codings.iter().position(|coding| coding == b"chunked");
        let (before, after) = codings.split_at(first.unwrap_or(codings.len()));
        assert!(
            before.iter().all(|coding| coding == b"identity")
                && after.iter().all(|coding| coding == b"chunked"),
            "another coding was accepted: {codings:?}"
        );
        let is_plain = !has_codings || codings.len() == 1 && is_chunked && lengths.is_empty();
        assert!(
            is_plain || !head.reusable,
            "an odd framing on a connection that is reused"
        );
        match (is_chunked, numbers) {
            (true, _) => Framing::Chunked,
            (false, None) => {
                assert!(has_codings, "lengths {lengths:?}");
                Framing::UntilClose
            }
            (false, Some(numbers)) => numbers
                .first()
                .map_or(Framing::UntilClose, |length| Framing::Sized(*length)),
        }
    };
    assert_eq!(head.framing, expected);
    let closes = members(b"connection").contains(&b"close".to_vec());
    let ends = head.framing == Framing::UntilClose;
    assert!(
        !(head.reusable && (ends || closes && !may_be_http_1_0(fields))),
        "marked as reusable"
    );
}

/// Whether the response may be HTTP/1.0, where `keep-alive` makes a connection reusable.
fn may_be_http_1_0(fields: &Fields) -> bool {
    let keeps = |(name, value): &(Vec<u8>, Vec<u8>)| {
        name == b"connection"
            && value
                .to_ascii_lowercase()
                .windows(10)
                .any(|w| w == b"keep-alive")
    };
    fields.iter().any(keeps)
}

/// Written again, it parses to the same result.
fn check_round_trip(head: &Head, fields: &Fields, to_head: bool) {
    let mut wire = format!("HTTP/1.1 {} x\r\n", head.status).into_bytes();
    for (name, value) in fields {
        http::write_field(&mut wire, name, value);
    }
    wire.extend_from_slice(b"\r\n");
    let again = read(&wire, usize::MAX, to_head).expect("a head that was parsed before");
    assert_eq!(
        (&again.1, again.0.framing, again.2),
        (fields, head.framing, wire.len())
    );
}
