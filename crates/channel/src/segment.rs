//! Segments: a payload cut into pieces that fit a message, and put together again.
//!
//! ```text
//! payload --Segmenter--> Segment 0..n   (each carries the payload's hash, length and the count)
//! Segment, in any order, with duplicates --Reassembler--> payload, its hash checked
//! ```
//!
//! The wire format is today's nim-segmentation (`docs/specs/segment.md`); the older LIP layout is
//! read as well. Parity segments are recognised and counted, not yet used for recovery.

mod cut;
mod reassembler;
mod wire;

pub use cut::{MAX_SEGMENTS, SegmentError, Segmenter, Segments};
pub use reassembler::{Admission, Reassembled, Reassembler, SEGMENT_COST, SegmentOrigin};
#[cfg(test)]
pub(crate) use wire::{OlderSegmentProto, SegmentProto};
pub use wire::{Segment, SegmentDecodeError};
