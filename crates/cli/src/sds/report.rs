//! What the probe says: a line for each message delivered and each acknowledgement, and a summary.

use super::args::Plan;
use crate::output;
use quorate::channel::sds::{Delivery, Key, SdsStats};
use quorate::channel::{MessageId, Missing, ParticipantId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// What was counted on the wire.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    /// Made, whether somebody was there to hear it or not.
    pub(super) made: u64,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) dropped: u64,
    /// Did not fit the queue of a slow peer.
    pub(super) overflowed: u64,
    pub(super) received: u64,
    pub(super) acknowledged: u64,
}

impl Tally {
    /// A frame left, or was lost by the plan.
    pub(super) fn count(&mut self, frame: &[u8]) {
        self.frames += 1;
        self.bytes += frame.len() as u64 + 4;
    }
}

/// The most lines about refused frames of one cause; the summary counts all.
const MAX_LINES: u64 = 10;

/// What was delivered, in order. It checks the order for itself.
pub(super) struct Log {
    json: bool,
    ids: Vec<MessageId>,
    delivered: BTreeSet<Key>,
    /// What delivered messages follow and was not delivered before them.
    overtaken: BTreeSet<Key>,
    inversions: u64,
    /// Frames that were refused, by cause.
    refused: BTreeMap<&'static str, u64>,
    ephemerals: u64,
}

/// Says where it listens.
pub(super) fn listening(json: bool, address: SocketAddr) {
    if json {
        output::json(&json!({ "event": "listening", "address": address.to_string() }));
    } else {
        output::line(&format!("listening on {address}"));
    }
}

impl Log {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            ids: Vec::new(),
            delivered: BTreeSet::new(),
            overtaken: BTreeSet::new(),
            inversions: 0,
            refused: BTreeMap::new(),
            ephemerals: 0,
        }
    }

    /// How many were delivered.
    pub(super) fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    pub(super) fn delivered(&mut self, delivery: &Delivery) {
        let key = Key::of(&delivery.id);
        self.inversions += u64::from(self.overtaken.remove(&key));
        let missing = delivery.past.iter().filter(|past| !self.delivered.contains(past));
        self.overtaken.extend(missing.cloned());
        self.delivered.insert(key);
        self.ids.push(delivery.id.clone());
        let (sequence, id) = (self.ids.len(), delivery.id.as_str());
        let (sender, lamport) = (delivery.sender.as_str(), delivery.time);
        if self.json {
            output::json(&json!({
                "event": "delivered", "sequence": sequence, "id": id, "sender": sender, "lamport": lamport,
            }));
        } else {
            output::line(&output::tame_line(&format!("delivered {sequence} {id} {sender} {lamport}")));
        }
    }

    pub(super) fn acknowledged(&self, id: &MessageId, by: &ParticipantId) {
        if self.json {
            output::json(&json!({ "event": "acknowledged", "id": id.as_str(), "by": by.as_str() }));
        } else {
            output::line(&output::tame_line(&format!("acknowledged {id} {by}")));
        }
    }

    /// Given up: nobody gave it in time.
    pub(super) fn gap(&self, missing: &Missing) {
        let (object, text) = match missing {
            Missing::Message(id) => (json!({ "event": "gap", "id": id.as_str() }), format!("gap {id}")),
            Missing::Segments { sender, sequences, .. } => {
                let (sender, last) =
                    (sender.as_ref().map(ParticipantId::as_str), sequences.end.saturating_sub(1));
                let object =
                    json!({ "event": "gap", "sender": sender, "first": sequences.start, "last": last });
                (object, format!("gap {} {}..={last}", sender.unwrap_or("?"), sequences.start))
            }
        };
        if self.json {
            output::json(&object);
        } else {
            output::line(&output::tame_line(&text));
        }
    }

    /// Nobody orders, acknowledges or expects it: it is not in the log.
    pub(super) fn ephemeral(&mut self, sender: &ParticipantId, id: &MessageId) {
        self.ephemerals += 1;
        if self.json {
            output::json(&json!({ "event": "ephemeral", "id": id.as_str(), "sender": sender.as_str() }));
        } else {
            output::line(&output::tame_line(&format!("ephemeral {id} {sender}")));
        }
    }

    /// Says the whole, and yields it for the failure that it may be part of.
    pub(super) fn summary(
        &self,
        plan: &Plan,
        tally: &Tally,
        stats: &SdsStats,
        sent: impl Iterator<Item = MessageId>,
        took: Duration,
        failure: Option<&str>,
    ) -> Value {
        let sent: Vec<MessageId> = sent.collect();
        let summary = json!({
            "event": "summary",
            "sent": sent.len(), "acknowledged": tally.acknowledged,
            "delivered": self.ids.len(), "expected": plan.expect,
            "hash": hash(sent.iter().chain(&self.ids)), "inversions": self.inversions,
            "frames": tally.frames, "bytes": tally.bytes, "dropped": tally.dropped, "overflowed": tally.overflowed,
            "received": tally.received, "refused": self.refused.values().sum::<u64>(), "causes": self.refused,
            "ephemerals": self.ephemerals,
            "retransmissions": stats.retransmissions, "syncs": stats.syncs_sent,
            "duplicates": stats.duplicates, "possibly_acknowledged": stats.possibly_acknowledged,
            "bad_filters": stats.bad_filters,
            "gaps": stats.gaps, "cycles": stats.cycles,
            "repairs_asked": stats.repairs_asked, "repairs_given": stats.repairs_given,
            "seconds": took.as_secs_f64(), "why": failure.unwrap_or("done"),
        });
        if self.json {
            output::json(&summary);
        } else if let Some(fields) = summary.as_object() {
            let told = fields.iter().filter(|(name, _)| *name != "event");
            let told: Vec<_> = told.map(|(name, value)| format!("{name}={}", plain(value))).collect();
            output::line(&format!("summary {}", told.join(" ")));
        }
        summary
    }

    /// Counts it, and says so as long as that is news.
    pub(super) fn refused(&mut self, cause: &'static str, why: &str) {
        let count = self.refused.entry(cause).or_default();
        *count += 1;
        let more = if *count == MAX_LINES { " (more are counted and not told)" } else { "" };
        if *count <= MAX_LINES {
            self.complain(&format!("refused a frame: {why}{more}"));
        }
    }

    pub(super) fn complain(&self, text: &str) {
        output::say(text);
    }
}

/// The text of a value, without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// SHA-256 over the sorted ids, each with a line end: equal where two logs hold the same messages.
fn hash<'a>(ids: impl Iterator<Item = &'a MessageId>) -> String {
    let sorted: BTreeSet<&str> = ids.map(MessageId::as_str).collect();
    let mut hasher = Sha256::new();
    sorted.iter().for_each(|id| hasher.update(format!("{id}\n")));
    data_encoding::HEXLOWER.encode(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: &str, past: &[&str]) -> Delivery {
        Delivery {
            sender: "x".into(),
            payload: bytes::Bytes::new(),
            id: id.into(),
            time: 1,
            past: past.iter().map(|id| Key::of(&(*id).into())).collect(),
            segments: 1,
        }
    }

    #[test]
    fn a_message_that_comes_after_what_follows_it_is_an_inversion() {
        let mut log = Log::new(true);
        for (id, past) in [("a", &[][..]), ("c", &["a", "b"]), ("b", &["a"]), ("d", &["b", "c"])] {
            log.delivered(&delivery(id, past));
        }
        assert_eq!((log.inversions, log.len()), (1, 4));
    }

    #[test]
    fn the_hash_is_of_the_set_and_not_of_the_order() {
        let ids = ["b", "a"].map(MessageId::from);
        let same = ["a", "b", "a"].map(MessageId::from);
        assert_eq!(hash(ids.iter()), hash(same.iter()));
        assert_ne!(hash(ids.iter()), hash(same[..1].iter()));
    }
}
