//! A frame from any bytes: what is read is written and read again the same.

use bytes::Bytes;
use quorate_wire::Frame;

/// Any bytes are a frame or an error, and a frame survives being written.
pub fn frame(input: &[u8]) {
    let Ok(frame) = Frame::decode(Bytes::copy_from_slice(input)) else { return };
    let encoded = frame.encode();
    let bytes = encoded.to_bytes();
    assert_eq!(encoded.len(), bytes.len(), "the length is known before the bytes");
    let again = Frame::decode(bytes).expect("what is written can be read");
    assert_eq!(again, frame);
    assert_eq!(again.kind(), frame.kind(), "unknown kinds keep their number");
    assert!(frame.data().len() <= input.len(), "a payload is part of the input");
}
