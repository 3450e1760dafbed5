//! One segment on the wire: today's layout, and the older one for reading.
//!
//! The rule: what [`Segment::decode`] returns is consistent in itself (a 32-byte hash, an index below
//! its count); whether it agrees with its siblings is the reassembler's question.

use super::{Discard, MAX_SEGMENTS};
use crate::config::MAX_SEGMENT_BYTES;
use bytes::Bytes;
use prost::Message;

/// A piece of a payload, in the terms of today's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Keccak-256 of the whole payload.
    pub hash: [u8; 32],
    /// The payload's length in bytes; `None` in the older layout, which does not say.
    pub length: Option<u64>,
    /// The index among the segments of its class (data or parity).
    pub index: u32,
    /// How many data segments the payload has, at least 1.
    pub data_count: u32,
    /// How many parity segments were made.
    pub parity_count: u32,
    /// Whether this one is parity.
    pub is_parity: bool,
    /// The piece itself, true length.
    pub payload: Bytes,
}

/// Why bytes are no segment. The sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentDecodeError {
    /// Neither layout's protobuf.
    #[error("not a segment in either layout")]
    Undecodable,
    /// The payload hash has another length than 32 bytes.
    #[error("the payload hash has {0} bytes, not 32")]
    HashLength(usize),
    /// No data segments, more than 256 in all, or an index outside its class.
    #[error("segment {index} of {data_count} data and {parity_count} parity segments does not exist")]
    Counts {
        /// The index announced.
        index: u32,
        /// The data segments announced.
        data_count: u32,
        /// The parity segments announced.
        parity_count: u32,
    },
    /// The older layout says where a segment belongs twice, and differently.
    #[error("a data segment with parity fields, or the reverse")]
    Class,
    /// Longer than any segment may be configured.
    #[error("the piece has {len} bytes, the most is {MAX_SEGMENT_BYTES}")]
    Oversized {
        /// The piece's length in bytes.
        len: usize,
    },
}

impl SegmentDecodeError {
    /// Under which reason it is counted.
    pub const fn discard(&self) -> Discard {
        match self {
            Self::Undecodable => Discard::Undecodable,
            Self::Oversized { .. } => Discard::Oversized,
            Self::HashLength(_) | Self::Counts { .. } | Self::Class => Discard::Invalid,
        }
    }
}

impl Segment {
    /// Encodes in today's layout.
    pub fn encode(&self) -> Vec<u8> {
        SegmentProto {
            hash: Bytes::copy_from_slice(&self.hash),
            length: self.length.unwrap_or(0),
            index: self.index,
            data_count: self.data_count,
            parity_count: (self.parity_count > 0).then_some(self.parity_count),
            is_parity: self.is_parity,
            payload: self.payload.clone(),
        }
        .encode_to_vec()
    }

    /// Decodes either layout; they differ in the wire types of fields 4 and 7. Copies nothing.
    pub fn decode(bytes: Bytes) -> Result<Self, SegmentDecodeError> {
        let segment = match SegmentProto::decode(bytes.clone()) {
            Ok(proto) => Self::from_today(proto)?,
            Err(_) => match OlderSegmentProto::decode(bytes) {
                Ok(proto) => Self::from_older(proto)?,
                Err(_) => return Err(SegmentDecodeError::Undecodable),
            },
        };
        segment.check_counts()?.check_piece()
    }

    fn from_today(proto: SegmentProto) -> Result<Self, SegmentDecodeError> {
        Ok(Self {
            hash: hash_of(&proto.hash)?,
            length: Some(proto.length),
            index: proto.index,
            data_count: proto.data_count,
            parity_count: proto.parity_count.unwrap_or(0),
            is_parity: proto.is_parity,
            payload: proto.payload,
        })
    }

    fn from_older(proto: OlderSegmentProto) -> Result<Self, SegmentDecodeError> {
        if !proto.is_parity && proto.parity_index != 0 || proto.is_parity && proto.data_index != 0 {
            return Err(SegmentDecodeError::Class);
        }
        Ok(Self {
            hash: hash_of(&proto.hash)?,
            length: None,
            index: if proto.is_parity { proto.parity_index } else { proto.data_index },
            data_count: proto.data_count,
            parity_count: proto.parity_count,
            is_parity: proto.is_parity,
            payload: proto.payload,
        })
    }

    fn check_counts(self) -> Result<Self, SegmentDecodeError> {
        let class = if self.is_parity { self.parity_count } else { self.data_count };
        let total = u64::from(self.data_count) + u64::from(self.parity_count);
        // The older layout's rule is "fewer than 256 in all".
        let most = MAX_SEGMENTS as u64 - u64::from(self.length.is_none());
        if self.data_count == 0 || total > most || self.index >= class {
            return Err(SegmentDecodeError::Counts {
                index: self.index,
                data_count: self.data_count,
                parity_count: self.parity_count,
            });
        }
        Ok(self)
    }

    fn check_piece(self) -> Result<Self, SegmentDecodeError> {
        let len = self.payload.len();
        if len > MAX_SEGMENT_BYTES {
            return Err(SegmentDecodeError::Oversized { len });
        }
        Ok(self)
    }

    /// Its place among all segments of its payload: the data, then the parity.
    pub const fn place(&self) -> u32 {
        if self.is_parity { self.data_count + self.index } else { self.index }
    }
}

/// Today's layout (nim-segmentation; LIP-243).
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SegmentProto {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) hash: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) length: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) index: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) data_count: u32,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) parity_count: Option<u32>,
    #[prost(bool, tag = "6")]
    pub(crate) is_parity: bool,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) payload: Bytes,
}

/// The older layout, for reading.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OlderSegmentProto {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) hash: Bytes,
    #[prost(uint32, tag = "2")]
    pub(crate) data_index: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) data_count: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) payload: Bytes,
    #[prost(uint32, tag = "5")]
    pub(crate) parity_index: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) parity_count: u32,
    #[prost(bool, tag = "7")]
    pub(crate) is_parity: bool,
}

fn hash_of(bytes: &Bytes) -> Result<[u8; 32], SegmentDecodeError> {
    bytes.as_ref().try_into().map_err(|_| SegmentDecodeError::HashLength(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../../tests/vectors/segments.json")).unwrap()
    }

    fn hex(value: &serde_json::Value) -> Bytes {
        HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap().into()
    }

    #[test]
    fn todays_layout_matches_its_golden_vectors() {
        let vector = &vectors()["segmentNew"][0];
        let data = Segment::decode(hex(&vector["data"])).unwrap();
        assert_eq!((data.length, data.index, data.data_count, data.parity_count), (Some(500), 1, 3, 0));
        assert_eq!(data.payload.as_ref(), [0xaa, 0xbb, 0xcc]);
        let parity = Segment::decode(hex(&vector["parity"])).unwrap();
        assert!(parity.is_parity && parity.parity_count == 1 && parity.index == 0);
        for name in ["data", "parity"] {
            let wire = hex(&vector[name]);
            assert_eq!(Segment::decode(wire.clone()).unwrap().encode(), wire, "{name}");
        }
        let minimal = Segment::decode(hex(&vector["minimal"])).unwrap();
        assert_eq!((minimal.length, minimal.index, minimal.payload.len()), (Some(0), 0, 0));
    }

    #[test]
    fn the_older_layout_is_read() {
        let vector = &vectors()["segmentOld"][0];
        let data = Segment::decode(hex(&vector["data"])).unwrap();
        assert_eq!((data.length, data.index, data.data_count), (None, 1, 3));
        assert_eq!(data.payload.as_ref(), [0xaa, 0xbb, 0xcc]);
        let parity = Segment::decode(hex(&vector["parity"])).unwrap();
        assert!(parity.is_parity && parity.data_count == 3);
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        let good = Segment {
            hash: [7; 32],
            length: Some(9),
            index: 0,
            data_count: 1,
            parity_count: 0,
            is_parity: false,
            payload: Bytes::from_static(b"x"),
        };
        let bad = [
            Segment { index: 1, ..good.clone() },
            Segment { data_count: 0, ..good.clone() },
            Segment { data_count: 257, ..good.clone() },
            Segment { data_count: 200, parity_count: 57, ..good.clone() },
            Segment { is_parity: true, ..good.clone() },
        ];
        for segment in bad {
            let refused = Segment::decode(segment.encode().into());
            assert!(matches!(refused, Err(SegmentDecodeError::Counts { .. })), "{segment:?}");
        }
        assert!(Segment::decode(good.encode().into()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_segment_or_an_error(bytes: Vec<u8>) {
            let _ = Segment::decode(bytes.into());
        }
    }
}
