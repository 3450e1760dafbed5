//! The way in: decrypt → SDS → reassemble → event.
//!
//! The rule: what does not belong to us costs one comparison, what does not open costs one try, and
//! nothing that is dropped here touches what others sent.

use super::ReliableChannel;
use crate::cipher::OpenError;
use crate::envelope::MessageEnvelope;
use crate::error::IngressError;
use crate::ids::{MessageId, ParticipantId, StructuredId};
use crate::sds::{Arrival, Dialect, Kind, Lamport, SdsMessage, Verdict};
use crate::segment::{Admission, Discard, Segment, SegmentOrigin};
use quorate_base::Now;
use std::ops::Range;

/// The ids of ephemeral messages that are remembered, so that a duplicate is not told twice.
const RECENT_EPHEMERALS: usize = 1_024;

impl ReliableChannel {
    pub(super) fn ingest(&mut self, now: Now, envelope: MessageEnvelope) -> Result<(), IngressError> {
        if !envelope.is_marked() || envelope.content_topic != self.identity.topic.as_str() {
            return Err(IngressError::Foreign);
        }
        self.stats.envelopes_received += 1;
        let sent_at = envelope.timestamp.and_then(|nanos| u64::try_from(nanos / 1_000_000).ok());
        let plaintext = self.keyring.open(now.mono, &self.context, envelope.payload)?;
        let message = SdsMessage::decode(Dialect::Lip, plaintext)?;
        if message.channel != self.identity.channel {
            return Err(IngressError::OtherChannel);
        }
        if self.is_echo(&message) {
            return Ok(());
        }
        if let Some(time) = message.time.filter(|time| !Lamport::is_plausible(now.wall, *time)) {
            return Err(IngressError::FromTheFuture { time });
        }
        self.acknowledgements(now, &message);
        let notice =
            StructuredId::parse(message.id.as_str()).map(|id| (id.tag, message.oldest, message.void.clone()));
        let outcome = match message.kind() {
            Kind::Content => self.content(now, message, sent_at),
            Kind::Ephemeral => self.ephemeral(now, message),
            Kind::Sync => Ok(()),
        };
        if let Some((tag, oldest, void)) = notice {
            self.incoming.handle_notice(tag, oldest, &void);
        }
        outcome
    }

    pub(super) fn count_ingress(&mut self, outcome: &Result<(), IngressError>) {
        match outcome {
            Ok(()) => {}
            Err(IngressError::Foreign | IngressError::OtherChannel | IngressError::Closed) => {
                self.stats.foreign += 1
            }
            Err(IngressError::Sealed(error)) => {
                self.stats.decrypt_failed += 1;
                self.stats.unknown_key += u64::from(*error == OpenError::OtherKey);
            }
            Err(IngressError::Segment(error)) => {
                self.stats.segments.discarded(error.discard());
                self.stats.malformed += 1;
            }
            Err(IngressError::Full) => self.stats.refused += 1,
            Err(_) => self.stats.malformed += 1,
        }
    }

    /// Whether the network brought back what we sent.
    fn is_echo(&self, message: &SdsMessage) -> bool {
        match StructuredId::parse(message.id.as_str()) {
            Some(id) => id.tag == self.own,
            None => message.sender == self.identity.participant,
        }
    }

    /// Reads every acknowledgement of ours that a message carries: its vectors, and what it cites.
    fn acknowledgements(&mut self, now: Now, message: &SdsMessage) {
        let cited =
            message.history.iter().filter_map(|dependency| StructuredId::parse(dependency.id.as_str()));
        let cited = cited.filter(|id| id.tag == self.own).map(|id| id.sequence..id.sequence + 1);
        let vectors = message.acks.iter().filter(|vector| vector.tag == self.own);
        let ranges: Vec<Range<u64>> = vectors.flat_map(|vector| vector.ranges.clone()).chain(cited).collect();
        if !ranges.is_empty() {
            self.acknowledged(now, &message.sender, &ranges);
        }
    }

    fn acknowledged(&mut self, now: Now, by: &ParticipantId, ranges: &[Range<u64>]) {
        let news = self.outgoing.handle_ack(now.mono, by, ranges);
        if news.is_empty() {
            return;
        }
        let known = self.stats.acknowledged_by.len() < self.config.max_participants;
        if known || self.stats.acknowledged_by.contains_key(by) {
            *self.stats.acknowledged_by.entry(by.clone()).or_insert(0) += news.len() as u64;
        }
        for acknowledged in news {
            // Somebody has it, so it left, whether or not the messaging layer said so yet.
            self.confirm(now, acknowledged.request, acknowledged.sequence);
            let events = self.requests.acknowledged(acknowledged.request, by, acknowledged.satisfied);
            events.into_iter().for_each(|event| self.event(event));
        }
    }

    fn content(&mut self, now: Now, message: SdsMessage, sent_at: Option<u64>) -> Result<(), IngressError> {
        if self.log_is_full() {
            return Err(IngressError::Full);
        }
        let segment = Segment::decode(message.content.clone())?;
        let record = self.arrival_record(now, &message, sent_at);
        let arrival = Arrival::of(message, segment, sent_at);
        let (id, origin) = (arrival.id.clone(), record.as_ref().and_then(|_| arrival.origin()));
        match self.incoming.handle_arrival(now, arrival) {
            Verdict::Accepted => {
                self.stats.segments_received += 1;
                self.accepted(origin, record);
            }
            Verdict::Duplicate => {
                self.stats.duplicates += 1;
                self.incoming.remind(&id);
            }
            Verdict::Late => self.stats.late += 1,
            Verdict::Full => return Err(IngressError::Full),
            Verdict::Malformed => return Err(IngressError::Contradiction),
        }
        Ok(())
    }

    fn ephemeral(&mut self, now: Now, message: SdsMessage) -> Result<(), IngressError> {
        if self.recent_ephemerals.contains(&message.id) {
            self.stats.duplicates += 1;
            return Ok(());
        }
        let segment = Segment::decode(message.content)?;
        let origin = match StructuredId::parse(message.id.as_str()) {
            Some(id) => {
                SegmentOrigin::Structured(id.tag, id.sequence.saturating_sub(u64::from(segment.place())))
            }
            None => SegmentOrigin::Opaque(message.sender.clone(), segment.hash),
        };
        match self.ephemerals.handle_segment(now.mono, &origin, &message.sender, segment, 0, false) {
            Admission::Complete(whole) => {
                self.ephemerals.release(&whole.sender, whole.charged);
                self.remember_ephemeral(message.id);
                self.received(message.sender, whole.payload, true);
            }
            Admission::Stored => self.remember_ephemeral(message.id),
            Admission::Discarded(Discard::Duplicate) => self.stats.duplicates += 1,
            Admission::Discarded(Discard::CacheFull) => return Err(IngressError::Full),
            Admission::Discarded(_) => return Err(IngressError::Contradiction),
        }
        self.stats.segments_received += 1;
        Ok(())
    }

    fn remember_ephemeral(&mut self, id: MessageId) {
        if self.recent_ephemerals.len() >= RECENT_EPHEMERALS {
            self.recent_ephemerals.pop_front();
        }
        self.recent_ephemerals.push_back(id);
    }
}
