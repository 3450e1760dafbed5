//! Frames written for a stream: head bytes before the encoded frame, the payload not copied.

use super::{DATA, HEAD_LEN, PREFLIGHT, StreamLimits};
use crate::{EncodedFrame, PeerUrl};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io::IoSlice;

/// A frame as it goes onto a stream: a [`Buf`] of the stream's head and the [`EncodedFrame`].
#[derive(Debug, Clone)]
pub struct EncodedStreamFrame {
    head: Head,
    frame: EncodedFrame,
}

/// What stands before the frame: five bytes, and before a preflight the URL.
#[derive(Debug, Clone)]
enum Head {
    Data { bytes: [u8; HEAD_LEN], read: usize },
    Preflight(Bytes),
}

/// `frame` as a stream frame of type 1.
pub fn encode_data(
    frame: EncodedFrame,
    limits: &StreamLimits,
) -> Result<EncodedStreamFrame, StreamEncodeError> {
    let bytes = data_head(frame.len(), limits)?;
    Ok(EncodedStreamFrame { head: Head::Data { bytes, read: 0 }, frame })
}

/// `frame` (a preflight) as a stream frame of type 0, with the sender's own `url`.
pub fn encode_preflight(
    url: &PeerUrl,
    frame: EncodedFrame,
    limits: &StreamLimits,
) -> Result<EncodedStreamFrame, StreamEncodeError> {
    let head = preflight_head(url, frame.len(), limits)?;
    Ok(EncodedStreamFrame { head: Head::Preflight(head), frame })
}

/// What [`encode_data`] writes before a frame of `len` bytes, for who gathers many frames by itself.
pub fn data_head(len: usize, limits: &StreamLimits) -> Result<[u8; HEAD_LEN], StreamEncodeError> {
    let [a, b, c, d] = checked_length(len, limits.data)?.to_be_bytes();
    Ok([DATA, a, b, c, d])
}

/// What [`encode_preflight`] writes before a frame of `len` bytes, the URL included.
pub fn preflight_head(url: &PeerUrl, len: usize, limits: &StreamLimits) -> Result<Bytes, StreamEncodeError> {
    let url = url.as_str().as_bytes();
    let length = checked_length(len.saturating_add(4 + url.len()), limits.preflight)?;
    let mut head = BytesMut::with_capacity(HEAD_LEN + 4 + url.len());
    head.put_u8(PREFLIGHT);
    head.put_u32(length);
    // A URL is at most 2 KiB long.
    head.put_u32(url.len() as u32);
    head.put_slice(url);
    Ok(head.freeze())
}

impl EncodedStreamFrame {
    /// How many bytes are left to read; at first the size on the wire.
    pub fn len(&self) -> usize {
        self.head.rest().len() + self.frame.len()
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame inside.
    pub const fn frame(&self) -> &EncodedFrame {
        &self.frame
    }

    /// What is left to read in one piece: one copy.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.len());
        bytes.put(self.clone());
        bytes.freeze()
    }
}

impl Buf for EncodedStreamFrame {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        let head = self.head.rest();
        if head.is_empty() { self.frame.chunk() } else { head }
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        match (self.head.rest(), dst) {
            (_, []) => 0,
            ([], dst) => self.frame.chunks_vectored(dst),
            (head, [first, rest @ ..]) => {
                *first = IoSlice::new(head);
                1 + self.frame.chunks_vectored(rest)
            }
        }
    }

    fn advance(&mut self, count: usize) {
        let of_head = count.min(self.head.rest().len());
        match &mut self.head {
            Head::Data { read, .. } => *read += of_head,
            Head::Preflight(bytes) => bytes.advance(of_head),
        }
        self.frame.advance(count - of_head);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if self.head.rest().is_empty() {
            return self.frame.copy_to_bytes(count);
        }
        assert!(count <= self.len(), "copied past the end of a frame");
        let mut bytes = BytesMut::with_capacity(count);
        bytes.put(self.take(count));
        bytes.freeze()
    }
}

impl Head {
    fn rest(&self) -> &[u8] {
        match self {
            Self::Data { bytes, read } => &bytes[*read..],
            Self::Preflight(bytes) => bytes,
        }
    }
}

/// Why a frame cannot go onto a stream. The sender's own fault; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamEncodeError {
    /// The peer would refuse it: it is above the limit.
    #[error("a stream frame of {len} bytes, {max} are allowed")]
    TooLarge {
        /// Head and body, in bytes.
        len: usize,
        /// The limit for that type of frame.
        max: usize,
    },
}

/// The length of a body, if with its head it is within `max` and within 32 bits.
fn checked_length(body: usize, max: usize) -> Result<u32, StreamEncodeError> {
    let len = body.saturating_add(HEAD_LEN);
    match u32::try_from(body) {
        Ok(length) if len <= max => Ok(length),
        _ => Err(StreamEncodeError::TooLarge { len, max }),
    }
}
