//! Copying a small slice out of a large buffer, so that keeping the one does not keep the other.
//!
//! The rule: what is handed on at once stays a slice; what is kept (in a queue, in a table) and is
//! much smaller than the buffer it slices is copied out first.

use bytes::{Buf, Bytes};
use std::ops::Range;

/// A slice pins too much when the buffer is more than this many times its size.
const RATIO: usize = 4;
/// Below this many wasted bytes a copy is not worth its allocation.
const TOLERATED_WASTE: usize = 1_024;

/// Whether keeping a slice of `slice_len` bytes keeps a much larger buffer of `buffer_len` bytes alive.
///
/// "Much larger" is more than four times as large and more than 1 KiB larger.
pub const fn pins_too_much(slice_len: usize, buffer_len: usize) -> bool {
    buffer_len / RATIO > slice_len && buffer_len.saturating_sub(slice_len) > TOLERATED_WASTE
}

/// `slice` itself, or a copy of it where it [`pins_too_much`] of the buffer it was cut from.
///
/// `Bytes` does not tell the size of its buffer, so the caller says it: for a payload, at least the
/// length of the frame, better that of the read it came in.
pub fn detach(slice: Bytes, buffer_len: usize) -> Bytes {
    if pins_too_much(slice.len(), buffer_len) { Bytes::copy_from_slice(&slice) } else { slice }
}

/// The part of `input` that lies at `range`. It takes over the input's own handle: no reference is counted.
///
/// Panics where the range begins beyond the input or beyond its own end.
#[inline]
#[must_use]
pub fn cut(mut input: Bytes, range: Range<usize>) -> Bytes {
    input.truncate(range.end);
    input.advance(range.start);
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_slice_of_a_large_buffer_is_copied_out() {
        let buffer = Bytes::from(vec![7; 65_536]);
        let slice = buffer.slice(10..42);
        let kept = detach(slice.clone(), buffer.len());
        assert_eq!(kept, slice);
        assert_ne!(kept.as_ptr(), slice.as_ptr());
    }

    #[test]
    fn a_slice_that_is_most_of_its_buffer_stays_a_slice() {
        let buffer = Bytes::from(vec![7; 65_536]);
        for len in [65_536, 40_000, 16_384] {
            let slice = buffer.slice(0..len);
            assert_eq!(detach(slice.clone(), buffer.len()).as_ptr(), slice.as_ptr(), "{len}");
        }
    }

    #[test]
    fn a_small_buffer_is_not_worth_a_copy() {
        assert!(!pins_too_much(1, 1_000));
        assert!(!pins_too_much(0, 0));
        assert!(pins_too_much(1, 2_000));
        assert!(!pins_too_much(2_000, 1), "a buffer size that cannot be does no harm");
    }
}
