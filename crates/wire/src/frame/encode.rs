//! The writing half of the codec, and what it yields: a frame in three pieces.
//!
//! The rule: the payload is never copied. What stands before it (kind and length) and after it
//! (space and module) is small and lies in the value itself; only long ids take an allocation.

use super::FrameKind;
use crate::{ModuleId, SpaceId};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io::IoSlice;

/// The key of a space.
const SPACE: u8 = 0x1a;
/// The key of a module.
const MODULE: u8 = 0x22;
/// How long the ids of spaces are that most networks use.
const USUAL: usize = 32;
/// Up to how many bytes of head and tail lie in the value: a 32-byte space, a module of 22 bytes, and what
/// stands before a payload of less than 2 MiB.
const INLINE: usize = 64;

/// A frame as bytes, ready to send: a [`Buf`] of head, payload and tail.
///
/// The payload is a reference to the frame's; a clone copies nothing but the small pieces.
#[derive(Debug, Clone)]
pub struct EncodedFrame {
    meta: Meta,
    /// Where in `meta` the head ends and the tail begins.
    head_len: u8,
    payload: Bytes,
    /// How much of all three has been read.
    position: usize,
}

/// Head and tail, one after the other.
#[derive(Debug, Clone)]
enum Meta {
    Short { bytes: [u8; INLINE], len: u8 },
    Long(Bytes),
}

impl EncodedFrame {
    /// A message to a space: what [`Frame::Notify`](crate::Frame::Notify) encodes to, without a copy of the id.
    pub fn notify(space: &SpaceId, data: Bytes) -> Self {
        Self::new(FrameKind::Notify, data, Some(space), None)
    }

    /// A message to a module of a space: what [`Frame::Module`](crate::Frame::Module) encodes to, without copies of the ids.
    pub fn module(space: &SpaceId, module: &ModuleId, data: Bytes) -> Self {
        Self::new(FrameKind::Module, data, Some(space), Some(module))
    }

    #[inline]
    pub(super) fn new(
        kind: FrameKind,
        payload: Bytes,
        space: Option<&SpaceId>,
        module: Option<&ModuleId>,
    ) -> Self {
        let mut bytes = [0; INLINE];
        let head_len = put_head(&mut bytes, kind, payload.len());
        let ids = [(SPACE, space.map(SpaceId::as_bytes)), (MODULE, module.map(ModuleId::as_bytes))];
        let len = head_len + ids.iter().filter_map(|(_, id)| *id).map(field_len).sum::<usize>();
        let meta = if len <= INLINE {
            let mut at = head_len;
            for (key, id) in ids {
                at = id.map_or(at, |id| put_id(&mut bytes, at, key, id));
            }
            Meta::Short { bytes, len: len as u8 }
        } else {
            Meta::Long(long(&bytes[..head_len], ids, len))
        };
        Self { meta, head_len: head_len as u8, payload, position: 0 }
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
        self.meta.as_slice().split_at(usize::from(self.head_len)).0
    }

    /// What stands after the payload, whatever has been read: the space and the module.
    pub fn tail(&self) -> &[u8] {
        self.meta.as_slice().split_at(usize::from(self.head_len)).1
    }

    /// The payload, whatever has been read.
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// What is left to read in one piece: one copy, meant for small frames and for tests.
    pub fn to_bytes(&self) -> Bytes {
        // With a byte to spare `Bytes` counts its references from the start, which who cuts the frame up would ask for next.
        let mut bytes = Vec::with_capacity(self.len() + 1);
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
        if let Some(start) = self.position.checked_sub(self.head_len.into())
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
            Self::Short { bytes, len } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

/// Writes what stands before the payload; returns its length, 22 bytes at most.
#[inline]
fn put_head(out: &mut [u8; INLINE], kind: FrameKind, data_len: usize) -> usize {
    let (number, mut at) = (kind.number(), 0);
    if number != 0 {
        out[0] = 0x08;
        // Protobuf extends the sign to 64 bits: a negative kind takes ten bytes.
        at = put_varint(out, 1, i64::from(number) as u64);
    }
    if data_len != 0 {
        out[at] = 0x12;
        at = put_varint(out, at + 1, data_len as u64);
    }
    at
}

/// Writes an integer, seven bits in each byte, the lowest first; returns where it ends.
#[inline]
fn put_varint(out: &mut [u8], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Writes an id as a field, for which there is room; returns where it ends.
#[inline]
fn put_id(out: &mut [u8], at: usize, key: u8, id: &[u8]) -> usize {
    out[at] = key;
    let at = put_varint(out, at + 1, id.len() as u64);
    let end = at + id.len();
    match <&[u8; USUAL]>::try_from(id) {
        // A copy of a known length takes no call.
        Ok(usual) => out[at..at + USUAL].copy_from_slice(usual),
        Err(_) => out[at..end].copy_from_slice(id),
    }
    end
}

/// Head and ids of `len` bytes together, where they do not lie in the value.
#[cold]
fn long(head: &[u8], ids: [(u8, Option<&[u8]>); 2], len: usize) -> Bytes {
    let mut out = vec![0; len];
    out[..head.len()].copy_from_slice(head);
    let mut at = head.len();
    for (key, id) in ids {
        at = id.map_or(at, |id| put_id(&mut out, at, key, id));
    }
    out.into()
}

/// How many bytes an id takes with its key and its length.
fn field_len(id: &[u8]) -> usize {
    1 + id.len().checked_ilog2().map_or(1, |top| top as usize / 7 + 1) + id.len()
}
