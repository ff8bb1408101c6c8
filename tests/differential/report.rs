//! Sorts the pairs of outcomes, and prints each kind of difference with examples.

use std::collections::BTreeMap;

use super::adapter::Outcome;
use super::reasons;

/// How many examples of one kind are printed.
const EXAMPLES: usize = 5;

#[derive(Default)]
pub struct Report {
    same: usize,
    both_refuse: usize,
    only_ours_carries: usize,
    /// By the kind of the difference.
    groups: BTreeMap<String, Group>,
}

#[derive(Default)]
struct Group {
    count: usize,
    reason: Option<&'static str>,
    examples: Vec<String>,
}

impl Report {
    pub fn add(&mut self, method: &str, wire: &[u8], ours: Outcome, peer: Outcome) {
        match (ours, peer) {
            (Outcome::Carried(ours), Outcome::Carried(peer)) => {
                // Text reaches every client, base64 not.
                let is_same = ours.is_base64 <= peer.is_base64;
                if (ours.status, &ours.body) == (peer.status, &peer.body) && is_same {
                    self.same += 1;
                } else {
                    let reason = reasons::of_other_reply(wire, &ours, &peer);
                    let kind = reason.unwrap_or("another reply").to_owned();
                    let pair = format!("ours {ours}, the peer's {peer}");
                    self.difference(kind, reason, method, wire, &pair);
                }
            }
            (Outcome::Carried(_), _) => self.only_ours_carries += 1,
            (Outcome::Failed(message), Outcome::Carried(reply)) => {
                let reason = reasons::of_refusal(wire, &message);
                let kind = reason.map(str::to_owned);
                let kind = kind.unwrap_or_else(|| format!("refused: {}", general(&message)));
                let pair = format!("`{message}`, the peer's {reply}");
                self.difference(kind, reason, method, wire, &pair);
            }
            (Outcome::Failed(_), _) => self.both_refuse += 1,
            (Outcome::Lost(event), peer) => {
                let pair = format!("{event}, the peer's {peer:?}");
                self.difference(format!("ours {event}"), None, method, wire, &pair);
            }
        }
    }

    fn difference(
        &mut self,
        kind: String,
        reason: Option<&'static str>,
        method: &str,
        wire: &[u8],
        pair: &str,
    ) {
        let kind = match reason {
            Some(_) => kind,
            None => format!("{kind} (UNEXPLAINED)"),
        };
        let group = self.groups.entry(kind).or_default();
        group.count += 1;
        group.reason = reason;
        if group.examples.len() < EXAMPLES {
            let example = format!("{method} {pair}\n      {}", wire.escape_ascii());
            if reason.is_none() {
                println!("unexplained: {example}");
            }
            group.examples.push(example);
        }
    }

    pub fn is_explained(&self) -> bool {
        self.groups.values().all(|group| group.reason.is_some())
    }

    pub fn summary(&self) -> String {
        let Report {
            same,
            both_refuse,
            only_ours_carries,
            groups,
        } = self;
        let count = |explained: bool| -> usize {
            let groups = groups.values();
            let groups = groups.filter(|group| group.reason.is_some() == explained);
            groups.map(|group| group.count).sum()
        };
        let total = same + both_refuse + only_ours_carries + count(true) + count(false);
        format!(
            "{total} responses: {same} carried alike, {both_refuse} refused by both, \
             {only_ours_carries} carried by ours alone, {} explained, {} unexplained",
            count(true),
            count(false)
        )
    }

    pub fn print(&self) {
        println!("{}", self.summary());
        for (kind, group) in &self.groups {
            println!("\n{} times {kind}", group.count);
            println!("  reason: {}", group.reason.unwrap_or("NONE"));
            for example in &group.examples {
                println!("    {example}");
            }
        }
    }
}

/// The message without the numbers and names in it.
fn general(message: &str) -> String {
    let parts = message.split('`').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 1 { "" } else { part });
    let text = parts.collect::<Vec<_>>().join("`");
    let cause = text.rsplit("at 127.0.0.1:").next().unwrap_or_default();
    cause.chars().filter(|c| !c.is_ascii_digit()).collect()
}
