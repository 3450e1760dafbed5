//! The way in: what a message says of ours, and what it brings.
//!
//! The rule: nothing of a message counts before its channel, its signature and its time were looked at.

use super::{Content, Sds, SdsError, SdsEvent};
use crate::ids::{MessageId, ParticipantId, StructuredId};
use crate::sds::{Arrival, BloomFilter, Key, Kind, Lamport, Profile, SdsMessage, Verdict};
use crate::segment::Segment;
use bytes::Bytes;
use quorate_base::Now;
use std::ops::Range;

/// The ids of ephemeral messages that are remembered, so that a duplicate is not told twice.
const RECENT_EPHEMERALS: usize = 1_024;
/// The own messages that are looked up in one filter: the oldest ones.
const MAX_FILTERED: usize = 256;

impl Sds {
    /// Takes a message from the network or from a store. `sent_at` is when its sender says this attempt was made, in milliseconds
    /// of the Unix epoch, where it says so.
    pub fn handle_message(&mut self, now: Now, bytes: Bytes, sent_at: Option<u64>) -> Result<(), SdsError> {
        let message = SdsMessage::decode(self.config.dialect, bytes.clone())?;
        if message.channel != self.channel {
            return Err(SdsError::OtherChannel);
        }
        let key = Key::of(&message.id);
        if self.is_echo(&message) {
            // Somebody repaired it for us.
            self.repair.handle_arrival(&key);
            return Ok(());
        }
        if let Some(auth) = &mut self.auth
            && !auth.verify(&message, &bytes)
        {
            self.stats.forged += 1;
            return Err(SdsError::Forged(message.sender));
        }
        let dialect = self.config.dialect;
        if let Some(time) = message.time.filter(|time| !Lamport::is_plausible(dialect, now.wall, *time)) {
            return Err(SdsError::FromTheFuture { time });
        }
        self.repair.handle_arrival(&key);
        self.company.heard(now.mono, &message.sender);
        self.acknowledgements(now, &message);
        self.filter(now, &message);
        self.repair.handle_requests(now.mono, &message.repair);
        let notice = StructuredId::parse(message.id.as_str()).map(|id| id.tag);
        let (sender, oldest, void) = (message.sender.clone(), message.oldest, message.void.clone());
        let outcome = match message.kind() {
            Kind::Content => self.content_message(now, message, key, bytes, sent_at),
            Kind::Ephemeral => self.ephemeral_message(message),
            Kind::Sync => {
                self.incoming.handle_sync(now, &message, sent_at);
                let random = self.random.f64();
                self.schedule.heard(now.mono, random);
                Ok(())
            }
        };
        if let Some(tag) = notice {
            self.incoming.handle_notice(tag, &sender, oldest, &void);
        }
        self.collect(now);
        outcome
    }

    /// Whether the network brought back what we sent.
    fn is_echo(&self, message: &SdsMessage) -> bool {
        match StructuredId::parse(message.id.as_str()) {
            Some(id) => id.tag == self.own,
            None => message.sender == self.participant,
        }
    }

    /// Reads every acknowledgement of ours that a message carries: its vectors, and what it cites.
    fn acknowledgements(&mut self, now: Now, message: &SdsMessage) {
        let cited =
            message.history.iter().filter_map(|dependency| StructuredId::parse(dependency.id.as_str()));
        let cited: Vec<u64> = cited.filter(|id| id.tag == self.own).map(|id| id.sequence).collect();
        // A Quorate peer tells what it has; others only cite.
        let with_past = self.config.cited_past && message.acks.is_empty() && message.oldest.is_none();
        let vectors = message.acks.iter().filter(|vector| vector.tag == self.own);
        let received: Vec<Range<u64>> = vectors.flat_map(|vector| vector.ranges.clone()).collect();
        let by = &message.sender;
        let mut news = Vec::new();
        if !received.is_empty() {
            news.extend(self.outgoing.handle_ack(now.mono, by, &received));
        }
        if !cited.is_empty() {
            news.extend(self.outgoing.handle_citations(now.mono, by, &cited, with_past));
        }
        for acknowledged in news {
            self.events.push_back(SdsEvent::Acknowledged {
                request: acknowledged.request,
                sequence: acknowledged.sequence,
                by: by.clone(),
                satisfied: acknowledged.satisfied,
            });
        }
    }

    /// What a filter says of ours: perhaps they have it, so the next attempt waits longer.
    fn filter(&mut self, now: Now, message: &SdsMessage) {
        let (Some(bytes), Profile::Interop { filter, .. }) = (&message.bloom_filter, self.config.profile)
        else {
            return;
        };
        match BloomFilter::decode(self.config.dialect, filter, bytes.clone()) {
            Ok(read) => {
                let random = self.random.f64();
                let delayed = self.outgoing.handle_filter(
                    now.mono,
                    self.config.dialect,
                    &read,
                    &message.sender,
                    MAX_FILTERED,
                    random,
                );
                self.stats.possibly_acknowledged += delayed;
            }
            Err(_) => self.stats.bad_filters += 1,
        }
    }

    fn content_message(
        &mut self,
        now: Now,
        message: SdsMessage,
        key: Key,
        bytes: Bytes,
        sent_at: Option<u64>,
    ) -> Result<(), SdsError> {
        if !self.takes_content {
            return Err(SdsError::Full);
        }
        let (id, sender): (MessageId, ParticipantId) = (message.id.clone(), message.sender.clone());
        let record = self.arrival_record(now, &message, sent_at);
        let acks = message.acks.clone();
        let content = message.content.clone();
        let verdict = match self.content {
            Content::Whole => self.incoming.handle_whole(now, arrival(message, content, sent_at)),
            Content::Segment => {
                let segment = Segment::decode(content)?;
                let arrival = arrival(message, segment, sent_at);
                let origin = record.as_ref().and_then(|_| arrival.origin());
                let verdict = self.incoming.handle_arrival(now, arrival);
                if verdict == Verdict::Accepted {
                    self.keep(origin, record);
                }
                verdict
            }
        };
        match verdict {
            Verdict::Accepted => {
                self.stats.accepted += 1;
                if let Some(filter) = &mut self.filter {
                    filter.insert(id.as_str());
                }
                self.repair.keep(key, id, sender, bytes);
            }
            Verdict::Duplicate => {
                self.stats.duplicates += 1;
                self.incoming.remind(&id);
            }
            Verdict::Late => self.stats.late += 1,
            Verdict::Full => return Err(SdsError::Full),
            Verdict::Malformed => return Err(SdsError::Contradiction),
        }
        self.incoming.handle_vectors(&acks);
        Ok(())
    }

    fn ephemeral_message(&mut self, message: SdsMessage) -> Result<(), SdsError> {
        if self.recent_ephemerals.contains(&message.id) {
            self.stats.duplicates += 1;
            return Ok(());
        }
        if self.recent_ephemerals.len() >= RECENT_EPHEMERALS {
            self.recent_ephemerals.pop_front();
        }
        self.recent_ephemerals.push_back(message.id.clone());
        self.events.push_back(SdsEvent::Ephemeral {
            sender: message.sender,
            id: message.id,
            content: message.content,
        });
        Ok(())
    }
}

pub(super) fn arrival<C>(message: SdsMessage, content: C, sent_at: Option<u64>) -> Arrival<C> {
    Arrival {
        sender: message.sender,
        id: message.id,
        time: message.time.unwrap_or(0),
        history: message.history,
        oldest: message.oldest,
        sent_at,
        segment: content,
    }
}
