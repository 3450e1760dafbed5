//! The machine in a store, and back.
//!
//! The rule: what is written of an own message is the message, what is written of others' is what came, so the code that made a
//! state first makes it again. What serves others only (messages kept for repair) and what is learnt again (round trips, timers of
//! syncs) is not written.

use super::ingress::arrival;
use super::{Content, Due, Sds};
use crate::config::ConfigError;
use crate::durable::{ArrivalRecord, Journal, Recovered, RecoveryError, age, cited_of, deadline};
use crate::ids::{ChannelId, MessageId, ParticipantId, RequestId, SenderTag, StructuredId};
use crate::sds::{Dependency, SdsConfig, SdsMessage, Verdict};
use crate::segment::{Segment, SegmentOrigin};
use quorate_base::{Mono, Now, Wall};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

impl Sds {
    /// A machine with the tag that it had before.
    pub(crate) fn again(
        now: Now,
        own: SenderTag,
        channel: ChannelId,
        participant: ParticipantId,
        config: SdsConfig,
        entropy: u64,
    ) -> Result<Self, ConfigError> {
        Self::assemble(now, own, channel, participant, Content::Segment, config, entropy)
    }

    /// Goes on with the keys of another machine.
    pub(crate) const fn take_auth(&mut self, from: &mut Self) {
        std::mem::swap(&mut self.auth, &mut from.auth);
    }

    /// From here on changes are noted.
    pub(crate) fn track(&mut self) {
        self.outgoing.track();
        self.frontier.track();
        self.incoming.track();
        self.accepted = Some(Vec::new());
    }

    /// Writes what changed.
    pub(crate) fn write(&mut self, journal: &mut Journal) {
        self.outgoing.write(journal);
        self.frontier.write(journal);
        self.voids.write(journal);
        for (origin, record) in self.accepted.as_mut().map(std::mem::take).unwrap_or_default() {
            journal.arrived(origin, &record);
        }
        self.incoming.write(journal);
    }

    /// Whether content is taken from here on; what is not taken is not acknowledged and comes again.
    pub(crate) const fn take_content(&mut self, takes: bool) {
        self.takes_content = takes;
    }

    /// What sends that did not leave yet cite.
    pub(crate) const fn cited(&self) -> &BTreeMap<RequestId, (MessageId, Vec<Dependency>)> {
        &self.cited
    }

    /// The latest Lamport time given out or observed.
    pub(crate) const fn lamport(&self) -> u64 {
        self.lamport.current()
    }

    /// Whether a deadline of the receiving side is pending.
    pub(crate) fn waits(&self) -> bool {
        self.incoming.poll_timeout().is_some()
    }

    /// Whether anybody has acknowledged a message, or nobody has to any more.
    pub(crate) fn is_somewhere(&self, sequence: u64) -> bool {
        self.outgoing.is_somewhere(sequence)
    }

    /// How many of `sequences` each participant has acknowledged.
    pub(crate) fn acks_of(&self, sequences: Range<u64>) -> Vec<(ParticipantId, usize)> {
        self.outgoing.acks_of(sequences)
    }

    /// Takes back what was written, apart from what is still to come in. Yields what is to be sent at once: the messages of
    /// sends that have not left whole. The others are sent again when they are due.
    pub(crate) fn resume(&mut self, now: Now, found: &mut Recovered) -> Result<Vec<Due>, RecoveryError> {
        let counters = found.counters();
        self.next_sequence = counters.sequence;
        self.lamport.restore(counters.lamport);
        self.voids.restore(std::mem::take(&mut found.voids));
        found.heads.drain(..).for_each(|head| self.frontier.restore(head));
        found.own.take().into_iter().for_each(|own| self.frontier.restore_own(own));
        self.incoming.restore_joined(Mono::ZERO, Duration::from_millis(found.away(now.wall)));
        for (tag, record) in found.peers.drain(..) {
            self.incoming.restore_peer(tag, record).ok_or(RecoveryError::Damaged { what: "a sender" })?;
        }
        found.strangers.drain(..).for_each(|(tag, over)| self.incoming.restore_stranger(tag, over));
        for (id, record) in found.opaque.drain(..) {
            if let Some(filter) = self.filter.as_mut().filter(|_| record.received) {
                filter.insert(id.as_str());
            }
            self.incoming.restore_opaque(id, record);
        }
        for (id, record) in &found.requests {
            if let Some(last) = &record.last {
                let cited = record.cited.iter().map(cited_of).collect();
                self.cited.insert(RequestId(*id), (MessageId::from(last.as_str()), cited));
            }
        }
        self.resume_messages(now, found)
    }

    fn resume_messages(&mut self, now: Now, found: &mut Recovered) -> Result<Vec<Due>, RecoveryError> {
        const MESSAGE: RecoveryError = RecoveryError::Damaged { what: "an own message" };
        self.outgoing.restore_end(self.next_sequence);
        found.ackers.drain(..).for_each(|(by, ranges)| self.outgoing.restore_acked(by, ranges));
        let mut at_once = Vec::new();
        for (sequence, record) in std::mem::take(&mut found.messages) {
            let content = record.content.as_ref().try_into().map_err(|_| MESSAGE)?;
            let message = SdsMessage::from_record(record.message).map_err(|_| MESSAGE)?;
            let id = StructuredId { tag: self.own, sequence, content };
            let sent = found.requests.get(&record.request).is_some_and(|send| send.sent);
            self.outgoing.restore(id, message, RequestId(record.request), record.attempts);
            if sent {
                self.handle_attempted(now, sequence, false);
            } else {
                at_once.push(Due::Message(sequence));
            }
        }
        for (id, record) in &found.requests {
            self.outgoing.restore_send(RequestId(*id), record.first..record.first + record.count);
        }
        Ok(at_once)
    }

    /// Ends the sends that what was acknowledged before satisfies, by the policy of now. Changes are noted already: nothing of
    /// them stays written.
    pub(crate) fn settle_restored(&mut self) {
        self.outgoing.settle_restored();
    }

    /// Takes what others sent and was not delivered, and says soon what is there.
    pub(crate) fn resume_arrivals(
        &mut self,
        now: Now,
        found: Recovered,
        journal: &mut Journal,
    ) -> Result<(), RecoveryError> {
        const ARRIVAL: RecoveryError = RecoveryError::Damaged { what: "a message that came in" };
        for (number, (record, message)) in found.arrivals {
            let then = Now::new(deadline(record.age), Wall::from_unix_millis(record.wall));
            let segment = Segment::decode(message.content.clone()).map_err(|_| ARRIVAL)?;
            let arrival = arrival(message, segment, record.sent_at);
            let origin = arrival.origin().ok_or(ARRIVAL)?;
            journal.resume_arrival(origin, number);
            match self.incoming.restore_arrival(then, arrival) {
                Verdict::Accepted => {}
                Verdict::Full => return Err(RecoveryError::TooSmall { field: "max_receive_bytes" }),
                Verdict::Duplicate | Verdict::Late | Verdict::Malformed => return Err(ARRIVAL),
            }
        }
        let (activity, acknowledge) = (self.random.f64(), self.random.f64());
        self.schedule.activity(now.mono, activity);
        self.schedule.acknowledge(now.mono, self.company.size(), acknowledge);
        self.collect(now);
        Ok(())
    }

    /// The record of a message that may be accepted, made before it is taken apart.
    pub(super) fn arrival_record(
        &self,
        now: Now,
        message: &SdsMessage,
        sent_at: Option<u64>,
    ) -> Option<ArrivalRecord> {
        self.accepted.as_ref()?;
        let (age, wall) = (age(now.mono), now.wall.unix_millis());
        Some(ArrivalRecord { age, wall, sent_at, message: message.to_record() })
    }

    /// A message was accepted: it is written before it is acknowledged.
    pub(super) fn keep(&mut self, origin: Option<SegmentOrigin>, record: Option<ArrivalRecord>) {
        if let (Some(accepted), Some(origin), Some(record)) = (&mut self.accepted, origin, record) {
            accepted.push((origin, record));
        }
    }
}
