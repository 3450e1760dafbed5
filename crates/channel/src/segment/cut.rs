//! Cutting a payload into segments.
//!
//! The rule: every segment carries what a receiver needs to place it without any sibling: the hash
//! and length of the whole, its index and the count.

use super::Segment;
use super::parity::{self, SHARD_UNIT};
use bytes::Bytes;
use sha3::{Digest, Keccak256};

/// The most segments one payload may have, data and parity together (both layouts).
pub const MAX_SEGMENTS: usize = 256;

/// What a segment's protobuf may add to its piece: hash, length, counts and tags, rounded up.
const SEGMENT_OVERHEAD: usize = 128;

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
    parity_permille: u16,
}

impl Segmenter {
    /// For encoded segments of at most `segment_bytes`; raised to 256 where it is less. Without parity.
    pub fn new(segment_bytes: usize) -> Self {
        let room = segment_bytes.max(256) - SEGMENT_OVERHEAD;
        Self { piece: room - room % SHARD_UNIT, parity_permille: 0 }
    }

    /// Adds parity segments: so many for a thousand data segments, rounded up, at most as many as there are data
    /// segments and as the bound of [`MAX_SEGMENTS`] leaves room for.
    #[must_use]
    pub const fn with_parity(mut self, permille: u16) -> Self {
        self.parity_permille = permille;
        self
    }

    /// The longest payload that can be cut: 26.2 MB with the default segment size.
    pub const fn max_payload(&self) -> usize {
        self.piece * MAX_SEGMENTS
    }

    /// How many segments a payload of `len` bytes has, data and parity together.
    pub fn count(&self, len: usize) -> usize {
        let data = len.div_ceil(self.piece);
        data + parity::count(data, self.parity_permille)
    }

    /// Cuts `payload`. Its bytes are hashed once; they are copied only where parity is made of them.
    pub fn cut(&self, payload: Bytes) -> Result<Segments, SegmentError> {
        if payload.is_empty() {
            return Err(SegmentError::Empty);
        }
        if payload.len() > self.max_payload() {
            return Err(SegmentError::TooLarge { len: payload.len(), max: self.max_payload() });
        }
        let hash = Keccak256::digest(&payload).into();
        let length = payload.len();
        let data: Vec<Bytes> = (0..length)
            .step_by(self.piece)
            .map(|at| payload.slice(at..length.min(at + self.piece)))
            .collect();
        // One piece is as long as its payload, rounded up: its copy need not be longer.
        let shard = if data.len() == 1 { length.next_multiple_of(SHARD_UNIT) } else { self.piece };
        let parity = parity::encode(&data, parity::count(data.len(), self.parity_permille), shard);
        Ok(Segments { hash, length, data, parity: parity.unwrap_or_default(), next: 0 })
    }
}

/// The segments of one payload, in order: the data, then the parity.
#[derive(Debug)]
pub struct Segments {
    hash: [u8; 32],
    length: usize,
    data: Vec<Bytes>,
    parity: Vec<Bytes>,
    next: usize,
}

impl Segments {
    /// How many there are in all.
    pub const fn total(&self) -> usize {
        self.data.len() + self.parity.len()
    }

    /// How many of them are data, of which every payload can be put together without parity.
    pub const fn data(&self) -> usize {
        self.data.len()
    }

    /// Keccak-256 of the payload.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

impl Iterator for Segments {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let (class, index) = match self.next.checked_sub(self.data.len()) {
            None => (&mut self.data, self.next),
            Some(index) => (&mut self.parity, index),
        };
        let payload = std::mem::take(class.get_mut(index)?);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let segment = Segment {
            hash: self.hash,
            length: Some(self.length as u64),
            index: number(index),
            data_count: number(self.data.len()),
            parity_count: number(self.parity.len()),
            is_parity: self.next >= self.data.len(),
            payload,
        };
        self.next += 1;
        Some(segment)
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

    #[test]
    fn parity_follows_the_data_and_leaves_the_longest_payload_as_it_is() {
        let segmenter = Segmenter::new(256).with_parity(125);
        let segments: Vec<_> = segmenter.cut(vec![7; 128 * 9].into()).unwrap().collect();
        assert_eq!((segments.len(), segmenter.count(128 * 9)), (11, 11));
        assert_eq!(segments.iter().map(Segment::place).collect::<Vec<_>>(), (0..11).collect::<Vec<_>>());
        assert!(segments.iter().all(|segment| segment.parity_count == 2 && segment.encode().len() <= 256));
        assert!(segments[9].is_parity && segments[9].payload.len() == 128);
        let copy: Vec<_> = segmenter.cut("hi".into()).unwrap().collect();
        assert_eq!((copy.len(), copy[1].payload.len()), (2, 64));
        let max = segmenter.max_payload();
        let longest: Vec<_> = segmenter.cut(vec![1; max].into()).unwrap().collect();
        assert!(longest.len() == MAX_SEGMENTS && longest.iter().all(|segment| !segment.is_parity));
        assert_eq!(segmenter.cut(vec![1; 240 * 128].into()).unwrap().total(), MAX_SEGMENTS);
    }
}
