//! Frames: any bytes are a frame or an error, and a frame that was decoded survives the way back.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quorate_wire::Frame;

fuzz_target!(|data: &[u8]| {
    if let Ok(frame) = Frame::decode(Bytes::copy_from_slice(data)) {
        let encoded = frame.encode();
        let bytes = encoded.to_bytes();
        assert_eq!(encoded.len(), bytes.len(), "the announced length is the length");
        assert_eq!(Frame::decode(bytes), Ok(frame));
    }
});
