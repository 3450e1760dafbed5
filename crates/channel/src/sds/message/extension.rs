//! The extension field: what Quorate peers tell one another beside what the dialects have.
//!
//! The rule: its number is outside those of the dialects, so that others skip it, and nothing that they need is in it.
//! Several occurrences in one message are merged, as protobuf demands.

use super::{AckVector, MAX_ENTRIES, SdsDecodeError, SdsMessage, at_most};
use crate::ids::{SenderTag, StructuredId};
use bytes::Bytes;
use std::ops::Range;

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
    /// How many messages each entry of `repair_request` asks for.
    #[prost(uint64, repeated, tag = "5")]
    pub(crate) repair_runs: Vec<u64>,
    /// Read where the message ends (see `auth.rs`), never here.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(crate) signature: Option<Bytes>,
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

impl ExtensionProto {
    /// What a message has for it; `None` where it has nothing.
    pub(super) fn of(message: &SdsMessage) -> Option<Self> {
        let time = message.time.unwrap_or(0);
        let known = message.history.iter().map(|dependency| dependency.time).collect::<Option<Vec<_>>>();
        let ages = known.unwrap_or_default().into_iter().map(|at| time.saturating_sub(at)).collect();
        let has_runs = message.repair.iter().any(|wanted| wanted.run != 1);
        let runs = message.repair.iter().filter(|_| has_runs).map(|wanted| wanted.run);
        let extension = Self {
            acks: message.acks.iter().map(vector_proto).collect(),
            oldest: message.oldest,
            history_ages: ages,
            void: message.void.iter().flat_map(|range| [range.start, range.end - range.start]).collect(),
            repair_runs: runs.collect(),
            signature: None,
        };
        (extension != Self::default()).then_some(extension)
    }

    /// Adds what it says to the message that carried it.
    pub(super) fn extend(self, message: &mut SdsMessage) -> Result<(), SdsDecodeError> {
        at_most("acknowledgement vectors", self.acks.len())?;
        at_most("void ranges", self.void.len())?;
        if let Some(time) = message.time {
            for (dependency, age) in message.history.iter_mut().zip(&self.history_ages) {
                dependency.time = Some(time.saturating_sub(*age));
            }
        }
        for (wanted, run) in message.repair.iter_mut().zip(self.repair_runs) {
            wanted.run = run.clamp(1, MAX_ENTRIES as u64);
        }
        message.acks = self.acks.iter().map(vector).collect::<Result<_, _>>()?;
        message.oldest = self.oldest;
        message.void = void(&self.void)?;
        Ok(())
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

pub(super) fn vector(proto: &VectorProto) -> Result<AckVector, SdsDecodeError> {
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

pub(super) fn void(numbers: &[u64]) -> Result<Vec<Range<u64>>, SdsDecodeError> {
    let range = |pair: &[u64]| match pair {
        [start, len] if *len > 0 => start.checked_add(*len).map(|end| *start..end),
        _ => None,
    };
    let ranges =
        numbers.chunks(2).map(|pair| range(pair).filter(|range| range.end <= StructuredId::SEQUENCE_END));
    ranges.collect::<Option<_>>().ok_or(SdsDecodeError::Vector)
}
