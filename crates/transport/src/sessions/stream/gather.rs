//! Many frames as few chunks.
//!
//! The rule: what is small is copied together, so that a hundred small frames are one write; a large
//! payload is passed on as it is, never copied.

use bytes::{BufMut, Bytes, BytesMut};
use quorate_wire::EncodedFrame;

/// Payloads below this size, in bytes, are copied together with what is around them.
const SMALL: usize = 4_096;
/// How many small bytes to make room for at once.
const ROOM: usize = 16 << 10;

/// Chunks to write, in order.
#[derive(Debug, Default)]
pub(super) struct Gather {
    chunks: Vec<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Gather {
    /// How many bytes have been gathered.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Appends a frame, after `head` of the stream's framing.
    pub(super) fn push(&mut self, head: &[u8], frame: &EncodedFrame) {
        let payload = frame.payload();
        self.copy(head);
        self.copy(frame.head());
        if payload.len() < SMALL {
            self.copy(payload);
        } else {
            self.cut();
            self.len += payload.len();
            self.chunks.push(payload.clone());
        }
        self.copy(frame.tail());
    }

    /// Takes the chunks.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.cut();
        self.len = 0;
        std::mem::take(&mut self.chunks)
    }

    fn copy(&mut self, bytes: &[u8]) {
        if self.small.capacity() - self.small.len() < bytes.len() {
            self.small.reserve(bytes.len().max(ROOM));
        }
        self.len += bytes.len();
        self.small.put_slice(bytes);
    }

    /// Ends the chunk of small things.
    fn cut(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_wire::{Frame, SpaceId};

    fn frame(len: usize) -> EncodedFrame {
        Frame::Notify { space: SpaceId::from_static(b"s"), data: vec![len as u8; len].into() }.into_encoded()
    }

    #[test]
    fn small_frames_become_one_chunk() {
        let mut gather = Gather::default();
        for len in 0..100 {
            gather.push(b"head.", &frame(len));
        }
        let len = gather.len();
        let chunks = gather.take();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].len(), len);
        assert_eq!((gather.len(), gather.take().len()), (0, 0));
    }

    #[test]
    fn a_large_payload_is_passed_on_as_it_is() {
        let frames = [frame(10), frame(SMALL), frame(100_000), frame(10)];
        let mut gather = Gather::default();
        frames.iter().for_each(|frame| gather.push(b"head.", frame));
        let (len, chunks) = (gather.len(), gather.take());
        assert_eq!(chunks.len(), 5);
        assert_eq!(chunks[1].as_ptr(), frames[1].payload().as_ptr());
        assert_eq!(chunks[3].as_ptr(), frames[2].payload().as_ptr());

        let expected: Vec<u8> =
            frames.iter().flat_map(|frame| [b"head.", &frame.to_bytes()[..]].concat()).collect();
        assert_eq!(chunks.concat(), expected);
        assert_eq!(len, expected.len());
    }
}
