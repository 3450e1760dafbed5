//! What can go wrong at a channel's border, and whose fault it is.

use crate::cipher::{OpenError, SealError};
use crate::ids::ParticipantId;
use crate::sds::{SdsDecodeError, SdsError};
use crate::segment::{SegmentDecodeError, SegmentError};

/// A send that was not accepted. Nothing was sent and no state changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendRefused {
    /// The payload cannot be cut into segments. The caller's fault.
    #[error(transparent)]
    Payload(#[from] SegmentError),
    /// Too much is unacknowledged or queued already; there is room again after a delivery.
    #[error(
        "the channel is full: {unacknowledged} segments are unacknowledged, {queued} wait for the rate limit"
    )]
    Full {
        /// Segments that wait for acknowledgements.
        unacknowledged: usize,
        /// Attempts that wait for the rate limit.
        queued: usize,
    },
    /// Too many events wait for the application to confirm them; there is room again when it has.
    #[error("{events} events wait to be confirmed")]
    Unconfirmed {
        /// How many.
        events: usize,
    },
    /// The store failed while it was written: the channel goes on from what is on disk, in which the send is or is not.
    #[error("the store failed; the send may or may not have been accepted")]
    Store,
    /// The rate limit's budget runs low, and ephemeral messages go first.
    #[error("the rate limit's budget is nearly spent; an ephemeral message was dropped")]
    BudgetLow,
    /// The channel was closed.
    #[error("the channel is closed")]
    Closed,
    /// 2^48 segments were sent under this incarnation.
    #[error("the sequence numbers are used up")]
    SequenceExhausted,
}

impl SendRefused {
    /// Whether the same send may be accepted later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::BudgetLow | Self::Unconfirmed { .. })
    }
}

/// Why a send, once accepted, did not leave. Final.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The messaging layer refused it for good.
    #[error("the messaging layer refused {segments} segments")]
    Refused {
        /// How many segments did not leave.
        segments: usize,
    },
    /// The rate limit's budget ran low while it waited; only ephemeral sends end so.
    #[error("the rate limit's budget is nearly spent; an ephemeral message was dropped")]
    BudgetLow,
    /// It did not leave in time.
    #[error("{segments} segments did not leave in time")]
    TimedOut {
        /// How many segments did not leave.
        segments: usize,
    },
    /// The cipher failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The channel was closed before it left.
    #[error("the channel was closed")]
    Closed,
}

/// Why an envelope was dropped. Counted by kind; no other participant is affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IngressError {
    /// Not marked as a reliable channel's, or another topic. Nobody's fault.
    #[error("not this channel's traffic")]
    Foreign,
    /// Its payload is longer than any that a participant makes.
    #[error("{len} bytes are more than an envelope has")]
    TooLarge {
        /// How long it is.
        len: usize,
    },
    /// It does not open: another key, damage or forgery.
    #[error("the payload does not open")]
    Sealed(#[from] OpenError),
    /// It opened, and is no SDS message. A member's fault.
    #[error("the payload is no SDS message")]
    Sds(#[from] SdsDecodeError),
    /// It opened, and belongs to another channel on the same topic and key.
    #[error("another channel on the same topic")]
    OtherChannel,
    /// The participant whom it names did not sign it. Somebody poses as another.
    #[error("not signed by `{0}`")]
    Forged(ParticipantId),
    /// Its content is no segment. A member's fault.
    #[error("the content is no segment")]
    Segment(#[from] SegmentDecodeError),
    /// Its Lamport time is further ahead than any clock.
    #[error("from the future: Lamport time {time}")]
    FromTheFuture {
        /// The time it claims, in milliseconds.
        time: u64,
    },
    /// It contradicts its siblings or its own id. A member's fault.
    #[error("it contradicts what came before")]
    Contradiction,
    /// No room now; it is not acknowledged and comes again.
    #[error("no room for it now")]
    Full,
    /// The channel was closed.
    #[error("the channel is closed")]
    Closed,
}

impl From<SdsError> for IngressError {
    fn from(error: SdsError) -> Self {
        match error {
            SdsError::Decode(error) => Self::Sds(error),
            SdsError::OtherChannel => Self::OtherChannel,
            SdsError::Forged(sender) => Self::Forged(sender),
            SdsError::FromTheFuture { time } => Self::FromTheFuture { time },
            SdsError::Segment(error) => Self::Segment(error),
            SdsError::Contradiction => Self::Contradiction,
            SdsError::Full => Self::Full,
        }
    }
}
