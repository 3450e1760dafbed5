//! Encoding and decoding one module frame: `K2Proto` beside `Frame`.

use super::measure::{Pair, compare};
use bytes::Bytes;
use kitsune2_api::{K2Proto, K2WireType};
use quorate_wire::{Frame, FrameRef, ModuleId, SpaceId, cut};
use std::hint::black_box;

fn theirs(payload: usize) -> K2Proto {
    K2Proto {
        ty: K2WireType::Module as i32,
        data: Bytes::from(vec![1; payload]),
        space_id: Some(Bytes::from(vec![7; 32])),
        module_id: Some("echo".to_owned()),
    }
}

fn ours(payload: usize) -> Frame {
    Frame::Module {
        space: SpaceId::from(vec![7; 32]),
        module: ModuleId::from_static("echo"),
        data: Bytes::from(vec![1; payload]),
    }
}

/// Their one buffer beside our head, payload and tail, ready to be written.
pub fn encode(payload: usize) -> Pair {
    let (theirs, ours) = (theirs(payload), ours(payload));
    compare(
        |calls| (0..calls).for_each(|_| drop(black_box(black_box(&theirs).encode()))),
        |calls| (0..calls).for_each(|_| drop(black_box(black_box(&ours).encode()))),
    )
}

/// One buffer each: what a transport pays that cannot write several pieces.
pub fn encode_to_one_buffer(payload: usize) -> Pair {
    let (theirs, ours) = (theirs(payload), ours(payload));
    compare(
        |calls| (0..calls).for_each(|_| drop(black_box(black_box(&theirs).encode()))),
        |calls| (0..calls).for_each(|_| drop(black_box(black_box(&ours).encode().to_bytes()))),
    )
}

/// From the bytes of a received frame to its fields: the payload as a value, the ids where they lie. It is what a transport
/// does with each frame.
pub fn decode_in_place(payload: usize) -> Pair {
    let bytes = ours(payload).encode().to_bytes();
    compare(
        |calls| (0..calls).for_each(|_| drop(black_box(K2Proto::decode(black_box(&bytes))))),
        |calls| {
            for _ in 0..calls {
                let input = black_box(&bytes).clone();
                let Ok(FrameRef::Module { space, module, data }) = FrameRef::decode(&input) else { return };
                black_box((space, module));
                drop(black_box(cut(input, data)));
            }
        },
    )
}

/// From the bytes of a received frame to a value of its own.
pub fn decode(payload: usize) -> Pair {
    let bytes = ours(payload).encode().to_bytes();
    assert_eq!(theirs(payload).encode().ok().as_ref(), Some(&bytes), "both write the same bytes");
    compare(
        |calls| (0..calls).for_each(|_| drop(black_box(K2Proto::decode(black_box(&bytes))))),
        |calls| (0..calls).for_each(|_| drop(black_box(Frame::decode(black_box(&bytes).clone())))),
    )
}
