//! Cutting a payload into segments.
//!
//! The rule: every segment carries what a receiver needs to place it without any sibling: the hash
//! and length of the whole, its index and the count.

use super::Segment;
use bytes::Bytes;
use sha3::{Digest, Keccak256};

/// The most segments one payload may have, data and parity together (both layouts).
pub const MAX_SEGMENTS: usize = 256;

/// What a segment's protobuf may add to its piece: hash, length, counts and tags, rounded up.
const SEGMENT_OVERHEAD: usize = 128;
/// Pieces are multiples of this, so that they can be shards of a Reed-Solomon code.
const SHARD_UNIT: usize = 64;

/// Why a payload cannot be cut. The caller's fault; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// There is nothing to send.
    #[error("the payload is empty")]
    Empty,
    /// More than [`MAX_SEGMENTS`] segments would be needed.
    #[error("the payload has {len} bytes, the most is {max}")]
    TooLarge {
        /// The payload's length.
        len: usize,
        /// The longest payload this segmenter cuts.
        max: usize,
    },
}

/// Cuts payloads into segments whose encoding is at most a given size.
#[derive(Debug, Clone)]
pub struct Segmenter {
    piece: usize,
}

impl Segmenter {
    /// For encoded segments of at most `segment_bytes`; raised to 256 where it is less.
    pub fn new(segment_bytes: usize) -> Self {
        let room = segment_bytes.max(256) - SEGMENT_OVERHEAD;
        Self { piece: room - room % SHARD_UNIT }
    }

    /// The longest payload that can be cut: 26.2 MB with the default segment size.
    pub const fn max_payload(&self) -> usize {
        self.piece * MAX_SEGMENTS
    }

    /// How many segments a payload of `len` bytes has.
    pub const fn count(&self, len: usize) -> usize {
        len.div_ceil(self.piece)
    }

    /// Cuts `payload`. Its bytes are hashed once and not copied.
    pub fn cut(&self, payload: Bytes) -> Result<Segments, SegmentError> {
        if payload.is_empty() {
            return Err(SegmentError::Empty);
        }
        if payload.len() > self.max_payload() {
            return Err(SegmentError::TooLarge { len: payload.len(), max: self.max_payload() });
        }
        let hash = Keccak256::digest(&payload).into();
        Ok(Segments {
            hash,
            length: payload.len(),
            count: self.count(payload.len()),
            piece: self.piece,
            next: 0,
            payload,
        })
    }
}

/// The segments of one payload, in order.
#[derive(Debug)]
pub struct Segments {
    hash: [u8; 32],
    length: usize,
    count: usize,
    piece: usize,
    next: usize,
    payload: Bytes,
}

impl Segments {
    /// How many there are in all.
    pub const fn total(&self) -> usize {
        self.count
    }

    /// Keccak-256 of the payload.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl Iterator for Segments {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.next >= self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let piece = self.payload.split_to(self.piece.min(self.payload.len()));
        Some(Segment {
            hash: self.hash,
            length: Some(self.length as u64),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            data_count: u32::try_from(self.count).unwrap_or(u32::MAX),
            parity_count: 0,
            is_parity: false,
            payload: piece,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_segment_never_exceeds_its_bound() {
        let segmenter = Segmenter::new(102_400);
        let segments: Vec<_> = segmenter.cut(vec![7; 300_000].into()).unwrap().collect();
        assert_eq!(segments.len(), 3);
        assert_eq!(segments[0].payload.len(), 102_272);
        assert!(segments.iter().all(|segment| segment.encode().len() <= 102_400));
        let whole: usize = segments.iter().map(|segment| segment.payload.len()).sum();
        assert_eq!(whole, 300_000);
    }

    #[test]
    fn the_longest_payload_has_256_segments() {
        let segmenter = Segmenter::new(256);
        let max = segmenter.max_payload();
        assert_eq!(segmenter.cut(vec![1; max].into()).unwrap().count(), MAX_SEGMENTS);
        assert_eq!(
            segmenter.cut(vec![1; max + 1].into()).unwrap_err(),
            SegmentError::TooLarge { len: max + 1, max }
        );
        assert_eq!(segmenter.cut(Bytes::new()).unwrap_err(), SegmentError::Empty);
    }
}
