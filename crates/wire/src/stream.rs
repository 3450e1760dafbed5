//! Frames on a byte stream: a type, a length, a body.
//!
//! The rule: bytes arrive before memory is taken for them. What a header announces is checked
//! against a limit and otherwise only waited for.
//!
//! ```text
//! u8 type | u32 length of the body, big-endian | body
//! type 0, preflight: u32 length of the URL, big-endian | the sender's URL | a frame
//! type 1, data:      a frame
//! ```

mod body;
mod budget;
mod decoder;
mod encode;

#[cfg(test)]
mod tests;

pub use budget::PartialBudget;
pub use decoder::StreamDecoder;
pub use encode::{
    EncodedStreamFrame, StreamEncodeError, data_head, encode_data, encode_preflight, preflight_head,
};

use crate::{PeerUrl, PeerUrlError};
use bytes::Bytes;

/// Bytes before each body: the type and the length.
pub const HEAD_LEN: usize = 5;

/// The type of a preflight on the stream.
const PREFLIGHT: u8 = 0;
/// The type of everything after it.
const DATA: u8 = 1;

/// What a stream carries: frames, still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFrame {
    /// The first frame in each direction of a connection.
    Preflight {
        /// The sender's URL, as it says.
        url: PeerUrl,
        /// The bytes of what should be a [`Frame::Preflight`](crate::Frame::Preflight); not yet looked at.
        frame: Bytes,
    },
    /// Every frame after it.
    Data {
        /// The bytes of a [`Frame`](crate::Frame); not yet looked at.
        frame: Bytes,
    },
}

/// How large a frame on the stream may be, in bytes on the wire: head and body together.
///
/// Both directions check it. A limit above 4 GiB + 4 B is never reached: the length has 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// For preflights, which arrive before anything is known about the peer.
    pub preflight: usize,
    /// For everything else.
    pub data: usize,
}

impl StreamLimits {
    /// What Kitsune2 allows: 100 MiB for either.
    pub const KITSUNE2: Self = Self { preflight: 100 << 20, data: 100 << 20 };
}

impl Default for StreamLimits {
    /// 64 KiB for a preflight, 16 MiB for data: room for a message of several MiB, little for a stranger.
    fn default() -> Self {
        Self { preflight: 64 << 10, data: 16 << 20 }
    }
}

/// Why a stream cannot be read on. The decoder stays failed: the stream has lost its frames' borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer sent a frame of a type that does not exist.
    #[error("the peer sent a stream frame of unknown type {found}")]
    UnknownType {
        /// The type found.
        found: u8,
    },
    /// The peer announced a frame above the limit. It was not waited for.
    #[error("the peer announced a stream frame of {len} bytes, {max} are allowed")]
    TooLarge {
        /// Head and body, in bytes.
        len: u64,
        /// The limit for that type of frame.
        max: usize,
    },
    /// The peer sent a preflight that is too short for the URL that it announces.
    #[error("the peer sent a preflight that ends inside its URL")]
    ShortPreflight,
    /// The peer calls itself by what is no URL.
    #[error("the peer sent a preflight with an invalid URL")]
    Url(#[from] PeerUrlError),
    /// All peers together sent more half frames than the [`PartialBudget`] holds. Not this peer's own
    /// fault; its connection is the one that asked for more.
    #[error("no room for another {len} bytes of unfinished frames")]
    BudgetExhausted {
        /// How many bytes were asked for.
        len: usize,
    },
}

impl StreamError {
    /// Whether the peer broke the protocol (and not only came at a bad time).
    pub const fn is_peer_violation(&self) -> bool {
        !matches!(self, Self::BudgetExhausted { .. })
    }
}
