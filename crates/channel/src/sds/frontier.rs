//! What the next own message cites: the latest of what it follows.
//!
//! The rule: everything delivered since the last own message is in the causal past of the messages
//! cited, so causal order can be restored from two citations as well as from sixty. An own message
//! that failed is never cited; what it would have cited is cited by the next one.

use super::{Delivery, Dependency, Key};
use crate::ids::{MessageId, ParticipantId};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// The most messages one message cites. More concurrent senders than this are cited over two.
const MAX_CITED: usize = 64;

/// The delivered messages that no other delivered message, and no own one, follows.
#[derive(Debug, Default)]
pub struct Frontier {
    heads: BTreeMap<Key, Head>,
    last_own: Option<Head>,
    /// The latest messages by Lamport time, then id: what foreign members expect to be cited.
    log: VecDeque<Head>,
    log_len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Head {
    id: MessageId,
    time: u64,
    sender: Option<ParticipantId>,
    hint: Option<Bytes>,
}

impl Frontier {
    /// Cites also the latest `log_len` messages of the log.
    pub fn with_log(log_len: usize) -> Self {
        Self { log_len, ..Self::default() }
    }

    /// Takes note of a delivered message.
    pub fn delivered(&mut self, delivery: &Delivery) {
        delivery.past.iter().for_each(|key| self.remove_upto(key));
        let key = Key::of(&delivery.id);
        self.remove_upto(&key);
        let sender = Some(delivery.sender.clone());
        let head = Head { id: delivery.id.clone(), time: delivery.time, sender, hint: None };
        self.remember(&head);
        self.heads.insert(key, head);
    }

    /// Takes note of an own message: from here on it stands for all that was cited.
    pub fn sent(&mut self, id: MessageId, time: u64, own: &ParticipantId) {
        let cited: Vec<Key> = self.newest().into_iter().map(|head| Key::of(&head.id)).collect();
        cited.iter().for_each(|key| drop(self.heads.remove(key)));
        let head = Head { id, time, sender: Some(own.clone()), hint: None };
        self.remember(&head);
        self.last_own = Some(head);
    }

    /// A store holds a message under `hint`.
    pub fn hint(&mut self, id: &MessageId, hint: Bytes) {
        let cited = self.heads.values_mut().chain(&mut self.last_own).chain(&mut self.log);
        cited.filter(|head| head.id == *id).for_each(|head| head.hint = Some(hint.clone()));
    }

    /// Takes back an own message that never left, and what it cited.
    pub fn failed(&mut self, id: &MessageId, cited: &[Dependency]) {
        if self.last_own.as_ref().is_some_and(|own| own.id == *id) {
            self.last_own = None;
        }
        self.log.retain(|head| head.id != *id);
        for dependency in cited {
            let key = Key::of(&dependency.id);
            if !self.follows(&key) {
                let (id, sender) = (dependency.id.clone(), dependency.sender.clone());
                let (time, hint) = (dependency.time.unwrap_or(0), dependency.hint.clone());
                self.heads.insert(key, Head { id, time, sender, hint });
            }
        }
    }

    /// What the next own message cites, the newest first: at least `at_least` where there are as
    /// many, and nothing where that is 0.
    pub fn cite(&self, at_least: usize) -> Vec<Dependency> {
        if at_least == 0 {
            return Vec::new();
        }
        let mut cited = self.newest();
        if cited.len() < at_least {
            cited.extend(self.last_own.clone());
        }
        for head in self.log.iter().rev() {
            if cited.len() >= at_least {
                break;
            }
            if !cited.iter().any(|other| other.id == head.id) {
                cited.push(head.clone());
            }
        }
        let dependency = |head: Head| Dependency {
            id: head.id,
            time: Some(head.time),
            hint: head.hint,
            sender: head.sender,
        };
        cited.into_iter().map(dependency).collect()
    }

    fn remember(&mut self, head: &Head) {
        if self.log_len == 0 {
            return;
        }
        let at = self.log.partition_point(|other| (other.time, &other.id) < (head.time, &head.id));
        self.log.insert(at, head.clone());
        if self.log.len() > self.log_len {
            self.log.pop_front();
        }
    }

    fn newest(&self) -> Vec<Head> {
        let mut heads: Vec<Head> = self.heads.values().cloned().collect();
        heads.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
        heads.truncate(MAX_CITED);
        heads
    }

    /// Whether a head is the message `key` or a later one of the same sender.
    fn follows(&self, key: &Key) -> bool {
        match key {
            Key::Sequence(tag, _) => {
                self.heads.range(key.clone()..=Key::Sequence(*tag, u64::MAX)).next().is_some()
            }
            Key::Opaque(_) => self.heads.contains_key(key),
        }
    }

    /// Drops the head `key` and earlier ones of the same sender: a later one follows them.
    fn remove_upto(&mut self, key: &Key) {
        if let Key::Sequence(tag, _) = key {
            let first = Key::Sequence(*tag, 0);
            let passed: Vec<Key> =
                self.heads.range(first..=key.clone()).map(|(key, _)| key.clone()).collect();
            passed.iter().for_each(|key| drop(self.heads.remove(key)));
        } else {
            self.heads.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{SenderTag, StructuredId};

    fn id(sender: u8, sequence: u64) -> MessageId {
        StructuredId { tag: SenderTag([sender; 6]), sequence, content: [0; 4] }.to_message_id()
    }

    fn delivered(frontier: &mut Frontier, id: MessageId, time: u64, past: &[MessageId]) {
        let past = past.iter().map(Key::of).collect();
        let (sender, payload) = ("somebody".into(), Bytes::new());
        frontier.delivered(&Delivery { sender, payload, id, time, past, segments: 1 });
    }

    fn sent(frontier: &mut Frontier, id: MessageId, time: u64) {
        frontier.sent(id, time, &"me".into());
    }

    fn cited(frontier: &Frontier) -> Vec<MessageId> {
        frontier.cite(2).into_iter().map(|dependency| dependency.id).collect()
    }

    #[test]
    fn a_message_that_another_follows_is_not_cited() {
        let mut frontier = Frontier::default();
        delivered(&mut frontier, id(1, 0), 10, &[]);
        delivered(&mut frontier, id(2, 0), 11, &[id(1, 0)]);
        delivered(&mut frontier, id(2, 5), 12, &[]);
        assert_eq!(cited(&frontier), [id(2, 5)]);
    }

    #[test]
    fn an_own_message_stands_for_what_it_cited() {
        let mut frontier = Frontier::default();
        delivered(&mut frontier, id(1, 0), 10, &[]);
        sent(&mut frontier, id(9, 0), 20);
        assert_eq!(cited(&frontier), [id(9, 0)]);
        delivered(&mut frontier, id(2, 0), 21, &[]);
        assert_eq!(cited(&frontier), [id(2, 0), id(9, 0)]);
    }

    #[test]
    fn who_asks_for_none_cites_none() {
        let mut frontier = Frontier::default();
        delivered(&mut frontier, id(1, 0), 10, &[]);
        sent(&mut frontier, id(9, 0), 20);
        delivered(&mut frontier, id(2, 0), 21, &[]);
        assert_eq!(frontier.cite(0), []);
    }

    #[test]
    fn a_failed_send_is_not_cited_and_its_past_is() {
        let mut frontier = Frontier::default();
        delivered(&mut frontier, id(1, 0), 10, &[]);
        let past = frontier.cite(2);
        sent(&mut frontier, id(9, 0), 20);
        frontier.failed(&id(9, 0), &past);
        assert_eq!(cited(&frontier), [id(1, 0)]);
    }

    #[test]
    fn heads_beyond_the_most_are_cited_by_the_next_message() {
        let mut frontier = Frontier::default();
        for sender in 0..70 {
            delivered(&mut frontier, id(sender, 0), u64::from(sender), &[]);
        }
        assert_eq!(frontier.cite(2).len(), MAX_CITED);
        sent(&mut frontier, id(99, 0), 200);
        assert_eq!(frontier.cite(2).len(), 6);
    }

    #[test]
    fn with_a_log_the_latest_are_cited_too_and_each_says_who_sent_it_and_where_it_is() {
        let mut frontier = Frontier::with_log(3);
        delivered(&mut frontier, id(1, 0), 30, &[]);
        delivered(&mut frontier, id(2, 0), 10, &[]);
        delivered(&mut frontier, id(3, 0), 20, &[id(1, 0), id(2, 0)]);
        sent(&mut frontier, id(9, 0), 40);
        frontier.hint(&id(1, 0), Bytes::from_static(b"shelf 7"));
        let cited = frontier.cite(3);
        let ids: Vec<_> = cited.iter().map(|dependency| dependency.id.clone()).collect();
        assert_eq!(ids, [id(9, 0), id(1, 0), id(3, 0)], "by Lamport time, the oldest fell out");
        let one = Dependency {
            id: id(1, 0),
            time: Some(30),
            hint: Some(Bytes::from_static(b"shelf 7")),
            sender: Some("somebody".into()),
        };
        assert_eq!(cited[1], one);
        assert_eq!(frontier.cite(1).len(), 1);
    }
}
