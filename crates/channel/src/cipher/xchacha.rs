//! XChaCha20-Poly1305 under one key shared by the group.
//!
//! ```text
//! byte  0        format, 1
//!       1..5     key id: the head of Keccak-256 of the key
//!       5..29    nonce: 16 bytes drawn at start, 8 bytes of a counter, big-endian
//!       29..     ciphertext, then the 16-byte tag
//! ```
//! The additional data are the first five bytes, then channel and topic, each with its length as u32
//! big-endian before it.
//!
//! The rule: a nonce is never used twice. The prefix is drawn anew for each value of this type, so two
//! incarnations of a participant, or two participants, share one with probability 2^-128.

use super::{Cipher, CipherContext, OpenError, SealError};
use bytes::{BufMut, Bytes, BytesMut};
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use sha3::{Digest, Keccak256};
use std::fmt;
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const NONCE: usize = 24;
const TAG: usize = 16;

/// The secret that the members of a channel share: 32 bytes, wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelKey(Zeroizing<[u8; 32]>);

impl ChannelKey {
    /// A key from its bytes, which should come from a source fit for keys.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelKey(..)")
    }
}

/// The provided [`Cipher`].
pub struct XChaCha20Poly1305Cipher {
    aead: XChaCha20Poly1305,
    key_id: [u8; 4],
    nonce_prefix: [u8; 16],
    counter: u64,
}

impl XChaCha20Poly1305Cipher {
    /// A cipher under `key`. `nonce_prefix` must be random, and drawn anew for each call.
    pub fn new(key: &ChannelKey, nonce_prefix: [u8; 16]) -> Self {
        let digest =
            Keccak256::new().chain_update(b"quorate channel key id").chain_update(key.as_bytes()).finalize();
        let mut key_id = [0; 4];
        key_id.copy_from_slice(&digest[..4]);
        Self { aead: XChaCha20Poly1305::new(key.as_bytes().into()), key_id, nonce_prefix, counter: 0 }
    }

    fn next_nonce(&mut self) -> Result<[u8; NONCE], SealError> {
        let mut nonce = [0; NONCE];
        nonce[..16].copy_from_slice(&self.nonce_prefix);
        nonce[16..].copy_from_slice(&self.counter.to_be_bytes());
        self.counter = self.counter.checked_add(1).ok_or(SealError)?;
        Ok(nonce)
    }

    fn header(&self) -> [u8; HEADER] {
        let [a, b, c, d] = self.key_id;
        [FORMAT, a, b, c, d]
    }
}

impl Cipher for XChaCha20Poly1305Cipher {
    fn seal(&mut self, context: &CipherContext, mut plaintext: BytesMut) -> Result<Bytes, SealError> {
        let (header, nonce) = (self.header(), self.next_nonce()?);
        let additional = additional_data(&header, context);
        let tag = self
            .aead
            .encrypt_inout_detached(&XNonce::from(nonce), &additional, plaintext.as_mut().into())
            .map_err(|_| SealError)?;
        let mut sealed = BytesMut::with_capacity(HEADER + NONCE + plaintext.len() + TAG);
        sealed.put_slice(&header);
        sealed.put_slice(&nonce);
        sealed.put_slice(&plaintext);
        sealed.put_slice(&tag);
        Ok(sealed.freeze())
    }

    fn open(&mut self, context: &CipherContext, sealed: Bytes) -> Result<Bytes, OpenError> {
        let (header, rest) = sealed.split_at_checked(HEADER).ok_or(OpenError::Format)?;
        let (nonce, rest) = rest.split_at_checked(NONCE).ok_or(OpenError::Format)?;
        let (ciphertext, tag) =
            rest.len().checked_sub(TAG).and_then(|at| rest.split_at_checked(at)).ok_or(OpenError::Format)?;
        if header[0] != FORMAT {
            return Err(OpenError::Format);
        }
        if header[1..] != self.key_id {
            return Err(OpenError::OtherKey);
        }
        let nonce = XNonce::try_from(nonce).map_err(|_| OpenError::Format)?;
        let tag = Tag::try_from(tag).map_err(|_| OpenError::Format)?;
        let additional = additional_data(header, context);
        let mut plaintext = BytesMut::from(ciphertext);
        self.aead
            .decrypt_inout_detached(&nonce, &additional, plaintext.as_mut().into(), &tag)
            .map_err(|_| OpenError::Tag)?;
        Ok(plaintext.freeze())
    }
}

impl fmt::Debug for XChaCha20Poly1305Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XChaCha20Poly1305Cipher").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

fn additional_data(header: &[u8], context: &CipherContext) -> Vec<u8> {
    let mut data = header.to_vec();
    for text in [context.channel.as_str(), context.topic.as_str()] {
        data.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        data.put_slice(text.as_bytes());
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8, prefix: u8) -> XChaCha20Poly1305Cipher {
        XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes([key; 32]), [prefix; 16])
    }

    fn context(channel: &str) -> CipherContext {
        CipherContext { channel: channel.into(), topic: "/quorate/1/chat/proto".into() }
    }

    #[test]
    fn what_one_member_seals_another_opens() {
        let (mut alice, mut bob) = (cipher(1, 1), cipher(1, 2));
        let sealed = alice.seal(&context("c"), BytesMut::from("hello")).unwrap();
        assert_eq!(sealed.len(), HEADER + NONCE + 5 + TAG);
        assert_eq!(bob.open(&context("c"), sealed).unwrap(), "hello");
    }

    #[test]
    fn two_attempts_share_no_nonce() {
        let mut alice = cipher(1, 1);
        let nonces: Vec<_> = (0..3)
            .map(|_| alice.seal(&context("c"), BytesMut::from("same")).unwrap().slice(HEADER..HEADER + NONCE))
            .collect();
        assert!(nonces[0] != nonces[1] && nonces[1] != nonces[2] && nonces[0] != nonces[2]);
    }

    #[test]
    fn another_key_channel_or_byte_does_not_open() {
        let sealed = cipher(1, 1).seal(&context("c"), BytesMut::from("hello")).unwrap();
        assert_eq!(cipher(2, 2).open(&context("c"), sealed.clone()), Err(OpenError::OtherKey));
        assert_eq!(cipher(1, 2).open(&context("d"), sealed.clone()), Err(OpenError::Tag));
        for at in 0..sealed.len() {
            let mut damaged = BytesMut::from(&sealed[..]);
            damaged[at] ^= 1;
            assert!(cipher(1, 2).open(&context("c"), damaged.freeze()).is_err(), "byte {at}");
            assert!(cipher(1, 2).open(&context("c"), sealed.slice(..at)).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_key_is_never_printed() {
        let key = ChannelKey::from_bytes([0xAB; 32]);
        assert_eq!(format!("{key:?}"), "ChannelKey(..)");
        assert!(!format!("{:?}", cipher(0xAB, 1)).contains("171"));
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1, shows that the primitive is the standard one.
    #[test]
    fn the_primitive_matches_the_published_vector() {
        let key: Vec<u8> = (0x80..=0x9f).collect();
        let nonce: Vec<u8> = (0x40..=0x57).collect();
        let aead = XChaCha20Poly1305::new_from_slice(&key).unwrap();
        let mut text = BytesMut::from(
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
             sunscreen would be it.",
        );
        let additional = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let nonce = XNonce::try_from(nonce.as_slice()).unwrap();
        let tag = aead.encrypt_inout_detached(&nonce, &additional, text.as_mut().into()).unwrap();
        assert_eq!(text[..4], [0xbd, 0x6d, 0x17, 0x9d]);
        assert_eq!(tag[..4], [0xc0, 0x87, 0x59, 0x24]);
    }
}
