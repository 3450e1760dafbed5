//! What goes into the SDS machine and comes out of it, and what it counts.

use crate::ids::{MessageId, ParticipantId, RequestId};
use crate::sds::{Delivery, Key, Missing, SdsDecodeError};
use crate::segment::SegmentDecodeError;
use bytes::Bytes;

/// What the content of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A payload of the application, whole.
    Whole,
    /// One segment of a payload (see [`crate::segment`]).
    Segment,
}

/// Something that is to be sent: make the message with [`Sds::prepare`](super::Sds::prepare) when it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// An own message, by its sequence number.
    Message(u64),
    /// A message of ours or somebody else's that others asked for.
    Repair(Key),
    /// A sync.
    Sync,
}

/// A message that leaves now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its id.
    pub id: MessageId,
    /// The encoded message.
    pub bytes: Bytes,
    /// How often it was tried before.
    pub attempt: u32,
    /// The send it belongs to; none for syncs and repairs.
    pub request: Option<RequestId>,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SdsEvent {
    /// A payload's turn has come.
    Delivered(Delivery),
    /// A message that nobody acknowledges, orders or repeats.
    Ephemeral {
        /// Who sent it.
        sender: ParticipantId,
        /// Its id.
        id: MessageId,
        /// Its content.
        content: Bytes,
    },
    /// A participant has a message of ours.
    Acknowledged {
        /// The send it belongs to.
        request: RequestId,
        /// Its sequence number.
        sequence: u64,
        /// Who has it.
        by: ParticipantId,
        /// Whether as many as the policy asks for now have all messages of the send, which are no more repeated.
        satisfied: bool,
    },
    /// These messages are missing for good; what follows them was delivered without them.
    Gap(Vec<Missing>),
    /// A missing message may be found in a store. Give what it holds to [`Sds::handle_message`](super::Sds::handle_message).
    Fetch {
        /// Its id.
        id: MessageId,
        /// What its sender said about where it is (LIP `retrieval_hint`).
        hint: Bytes,
        /// Who sent it, where that is known.
        sender: Option<ParticipantId>,
    },
}

/// Why a message was dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdsError {
    /// No message of the dialect.
    #[error("no SDS message")]
    Decode(#[from] SdsDecodeError),
    /// Another channel's.
    #[error("another channel")]
    OtherChannel,
    /// Its signature is missing, or is not that of the participant it names.
    #[error("not signed by `{0}`")]
    Forged(ParticipantId),
    /// Its Lamport time is further ahead than any clock.
    #[error("from the future: Lamport time {time}")]
    FromTheFuture {
        /// The time it claims.
        time: u64,
    },
    /// Its content is no segment.
    #[error("the content is no segment")]
    Segment(#[from] SegmentDecodeError),
    /// It contradicts what came before, or itself.
    #[error("it contradicts what came before")]
    Contradiction,
    /// No room now; it is not acknowledged and comes again.
    #[error("no room for it now")]
    Full,
}

/// What was counted. Every counter only grows, and saturates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SdsStats {
    /// Attempts after the first.
    pub retransmissions: u64,
    /// Syncs made.
    pub syncs_sent: u64,
    /// Messages or segments accepted.
    pub accepted: u64,
    /// Messages that were there already.
    pub duplicates: u64,
    /// Messages from before we joined, or declared lost.
    pub late: u64,
    /// Messages whose signature is missing or wrong.
    pub forged: u64,
    /// Filters that could not be read; their messages were.
    pub bad_filters: u64,
    /// Resends that were delayed because a filter said "perhaps".
    pub possibly_acknowledged: u64,
    /// Requests made for missing messages.
    pub repairs_asked: u64,
    /// Answers given to requests of others.
    pub repairs_given: u64,
    /// Gaps reported.
    pub gaps: u64,
    /// Circles of messages that cite one another, in which one citation was passed over.
    pub cycles: u64,
}
