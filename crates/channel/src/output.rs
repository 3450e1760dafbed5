//! What a channel's machine asks of its driver.

use crate::durable::EventSeq;
use crate::envelope::MessageEnvelope;
use crate::error::SendError;
use crate::ids::{DispatchId, MessageId, ParticipantId, RequestId};
use crate::rate_limit::BudgetState;
use crate::sds::Missing;
use bytes::Bytes;
use quorate_base::{Mono, Op};
use std::collections::BTreeSet;

/// One thing for the driver to do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Hand an envelope to the messaging layer, then call
    /// [`handle_dispatched`](crate::ReliableChannel::handle_dispatched).
    Dispatch(Dispatch),
    /// Tell the application.
    Event(ChannelEvent),
    /// The same of an event that is in the log under this number (a channel on a store).
    Logged(EventSeq, ChannelEvent),
    /// Write to the store (a channel on a store): all writes that came before a dispatch or an event are on disk, in one
    /// batch or several, before that leaves.
    Write(Op),
}

/// An envelope to be handed to the messaging layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// Names this attempt.
    pub id: DispatchId,
    /// What to send.
    pub envelope: MessageEnvelope,
    /// The SDS message inside; the same at every attempt.
    pub message: MessageId,
    /// How often it was tried before.
    pub attempt: u32,
}

/// How handing over an envelope ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DispatchOutcome {
    /// It left.
    Confirmed,
    /// It did not, and may if tried again.
    Failed,
    /// It did not, and never will.
    Refused,
}

/// What the application is told.
///
/// Each send has one of `Sent` and `SendError`; a persistent one that was `Sent` then has one of
/// `Delivered` and `DeliveryError`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelEvent {
    /// The rate limit holds a send back.
    Queued {
        /// The send.
        request: RequestId,
        /// When its first segment is expected to leave.
        expected_at: Mono,
    },
    /// How much of the rate limit's budget is gone changed. With `Approaching`, ephemeral sends are refused.
    Budget {
        /// How it stands now.
        state: BudgetState,
    },
    /// All segments left.
    Sent {
        /// The send.
        request: RequestId,
    },
    /// Not all segments left, and the send is given up.
    SendError {
        /// The send.
        request: RequestId,
        /// Why.
        error: SendError,
    },
    /// A participant has all segments. Told until the send is delivered.
    Acknowledged {
        /// The send.
        request: RequestId,
        /// Who has it.
        by: ParticipantId,
    },
    /// As many participants as the policy asks for have all segments.
    Delivered {
        /// The send.
        request: RequestId,
    },
    /// The deadline passed before the policy was satisfied.
    DeliveryError {
        /// The send.
        request: RequestId,
        /// Those of the roster who lack something; empty where the policy names nobody.
        lacking: BTreeSet<ParticipantId>,
    },
    /// A payload's turn has come.
    Received {
        /// Who sent it, as it calls itself.
        sender: ParticipantId,
        /// The payload.
        payload: Bytes,
        /// Whether it was sent without acknowledgement, order and repetition.
        ephemeral: bool,
    },
    /// Messages that others follow are missing for good; delivery goes on without them.
    Gap {
        /// What is missing.
        missing: Vec<Missing>,
    },
    /// A store may have a missing message: give the envelope that it holds to
    /// [`handle_envelope`](crate::ReliableChannel::handle_envelope).
    Fetch {
        /// The message.
        id: MessageId,
        /// What a participant said about where it is (LIP `retrieval_hint`).
        hint: Bytes,
        /// Who sent it, where that is known.
        sender: Option<ParticipantId>,
    },
}
