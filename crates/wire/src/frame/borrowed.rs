//! A frame as it lies in its input: nothing is copied, nothing is counted.
//!
//! The rule: it is the same verdict as [`Frame::decode`](super::Frame::decode), which is built on it. Who
//! looks ids up and hands the payload on needs no more than this.

use super::decode;
use crate::DecodeError;
use std::ops::Range;

/// A message between two peers, read in place: ids are borrowed from the input, and the payload is said to
/// lie somewhere in it, to be [cut out](crate::cut) once the ids have served.
///
/// ```
/// use bytes::Bytes;
/// use quorate_wire::{FrameRef, cut};
///
/// let input = Bytes::from_static(b"\x08\x03\x12\x01a\x1a\x01b\x22\x01c");
/// let Ok(FrameRef::Module { space: b"b", module: b"c", data }) = FrameRef::decode(&input) else { unreachable!() };
/// assert_eq!(cut(input, data), "a");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameRef<'a> {
    /// See [`Frame::Preflight`](super::Frame::Preflight).
    Preflight {
        /// Where the payload lies in the input.
        data: Range<usize>,
    },
    /// See [`Frame::Notify`](super::Frame::Notify).
    Notify {
        /// The space.
        space: &'a [u8],
        /// Where the payload lies in the input.
        data: Range<usize>,
    },
    /// See [`Frame::Module`](super::Frame::Module).
    Module {
        /// The space.
        space: &'a [u8],
        /// The module: UTF-8, which has been checked.
        module: &'a [u8],
        /// Where the payload lies in the input.
        data: Range<usize>,
    },
    /// See [`Frame::Disconnect`](super::Frame::Disconnect).
    Disconnect {
        /// Where the reason lies in the input.
        reason: Range<usize>,
    },
    /// See [`Frame::Other`](super::Frame::Other).
    Other {
        /// The number of the kind.
        kind: i32,
        /// Where the payload lies in the input.
        data: Range<usize>,
        /// The space, where one was given.
        space: Option<&'a [u8]>,
        /// The module, where one was given: UTF-8, which has been checked.
        module: Option<&'a [u8]>,
    },
}

impl<'a> FrameRef<'a> {
    /// Reads a frame in place, by the same rules as [`Frame::decode`](super::Frame::decode).
    #[inline]
    pub fn decode(input: &'a [u8]) -> Result<Self, DecodeError> {
        match decode::usual(input) {
            Some(frame) => Ok(frame),
            None => decode::any(input),
        }
    }
}
