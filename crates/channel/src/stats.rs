//! What a channel has counted since it opened.

use crate::ids::ParticipantId;
use crate::segment::SegmentCounts;
use std::collections::BTreeMap;

/// A snapshot of a channel's counters. Every counter only grows, and saturates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelStats {
    /// Sends accepted.
    pub messages_sent: u64,
    /// Their payload bytes.
    pub bytes_sent: u64,
    /// Their segments.
    pub segments_sent: u64,
    /// Envelopes handed to the messaging layer: segments, retransmissions, syncs, ephemerals.
    pub envelopes_dispatched: u64,
    /// Their sealed payload bytes.
    pub envelope_bytes_dispatched: u64,
    /// Of them, attempts after the first.
    pub retransmissions: u64,
    /// Of them, sync messages.
    pub syncs_sent: u64,
    /// Attempts that the messaging layer did not take.
    pub dispatch_failures: u64,
    /// Payloads delivered to the application.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Segments accepted.
    pub segments_received: u64,
    /// Envelopes that came in, marked as ours and on our topic.
    pub envelopes_received: u64,
    /// Their sealed payload bytes.
    pub envelope_bytes_received: u64,
    /// Segments that were there already.
    pub duplicates: u64,
    /// Segments from before we joined, or declared lost.
    pub late: u64,
    /// Envelopes for which there was no room.
    pub refused: u64,
    /// Envelopes of others on the same network.
    pub foreign: u64,
    /// Envelopes that did not open.
    pub decrypt_failed: u64,
    /// Of them, sealed under a key that we do not have, or do not have any more.
    pub unknown_key: u64,
    /// Envelopes longer than any that a participant makes.
    pub oversized: u64,
    /// Envelopes that opened, and hold no message, or no segment.
    pub malformed: u64,
    /// Envelopes that contradict their siblings or their own id.
    pub contradictory: u64,
    /// Envelopes whose Lamport time is further ahead than any clock.
    pub from_the_future: u64,
    /// Envelopes whose sender did not sign them, where senders sign.
    pub forged: u64,
    /// What became of segments and of the sets they belong to, by cause.
    pub segments: SegmentCounts,
    /// Gaps reported.
    pub gaps: u64,
    /// Circles of messages that cite one another, in which one citation was passed over.
    pub cycles: u64,
    /// Requests made for missing messages (SDS-R).
    pub repairs_asked: u64,
    /// Messages given to others who asked.
    pub repairs_given: u64,
    /// Segments of ours that each participant acknowledged.
    pub acknowledged_by: BTreeMap<ParticipantId, u64>,
    /// Segments of ours that wait for acknowledgements now.
    pub unacknowledged: u64,
    /// Attempts that wait for the rate limit or for room in flight now.
    pub queued: u64,
    /// Whole payloads that wait for their causal past now.
    pub waiting: u64,
    /// Bytes of incomplete and waiting payloads now, with what is kept beside them.
    pub receive_bytes: u64,
}
