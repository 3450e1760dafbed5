//! Streams cut anywhere, limits, and what a hostile peer sends.

use super::budget::FREE;
use super::*;
use crate::Frame;
use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use std::io::IoSlice;

fn url() -> PeerUrl {
    "quic://127.0.0.1:4433/ab".parse().unwrap()
}

fn frame(data: &[u8]) -> Frame {
    Frame::Notify { space: "s".as_bytes().into(), data: Bytes::copy_from_slice(data) }
}

fn data(len: usize) -> Bytes {
    let encoded = frame(&vec![7; len]).encode();
    encode_data(encoded, &StreamLimits::default()).unwrap().to_bytes()
}

fn preflight() -> Bytes {
    let encoded = Frame::Preflight { data: Bytes::from_static(b"hi") }.encode();
    encode_preflight(&url(), encoded, &StreamLimits::default()).unwrap().to_bytes()
}

/// All frames that are whole after `chunks`.
fn decode(
    decoder: &mut StreamDecoder,
    chunks: impl IntoIterator<Item = Bytes>,
) -> Result<Vec<StreamFrame>, StreamError> {
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(frame) = decoder.poll()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

fn error_of(bytes: &'static [u8]) -> StreamError {
    let mut decoder = StreamDecoder::new(StreamLimits::default());
    decode(&mut decoder, [Bytes::from_static(bytes)]).unwrap_err()
}

#[test]
fn the_bytes_on_the_stream_are_those_of_the_specification() {
    assert_eq!(preflight(), &b"\x00\0\0\0\x22\0\0\0\x18quic://127.0.0.1:4433/ab\x08\x01\x12\x02hi"[..]);
    let encoded = encode_data(frame(b"a").encode(), &StreamLimits::default()).unwrap();
    assert_eq!(encoded.to_bytes(), &b"\x01\0\0\0\x08\x08\x02\x12\x01a\x1a\x01s"[..]);
}

#[test]
fn a_stream_is_a_preflight_and_then_data() {
    let mut decoder = StreamDecoder::new(StreamLimits::default());
    let frames = decode(&mut decoder, [preflight(), data(0), data(100)]).unwrap();
    let [StreamFrame::Preflight { url: sender, frame: first }, StreamFrame::Data { frame: second }, _] =
        &frames[..]
    else {
        panic!("{frames:?}");
    };
    assert_eq!(*sender, url());
    assert_eq!(Frame::decode(first.clone()), Ok(Frame::Preflight { data: Bytes::from_static(b"hi") }));
    assert_eq!(Frame::decode(second.clone()), Ok(frame(b"")));
    assert!(decoder.is_at_frame_border());
}

#[test]
fn a_frame_in_one_chunk_is_a_slice_of_it() {
    let chunk = [data(2_000), data(10)].concat();
    let chunk = Bytes::from(chunk);
    let mut decoder = StreamDecoder::new(StreamLimits::default());
    for frame in decode(&mut decoder, [chunk.clone()]).unwrap() {
        let StreamFrame::Data { frame } = frame else { panic!("{frame:?}") };
        assert!(chunk.as_ptr_range().contains(&frame.as_ptr()));
    }
}

#[test]
fn a_frame_byte_by_byte_is_the_same_frame() {
    let bytes = [preflight(), data(3_000), data(0)].concat();
    let mut decoder = StreamDecoder::new(StreamLimits::default());
    let whole = decode(&mut decoder, [Bytes::from(bytes.clone())]).unwrap();
    let single = bytes.iter().map(|&byte| Bytes::from(vec![byte]));
    assert_eq!(decode(&mut decoder, single).unwrap(), whole);
}

#[test]
fn an_empty_body_is_a_frame() {
    let mut decoder = StreamDecoder::new(StreamLimits::default());
    let frames = decode(&mut decoder, [Bytes::from_static(b"\x01\0\0\0\0\x01\0\0\0\0")]).unwrap();
    assert_eq!(frames, vec![StreamFrame::Data { frame: Bytes::new() }; 2]);
}

#[test]
fn an_announced_length_takes_no_memory_and_above_the_limit_no_patience() {
    // 16 MiB with its head is one byte too many, and refused before any of it arrives.
    let len = (16 << 20) + 1;
    assert_eq!(error_of(b"\x01\x00\xff\xff\xfc"), StreamError::TooLarge { len, max: 16 << 20 });
    let len = (64 << 10) + 1;
    assert_eq!(error_of(b"\x00\x00\x00\xff\xfc"), StreamError::TooLarge { len, max: 64 << 10 });
    let len = u64::from(u32::MAX) + 5;
    assert_eq!(error_of(b"\x01\xff\xff\xff\xff"), StreamError::TooLarge { len, max: 16 << 20 });

    let mut decoder = StreamDecoder::new(StreamLimits::default());
    assert_eq!(decode(&mut decoder, [Bytes::from_static(b"\x01\x00\xff\xff\xfb")]), Ok(vec![]));
    assert_eq!((decoder.buffered(), decoder.reserved()), (5, 0), "sixteen megabytes were announced");
    assert_eq!(decode(&mut decoder, [Bytes::from_static(b"a few")]), Ok(vec![]));
    assert!(decoder.reserved() < 1_024, "{} bytes for five", decoder.reserved());
}

#[test]
fn kitsune2s_limit_is_exact() {
    let head = |length: u32| Bytes::from([&[1][..], &length.to_be_bytes()].concat());
    let largest = 104_857_600 - 5;
    assert_eq!(StreamDecoder::new(StreamLimits::KITSUNE2).poll(), Ok(None));
    assert_eq!(decode(&mut StreamDecoder::new(StreamLimits::KITSUNE2), [head(largest)]), Ok(vec![]));
    assert!(decode(&mut StreamDecoder::new(StreamLimits::KITSUNE2), [head(largest + 1)]).is_err());
}

#[test]
fn an_unknown_type_is_refused_at_its_first_byte() {
    assert_eq!(error_of(b"\x02"), StreamError::UnknownType { found: 2 });
}

#[test]
fn a_preflight_must_hold_its_url() {
    assert_eq!(error_of(b"\x00\0\0\0\0"), StreamError::ShortPreflight);
    assert_eq!(error_of(b"\x00\0\0\0\x03\0\0\0"), StreamError::ShortPreflight);
    assert_eq!(error_of(b"\x00\0\0\0\x05\0\0\0\x02a"), StreamError::ShortPreflight);
    assert_eq!(error_of(b"\x00\0\0\0\x05\xff\xff\xff\xffa"), StreamError::ShortPreflight);
    assert_eq!(error_of(b"\x00\0\0\0\x04\0\0\0\0"), StreamError::Url(PeerUrlError::Syntax));
    assert_eq!(error_of(b"\x00\0\0\0\x05\0\0\0\x01\xff"), StreamError::Url(PeerUrlError::NotUtf8));
    assert!(error_of(b"\x00\0\0\0\x04\0\0\0\0").is_peer_violation());
}

#[test]
fn a_failed_decoder_stays_failed() {
    let mut decoder = StreamDecoder::new(StreamLimits::default());
    decoder.push(Bytes::from_static(b"\x09 and more"));
    let error = decoder.poll().unwrap_err();
    decoder.push(data(10));
    assert_eq!(decoder.poll(), Err(error));
    assert_eq!(decoder.buffered(), 0);
    assert!(!decoder.is_at_frame_border());
}

#[test]
fn half_frames_of_all_streams_share_one_budget() {
    let budget = PartialBudget::new(1_000);
    let limits = StreamLimits::default();
    let mut first = StreamDecoder::with_budget(limits, budget.clone());
    let mut second = StreamDecoder::with_budget(limits, budget.clone());
    let whole = data(FREE + 1_500);

    assert_eq!(decode(&mut first, [whole.slice(..FREE + 705)]), Ok(vec![]));
    assert_eq!(budget.used(), 700);
    let refused = decode(&mut second, [whole.slice(..FREE + 405)]);
    assert_eq!(refused, Err(StreamError::BudgetExhausted { len: FREE + 400 }));
    assert!(!refused.unwrap_err().is_peer_violation());
    assert_eq!(budget.used(), 700, "the stream that was refused holds nothing");

    // A frame that arrives whole needs no budget, and a finished one gives back what it had.
    let mut third = StreamDecoder::with_budget(limits, budget.clone());
    assert_eq!(decode(&mut third, [data(5_000)]).unwrap().len(), 1);
    assert_eq!(decode(&mut first, [whole.slice(FREE + 705..)]).unwrap().len(), 1);
    assert_eq!(budget.used(), 700, "whoever took it may still hold it");
    assert_eq!(first.poll(), Ok(None));
    assert_eq!(budget.used(), 0, "whoever comes for more has used it up");

    // What is small needs none either, also where none is left.
    assert_eq!(decode(&mut first, [whole.slice(..FREE + 1_005)]), Ok(vec![]));
    assert_eq!(budget.used(), 1_000);
    assert_eq!(decode(&mut third, [whole.slice(..FREE + 5)]), Ok(vec![]));
    drop(first);

    assert_eq!(decode(&mut third, [whole.slice(FREE + 5..FREE + 105)]), Ok(vec![]));
    assert_eq!(budget.used(), 100);
    drop(third);
    assert_eq!(budget.used(), 0);
    assert_eq!(budget.limit(), 1_000);
}

#[test]
fn a_frame_above_the_limit_is_not_encoded() {
    let limits = StreamLimits { preflight: 60, data: 40 };
    let fits = frame(&[7; 28]).encode();
    assert_eq!(encode_data(fits.clone(), &limits).unwrap().len(), 40);
    let error = encode_data(frame(&[7; 29]).encode(), &limits).unwrap_err();
    assert_eq!(error, StreamEncodeError::TooLarge { len: 41, max: 40 });
    let too_long = Frame::Preflight { data: vec![0; 30].into() }.encode();
    assert!(encode_preflight(&url(), too_long, &limits).is_err());
}

#[test]
fn an_encoded_stream_frame_is_a_buf_that_copies_no_payload() {
    let payload = Bytes::from(vec![3; 5_000]);
    let frame = Frame::Notify { space: "s".as_bytes().into(), data: payload.clone() };
    for mut encoded in [
        encode_data(frame.encode(), &StreamLimits::default()).unwrap(),
        encode_preflight(&url(), frame.encode(), &StreamLimits::default()).unwrap(),
    ] {
        let whole = encoded.to_bytes();
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(encoded.chunks_vectored(&mut slices), 4);
        assert_eq!(slices.map(|slice| slice.to_vec()).concat(), whole);
        assert_eq!(encoded.chunks_vectored(&mut []), 0);

        let mut read = BytesMut::new();
        read.extend_from_slice(&encoded.copy_to_bytes(3));
        while encoded.has_remaining() {
            let chunk = encoded.chunk().len();
            let piece = encoded.copy_to_bytes(chunk);
            if piece.len() == payload.len() {
                assert_eq!(piece.as_ptr(), payload.as_ptr());
            }
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, whole);
        assert!(encoded.is_empty());
    }
}

/// Frames, their bytes, and places to cut these bytes.
fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let frame = (any::<bool>(), prop_oneof![0_usize..40, 400_usize..3_000])
        .prop_map(|(first, len)| if first { preflight() } else { data(len) });
    let bytes = proptest::collection::vec(frame, 0..5).prop_map(|frames| frames.concat());
    bytes.prop_flat_map(|bytes| {
        let cuts = proptest::collection::vec(0..=bytes.len(), 0..20);
        (Just(bytes), cuts)
    })
}

proptest! {
    #[test]
    fn any_split_of_a_stream_yields_the_same_frames((bytes, mut cuts) in stream()) {
        let limits = StreamLimits::default();
        let whole = decode(&mut StreamDecoder::new(limits), [Bytes::from(bytes.clone())]).unwrap();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|cut| Bytes::copy_from_slice(&bytes[cut[0]..cut[1]]));
        let budget = PartialBudget::new(10_000);
        let mut decoder = StreamDecoder::with_budget(limits, budget.clone());
        prop_assert_eq!(decode(&mut decoder, chunks).unwrap(), whole);
        prop_assert!(decoder.is_at_frame_border());
        prop_assert_eq!(decoder.poll(), Ok(None));
        prop_assert_eq!(budget.used(), 0);
    }

    #[test]
    fn any_prefix_of_a_stream_is_incomplete_and_holds_what_arrived((bytes, cuts) in stream()) {
        let whole = decode(&mut StreamDecoder::new(StreamLimits::default()), [Bytes::from(bytes.clone())]).unwrap();
        for cut in cuts {
            let mut decoder = StreamDecoder::new(StreamLimits::default());
            let frames = decode(&mut decoder, [Bytes::copy_from_slice(&bytes[..cut])]).unwrap();
            prop_assert!(frames.len() <= whole.len());
            prop_assert_eq!(&whole[..frames.len()], &frames[..]);
            prop_assert!(decoder.buffered() <= cut);
        }
    }

    #[test]
    fn garbage_in_any_pieces_never_panics_nor_holds_more_than_arrived(chunks: Vec<Vec<u8>>) {
        let limits = StreamLimits { preflight: 100, data: 200 };
        let mut decoder = StreamDecoder::new(limits);
        let mut pushed = 0;
        for chunk in chunks {
            pushed += chunk.len();
            decoder.push(chunk.into());
            while let Ok(Some(_)) = decoder.poll() {}
            prop_assert!(decoder.buffered() <= pushed.min(200));
        }
    }
}
