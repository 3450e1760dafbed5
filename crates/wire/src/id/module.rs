//! The id of a module: UTF-8 text.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;
use std::{borrow::Borrow, fmt, str};

/// Which module of a space a frame belongs to: UTF-8 of any length, none included.
///
/// Up to 23 bytes lie in the value itself, and longer text is shared by its clones. It never pins the
/// frame that it came in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ModuleId(SmolStr);

impl ModuleId {
    /// A module id that borrows from the program.
    pub const fn from_static(text: &'static str) -> Self {
        Self(SmolStr::new_static(text))
    }

    /// As [`SpaceId::detach`](crate::SpaceId::detach): a copy that pins no other buffer, here just a clone.
    #[must_use]
    pub fn detach(&self) -> Self {
        self.clone()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ModuleId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for ModuleId {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl TryFrom<&[u8]> for ModuleId {
    type Error = ModuleIdError;

    #[inline]
    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(error) => Err(ModuleIdError { valid_up_to: error.valid_up_to() }),
        }
    }
}

impl AsRef<str> for ModuleId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ModuleId {
    fn borrow(&self) -> &str {
        &self.0
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
        let map = HashMap::from([(ModuleId::from_static("echo"), 1)]);
        assert_eq!(map.get("echo"), Some(&1));
    }
}
