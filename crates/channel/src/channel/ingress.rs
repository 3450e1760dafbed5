//! The way in: decrypt → SDS → reassemble → event.
//!
//! The rule: what does not belong to us costs one comparison, what does not open costs one try, and
//! nothing that is dropped here touches what others sent.

use super::ReliableChannel;
use crate::cipher::OpenError;
use crate::envelope::{MAX_ENVELOPE_BYTES, MessageEnvelope};
use crate::error::IngressError;
use crate::ids::{MessageId, ParticipantId, RequestId, StructuredId};
use crate::output::ChannelEvent;
use crate::sds::SdsEvent;
use crate::segment::{Admission, Discard, Need, Segment, SegmentOrigin};
use bytes::Bytes;
use quorate_base::Now;

impl ReliableChannel {
    pub(super) fn ingest(&mut self, now: Now, envelope: MessageEnvelope) -> Result<(), IngressError> {
        if !envelope.is_marked() || envelope.content_topic != self.identity.topic.as_str() {
            return Err(IngressError::Foreign);
        }
        self.stats.envelopes_received += 1;
        let len = envelope.payload.len();
        if len > MAX_ENVELOPE_BYTES {
            return Err(IngressError::TooLarge { len });
        }
        self.stats.envelope_bytes_received += len as u64;
        let sent_at = envelope.timestamp.and_then(|nanos| u64::try_from(nanos / 1_000_000).ok());
        let plaintext = self.keyring.open(now.mono, &self.context, envelope.payload)?;
        self.sds.take_content(!self.log_is_full());
        self.sds.handle_message(now, plaintext, sent_at)?;
        self.collect(now)
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
            Err(IngressError::Forged(_)) => self.stats.forged += 1,
            Err(IngressError::TooLarge { .. }) => self.stats.oversized += 1,
            Err(IngressError::FromTheFuture { .. }) => self.stats.from_the_future += 1,
            Err(IngressError::Contradiction) => self.stats.contradictory += 1,
            Err(IngressError::Sds(_)) => self.stats.malformed += 1,
        }
    }

    /// Turns what the SDS machine has to say into events.
    pub(super) fn collect(&mut self, now: Now) -> Result<(), IngressError> {
        let mut outcome = Ok(());
        while let Some(event) = self.sds.poll_event() {
            match event {
                SdsEvent::Delivered(delivery) => self.received(delivery.sender, delivery.payload, false),
                SdsEvent::Ephemeral { sender, id, content } => {
                    outcome = outcome.and(self.ephemeral(now, sender, &id, content));
                }
                SdsEvent::Acknowledged { request, sequence, by, satisfied } => {
                    self.acknowledged(now, request, sequence, &by, satisfied);
                }
                SdsEvent::Gap(missing) => self.event(ChannelEvent::Gap { missing }),
                SdsEvent::Fetch { id, hint, sender } => self.event(ChannelEvent::Fetch { id, hint, sender }),
            }
        }
        outcome
    }

    fn acknowledged(
        &mut self,
        now: Now,
        request: RequestId,
        sequence: u64,
        by: &ParticipantId,
        satisfied: bool,
    ) {
        let known = self.stats.acknowledged_by.len() < self.config.max_participants;
        if known || self.stats.acknowledged_by.contains_key(by) {
            *self.stats.acknowledged_by.entry(by.clone()).or_insert(0) += 1;
        }
        // Somebody has it, so it left, whether or not the messaging layer said so yet.
        self.confirm(now, request, sequence);
        let events = self.requests.acknowledged(request, by, satisfied);
        events.into_iter().for_each(|event| self.event(event));
    }

    fn ephemeral(
        &mut self,
        now: Now,
        sender: ParticipantId,
        id: &MessageId,
        content: Bytes,
    ) -> Result<(), IngressError> {
        let segment = Segment::decode(content)?;
        let origin = match StructuredId::parse(id.as_str()) {
            Some(id) => {
                SegmentOrigin::Structured(id.tag, id.sequence.saturating_sub(u64::from(segment.place())))
            }
            None => SegmentOrigin::Opaque(sender.clone(), segment.hash),
        };
        match self.ephemerals.handle_segment(now.mono, &origin, &sender, segment, 0, Need::None) {
            Admission::Complete(whole) => {
                self.ephemerals.release(&whole.sender, whole.charged);
                self.received(sender, whole.payload, true);
            }
            Admission::Stored => {}
            Admission::Discarded(Discard::Duplicate) => self.stats.duplicates += 1,
            Admission::Discarded(Discard::CacheFull) => return Err(IngressError::Full),
            Admission::Discarded(_) => return Err(IngressError::Contradiction),
        }
        self.stats.segments_received += 1;
        Ok(())
    }

    fn received(&mut self, sender: ParticipantId, payload: Bytes, ephemeral: bool) {
        self.stats.messages_received += 1;
        self.stats.bytes_received += payload.len() as u64;
        self.event(ChannelEvent::Received { sender, payload, ephemeral });
    }
}
