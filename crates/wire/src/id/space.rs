//! The id of a space: bytes of any length, text as base64url without padding.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Borrow, cmp::Ordering, fmt, hash, str::FromStr};

/// Up to how many bytes of an id lie in the value; 38 fill five words.
const INLINE: usize = 38;
/// How long the ids are that most networks use.
const USUAL: usize = 32;

/// Which space a frame belongs to: opaque bytes of any length, none included.
///
/// Up to 38 bytes lie in the value itself. A longer id that came out of
/// [`Frame::decode`](crate::Frame::decode) is a slice of that frame, and who keeps it
/// [`detach`](Self::detach)es it. As text, and in serde, it is base64url without padding, as in Kitsune2.
#[derive(Clone)]
pub struct SpaceId(Repr);

#[derive(Clone)]
enum Repr {
    Short { len: u8, bytes: [u8; INLINE] },
    Long(Bytes),
}

impl SpaceId {
    /// A space id that borrows from the program.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        if bytes.len() > INLINE {
            return Self(Repr::Long(Bytes::from_static(bytes)));
        }
        let mut short = [0; INLINE];
        let (used, _) = short.split_at_mut(bytes.len());
        used.copy_from_slice(bytes);
        Self(Repr::Short { len: bytes.len() as u8, bytes: short })
    }

    /// A copy of `bytes` as a space id.
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        Self::short(bytes).unwrap_or_else(|| Self(Repr::Long(Bytes::copy_from_slice(bytes))))
    }

    /// A copy that pins no other buffer than its own.
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::copy_from_slice(self.as_bytes())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            // The length is at most that of the array.
            Repr::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Long(bytes) => bytes,
        }
    }

    /// The id that `part` of `whole` is: in the value itself if it is short enough, else a slice.
    #[inline]
    pub(crate) fn part_of(whole: &Bytes, part: &[u8]) -> Self {
        Self::short(part).unwrap_or_else(|| Self(Repr::Long(whole.slice_ref(part))))
    }

    /// The id in the value itself, if it is short enough.
    #[inline]
    fn short(bytes: &[u8]) -> Option<Self> {
        let mut short = [0; INLINE];
        if let Ok(usual) = <&[u8; USUAL]>::try_from(bytes) {
            // A copy of a known length takes no call.
            let (start, _) = short.split_at_mut(USUAL);
            start.copy_from_slice(usual);
            return Some(Self(Repr::Short { len: USUAL as u8, bytes: short }));
        }
        short.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(Repr::Short { len: bytes.len() as u8, bytes: short }))
    }
}

impl From<Bytes> for SpaceId {
    /// Copies nothing that is longer than 38 bytes.
    fn from(bytes: Bytes) -> Self {
        Self::short(&bytes).unwrap_or(Self(Repr::Long(bytes)))
    }
}

impl From<Vec<u8>> for SpaceId {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&[u8]> for SpaceId {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from_slice(bytes)
    }
}

impl Default for SpaceId {
    /// The id without bytes.
    fn default() -> Self {
        Self::from_static(&[])
    }
}

impl PartialEq for SpaceId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SpaceId {}

impl PartialOrd for SpaceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SpaceId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl hash::Hash for SpaceId {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl AsRef<[u8]> for SpaceId {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Borrow<[u8]> for SpaceId {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for SpaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(self.as_bytes()).fmt(f)
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
    fn only_a_long_id_is_a_slice_of_its_frame_until_it_is_detached() {
        let frame = Bytes::from(vec![9; 200]);
        let is_slice = |space: &SpaceId| frame.as_ptr_range().contains(&space.as_bytes().as_ptr());
        for (len, slice) in [(0, false), (38, false), (39, true), (200, true)] {
            let space = SpaceId::from(frame.slice(..len));
            assert_eq!(is_slice(&space), slice, "{len}");
            assert!(!is_slice(&space.detach()), "{len}");
            assert_eq!(space.detach(), space);
        }
    }

    #[test]
    fn an_id_is_its_bytes_however_it_was_made() {
        static FIVES: [u8; 100] = [5; 100];
        for len in [0, 1, 37, 38, 39, 100] {
            let bytes: &'static [u8] = &FIVES[..len];
            let made = [
                SpaceId::from_static(bytes),
                SpaceId::copy_from_slice(bytes),
                SpaceId::from(bytes.to_vec()),
                SpaceId::from(Bytes::from_static(bytes)),
            ];
            for space in &made {
                assert_eq!(space.as_bytes(), bytes);
                assert_eq!(*space, made[0]);
            }
        }
        assert_eq!(size_of::<SpaceId>(), 40);
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes: Vec<u8>) {
            let space = SpaceId::from(bytes);
            prop_assert_eq!(space.to_string().parse(), Ok(space));
        }

        #[test]
        fn ids_compare_as_their_bytes(
            a in proptest::collection::vec(0_u8..3, 0..45),
            b in proptest::collection::vec(0_u8..3, 0..45),
        ) {
            let (x, y) = (SpaceId::from(a.clone()), SpaceId::from(b.clone()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
        }
    }
}
