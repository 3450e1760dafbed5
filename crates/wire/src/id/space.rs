//! The id of a space: bytes of any length, text as base64url without padding.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Borrow, fmt, str::FromStr};

/// Which space a frame belongs to: opaque bytes of any length, none included.
///
/// A clone is a reference count. A space id that came out of [`Frame::decode`](crate::Frame::decode)
/// is a slice of that frame; who keeps it [`detach`](Self::detach)es it. As text, and in serde, it
/// is base64url without padding, as in Kitsune2.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpaceId(Bytes);

impl SpaceId {
    /// A space id that borrows from the program.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }

    /// A copy of `bytes` as a space id.
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }

    /// A copy that pins no other buffer than its own.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::copy_from_slice(&self.0)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Bytes> for SpaceId {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for SpaceId {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for SpaceId {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl AsRef<[u8]> for SpaceId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for SpaceId {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpaceId({self})")
    }
}

impl FromStr for SpaceId {
    type Err = SpaceIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        BASE64URL_NOPAD
            .decode(text.as_bytes())
            .map(Self::from)
            .map_err(|error| SpaceIdError { position: error.position })
    }
}

impl Serialize for SpaceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SpaceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Why text is no [`SpaceId`]. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a space id is base64url without padding; wrong at byte {position}")]
#[non_exhaustive]
pub struct SpaceIdError {
    /// The first byte of the text that cannot be read.
    pub position: usize,
}

/// Reads a space id from borrowed and from owned text.
struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = SpaceId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a space id as base64url without padding")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn text_is_base64url_without_padding() {
        let space = SpaceId::from_static(&[0xfb, 0xff, 0x01, 0x02]);
        assert_eq!(space.to_string(), "-_8BAg");
        assert_eq!("-_8BAg".parse(), Ok(space));
        assert_eq!("".parse(), Ok(SpaceId::default()));
        for bad in ["-_8BAg==", "+/8BAg", "-_8BAh", "a", "é"] {
            assert!(bad.parse::<SpaceId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn serde_reads_borrowed_and_owned_text() {
        let space = SpaceId::from_static(b"space");
        let json = serde_json::to_string(&space).unwrap();
        assert_eq!(json, r#""c3BhY2U""#);
        assert_eq!(serde_json::from_str::<SpaceId>(&json).unwrap(), space);
        assert_eq!(serde_json::from_reader::<_, SpaceId>(json.as_bytes()).unwrap(), space);
        assert_eq!(serde_json::from_value::<SpaceId>(serde_json::json!("c3BhY2U")).unwrap(), space);
        assert!(serde_json::from_str::<SpaceId>(r#""c3BhY2U=""#).is_err());
        assert!(serde_json::from_str::<SpaceId>("7").is_err());
    }

    #[test]
    fn a_map_finds_a_space_by_borrowed_bytes() {
        let map = HashMap::from([(SpaceId::from_static(b"a"), 1)]);
        assert_eq!(map.get(&b"a"[..]), Some(&1));
    }

    #[test]
    fn a_detached_id_is_equal_and_elsewhere() {
        let frame = Bytes::from(vec![9; 100]);
        let space = SpaceId::from(frame.slice(3..7));
        let kept = space.detach();
        assert_eq!(kept, space);
        assert_ne!(kept.as_bytes().as_ptr(), space.as_bytes().as_ptr());
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: Vec<u8>) {
            let space = SpaceId::from(bytes);
            prop_assert_eq!(space.to_string().parse(), Ok(space));
        }
    }
}
