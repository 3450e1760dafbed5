//! SDS messages on the wire, dialect `Lip`, with Quorate's extension field.
//!
//! The rule: what is written is what the LIP and `@waku/sds` read; what is read may lack anything
//! that they do not send. The kind follows from what is present: a Lamport time and content is a
//! content message, a Lamport time alone a sync, content alone an ephemeral one.

use super::RangeSet;
use crate::ids::{ChannelId, MessageId, ParticipantId, SenderTag, StructuredId};
use bytes::{Bytes, BytesMut};
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
    /// The Bloom filter, as it came; the `Compact` profile writes none.
    pub bloom_filter: Option<Bytes>,
    /// What the sender lacks (SDS-R).
    pub repair: Vec<Dependency>,
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
    /// What it is for.
    pub fn kind(&self) -> Kind {
        match (self.time, self.content.is_empty()) {
            (None, _) => Kind::Ephemeral,
            (Some(_), true) => Kind::Sync,
            (Some(_), false) => Kind::Content,
        }
    }

    /// Encodes in the `Lip` dialect.
    pub fn encode(&self) -> Bytes {
        SdsProto {
            sender: self.sender.as_str().to_owned(),
            id: self.id.as_str().to_owned(),
            channel: self.channel.as_str().to_owned(),
            time: self.time,
            history: self.history.iter().map(entry_proto).collect(),
            bloom_filter: self.bloom_filter.clone(),
            repair: self.repair.iter().map(entry_proto).collect(),
            content: (!self.content.is_empty()).then(|| self.content.clone()),
            extension: self.extension_proto(),
        }
        .encode_to_vec()
        .into()
    }

    /// The message `encoded`, with what is true of its sender at this attempt: the numbers that it may still send
    /// again, and those that are void. Protobuf merges it with the extension that the message has.
    pub fn stamp(encoded: &[u8], oldest: u64, void: &[Range<u64>]) -> BytesMut {
        let extension =
            ExtensionProto { oldest: Some(oldest), void: void_proto(void), ..ExtensionProto::default() };
        let mut stamped = BytesMut::with_capacity(encoded.len() + 8 + extension.encoded_len());
        stamped.extend_from_slice(encoded);
        prost::encoding::message::encode(EXTENSION, &extension, &mut stamped);
        stamped
    }

    /// Decodes the `Lip` dialect. Content and hints are slices of `bytes`.
    pub fn decode(bytes: Bytes) -> Result<Self, SdsDecodeError> {
        let proto = SdsProto::decode(bytes).map_err(|_| SdsDecodeError::Undecodable)?;
        if proto.id.is_empty() {
            return Err(SdsDecodeError::NoId);
        }
        let content = proto.content.unwrap_or_default();
        if proto.time.is_none() && content.is_empty() {
            return Err(SdsDecodeError::NoKind);
        }
        let extension = proto.extension.unwrap_or_default();
        let entries = proto.history.iter().chain(&proto.repair).map(|entry| entry.id.len());
        let names = entries.chain([proto.id.len(), proto.sender.len()]);
        if let Some(len) = names.max().filter(|len| *len > MAX_NAME) {
            return Err(SdsDecodeError::LongName { len });
        }
        at_most("causal history", proto.history.len())?;
        at_most("repair request", proto.repair.len())?;
        at_most("acknowledgement vectors", extension.acks.len())?;
        at_most("void ranges", extension.void.len())?;
        let mut history: Vec<_> = proto.history.into_iter().map(dependency).collect();
        if let Some(time) = proto.time {
            for (dependency, age) in history.iter_mut().zip(&extension.history_ages) {
                dependency.time = Some(time.saturating_sub(*age));
            }
        }
        Ok(Self {
            sender: proto.sender.into(),
            id: proto.id.into(),
            channel: proto.channel.into(),
            time: proto.time,
            history,
            bloom_filter: proto.bloom_filter,
            repair: proto.repair.into_iter().map(dependency).collect(),
            content,
            acks: extension.acks.iter().map(vector).collect::<Result<_, _>>()?,
            oldest: extension.oldest,
            void: void(&extension.void)?,
        })
    }

    fn extension_proto(&self) -> Option<ExtensionProto> {
        let time = self.time.unwrap_or(0);
        let known = self.history.iter().map(|dependency| dependency.time).collect::<Option<Vec<_>>>();
        let ages = known.unwrap_or_default().into_iter().map(|at| time.saturating_sub(at)).collect();
        let extension = ExtensionProto {
            acks: self.acks.iter().map(vector_proto).collect(),
            oldest: self.oldest,
            history_ages: ages,
            void: void_proto(&self.void),
        };
        (extension != ExtensionProto::default()).then_some(extension)
    }
}

/// The extension's field number: outside the LIP's, so that others skip it.
const EXTENSION: u32 = 100;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SdsProto {
    #[prost(string, tag = "1")]
    pub(crate) sender: String,
    #[prost(string, tag = "2")]
    pub(crate) id: String,
    #[prost(string, tag = "3")]
    pub(crate) channel: String,
    #[prost(uint64, optional, tag = "10")]
    pub(crate) time: Option<u64>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) history: Vec<EntryProto>,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub(crate) bloom_filter: Option<Bytes>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) repair: Vec<EntryProto>,
    #[prost(bytes = "bytes", optional, tag = "20")]
    pub(crate) content: Option<Bytes>,
    #[prost(message, optional, tag = "100")]
    pub(crate) extension: Option<ExtensionProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EntryProto {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) hint: Option<Bytes>,
    #[prost(string, optional, tag = "3")]
    pub(crate) sender: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExtensionProto {
    #[prost(message, repeated, tag = "1")]
    pub(crate) acks: Vec<VectorProto>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) oldest: Option<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) history_ages: Vec<u64>,
    /// The first number of a range and its length, and so on.
    #[prost(uint64, repeated, tag = "4")]
    pub(crate) void: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VectorProto {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) tag: Bytes,
    /// Everything below this is there.
    #[prost(uint64, tag = "2")]
    pub(crate) upto: u64,
    /// Beyond `upto`: the length of a hole, the length of what follows it, and so on.
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) ranges: Vec<u64>,
}

fn entry_proto(dependency: &Dependency) -> EntryProto {
    EntryProto {
        id: dependency.id.as_str().to_owned(),
        hint: dependency.hint.clone(),
        sender: dependency.sender.as_ref().map(|sender| sender.as_str().to_owned()),
    }
}

fn dependency(entry: EntryProto) -> Dependency {
    Dependency {
        id: entry.id.into(),
        time: None,
        hint: entry.hint,
        sender: entry.sender.map(ParticipantId::from),
    }
}

fn vector_proto(vector: &AckVector) -> VectorProto {
    let mut upto = 0;
    let mut ranges = Vec::new();
    let mut at = 0;
    for range in &vector.ranges {
        if range.start == 0 {
            upto = range.end;
        } else {
            ranges.extend([range.start - at, range.end - range.start]);
        }
        at = range.end;
    }
    VectorProto { tag: Bytes::copy_from_slice(&vector.tag.0), upto, ranges }
}

fn vector(proto: &VectorProto) -> Result<AckVector, SdsDecodeError> {
    let tag = SenderTag(proto.tag.as_ref().try_into().map_err(|_| SdsDecodeError::Vector)?);
    at_most("ranges of a vector", proto.ranges.len())?;
    let mut ranges = Vec::with_capacity(1 + proto.ranges.len() / 2);
    if proto.upto > 0 {
        ranges.push(0..proto.upto);
    }
    let mut at = proto.upto;
    for pair in proto.ranges.chunks(2) {
        let [hole, len] = pair else { return Err(SdsDecodeError::Vector) };
        let start = at.checked_add(*hole).ok_or(SdsDecodeError::Vector)?;
        at = start.checked_add(*len).ok_or(SdsDecodeError::Vector)?;
        if *hole == 0 || *len == 0 {
            return Err(SdsDecodeError::Vector);
        }
        ranges.push(start..at);
    }
    Ok(AckVector { tag, ranges })
}

fn void_proto(ranges: &[Range<u64>]) -> Vec<u64> {
    ranges.iter().flat_map(|range| [range.start, range.end - range.start]).collect()
}

fn void(numbers: &[u64]) -> Result<Vec<Range<u64>>, SdsDecodeError> {
    let range = |pair: &[u64]| match pair {
        [start, len] if *len > 0 => start.checked_add(*len).map(|end| *start..end),
        _ => None,
    };
    let ranges =
        numbers.chunks(2).map(|pair| range(pair).filter(|range| range.end <= StructuredId::SEQUENCE_END));
    ranges.collect::<Option<_>>().ok_or(SdsDecodeError::Vector)
}

fn at_most(what: &'static str, len: usize) -> Result<(), SdsDecodeError> {
    if len > MAX_ENTRIES { Err(SdsDecodeError::TooMany { what, len }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
