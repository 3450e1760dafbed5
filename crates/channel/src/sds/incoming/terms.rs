//! What goes into the receiving side, and what comes out of it.

use super::origin_of;
use crate::ids::{MessageId, ParticipantId, SenderTag, StructuredId};
use crate::sds::{Dependency, Key};
use crate::segment::{Segment, SegmentOrigin};
use bytes::Bytes;
use std::ops::Range;

/// A content message, opened and decoded; its content is one segment of a payload, or all of it.
#[derive(Debug)]
pub struct Arrival<Content = Segment> {
    /// Who sent it.
    pub sender: ParticipantId,
    /// Its id.
    pub id: MessageId,
    /// Its Lamport time.
    pub time: u64,
    /// What it follows.
    pub history: Vec<Dependency>,
    /// The lowest sequence number its sender may still send again.
    pub oldest: Option<u64>,
    /// When its sender says this attempt was made, in milliseconds of the Unix epoch, where it says so.
    pub sent_at: Option<u64>,
    /// Its content.
    pub segment: Content,
}

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Kept. It is acknowledged from now on.
    Accepted,
    /// Had it already; the sender seems not to know.
    Duplicate,
    /// From before we joined, or already declared lost.
    Late,
    /// No room now; not acknowledged, so it comes again.
    Full,
    /// It contradicts what came before, or itself. Dropped.
    Malformed,
}

/// A whole payload whose turn has come.
#[derive(Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Who sent it.
    pub sender: ParticipantId,
    /// The payload.
    pub payload: Bytes,
    /// The id of its last segment: what a message that follows it cites.
    pub id: MessageId,
    /// Its Lamport time.
    pub time: u64,
    /// What it follows.
    pub past: Vec<Key>,
    /// How many segments it had.
    pub segments: u64,
}

/// What the receiving side has to say.
#[derive(Debug, PartialEq, Eq)]
pub enum IncomingEvent {
    /// A payload's turn has come.
    Deliver(Delivery),
    /// These messages are missing for good.
    Gap(Vec<Missing>),
}

/// Messages that will not be delivered: nobody sent them again in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Segments of a Quorate sender.
    Segments {
        /// Its name, where we ever heard it.
        sender: Option<ParticipantId>,
        /// Its tag.
        tag: SenderTag,
        /// Which ones.
        sequences: Range<u64>,
    },
    /// A message with an opaque id.
    Message(MessageId),
}

/// A message, or a run of one sender's, that others spoke of and we do not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The first one.
    pub key: Key,
    /// Its id; what it says of the content is zero where that is not known.
    pub id: MessageId,
    /// How many.
    pub run: u64,
    /// How a store may find it.
    pub hint: Option<Bytes>,
    /// Who sent it, where that is known.
    pub sender: Option<ParticipantId>,
}

impl Arrival {
    /// The set it belongs to; `None` when its place contradicts its number.
    pub fn origin(&self) -> Option<SegmentOrigin> {
        origin_of(self, StructuredId::parse(self.id.as_str()))
    }
}
