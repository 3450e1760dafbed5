//! Stream framing: how a stream is cut into chunks decides nothing, and no more is held than has arrived.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use quorate_wire::{StreamDecoder, StreamError, StreamFrame, StreamLimits};

/// Small, so that the fuzzer reaches both sides of them.
const LIMITS: StreamLimits = StreamLimits { preflight: 64, data: 256 };

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, data) = input;
    let chunk = usize::from(chunk).max(1);
    assert_eq!(frames(data, data.len().max(1)), frames(data, chunk), "in chunks of {chunk}");
});

/// What a decoder makes of `data` in chunks of that size.
fn frames(data: &[u8], chunk: usize) -> (Vec<StreamFrame>, Option<StreamError>) {
    let mut decoder = StreamDecoder::new(LIMITS);
    let mut frames = Vec::new();
    let mut arrived = 0;
    for piece in data.chunks(chunk) {
        decoder.push(Bytes::copy_from_slice(piece));
        arrived += piece.len();
        loop {
            match decoder.poll() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(decoder.buffered() <= arrived.min(LIMITS.data), "holds more than a frame or than arrived");
    }
    (frames, None)
}
