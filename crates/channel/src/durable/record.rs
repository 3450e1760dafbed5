//! The records as they lie in the store: protobuf, so that a later version may add to them.

use crate::ids::{MessageId, ParticipantId};
use crate::sds::{Dependency, Dialect, RangeSet, SdsDecodeError, SdsMessage};
use bytes::Bytes;
use quorate_base::Mono;
use std::time::Duration;

/// Microseconds of the channel's age: how a time is kept.
pub(crate) fn age(at: Mono) -> u64 {
    u64::try_from(at.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The inverse of [`age`].
pub(crate) fn deadline(age: u64) -> Mono {
    Mono::from_origin(Duration::from_micros(age))
}

/// A set as pairs: how far a range begins after the end of the one before, and how long it is.
pub(crate) fn ranges_of(set: &RangeSet) -> Vec<u64> {
    let mut at = 0;
    let mut pairs = Vec::with_capacity(2 * set.pieces());
    for range in set.iter() {
        pairs.extend([range.start - at, range.end - range.start]);
        at = range.end;
    }
    pairs
}

/// The inverse of [`ranges_of`]; `None` where the pairs are no set.
pub(crate) fn set_of(pairs: &[u64]) -> Option<RangeSet> {
    let mut set = RangeSet::new();
    let mut at = 0u64;
    for (index, pair) in pairs.chunks(2).enumerate() {
        let [gap, len] = *pair else { return None };
        if len == 0 || (gap == 0 && index > 0) {
            return None;
        }
        let start = at.checked_add(gap)?;
        at = start.checked_add(len)?;
        set.insert(start..at);
    }
    Some(set)
}

impl SdsMessage {
    /// As it lies in the store, whatever the channel's dialect.
    pub(crate) fn to_record(&self) -> Bytes {
        self.encode(Dialect::Lip)
    }

    /// The inverse of [`SdsMessage::to_record`].
    pub(crate) fn from_record(record: Bytes) -> Result<Self, SdsDecodeError> {
        Self::decode(Dialect::Lip, record)
    }
}

/// What a send cites, to be put back should it never leave.
pub(crate) fn cited_record(dependency: &Dependency) -> CitedRecord {
    CitedRecord {
        id: dependency.id.as_str().to_owned(),
        time: dependency.time,
        hint: dependency.hint.clone(),
        sender: dependency.sender.as_ref().map(|sender| sender.as_str().to_owned()),
    }
}

/// The inverse of [`cited_record`].
pub(crate) fn cited_of(record: &CitedRecord) -> Dependency {
    Dependency {
        id: MessageId::from(record.id.as_str()),
        time: record.time,
        hint: record.hint.clone(),
        sender: record.sender.as_deref().map(ParticipantId::from),
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AboutRecord {
    #[prost(uint32, tag = "1")]
    pub(crate) schema: u32,
    #[prost(string, tag = "2")]
    pub(crate) participant: String,
    /// Six bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) tag: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct CountersRecord {
    /// The next sequence number.
    #[prost(uint64, tag = "1")]
    pub(crate) sequence: u64,
    /// The next send's id; ephemeral ones may have used up to a block more.
    #[prost(uint64, tag = "2")]
    pub(crate) request: u64,
    /// No Lamport time beyond this was given out.
    #[prost(uint64, tag = "3")]
    pub(crate) lamport: u64,
    /// No ephemeral number from this on was given out.
    #[prost(uint64, tag = "4")]
    pub(crate) ephemeral: u64,
    /// The next event's number.
    #[prost(uint64, tag = "5")]
    pub(crate) event: u64,
    /// All events up to this one were confirmed.
    #[prost(uint64, tag = "6")]
    pub(crate) confirmed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct AgeRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) age: u64,
    /// The wall clock in milliseconds at that age.
    #[prost(uint64, tag = "2")]
    pub(crate) wall: u64,
    /// For how many milliseconds before it was not open, as far as the wall clock tells.
    #[prost(uint64, tag = "3")]
    pub(crate) away: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct BudgetRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) epoch: u64,
    /// The age at which the epoch is over whatever the wall clock says.
    #[prost(uint64, tag = "2")]
    pub(crate) ends: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) spent: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VoidsRecord {
    /// Triples: until when it is told, the first number, one beyond the last.
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) voids: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessageRecord {
    /// Four bytes of the payload's hash: with tag and sequence number the id.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) content: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) request: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) attempts: u32,
    /// The SDS message, in the LIP's dialect with the extension.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) message: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct AttemptsRecord {
    #[prost(uint32, tag = "1")]
    pub(crate) attempts: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AckerRecord {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) ranges: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CitedRecord {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) time: Option<u64>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) hint: Option<Bytes>,
    #[prost(string, optional, tag = "4")]
    pub(crate) sender: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RequestRecord {
    /// The first of its sequence numbers.
    #[prost(uint64, tag = "1")]
    pub(crate) first: u64,
    /// How many there are.
    #[prost(uint64, tag = "2")]
    pub(crate) count: u64,
    /// How many of them carry data.
    #[prost(uint64, tag = "3")]
    pub(crate) data: u64,
    /// All segments left.
    #[prost(bool, tag = "4")]
    pub(crate) sent: bool,
    /// The age at which it is given up, once it was sent.
    #[prost(uint64, optional, tag = "5")]
    pub(crate) deadline: Option<u64>,
    /// What it cited, as long as it may have to be taken back.
    #[prost(message, repeated, tag = "6")]
    pub(crate) cited: Vec<CitedRecord>,
    /// The id of its last segment, for as long.
    #[prost(string, optional, tag = "7")]
    pub(crate) last: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PeerRecord {
    #[prost(string, tag = "1")]
    pub(crate) participant: String,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) received: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) over: Vec<u64>,
    #[prost(uint64, tag = "4")]
    pub(crate) past_end: u64,
    #[prost(uint64, tag = "5")]
    pub(crate) met: u64,
    #[prost(uint64, tag = "6")]
    pub(crate) heard: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct OpaqueRecord {
    /// The order in which they are forgotten.
    #[prost(uint64, tag = "1")]
    pub(crate) order: u64,
    #[prost(bool, tag = "2")]
    pub(crate) received: bool,
    #[prost(bool, tag = "3")]
    pub(crate) over: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeadRecord {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(uint64, tag = "2")]
    pub(crate) time: u64,
    #[prost(string, optional, tag = "3")]
    pub(crate) sender: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(crate) hint: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ArrivalRecord {
    #[prost(uint64, tag = "1")]
    pub(crate) age: u64,
    /// The wall clock in milliseconds, when it came.
    #[prost(uint64, tag = "2")]
    pub(crate) wall: u64,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) sent_at: Option<u64>,
    /// The SDS message, in the LIP's dialect with the extension.
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) message: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_survives_its_pairs(ranges in prop::collection::vec((0u64..1_000, 1u64..20), 0..40)) {
            let mut set = RangeSet::new();
            ranges.into_iter().for_each(|(start, len)| drop(set.insert(start..start + len)));
            prop_assert_eq!(set_of(&ranges_of(&set)), Some(set));
        }

        #[test]
        fn any_numbers_are_a_set_or_none(pairs in prop::collection::vec(any::<u64>(), 0..9)) {
            if let Some(set) = set_of(&pairs) {
                prop_assert_eq!(ranges_of(&set), pairs);
            }
        }
    }
}
