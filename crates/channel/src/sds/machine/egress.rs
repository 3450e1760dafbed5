//! The way out: what a message is made of, at each attempt.

use super::{Content, Due, Prepared, Sds};
use crate::error::SendRefused;
use crate::ids::{MessageId, RequestId, StructuredId};
use crate::sds::filter::farmhash;
use crate::sds::{Dependency, Key, Profile, SdsMessage};
use bytes::Bytes;
use quorate_base::Now;
use std::ops::Range;

/// The part of an id that tells of the content, of a sync.
pub(in crate::sds) const SYNC: [u8; 4] = *b"sync";

impl Sds {
    /// Accepts one payload as one message, and returns its number; it is to be dispatched with [`Due::Message`].
    pub fn handle_send(&mut self, now: Now, request: RequestId, content: Bytes) -> Result<u64, SendRefused> {
        let tag = head(&farmhash::hash64(&content).to_be_bytes());
        self.handle_send_all(now, request, 1, std::iter::once((tag, content)))
            .map(|sequences| sequences.start)
    }

    /// Accepts the `count` messages of one payload, each with the part of its id that tells of the content. All cite the same past,
    /// so any of them tells a receiver what the payload follows.
    pub fn handle_send_all(
        &mut self,
        now: Now,
        request: RequestId,
        count: u64,
        contents: impl Iterator<Item = ([u8; 4], Bytes)>,
    ) -> Result<Range<u64>, SendRefused> {
        let base = self.next_sequence;
        if base.saturating_add(count) > StructuredId::SEQUENCE_END {
            return Err(SendRefused::SequenceExhausted);
        }
        let history = self.cite();
        let mut last = None;
        for (tag, content) in contents {
            let id = StructuredId { tag: self.own, sequence: self.next_sequence, content: tag };
            let time = self.lamport.tick(now.wall);
            let acks = self.incoming.take_acks(false);
            if !acks.is_empty() {
                self.schedule.acknowledged();
            }
            let message_id = id.to_message_id();
            let bare = self.bare(message_id.clone());
            let message = SdsMessage { time: Some(time), history: history.clone(), content, acks, ..bare };
            self.outgoing.push(id, message, request);
            self.next_sequence += 1;
            last = Some((message_id, time));
        }
        if let Some((id, time)) = last {
            self.frontier.sent(id.clone(), time, &self.participant);
            self.cited.insert(request, (id, history));
        }
        let random = self.random.f64();
        self.schedule.activity(now.mono, random);
        Ok(base..self.next_sequence)
    }

    /// Makes an ephemeral message, which nobody acknowledges, orders or repeats. Ephemeral messages are counted for themselves.
    pub fn ephemeral(&self, sequence: u64, tag: [u8; 4], content: Bytes) -> Prepared {
        let sequence = sequence % StructuredId::SEQUENCE_END;
        let id = StructuredId { tag: self.own, sequence, content: tag }.to_message_id();
        let message = SdsMessage { content, ..self.bare(id.clone()) };
        Prepared { id, bytes: self.encode(&message), attempt: 0, request: None }
    }

    /// Makes the message that leaves now; `None` when it is not needed any more.
    pub fn prepare(&mut self, now: Now, due: Due) -> Option<Prepared> {
        match due {
            Due::Message(sequence) => self.prepare_message(now, sequence),
            Due::Repair(key) => {
                let message = self.repair.given(now.mono, &key)?;
                self.stats.repairs_given += 1;
                Some(Prepared { id: message.id, bytes: message.bytes, attempt: 0, request: None })
            }
            Due::Sync => self.prepare_sync(now),
        }
    }

    /// An attempt of an own message ended: it left (`confirmed`), or it did not. The next one is timed from now.
    pub fn handle_attempted(&mut self, now: Now, sequence: u64, confirmed: bool) {
        let random = self.random.f64();
        let waits = self.config.sync.ack_delay_among(self.company.size());
        // What acknowledgements wait for longer than they were made to is no sign of loss.
        self.outgoing.expect(waits.saturating_sub(self.config.sync.ack_delay) * 3 / 2);
        let left = self.outgoing.handle_attempted(now.mono, sequence, confirmed, random);
        if let (Some(id), Some(filter)) = (left, &mut self.filter) {
            filter.insert(id.as_str());
        }
    }

    fn prepare_message(&mut self, now: Now, sequence: u64) -> Option<Prepared> {
        let attempt = self.outgoing.attempt(sequence)?;
        self.stats.retransmissions += u64::from(attempt.attempt > 0);
        let message = SdsMessage {
            oldest: Some(self.outgoing.oldest().unwrap_or(sequence)),
            void: self.voids.current(now.mono),
            bloom_filter: self.filter_in_turn(),
            ..attempt.message
        };
        let bytes = self.encode(&message);
        let key = Key::Sequence(self.own, sequence);
        // After a restart it is not, whatever attempt this is.
        if !self.repair.keeps(&key) {
            self.repair.keep(key, message.id.clone(), self.participant.clone(), bytes.clone());
        }
        Some(Prepared { id: message.id, bytes, attempt: attempt.attempt, request: Some(attempt.request) })
    }

    fn prepare_sync(&mut self, now: Now) -> Option<Prepared> {
        self.sync_queued = false;
        let acks = self.incoming.take_acks(true);
        let history = self.cite();
        let incoming = &self.incoming;
        let repair = self.repair.take_requests(now.mono, |lack| incoming.still_lacks(lack));
        if acks.is_empty() && history.is_empty() && repair.is_empty() {
            return None;
        }
        let time = self.lamport.tick(now.wall);
        let sequence = time % StructuredId::SEQUENCE_END;
        let id = StructuredId { tag: self.own, sequence, content: SYNC }.to_message_id();
        self.stats.syncs_sent += 1;
        self.stats.repairs_asked += repair.len() as u64;
        let message = SdsMessage {
            time: Some(time),
            history,
            repair,
            acks,
            oldest: Some(self.outgoing.oldest().unwrap_or(self.next_sequence)),
            void: self.voids.current(now.mono),
            bloom_filter: self.filter.as_ref().map(|filter| filter.encode()),
            ..self.bare(id.clone())
        };
        Some(Prepared { id, bytes: self.encode(&message), attempt: 0, request: None })
    }

    fn cite(&self) -> Vec<Dependency> {
        let mut cited = self.frontier.cite(self.config.causal_history);
        if self.config.profile == Profile::Compact {
            // A Quorate id tells who sent it.
            let known =
                cited.iter_mut().filter(|dependency| matches!(Key::of(&dependency.id), Key::Sequence(..)));
            known.for_each(|dependency| dependency.sender = None);
        }
        cited
    }

    /// The filter, on every Nth content message.
    fn filter_in_turn(&mut self) -> Option<Bytes> {
        let Profile::Interop { filter_every, .. } = self.config.profile else { return None };
        self.since_filter += 1;
        if self.since_filter < filter_every {
            return None;
        }
        self.since_filter = 0;
        self.filter.as_ref().map(|filter| filter.encode())
    }

    fn encode(&self, message: &SdsMessage) -> Bytes {
        let encoded = message.encode(self.config.dialect);
        match &self.auth {
            Some(auth) => auth.sign(&self.channel, &encoded),
            None => encoded,
        }
    }

    /// What this machine's messages hold.
    pub const fn content(&self) -> Content {
        self.content
    }
}

/// The first four bytes.
pub(super) fn head(bytes: &[u8]) -> [u8; 4] {
    let mut head = [0; 4];
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    head
}

/// A message id as [`Sds`] makes it, of a sync: nobody waits for one.
pub(in crate::sds) fn is_sync(id: &MessageId) -> bool {
    id.as_str().starts_with("sync-") || StructuredId::parse(id.as_str()).is_some_and(|id| id.content == SYNC)
}
