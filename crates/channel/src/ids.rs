//! The names that a channel deals in, each its own type.
//!
//! The rule: an id that this crate made can be taken apart ([`StructuredId`]), an id that somebody
//! else made is opaque ([`MessageId`]) and is only ever compared.

use data_encoding::BASE64URL_NOPAD;
use sha3::{Digest, Keccak256};
use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// Names a channel: what its participants agreed on. Travels in every SDS message.
    ChannelId
);
text_id!(
    /// Where a channel's envelopes are published; two channels may share one (14/WAKU2-MESSAGE).
    ContentTopic
);
text_id!(
    /// A participant of a channel, as it names itself (`sender_id` of SDS).
    ParticipantId
);
text_id!(
    /// The id of an SDS message. Opaque unless [`StructuredId::parse`] recognises it.
    MessageId
);

/// One call of `send`, from acceptance to its outcomes. Counts up from 1 within a channel's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One attempt to hand one envelope to the messaging layer. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DispatchId(pub u64);

/// Six bytes that stand for one participant in one incarnation of its state.
///
/// A participant that lost its state comes back with another tag, so its sequence numbers never
/// mean two things.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderTag(pub [u8; 6]);

impl SenderTag {
    /// The tag of `participant` in the incarnation that `incarnation` names.
    pub fn derive(participant: &ParticipantId, incarnation: u64) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(b"quorate sender tag");
        hasher.update(incarnation.to_be_bytes());
        hasher.update(participant.as_str());
        Self(leading(&hasher.finalize()))
    }
}

impl fmt::Debug for SenderTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

/// An id that this crate made: 16 bytes, 22 characters of base64url without padding.
///
/// Bytes 0 to 5 are the sender's tag, 6 to 11 the sequence number (big-endian, below 2^48), 12 to 15
/// the head of the payload's hash. Siblings of one payload differ in the sequence number only, so
/// one of them and its index yield all the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StructuredId {
    /// Who sent it.
    pub tag: SenderTag,
    /// The sender's count of segments before this one.
    pub sequence: u64,
    /// The first bytes of the payload's Keccak-256 hash.
    pub content: [u8; 4],
}

impl StructuredId {
    /// The first sequence number that does not fit.
    pub const SEQUENCE_END: u64 = 1 << 48;
    const TEXT_LEN: usize = 22;

    /// Reads an id, `None` when it is somebody else's form.
    pub fn parse(id: &str) -> Option<Self> {
        if id.len() != Self::TEXT_LEN {
            return None;
        }
        let mut bytes = [0u8; 16];
        let mut scratch = [0u8; 18];
        let written = BASE64URL_NOPAD.decode_mut(id.as_bytes(), scratch.get_mut(..16)?).ok()?;
        bytes.copy_from_slice(scratch.get(..written)?.get(..16)?);
        let mut sequence = [0u8; 8];
        sequence[2..].copy_from_slice(&bytes[6..12]);
        Some(Self {
            tag: SenderTag(leading(&bytes)),
            sequence: u64::from_be_bytes(sequence),
            content: [bytes[12], bytes[13], bytes[14], bytes[15]],
        })
    }

    /// The id's text.
    pub fn to_message_id(self) -> MessageId {
        MessageId::from(self.to_string())
    }

    /// The id of the sibling whose sequence number is `sequence`.
    pub const fn sibling(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }
}

impl fmt::Display for StructuredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0u8; 16];
        bytes[..6].copy_from_slice(&self.tag.0);
        bytes[6..12].copy_from_slice(&self.sequence.to_be_bytes()[2..]);
        bytes[12..].copy_from_slice(&self.content);
        let mut text = [0u8; Self::TEXT_LEN];
        BASE64URL_NOPAD.encode_mut(&bytes, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

fn leading(bytes: &[u8]) -> [u8; 6] {
    let mut head = [0u8; 6];
    for (to, from) in head.iter_mut().zip(bytes) {
        *to = *from;
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_structured_id_survives_its_text(tag: [u8; 6], sequence in 0..StructuredId::SEQUENCE_END, content: [u8; 4]) {
            let id = StructuredId { tag: SenderTag(tag), sequence, content };
            let text = id.to_message_id();
            prop_assert_eq!(text.as_str().len(), 22);
            prop_assert_eq!(StructuredId::parse(text.as_str()), Some(id));
        }

        #[test]
        fn a_foreign_id_is_never_a_panic(text in "\\PC{0,30}") {
            let _ = StructuredId::parse(&text);
        }
    }

    #[test]
    fn another_incarnation_is_another_tag() {
        let alice = ParticipantId::from("alice");
        assert_ne!(SenderTag::derive(&alice, 1), SenderTag::derive(&alice, 2));
        assert_eq!(SenderTag::derive(&alice, 1), SenderTag::derive(&alice, 1));
    }
}
