//! Who really sent it: an Ed25519 signature at the end of each message.
//!
//! The rule: a message is read only if the key of the participant whom it names signed all of it: content, citations,
//! acknowledgements and requests. What others repair is repeated byte by byte, so its sender's signature stays with it.

use super::SdsMessage;
use crate::ids::{ChannelId, ParticipantId};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use std::collections::BTreeMap;
use std::fmt;

/// The bytes before the signature: the extension's key, its length 66, the signature's key and its length 64.
const HEAD: [u8; 5] = [0xa2, 0x06, 66, 0x32, 64];
const TRAILER: usize = HEAD.len() + 64;
const DOMAIN: &[u8] = b"quorate sds message 1\0";

/// An Ed25519 public key.
pub type PublicKey = [u8; 32];

/// Whose key is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roster {
    /// The keys of the participants, as the application knows them. Whoever is not on it is refused.
    Keys(BTreeMap<ParticipantId, PublicKey>),
    /// A participant's name is its key: 43 characters of base64url ([`SenderAuth::name_of`]).
    Names,
}

/// What signs our messages, and what others' signatures are checked with.
pub struct SenderAuth {
    key: SigningKey,
    roster: Roster,
    /// Keys that were parsed already: at most one for each name that ever verified.
    parsed: BTreeMap<ParticipantId, VerifyingKey>,
}

/// Parsed keys that are kept; parsing one again costs some microseconds.
const MAX_PARSED: usize = 4_096;

impl SenderAuth {
    /// Signs with the key that `secret` is the seed of.
    pub fn new(secret: &[u8; 32], roster: Roster) -> Self {
        Self { key: SigningKey::from_bytes(secret), roster, parsed: BTreeMap::new() }
    }

    /// Our own public key.
    pub fn public_key(&self) -> PublicKey {
        self.key.verifying_key().to_bytes()
    }

    /// The participant whose name is a key, for [`Roster::Names`].
    pub fn name_of(key: &PublicKey) -> ParticipantId {
        BASE64URL_NOPAD.encode(key).into()
    }

    /// Replaces the roster: somebody joined, left, or has another key.
    pub fn set_roster(&mut self, roster: Roster) {
        self.roster = roster;
        self.parsed.clear();
    }

    /// The encoded message with its signature.
    pub(super) fn sign(&self, channel: &ChannelId, encoded: &[u8]) -> Bytes {
        let signature = self.key.sign(&signed(channel, encoded));
        [encoded, &HEAD, &signature.to_bytes()].concat().into()
    }

    /// Whether the participant whom a message names signed it.
    pub(super) fn verify(&mut self, message: &SdsMessage, encoded: &[u8]) -> bool {
        let Some(at) = encoded.len().checked_sub(TRAILER) else { return false };
        let (before, trailer) = encoded.split_at(at);
        let (head, signature) = trailer.split_at(HEAD.len());
        let Ok(signature) = <[u8; 64]>::try_from(signature) else { return false };
        let Some(key) = self.key_of(&message.sender) else { return false };
        let signed = signed(&message.channel, before);
        head == HEAD && key.verify_strict(&signed, &Signature::from_bytes(&signature)).is_ok()
    }

    fn key_of(&mut self, participant: &ParticipantId) -> Option<VerifyingKey> {
        if let Some(key) = self.parsed.get(participant) {
            return Some(*key);
        }
        let key = match &self.roster {
            Roster::Keys(keys) => *keys.get(participant)?,
            Roster::Names => {
                let bytes = BASE64URL_NOPAD.decode(participant.as_str().as_bytes()).ok()?;
                PublicKey::try_from(bytes.as_slice()).ok()?
            }
        };
        let key = VerifyingKey::from_bytes(&key).ok()?;
        if self.parsed.len() < MAX_PARSED {
            self.parsed.insert(participant.clone(), key);
        }
        Some(key)
    }
}

impl fmt::Debug for SenderAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenderAuth").field("roster", &self.roster).finish_non_exhaustive()
    }
}

/// What is signed: the channel is in the message too, but a reader compares it before it looks at the signature.
fn signed(channel: &ChannelId, encoded: &[u8]) -> Vec<u8> {
    let length = (channel.as_str().len() as u64).to_be_bytes();
    [DOMAIN, &length, channel.as_str().as_bytes(), encoded].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sds::Dialect;

    fn message(sender: &ParticipantId) -> SdsMessage {
        let bare = SdsMessage::bare(sender.clone(), "id".into(), "c".into());
        SdsMessage { time: Some(7), content: Bytes::from_static(b"content"), ..bare }
    }

    #[test]
    fn only_the_named_participants_key_opens_and_no_byte_can_be_changed() {
        for dialect in [Dialect::Lip, Dialect::Nim] {
            let mut alice = SenderAuth::new(&[1; 32], Roster::Names);
            let mallory = SenderAuth::new(&[2; 32], Roster::Names);
            let message = message(&SenderAuth::name_of(&alice.public_key()));
            let encoded = message.encode(dialect);
            let wire = alice.sign(&"c".into(), &encoded);
            assert_eq!(wire.len(), encoded.len() + TRAILER);
            assert_eq!(SdsMessage::decode(dialect, wire.clone()), Ok(message.clone()), "others skip it");
            assert!(alice.verify(&message, &wire));
            assert!(!alice.verify(&message, &encoded), "unsigned");
            assert!(!alice.verify(&message, &mallory.sign(&"c".into(), &encoded)), "another key");
            assert!(!alice.verify(&message, &alice.sign(&"d".into(), &encoded)), "another channel");
            for at in 0..wire.len() {
                let mut damaged = wire.to_vec();
                damaged[at] ^= 1;
                assert!(!alice.verify(&message, &damaged), "byte {at}");
            }
            let appended = [&wire[..], &[0xa2, 0x06, 0]].concat();
            assert!(!alice.verify(&message, &appended), "something behind the signature");
        }
    }

    #[test]
    fn who_is_not_on_the_roster_is_refused() {
        let alice = SenderAuth::new(&[1; 32], Roster::Names);
        let roster = |name: &str| Roster::Keys([(name.into(), alice.public_key())].into());
        let mut bob = SenderAuth::new(&[3; 32], roster("alice"));
        let wire = |name: &str| alice.sign(&"c".into(), &message(&name.into()).encode(Dialect::Lip));
        assert!(bob.verify(&message(&"alice".into()), &wire("alice")));
        assert!(!bob.verify(&message(&"bob".into()), &wire("bob")));
        bob.set_roster(roster("bob"));
        assert!(bob.verify(&message(&"bob".into()), &wire("bob")));
        assert!(!bob.verify(&message(&"alice".into()), &wire("alice")), "she left");
    }
}
