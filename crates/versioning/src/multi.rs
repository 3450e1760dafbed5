//! The API versions a component lists: at most one per major.
//!
//! The rule: the list is sorted by strictly ascending majors, however it came to be. What is read
//! from outside in another order is refused, with the major that breaks it.

use std::fmt;
use std::slice;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::ApiVersion;

/// How many majors a list may have that comes from outside: 256.
///
/// Real components list one to three. The bound keeps a hostile list small; a list built in code
/// is not bounded, but its reader will refuse it beyond this.
pub const MAX_MAJORS: usize = 256;

/// Distinct API majors, each with a minor: the least needed, or the most offered (seed
/// `MultiApiVersion`).
///
/// As JSON an array of versions in ascending order. Reading refuses duplicate majors, another
/// order, and more than [`MAX_MAJORS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct MultiApiVersion(Vec<ApiVersion>);

impl MultiApiVersion {
    /// A list without versions, which fits nothing.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The versions of `versions`, in any order.
    ///
    /// # Errors
    ///
    /// The first version whose major was there before.
    pub fn try_from_iter<T: IntoIterator<Item = ApiVersion>>(versions: T) -> Result<Self, ApiVersion> {
        Result::from_iter(versions)
    }

    /// The versions of a list from outside, which must already be as this type keeps it.
    ///
    /// # Errors
    ///
    /// [`InvalidApiVersions`]: a duplicate major, a major out of order, or more than
    /// [`MAX_MAJORS`]. Nothing after the first fault is looked at.
    pub fn try_from_sorted<T: IntoIterator<Item = ApiVersion>>(
        versions: T,
    ) -> Result<Self, InvalidApiVersions> {
        let mut list = Self::new();
        for version in versions {
            list.push_sorted(version)?;
        }
        Ok(list)
    }

    /// Adds `version`, unless its major is there already.
    ///
    /// # Errors
    ///
    /// The minor that is listed for this major, to be changed in place: this is how two lists are
    /// merged. The list is as it was.
    pub fn try_insert(&mut self, version: ApiVersion) -> Result<(), &mut u32> {
        match self.position(version.major) {
            Ok(found) => Err(&mut self.0[found].minor),
            Err(free) => {
                self.0.insert(free, version);
                Ok(())
            }
        }
    }

    /// The version listed for `major`.
    pub fn get_by_major(&self, major: u32) -> Option<ApiVersion> {
        self.position(major).ok().map(|found| self.0[found])
    }

    /// The versions, by ascending major.
    pub fn iter(&self) -> MultiApiVersionIter<'_> {
        MultiApiVersionIter(self.0.iter())
    }

    /// How many majors are listed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no major is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, major: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&major, |version| version.major)
    }

    fn push_sorted(&mut self, version: ApiVersion) -> Result<(), InvalidApiVersions> {
        if self.position(version.major).is_ok() {
            return Err(InvalidApiVersions::Duplicate { major: version.major });
        }
        if let Some(last) = self.0.last().filter(|last| version.major < last.major) {
            return Err(InvalidApiVersions::Unsorted { major: version.major, after: last.major });
        }
        if self.0.len() == MAX_MAJORS {
            return Err(InvalidApiVersions::TooMany { max: MAX_MAJORS });
        }
        self.0.push(version);
        Ok(())
    }
}

impl FromIterator<ApiVersion> for Result<MultiApiVersion, ApiVersion> {
    fn from_iter<T: IntoIterator<Item = ApiVersion>>(versions: T) -> Self {
        let mut list = MultiApiVersion::new();
        for version in versions {
            if list.try_insert(version).is_err() {
                return Err(version);
            }
        }
        Ok(list)
    }
}

impl From<ApiVersion> for MultiApiVersion {
    fn from(version: ApiVersion) -> Self {
        Self(vec![version])
    }
}

impl<'de> Deserialize<'de> for MultiApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SortedVersions)
    }
}

/// Reads element by element, so that a fault ends the reading where it stands.
struct SortedVersions;

impl<'de> Visitor<'de> for SortedVersions {
    type Value = MultiApiVersion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_MAJORS} API versions by ascending major")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut versions: A) -> Result<MultiApiVersion, A::Error> {
        let mut list = MultiApiVersion::new();
        while let Some(version) = versions.next_element()? {
            list.push_sorted(version).map_err(A::Error::custom)?;
        }
        Ok(list)
    }
}

/// The versions of a [`MultiApiVersion`], by ascending major.
#[derive(Debug, Clone)]
pub struct MultiApiVersionIter<'a>(slice::Iter<'a, ApiVersion>);

impl Iterator for MultiApiVersionIter<'_> {
    type Item = ApiVersion;

    fn next(&mut self) -> Option<ApiVersion> {
        self.0.next().copied()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for MultiApiVersionIter<'_> {
    fn next_back(&mut self) -> Option<ApiVersion> {
        self.0.next_back().copied()
    }
}

impl ExactSizeIterator for MultiApiVersionIter<'_> {}

impl<'a> IntoIterator for &'a MultiApiVersion {
    type Item = ApiVersion;
    type IntoIter = MultiApiVersionIter<'a>;

    fn into_iter(self) -> MultiApiVersionIter<'a> {
        self.iter()
    }
}

/// A list of API versions that breaks the rule of its type; whoever wrote it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidApiVersions {
    /// A major stands there twice.
    #[error("API major {major} is listed twice")]
    Duplicate {
        /// The major in question.
        major: u32,
    },
    /// A major stands behind a higher one.
    #[error("API major {major} is listed after {after}: majors must ascend")]
    Unsorted {
        /// The major that is out of order.
        major: u32,
        /// The higher one before it.
        after: u32,
    },
    /// The list is too long.
    #[error("more than {max} API majors are listed")]
    TooMany {
        /// How many are allowed: [`MAX_MAJORS`].
        max: usize,
    },
}

#[cfg(test)]
mod tests;
