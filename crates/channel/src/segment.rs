//! Segments: a payload cut into pieces that fit a message, and put together again.
//!
//! ```text
//! payload --Segmenter--> Segment 0..n   (each carries the payload's hash, length and the counts; parity where asked for)
//! Segment, in any order, with duplicates --Reassembler--> payload, its hash checked
//! ```
//!
//! The wire format is today's nim-segmentation (`docs/specs/segment.md`); the older LIP layout is
//! read as well. As many segments as there are data segments make the payload, whichever they are; parity is Leopard's.

mod claim;
mod cut;
mod parity;
mod reason;
mod reassembler;
mod wire;

pub use cut::{MAX_SEGMENTS, SegmentError, Segmenter, Segments};
pub use reason::{Discard, SegmentCounts, SetDrop};
pub use reassembler::{
    Admission, Need, Reassembled, Reassembler, ReassemblyLimits, SEGMENT_COST, SegmentOrigin,
};
#[cfg(test)]
pub(crate) use wire::{OlderSegmentProto, SegmentProto};
pub use wire::{Segment, SegmentDecodeError};
