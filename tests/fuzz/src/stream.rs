//! Frames on a stream: how the bytes are cut into chunks decides nothing.

use bytes::Bytes;
use quorate_wire::{StreamDecoder, StreamError, StreamFrame, StreamLimits};

/// Small, so that a fuzzer reaches both.
const LIMITS: StreamLimits = StreamLimits { preflight: 300, data: 1_000 };

/// A stream that arrives in any chunks yields the frames, and the error, of one that arrives whole.
/// The first byte of the input says how many of the next are lengths of chunks.
pub fn stream(input: &[u8]) {
    let Some((count, input)) = input.split_first() else { return };
    let (cuts, stream) = input.split_at(usize::from(count % 64).min(input.len()));
    let stream = Bytes::copy_from_slice(stream);

    let whole = read(std::iter::once(stream.clone()));
    assert_eq!(read(chunks(&stream, cuts).into_iter()), whole);
    let bytes = (0..stream.len()).map(|at| stream.slice(at..=at));
    assert_eq!(read(bytes), whole);
}

/// Everything that comes out of a decoder, up to the first error.
fn read(chunks: impl Iterator<Item = Bytes>) -> (Vec<StreamFrame>, Option<StreamError>) {
    let mut decoder = StreamDecoder::new(LIMITS);
    let mut frames = Vec::new();
    for chunk in chunks {
        let before = decoder.buffered();
        let length = chunk.len();
        decoder.push(chunk);
        assert!(decoder.buffered() <= before + length, "nothing is held that did not arrive");
        loop {
            match decoder.poll() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.poll(), Err(error), "a failed stream stays failed");
                    return (frames, Some(error));
                }
            }
        }
        assert!(decoder.buffered() <= LIMITS.data.max(LIMITS.preflight), "what waits is one frame");
    }
    (frames, None)
}

/// `stream` cut into pieces of the lengths in `cuts`, and the rest.
fn chunks(stream: &Bytes, cuts: &[u8]) -> Vec<Bytes> {
    let mut rest = stream.clone();
    let mut chunks: Vec<_> =
        cuts.iter().map(|cut| rest.split_to(usize::from(*cut).min(rest.len()))).collect();
    chunks.push(rest);
    chunks
}
