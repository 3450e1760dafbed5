//! The last frame on a stream that has no close reason of its own.

use crate::Close;
use bytes::Bytes;
use quorate_wire::{EncodedFrame, Frame};

/// How a disconnect begins: the kind is the first field of a frame of ours.
const DISCONNECT: [u8; 2] = [8, 15];

/// A disconnect that says the code and the words.
pub(super) fn frame(close: &Close) -> EncodedFrame {
    Frame::Disconnect { reason: format!("{} {}", close.code.number(), close.reason).into() }.into_encoded()
}

/// Whether it may be one, without reading all of it.
pub(super) fn is_one(frame: &Bytes) -> bool {
    frame.starts_with(&DISCONNECT)
}

/// What it says; `None` for a disconnect without a code, which the core reads.
pub(super) fn read(frame: &Bytes) -> Option<Close> {
    let frame = Frame::decode(frame.clone()).ok()?;
    let reason = frame.reason()?;
    let (code, words) = reason.split_once(' ')?;
    Some(Close::new(code.parse::<u64>().ok()?.into(), words))
}
