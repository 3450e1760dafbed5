//! Quorate's lowest layer: frames, ids, peer URLs and the framing of frames on a stream.
//!
//! **What it is.** The bytes that two peers exchange, compatible with Kitsune2's `K2Proto` messages
//! and with the stream frames of its iroh transport. [`Frame`] is the one message, [`SpaceId`],
//! [`ModuleId`] and [`PeerUrl`] are what it is addressed with, [`stream`] puts frames on a byte
//! stream and finds them again. Neither direction copies a payload: [`Frame::decode`] yields slices
//! of its input, [`EncodedFrame`] is a [`bytes::Buf`] of head, payload and tail.
//!
//! **What it does not do.** It opens no socket, reads no clock and knows no connection: that a
//! preflight comes first, and once, is the business of `quorate-transport`. It neither compresses
//! nor encrypts.
//!
//! ```
//! use bytes::Bytes;
//! use quorate_wire::{Frame, ModuleId, SpaceId};
//!
//! let frame = Frame::Module {
//!     space: SpaceId::from_static(b"b"),
//!     module: ModuleId::from_static("c"),
//!     data: Bytes::from_static(b"a"),
//! };
//! let bytes = frame.encode().to_bytes();
//! assert_eq!(bytes, &b"\x08\x03\x12\x01a\x1a\x01b\x22\x01c"[..]);
//! assert_eq!(Frame::decode(bytes), Ok(frame));
//! ```
//!
//! **Hostile input** is a [`DecodeError`], a [`PeerUrlError`] or a
//! [`StreamError`], never a panic, and no length that a peer announces makes
//! anything here allocate.
//!
//! **Features.** None.
//!
//! The format is written down in `docs/specs/frame.md`, the layer in `docs/wire.md`.

mod detach;
mod error;
mod frame;
mod id;
pub mod stream;
pub mod url;

pub use detach::{cut, detach, pins_too_much};
pub use error::DecodeError;
pub use frame::{EncodedFrame, Frame, FrameKind, FrameRef};
pub use id::{ModuleId, ModuleIdError, SpaceId, SpaceIdError};
pub use stream::{
    EncodedStreamFrame, PartialBudget, StreamDecoder, StreamEncodeError, StreamError, StreamFrame,
    StreamLimits,
};
pub use url::{PeerUrl, PeerUrlError, Scheme};

/// Runs the examples of the layer's page.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/wire.md")]
struct LayerPage;
