//! The hand-written codec against `prost`, and what hostile bytes do. (Byte examples: `tests/vectors.rs`.)

use super::*;
use bytes::{Buf, BytesMut};
use proptest::prelude::*;
use prost::Message;
use std::io::IoSlice;

/// What `docs/specs/frame.proto` says, for `prost`.
#[derive(Clone, PartialEq, prost::Message)]
struct Oracle {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
    #[prost(bytes = "bytes", optional, tag = "3")]
    space_id: Option<Bytes>,
    #[prost(string, optional, tag = "4")]
    module_id: Option<String>,
}

impl From<&Frame> for Oracle {
    fn from(frame: &Frame) -> Self {
        Self {
            kind: frame.kind().number(),
            data: frame.data().clone(),
            space_id: frame.space().map(|space| Bytes::copy_from_slice(space.as_bytes())),
            module_id: frame.module().map(ToString::to_string),
        }
    }
}

fn bytes(data: &'static [u8]) -> Bytes {
    Bytes::from_static(data)
}

fn notify(data: Bytes) -> Frame {
    Frame::Notify { space: SpaceId::from_static(b"b"), data }
}

fn module(data: Bytes) -> Frame {
    Frame::Module { space: SpaceId::from_static(b"b"), module: ModuleId::from_static("c"), data }
}

#[test]
fn a_decoded_payload_is_a_slice_of_its_input() {
    let input = module(Bytes::from(vec![7; 1_000])).encode().to_bytes();
    let frame = Frame::decode(input.clone()).unwrap();
    let range = input.as_ptr_range();
    assert!(range.contains(&frame.data().as_ptr()));
}

#[test]
fn fields_may_come_in_any_order_and_the_last_one_wins() {
    let frame =
        Frame::decode(bytes(b"\x22\x01x\x1a\x01y\x12\x03old\x08\x02\x22\x01c\x1a\x01b\x12\x01a\x08\x03"));
    assert_eq!(frame, Ok(module(bytes(b"a"))));
}

#[test]
fn unknown_fields_of_every_wire_type_are_skipped() {
    let unknown: [&[u8]; 6] = [
        b"\x28\x96\x01",                         // 5: a varint
        b"\x29\x01\x02\x03\x04\x05\x06\x07\x08", // 5: eight bytes
        b"\x2a\x02xy",                           // 5: a length and bytes
        b"\x2d\x01\x02\x03\x04",                 // 5: four bytes
        b"\x2b\x08\x01\x33\x12\x01z\x34\x2c",    // 5: a group with fields and a group in it
        b"\xf8\xff\xff\xff\x0f\x00",             // 536870911, the highest number: a varint
    ];
    for field in unknown {
        let input = [b"\x08\x03\x12\x01a", field, b"\x1a\x01b\x22\x01c"].concat();
        assert_eq!(Frame::decode(input.into()), Ok(module(bytes(b"a"))), "{field:x?}");
    }
}

#[test]
fn a_frame_without_what_its_kind_needs_is_the_peers_violation() {
    let missing = |kind| Err(DecodeError::MissingSpace { kind });
    assert_eq!(Frame::decode(bytes(b"\x08\x02\x12\x01a")), missing(FrameKind::Notify));
    assert_eq!(Frame::decode(bytes(b"\x08\x03\x12\x01a")), missing(FrameKind::Module));
    assert_eq!(Frame::decode(bytes(b"\x08\x03\x22\x01c")), missing(FrameKind::Module));
    assert_eq!(Frame::decode(bytes(b"\x08\x03\x1a\x01b")), Err(DecodeError::MissingModule));
}

#[test]
fn space_and_module_are_ignored_where_the_kind_has_no_place_for_them() {
    let stray = |kind: u8| Bytes::from([b"\x08", &[kind][..], b"\x12\x01a\x1a\x01b\x22\x01c"].concat());
    assert_eq!(Frame::decode(stray(1)), Ok(Frame::Preflight { data: bytes(b"a") }));
    assert_eq!(Frame::decode(stray(15)), Ok(Frame::Disconnect { reason: bytes(b"a") }));
    assert_eq!(Frame::decode(stray(2)), Ok(notify(bytes(b"a"))));
    let kept = Frame::decode(stray(9)).unwrap();
    assert_eq!(kept.encode().to_bytes(), stray(9));
}

#[test]
fn malformed_bytes_are_told_apart() {
    let cases: [(&'static [u8], DecodeError); 16] = [
        (b"\x08", DecodeError::Truncated),
        (b"\x08\x80", DecodeError::Truncated),
        (b"\x12\x05abc", DecodeError::Truncated),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", DecodeError::Truncated),
        (b"\x2d\x01", DecodeError::Truncated),
        (b"\x2b\x08\x01", DecodeError::Truncated),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", DecodeError::Varint),
        (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", DecodeError::Varint),
        (b"\x00\x01", DecodeError::Key { key: 0 }),
        (b"\x2e", DecodeError::Key { key: 0x2e }),
        (b"\x80\x80\x80\x80\x10", DecodeError::Key { key: 1 << 32 }),
        (b"\x0a\x00", DecodeError::WireType { field: 1, wire_type: 2 }),
        (b"\x23\x24", DecodeError::WireType { field: 4, wire_type: 3 }),
        (b"\x2c", DecodeError::Group),
        (b"\x2b\x34", DecodeError::Group),
        (b"\x22\x01\xff", DecodeError::ModuleNotUtf8),
    ];
    for (input, error) in cases {
        assert_eq!(Frame::decode(bytes(input)), Err(error), "{input:x?}");
        assert!(Oracle::decode(input).is_err(), "{input:x?}");
    }
}

#[test]
fn a_module_id_that_is_overwritten_must_have_been_text() {
    let input = b"\x22\x01\xff\x22\x01c";
    assert_eq!(Frame::decode(bytes(input)), Err(DecodeError::ModuleNotUtf8));
    assert!(Oracle::decode(&input[..]).is_err());
}

#[test]
fn groups_nest_as_deep_as_prost_allows() {
    for depth in [1, 99, 100, 101, 5_000] {
        let input = [vec![0x2b; depth], vec![0x2c; depth]].concat();
        let expected = Oracle::decode(&input[..]).is_ok();
        assert_eq!(Frame::decode(input.into()).is_ok(), expected, "{depth}");
        assert_eq!(expected, depth <= 100, "{depth}");
    }
}

#[test]
fn a_disconnect_reason_is_read_lossily() {
    let frame = Frame::Disconnect { reason: bytes(b"bye \xff") };
    assert_eq!(frame.reason().unwrap(), "bye \u{fffd}");
    assert_eq!(notify(bytes(b"a")).reason(), None);
}

#[test]
fn a_kind_is_its_number() {
    for number in [-1, 0, 1, 2, 3, 4, 14, 15, 16, i32::MAX, i32::MIN] {
        assert_eq!(FrameKind::from(number).number(), number);
    }
    assert_eq!(FrameKind::from(7).to_string(), "unknown (7)");
}

#[test]
fn the_payload_leaves_the_encoder_uncopied() {
    let payload = Bytes::from(vec![5; 70_000]);
    let mut encoded = module(payload.clone()).encode();
    let head = encoded.len() - payload.len() - 6;
    encoded.advance(head);
    let first = encoded.copy_to_bytes(30_000);
    let second = encoded.copy_to_bytes(40_000);
    assert_eq!(first.as_ptr(), payload.as_ptr());
    assert_eq!(second.as_ptr(), payload[30_000..].as_ptr());
    assert_eq!(encoded.copy_to_bytes(6), &b"\x1a\x01b\x22\x01c"[..]);
    assert!(encoded.is_empty());
}

#[test]
fn an_encoded_frame_fills_three_slices() {
    let encoded = module(bytes(b"payload")).encode();
    let mut slices = [IoSlice::new(&[]); 4];
    assert_eq!(encoded.chunks_vectored(&mut slices), 3);
    let pieces = slices.map(|slice| slice.to_vec());
    assert_eq!(pieces.concat(), encoded.to_bytes());
    assert_eq!(pieces[..3], [encoded.head(), encoded.payload(), encoded.tail()]);

    let mut two = [IoSlice::new(&[]); 2];
    assert_eq!(encoded.chunks_vectored(&mut two), 2);
    let preflight = Frame::Preflight { data: Bytes::new() }.encode();
    assert_eq!(preflight.chunks_vectored(&mut two), 1, "empty pieces take no slice");
}

#[test]
fn long_ids_fit_as_well_as_short_ones() {
    for len in [0, 1, 20, 21, 31, 32, 33, 127, 128, 70_000] {
        let frame = Frame::Module {
            space: SpaceId::from(vec![1; len]),
            module: ModuleId::from("m".repeat(len)),
            data: bytes(b"a"),
        };
        let encoded = frame.encode().to_bytes();
        assert_eq!(encoded, Oracle::from(&frame).encode_to_vec(), "{len}");
        assert_eq!(Frame::decode(encoded), Ok(frame));
    }
}

#[test]
#[should_panic(expected = "advanced past the end")]
fn advancing_past_the_end_is_a_bug_of_the_caller() {
    let mut encoded = notify(bytes(b"a")).encode();
    encoded.advance(encoded.len() + 1);
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let data = || {
        prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..40),
            1 => proptest::collection::vec(any::<u8>(), 100..300),
        ]
        .prop_map(Bytes::from)
    };
    let space = || data().prop_map(SpaceId::from);
    let module = || "\\PC{0,24}".prop_map(ModuleId::from);
    let unknown = any::<i32>().prop_filter("known", |kind| !matches!(kind, 1..=3 | 15));
    prop_oneof![
        data().prop_map(|data| Frame::Preflight { data }),
        data().prop_map(|reason| Frame::Disconnect { reason }),
        (space(), data()).prop_map(|(space, data)| Frame::Notify { space, data }),
        (space(), module(), data()).prop_map(|(space, module, data)| Frame::Module { space, module, data }),
        (
            prop_oneof![Just(0), unknown],
            data(),
            proptest::option::of(space()),
            proptest::option::of(module())
        )
            .prop_map(|(kind, data, space, module)| Frame::Other { kind, data, space, module }),
    ]
}

/// Bytes that look like protobuf more often than random bytes do.
fn almost_a_frame() -> impl Strategy<Value = Vec<u8>> {
    let field =
        (0_u8..8, 0_u8..8, proptest::collection::vec(any::<u8>(), 0..12)).prop_map(|(field, kind, bytes)| {
            let mut out = vec![field << 3 | kind];
            match kind {
                0 => out.extend(bytes.iter().take(4).map(|byte| byte | 0x80).chain([1])),
                2 => out.extend([&[bytes.len() as u8][..], &bytes].concat()),
                _ => out.extend(bytes),
            }
            out
        });
    let groups = (1_usize..120, 1_usize..120).prop_map(|(a, b)| [vec![0x2b; a], vec![0x2c; b]].concat());
    let piece = prop_oneof![8 => field, 1 => groups, 1 => proptest::collection::vec(any::<u8>(), 0..6)];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn same_as_prost(input: Vec<u8>) -> Result<(), TestCaseError> {
    let bytes = Bytes::from(input.clone());
    let ours = decode::Fields::find(&bytes);
    if let Some(frame) = decode::usual(&input) {
        prop_assert_eq!(decode::any(&input), Ok(frame), "the short way is the long one");
    }
    match (&ours, Oracle::decode(&input[..])) {
        (Ok(ours), Ok(theirs)) => {
            prop_assert_eq!(ours.kind, theirs.kind);
            prop_assert_eq!(cut(bytes.clone(), ours.data.clone()), theirs.data);
            prop_assert_eq!(ours.space, theirs.space_id.as_deref());
            prop_assert_eq!(ours.module, theirs.module_id.as_deref().map(str::as_bytes));
        }
        (Err(_), Err(_)) => {}
        (ours, theirs) => prop_assert!(false, "{:?} but prost says {:?}", ours, theirs),
    }
    Ok(())
}

/// Many; under miri, which is some hundred times slower, as many as are asked for.
fn cases() -> ProptestConfig {
    if cfg!(miri) { ProptestConfig::default() } else { ProptestConfig::with_cases(1_000) }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_frame_round_trips_and_is_what_prost_writes(frame in any_frame()) {
        let encoded = frame.encode();
        let bytes = encoded.to_bytes();
        prop_assert_eq!(bytes.len(), encoded.len());
        prop_assert_eq!(&bytes, &Oracle::from(&frame).encode_to_vec());
        prop_assert_eq!(&bytes, &frame.clone().into_encoded().to_bytes());
        let from_parts = match frame.clone() {
            Frame::Notify { space, data } => Some(EncodedFrame::notify(&space, data)),
            Frame::Module { space, module, data } => Some(EncodedFrame::module(&space, &module, data)),
            _ => None,
        };
        prop_assert_eq!(&from_parts.map_or(bytes.clone(), |parts| parts.to_bytes()), &bytes);
        prop_assert_eq!(Frame::decode(bytes), Ok(frame));
    }

    #[test]
    fn garbage_is_read_as_prost_reads_it(input: Vec<u8>) {
        same_as_prost(input)?;
    }

    #[test]
    fn almost_a_frame_is_read_as_prost_reads_it(input in almost_a_frame()) {
        same_as_prost(input)?;
    }

    #[test]
    fn a_damaged_frame_is_read_as_prost_reads_it(frame in any_frame(), cut: usize, at: usize, flip: u8) {
        let mut bytes = frame.encode().to_bytes().to_vec();
        same_as_prost(bytes[..cut % (bytes.len() + 1)].to_vec())?;
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] ^= flip;
            same_as_prost(bytes)?;
        }
    }

    #[test]
    fn an_encoded_frame_reads_the_same_in_any_steps(frame in any_frame(), steps: Vec<(u8, bool)>) {
        let mut encoded = frame.encode();
        let whole = encoded.to_bytes();
        let mut read = BytesMut::new();
        for (step, by_chunk) in steps {
            let rest = encoded.remaining();
            if by_chunk {
                let chunk = encoded.chunk().to_vec();
                prop_assert_eq!(chunk.is_empty(), rest == 0);
                encoded.advance(chunk.len());
                read.extend_from_slice(&chunk);
            } else {
                read.extend_from_slice(&encoded.copy_to_bytes(rest.min(step.into())));
            }
            prop_assert_eq!(read.len() + encoded.len(), whole.len());
        }
        read.extend_from_slice(&encoded.to_bytes());
        prop_assert_eq!(read, whole);
    }
}
