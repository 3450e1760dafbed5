//! SDS messages on the wire, in both dialects, with Quorate's extension field.
//!
//! The rule: what is written is what the dialect's published implementation reads; what is read may lack anything
//! that it does not send. The kind follows from what is present: a Lamport time and content is a
//! content message, a Lamport time alone a sync, content alone an ephemeral one.

mod extension;
mod lip;
mod nim;

pub(crate) use extension::ExtensionProto;
pub(crate) use lip::{EntryProto, LipProto};
pub(crate) use nim::NimProto;

use super::{Dialect, RangeSet};
use crate::ids::{ChannelId, MessageId, ParticipantId, SenderTag};
use bytes::Bytes;
use prost::Message;
use std::ops::Range;

/// The most dependencies, repair requests, vectors or ranges per vector that a message may have.
pub(super) const MAX_ENTRIES: usize = 1_024;
/// The longest message id or participant that is read, in bytes.
const MAX_NAME: usize = 256;
/// The most ranges of one vector that are written; the lowest ones.
const MAX_RANGES_WRITTEN: usize = 128;

/// What an SDS message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Carries content and takes part in everything.
    Content,
    /// Carries acknowledgements and history only.
    Sync,
    /// Carries content that nobody acknowledges, orders or repeats.
    Ephemeral,
}

/// A message that this one causally follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its id.
    pub id: MessageId,
    /// Its Lamport time, where the sender said it (extension).
    pub time: Option<u64>,
    /// How a store may find it (LIP `retrieval_hint`), opaque.
    pub hint: Option<Bytes>,
    /// Who sent it, where the sender said so.
    pub sender: Option<ParticipantId>,
}

/// A message that its sender lacks and asks for (SDS-R).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its id. What a Quorate id says of the content may be zero: who asks may know no more than the number.
    pub id: MessageId,
    /// How many messages of the same sender from it on are asked for (extension); 1 where ids are opaque.
    pub run: u64,
    /// How a store may find it.
    pub hint: Option<Bytes>,
    /// Who sent it, where it is known.
    pub sender: Option<ParticipantId>,
}

/// What a participant has of one sender (extension).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckVector {
    /// The sender.
    pub tag: SenderTag,
    /// The sequence numbers it has, ascending and disjoint.
    pub ranges: Vec<Range<u64>>,
}

impl AckVector {
    /// The vector of a set; the lowest 128 ranges where it has more.
    pub fn of(tag: SenderTag, set: &RangeSet) -> Self {
        Self { tag, ranges: set.iter().take(MAX_RANGES_WRITTEN).collect() }
    }
}

/// An SDS message in the terms of the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdsMessage {
    /// Who says it is sending.
    pub sender: ParticipantId,
    /// The message's id.
    pub id: MessageId,
    /// The channel.
    pub channel: ChannelId,
    /// Lamport time; `None` for ephemeral messages.
    pub time: Option<u64>,
    /// What it causally follows.
    pub history: Vec<Dependency>,
    /// The Bloom filter, as it travels; the `Compact` profile writes none.
    pub bloom_filter: Option<Bytes>,
    /// What the sender lacks and asks for (SDS-R).
    pub repair: Vec<Wanted>,
    /// The content; empty in a sync.
    pub content: Bytes,
    /// What the sender has of others (extension).
    pub acks: Vec<AckVector>,
    /// The lowest own sequence number that the sender may still send again (extension).
    pub oldest: Option<u64>,
    /// Own sequence numbers of sends that were undone: nothing will ever bear them (extension).
    pub void: Vec<Range<u64>>,
}

/// Why bytes are no SDS message. The sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdsDecodeError {
    /// Not the dialect's protobuf.
    #[error("not an SDS message")]
    Undecodable,
    /// Neither a Lamport time nor content.
    #[error("neither a Lamport time nor content")]
    NoKind,
    /// No message id.
    #[error("no message id")]
    NoId,
    /// A list is longer than any honest sender makes it.
    #[error("{what} has {len} entries, the most is {MAX_ENTRIES}")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its length.
        len: usize,
    },
    /// A message id or a participant that is longer than any honest one.
    #[error("a name has {len} bytes, the most is {MAX_NAME}")]
    LongName {
        /// Its length in bytes.
        len: usize,
    },
    /// An acknowledgement vector whose tag is not 6 bytes, or ranges that run backwards or off the end.
    #[error("an acknowledgement vector or a range is malformed")]
    Vector,
}

impl SdsMessage {
    /// A message with nothing in it: no Lamport time, no history, no content.
    pub const fn bare(sender: ParticipantId, id: MessageId, channel: ChannelId) -> Self {
        Self {
            sender,
            id,
            channel,
            time: None,
            history: Vec::new(),
            bloom_filter: None,
            repair: Vec::new(),
            content: Bytes::new(),
            acks: Vec::new(),
            oldest: None,
            void: Vec::new(),
        }
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        match (self.time, self.content.is_empty()) {
            (None, _) => Kind::Ephemeral,
            (Some(_), true) => Kind::Sync,
            (Some(_), false) => Kind::Content,
        }
    }

    /// Encodes in a dialect.
    pub fn encode(&self, dialect: Dialect) -> Bytes {
        match dialect {
            Dialect::Lip => LipProto::of(self).encode_to_vec(),
            Dialect::Nim => NimProto::of(self).encode_to_vec(),
        }
        .into()
    }

    /// Decodes a dialect. Content, filter and hints are slices of `bytes`.
    pub fn decode(dialect: Dialect, bytes: Bytes) -> Result<Self, SdsDecodeError> {
        let (mut message, extension) = match dialect {
            Dialect::Lip => LipProto::decode(bytes).map_err(|_| SdsDecodeError::Undecodable)?.into_message(),
            Dialect::Nim => {
                NimProto::decode(bytes).map_err(|_| SdsDecodeError::Undecodable)?.into_message()?
            }
        };
        if message.id.as_str().is_empty() {
            return Err(SdsDecodeError::NoId);
        }
        if message.time.is_none() && message.content.is_empty() {
            return Err(SdsDecodeError::NoKind);
        }
        at_most("causal history", message.history.len())?;
        at_most("repair request", message.repair.len())?;
        message.check_names()?;
        extension.extend(&mut message)?;
        Ok(message)
    }

    fn check_names(&self) -> Result<(), SdsDecodeError> {
        let history = self.history.iter().map(|dependency| (&dependency.id, &dependency.sender));
        let repair = self.repair.iter().map(|wanted| (&wanted.id, &wanted.sender));
        let entries = history.chain(repair).map(|(id, sender)| {
            id.as_str().len().max(sender.as_ref().map_or(0, |sender| sender.as_str().len()))
        });
        let longest = entries.chain([self.id.as_str().len(), self.sender.as_str().len()]).max();
        match longest.filter(|len| *len > MAX_NAME) {
            Some(len) => Err(SdsDecodeError::LongName { len }),
            None => Ok(()),
        }
    }
}

fn at_most(what: &'static str, len: usize) -> Result<(), SdsDecodeError> {
    if len > MAX_ENTRIES { Err(SdsDecodeError::TooMany { what, len }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
