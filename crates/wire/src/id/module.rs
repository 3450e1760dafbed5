//! The id of a module: UTF-8 text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Borrow, cmp::Ordering, fmt, hash, str, sync::Arc};

/// Up to how many bytes of an id lie in the value; 22 fill three words.
const INLINE: usize = 22;

/// Which module of a space a frame belongs to: UTF-8 of any length, none included.
///
/// Up to 22 bytes lie in the value itself, and longer text is shared by its clones. It never pins the
/// frame that it came in. Compared, ordered and looked up as bytes, which for UTF-8 is the same as text.
#[derive(Clone)]
pub struct ModuleId(Repr);

/// Each is UTF-8, and that was checked when it was made.
#[derive(Clone)]
enum Repr {
    Short { len: u8, bytes: [u8; INLINE] },
    Static(&'static str),
    Shared(Arc<str>),
}

impl ModuleId {
    /// A module id that borrows from the program.
    pub const fn from_static(text: &'static str) -> Self {
        if text.len() > INLINE {
            return Self(Repr::Static(text));
        }
        let mut bytes = [0; INLINE];
        let (used, _) = bytes.split_at_mut(text.len());
        used.copy_from_slice(text.as_bytes());
        Self(Repr::Short { len: text.len() as u8, bytes })
    }

    /// As [`SpaceId::detach`](crate::SpaceId::detach): a copy that pins no other buffer, here just a clone.
    #[must_use]
    pub fn detach(&self) -> Self {
        self.clone()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // UTF-8, as all of them are.
            Repr::Short { .. } => str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Static(text) => text,
            Repr::Shared(text) => text,
        }
    }

    /// The text's bytes: quicker than [`as_str`](Self::as_str).
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            // The length is at most that of the array.
            Repr::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Static(text) => text.as_bytes(),
            Repr::Shared(text) => text.as_bytes(),
        }
    }

    /// An id from bytes that [`is_utf8`] has found to be text.
    #[inline]
    pub(crate) fn of_utf8(text: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match bytes.get_mut(..text.len()) {
            Some(short) => {
                short.copy_from_slice(text);
                Self(Repr::Short { len: text.len() as u8, bytes })
            }
            None => Self(Repr::Shared(String::from_utf8_lossy(text).into())),
        }
    }
}

/// Whether bytes are text. Most ids are ASCII, which is seen at a glance.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || str::from_utf8(bytes).is_ok()
}

impl From<&str> for ModuleId {
    fn from(text: &str) -> Self {
        Self::of_utf8(text.as_bytes())
    }
}

impl From<String> for ModuleId {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Default for ModuleId {
    /// The id without text.
    fn default() -> Self {
        Self::from_static("")
    }
}

impl PartialEq for ModuleId {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ModuleId {}

impl PartialOrd for ModuleId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ModuleId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl hash::Hash for ModuleId {
    /// As its text, which maps look it up by.
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl TryFrom<&[u8]> for ModuleId {
    type Error = ModuleIdError;

    #[inline]
    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        match str::from_utf8(bytes) {
            Ok(_) => Ok(Self::of_utf8(bytes)),
            Err(error) => Err(ModuleIdError { valid_up_to: error.valid_up_to() }),
        }
    }
}

impl AsRef<str> for ModuleId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for ModuleId {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleId({:?})", self.as_str())
    }
}

impl Serialize for ModuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ModuleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Why bytes are no [`ModuleId`]: they are not UTF-8. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a module id is UTF-8; wrong after byte {valid_up_to}")]
#[non_exhaustive]
pub struct ModuleIdError {
    /// How many bytes are UTF-8.
    pub valid_up_to: usize,
}

/// Reads a module id from borrowed and from owned text.
struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = ModuleId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a module id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn only_utf8_is_a_module_id() {
        assert_eq!(ModuleId::try_from(&b"k2gossip"[..]).unwrap().as_str(), "k2gossip");
        assert_eq!(ModuleId::try_from(&b"ab\xff"[..]), Err(ModuleIdError { valid_up_to: 2 }));
    }

    #[test]
    fn serde_reads_borrowed_and_owned_text() {
        let module = ModuleId::from_static("Fetch");
        let json = serde_json::to_string(&module).unwrap();
        assert_eq!(json, r#""Fetch""#);
        assert_eq!(serde_json::from_str::<ModuleId>(&json).unwrap(), module);
        assert_eq!(serde_json::from_reader::<_, ModuleId>(json.as_bytes()).unwrap(), module);
        assert_eq!(serde_json::from_value::<ModuleId>(serde_json::json!("Fetch")).unwrap(), module);
        assert!(serde_json::from_str::<ModuleId>("[]").is_err());
    }

    #[test]
    fn a_map_finds_a_module_by_borrowed_text() {
        let map = HashMap::from([(ModuleId::from("echo"), 1)]);
        assert_eq!(map.get("echo"), Some(&1));
    }

    #[test]
    fn an_id_is_its_text_however_it_was_made() {
        const PLAIN: &str = "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm";
        const TWO_BYTES_EACH: &str = "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü";
        for len in [0, 2, 20, 22, 24, 44] {
            for text in [&PLAIN[..len], &PLAIN[..len.saturating_sub(1)], &TWO_BYTES_EACH[..len]] {
                let made = [
                    ModuleId::from(text),
                    ModuleId::from(text.to_owned()),
                    ModuleId::try_from(text.as_bytes()).unwrap(),
                    ModuleId::from_static(text),
                ];
                for module in &made {
                    assert_eq!((module.as_str(), module.as_bytes()), (text, text.as_bytes()));
                    assert_eq!(*module, made[0]);
                }
            }
        }
        assert_eq!(size_of::<ModuleId>(), 24);
    }

    proptest! {
        #[test]
        fn ids_compare_as_their_text(a in "[abü]{0,30}", b in "[abü]{0,30}") {
            let (x, y) = (ModuleId::from(a.as_str()), ModuleId::from(b.as_str()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
        }

        #[test]
        fn a_glance_finds_text_as_the_long_look_does(bytes: Vec<u8>) {
            prop_assert_eq!(is_utf8(&bytes), str::from_utf8(&bytes).is_ok());
        }
    }
}
