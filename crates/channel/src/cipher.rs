//! The encryption hook: one call per envelope, outermost before dispatch.
//!
//! The rule: a retransmission is sealed anew, so two attempts never share a nonce and look unrelated.

mod keyring;
mod xchacha;

pub(crate) use keyring::Keyring;

pub use xchacha::{ChannelKey, XChaCha20Poly1305Cipher};

use crate::ids::{ChannelId, ContentTopic};
use bytes::{Bytes, BytesMut};
use std::fmt::Debug;

/// Seals and opens envelope payloads.
pub trait Cipher: Send + Debug {
    /// Seals `plaintext` for the channel and topic of `context`.
    fn seal(&mut self, context: &CipherContext, plaintext: BytesMut) -> Result<Bytes, SealError>;

    /// Opens what a participant sealed. An error means "not for us, or forged"; nothing else is known.
    fn open(&mut self, context: &CipherContext, sealed: Bytes) -> Result<Bytes, OpenError>;

    /// Whether it hides and proves nothing, so that what was accepted under another cipher must not be sealed by it.
    fn is_plain(&self) -> bool {
        false
    }
}

/// What a ciphertext is bound to: it opens nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherContext {
    /// The channel.
    pub channel: ChannelId,
    /// The topic.
    pub topic: ContentTopic,
}

/// A payload could not be sealed: the cipher's state is used up. Ours to repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher cannot seal any more")]
pub struct SealError;

/// A payload does not open: another key, another channel, damage or forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Shorter than its header, or a format that this cipher does not know.
    #[error("not the cipher's format")]
    Format,
    /// Sealed under a key that we do not have.
    #[error("sealed under another key")]
    OtherKey,
    /// Header right, tag wrong: forged, damaged, or bound to another channel.
    #[error("the authentication tag does not match")]
    Tag,
}

/// No encryption: envelopes carry plain SDS messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCipher;

impl Cipher for NoCipher {
    fn seal(&mut self, _: &CipherContext, plaintext: BytesMut) -> Result<Bytes, SealError> {
        Ok(plaintext.freeze())
    }

    fn open(&mut self, _: &CipherContext, sealed: Bytes) -> Result<Bytes, OpenError> {
        Ok(sealed)
    }

    fn is_plain(&self) -> bool {
        true
    }
}
