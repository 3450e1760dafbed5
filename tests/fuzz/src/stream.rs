//! Frames on a stream: how the bytes are cut into chunks decides nothing.

use bytes::{BufMut, Bytes, BytesMut};
use quorate_wire::{PartialBudget, StreamDecoder, StreamError, StreamFrame, StreamLimits};

/// Small, so that a fuzzer reaches both.
const LIMITS: StreamLimits = StreamLimits { preflight: 300, data: 1_000 };

/// A stream that arrives in any chunks yields the frames, and the error, of one that arrives whole.
/// The first byte of the input says how many of the next are lengths of chunks.
pub fn stream(input: &[u8]) {
    shared(input);
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

/// How many streams share a budget.
const STREAMS: usize = 4;
/// What they share, in bytes.
const SHARED: usize = 40_000;
/// What of each unfinished frame costs nothing of it.
const FREE: usize = 16 << 10;
/// Type and length of a frame.
const HEAD: usize = 5;

/// Unfinished frames of several streams: the budget is charged for exactly what they hold, refuses only what does not fit, and has
/// everything back in the end. Five bytes of the input are a step: which stream, how long the frame is that begins there
/// if none has, and how much of it arrives.
fn shared(input: &[u8]) {
    let budget = PartialBudget::new(SHARED);
    let limits = StreamLimits { preflight: 300, data: 60_000 };
    let fresh = || (StreamDecoder::with_budget(limits, budget.clone()), 0);
    let mut streams: [(StreamDecoder, usize); STREAMS] = std::array::from_fn(|_| fresh());
    for step in input.chunks_exact(5) {
        let [which, a, b, c, d] = *step else { continue };
        let (frame, arrives) =
            (usize::from(u16::from_be_bytes([a, b])), usize::from(u16::from_be_bytes([c, d])));
        let others = charged(&streams, usize::from(which) % STREAMS);
        let (decoder, missing) = &mut streams[usize::from(which) % STREAMS];
        let mut bytes = BytesMut::new();
        if *missing == 0 {
            let frame = frame % (limits.data - HEAD);
            bytes.put_u8(1);
            bytes.put_u32(frame as u32);
            *missing = frame;
        }
        let arrives = arrives.min(*missing);
        bytes.put_bytes(7, arrives);
        *missing -= arrives;
        decoder.push(bytes.freeze());
        match decoder.poll() {
            Ok(Some(_)) => {
                assert_eq!(*missing, 0, "a frame is whole when all of it came");
                // It counts until its taker comes back for more.
                assert_eq!((decoder.poll(), decoder.poll()), (Ok(None), Ok(None)), "there is one frame");
            }
            Ok(None) => assert!(*missing > 0, "a frame that came is there"),
            Err(StreamError::BudgetExhausted { len }) => {
                assert!(others + len.saturating_sub(FREE) > SHARED, "{len} bytes fitted beside {others}");
                assert_eq!(decoder.buffered(), 0, "a failed stream holds nothing");
                streams[usize::from(which) % STREAMS] = fresh();
            }
            Err(error) => unreachable!("{error}: the frames are right"),
        }
        assert_eq!(budget.used(), charged(&streams, STREAMS), "what is held is what is charged");
        assert!(budget.used() <= SHARED, "and no more than there is");
    }
    drop(streams);
    assert_eq!(budget.used(), 0, "who is gone holds nothing");
}

/// What all streams but one are charged for.
fn charged(streams: &[(StreamDecoder, usize)], but: usize) -> usize {
    let held = |(decoder, _): &(StreamDecoder, usize)| decoder.buffered().saturating_sub(HEAD + FREE);
    let all = streams.iter().enumerate().filter(|(index, _)| *index != but);
    all.map(|(_, stream)| held(stream)).sum()
}
