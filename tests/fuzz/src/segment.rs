//! A segment from any bytes, in either layout.

use bytes::Bytes;
use quorate_channel::segment::{MAX_SEGMENTS, Segment};

/// Any bytes are a segment or an error; a segment of today's layout survives being written.
pub fn segment(input: &[u8]) {
    let Ok(segment) = Segment::decode(Bytes::copy_from_slice(input)) else { return };
    let class = if segment.is_parity { segment.parity_count } else { segment.data_count };
    assert!(segment.index < class, "the index is below its count");
    let total = u64::from(segment.data_count) + u64::from(segment.parity_count);
    assert!(segment.data_count > 0 && total <= MAX_SEGMENTS as u64);
    assert!(segment.payload.len() <= input.len(), "a piece is part of the input");

    let again = Segment::decode(segment.encode().into()).expect("what is written can be read");
    // The older layout does not say the length; it is written as 0.
    assert_eq!(again, Segment { length: Some(segment.length.unwrap_or(0)), ..segment });
}
