//! The writing half of the codec, and what it yields: a frame in three pieces.
//!
//! The rule: the payload is never copied. What stands before it (kind and length) and after it
//! (space and module) is small and lies in the value itself; only long ids take an allocation.

use super::FrameKind;
use crate::{ModuleId, SpaceId};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io::IoSlice;

/// The most that a head takes: two keys, a negative kind and a length, of ten bytes each.
const MAX_HEAD: usize = 22;
/// Up to how many bytes of head and tail lie in the value: a 32-byte space, a module of 20 bytes.
const INLINE: usize = 96;

/// A frame as bytes, ready to send: a [`Buf`] of head, payload and tail.
///
/// The payload is a reference to the frame's; a clone copies nothing but the small pieces.
#[derive(Debug, Clone)]
pub struct EncodedFrame {
    meta: Meta,
    /// Where in `meta` the head ends and the tail begins.
    head_len: usize,
    payload: Bytes,
    /// How much of all three has been read.
    position: usize,
}

/// Head and tail, one after the other.
#[derive(Debug, Clone)]
enum Meta {
    Inline { bytes: [u8; INLINE], len: u8 },
    Heap(Bytes),
}

impl EncodedFrame {
    pub(super) fn new(
        kind: FrameKind,
        payload: Bytes,
        space: Option<&SpaceId>,
        module: Option<&ModuleId>,
    ) -> Self {
        let space = space.map(SpaceId::as_bytes);
        let module = module.map(|module| module.as_str().as_bytes());
        // A key and a length of at most ten bytes for either id.
        let tail_max = space.map_or(0, |id| id.len() + 11) + module.map_or(0, |id| id.len() + 11);
        let (meta, head_len) = if MAX_HEAD + tail_max <= INLINE {
            let mut bytes = [0; INLINE];
            let mut rest = &mut bytes[..];
            let head_len = put(&mut rest, kind, payload.len(), space, module);
            let len = (INLINE - rest.len()) as u8;
            (Meta::Inline { bytes, len }, head_len)
        } else {
            let mut bytes = BytesMut::with_capacity(MAX_HEAD + tail_max);
            let head_len = put(&mut bytes, kind, payload.len(), space, module);
            (Meta::Heap(bytes.freeze()), head_len)
        };
        Self { meta, head_len, payload, position: 0 }
    }

    /// How many bytes are left to read; at first the size of the frame.
    pub fn len(&self) -> usize {
        self.meta.as_slice().len() + self.payload.len() - self.position
    }

    /// Whether nothing is left to read. (An `Other` of kind 0 without anything is an empty frame.)
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What stands before the payload, whatever has been read: the kind and the payload's length.
    pub fn head(&self) -> &[u8] {
        self.meta.as_slice().split_at(self.head_len).0
    }

    /// What stands after the payload, whatever has been read: the space and the module.
    pub fn tail(&self) -> &[u8] {
        self.meta.as_slice().split_at(self.head_len).1
    }

    /// The payload, whatever has been read.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What is left to read in one piece: one copy, meant for small frames and for tests.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.len());
        self.pieces().into_iter().for_each(|piece| bytes.extend_from_slice(piece));
        bytes.into()
    }

    /// What is left to read of head, payload and tail.
    fn pieces(&self) -> [&[u8]; 3] {
        let mut skip = self.position;
        [self.head(), &self.payload[..], self.tail()].map(|piece| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            &piece[skipped..]
        })
    }
}

impl Buf for EncodedFrame {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces().into_iter().find(|piece| !piece.is_empty()).unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces().into_iter().filter(|piece| !piece.is_empty());
        dst.iter_mut().zip(pieces).map(|(slot, piece)| *slot = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "advanced past the end of a frame");
        self.position += count;
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        assert!(count <= self.len(), "copied past the end of a frame");
        // Inside the payload it is a slice of it.
        if let Some(start) = self.position.checked_sub(self.head_len)
            && start + count <= self.payload.len()
        {
            self.position += count;
            return self.payload.slice(start..start + count);
        }
        let mut bytes = BytesMut::with_capacity(count);
        bytes.put(self.take(count));
        bytes.freeze()
    }
}

impl Meta {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { bytes, len } => &bytes[..usize::from(*len)],
            Self::Heap(bytes) => bytes,
        }
    }
}

/// Writes all but the payload, and returns where the payload belongs.
fn put<B: BufMut>(
    out: &mut B,
    kind: FrameKind,
    data_len: usize,
    space: Option<&[u8]>,
    module: Option<&[u8]>,
) -> usize {
    let before = out.remaining_mut();
    let number = kind.number();
    if number != 0 {
        out.put_u8(0x08);
        // Protobuf extends the sign to 64 bits: a negative kind takes ten bytes.
        put_varint(out, i64::from(number) as u64);
    }
    if data_len != 0 {
        out.put_u8(0x12);
        put_varint(out, data_len as u64);
    }
    let head_len = before - out.remaining_mut();
    for (key, id) in [(0x1a, space), (0x22, module)] {
        if let Some(id) = id {
            out.put_u8(key);
            put_varint(out, id.len() as u64);
            out.put_slice(id);
        }
    }
    head_len
}

/// Writes an integer, seven bits in each byte, the lowest first.
fn put_varint<B: BufMut>(out: &mut B, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}
