//! The intended differences, which docs/differences.md lists.

use super::adapter::Reply;

/// Why a response that the peer carries is refused.
pub fn of_refusal(wire: &[u8], message: &str) -> Option<&'static str> {
    let head = Head::of(wire);
    let codings = head.all("transfer-encoding");
    let is_known = |coding: &&str| ["chunked", "identity", ""].contains(coding);
    let codings: Vec<&str> = codings.iter().flat_map(|value| value.split(',')).collect();
    let codings: Vec<&str> = codings.into_iter().map(str::trim).collect();
    if message.contains("101 without an upgrade") {
        Some("nothing that the client could use follows a switch of protocols")
    } else if codings.iter().any(|coding| !is_known(coding)) {
        Some("the client would get the body in a transfer coding that no header names")
    } else if message.contains("transfer coding other than chunked") {
        Some("chunks before identity: the client would get their sizes in its body")
    } else if message.contains("body") && codings.contains(&"chunked") {
        // The peer looks at the last member of the list alone, and that is empty.
        (codings.last() == Some(&"")).then_some("an empty member of a list does not count")
    } else if message.contains("body") && !codings.is_empty() {
        Some("a body that ends before its length is incomplete, with `identity` as without")
    } else {
        None
    }
}

/// Why the reply is another one.
pub fn of_other_reply(wire: &[u8], ours: &Reply, peer: &Reply) -> Option<&'static str> {
    let head = Head::of(wire);
    let types = head.all("content-type");
    let names_charset = types.iter().any(|value| value.contains("charset"));
    let has_coding = !head.all("transfer-encoding").is_empty();
    let is_odd = has_coding && ours.body.len() < peer.body.len();
    if ours.status != peer.status {
        None
    } else if std::str::from_utf8(&ours.body).is_err() {
        Some("the peer replaces or converts bytes that are not UTF-8")
    } else if ours.body.starts_with(b"\xef\xbb\xbf") {
        Some("the peer removes a byte order mark")
    } else if is_odd {
        Some("the peer reads a body with an odd Transfer-Encoding to the close")
    } else if names_charset && ours.body.len() < peer.body.len() {
        Some("the peer converts from the charset, and leaves its name in the header")
    } else {
        None
    }
}

/// The header lines of a response, the interim ones included, in lower case.
struct Head(String);

impl Head {
    fn of(wire: &[u8]) -> Head {
        let text: String = wire.iter().map(|byte| char::from(*byte)).collect();
        let (mut head, mut is_interim) = (String::new(), false);
        for line in text.to_ascii_lowercase().lines() {
            if line.starts_with("http/1.") {
                is_interim = line
                    .split(' ')
                    .nth(1)
                    .is_some_and(|code| code.starts_with('1'));
            } else if line.is_empty() && !is_interim && !head.is_empty() {
                break;
            }
            if !line.is_empty() {
                head.extend([line, "\n"]);
            }
        }
        Head(head)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.0.lines().filter_map(|line| line.split_once(':'));
        let fields = fields.filter(|(given, _)| *given == name);
        fields.map(|(_, value)| value.trim()).collect()
    }
}
