//! A frame's body while it arrives.
//!
//! The rule: large chunks are kept as they came, so that a body is gathered with one copy; small ones
//! are copied together, so that a peer that sends byte by byte does not pin a buffer for each.
#![deny(clippy::indexing_slicing)]

use bytes::{Bytes, BytesMut};

/// Chunks below this size, in bytes, are copied together while they wait.
const SMALL: usize = 512;

/// An unfinished body.
#[derive(Debug)]
pub(super) struct Body {
    need: usize,
    have: usize,
    /// What has arrived, but for its end.
    parts: Vec<Bytes>,
    /// Its end: small chunks in a row.
    tail: BytesMut,
}

impl Body {
    /// A body of `need` bytes, none of which has arrived and none of which is allocated.
    pub(super) fn new(need: usize) -> Self {
        Self { need, have: 0, parts: Vec::new(), tail: BytesMut::new() }
    }

    /// How many bytes have arrived.
    pub(super) const fn len(&self) -> usize {
        self.have
    }

    /// For how many bytes there is memory, whatever has arrived.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        self.tail.capacity() + self.parts.capacity() * size_of::<Bytes>()
    }

    /// How many bytes are still to come.
    pub(super) const fn missing(&self) -> usize {
        self.need - self.have
    }

    /// Takes what belongs to this body from the front of `chunk`.
    pub(super) fn fill_from(&mut self, chunk: &mut Bytes) {
        let part = chunk.split_to(chunk.len().min(self.missing()));
        self.have += part.len();
        // A body in one piece is that piece.
        if part.len() < SMALL && part.len() < self.need {
            self.tail.extend_from_slice(&part);
        } else {
            self.freeze_tail();
            self.parts.push(part);
        }
    }

    /// The whole body, once nothing is missing.
    pub(super) fn finish(mut self) -> Bytes {
        self.freeze_tail();
        if self.parts.len() <= 1 {
            return self.parts.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.have);
        // Each part goes as soon as it is copied, so that a large body is not there twice.
        self.parts.into_iter().for_each(|part| whole.extend_from_slice(&part));
        whole.freeze()
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.split().freeze());
        }
    }
}
