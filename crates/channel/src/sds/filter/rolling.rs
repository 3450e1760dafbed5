//! The filter over what was lately sent and received, at a constant size.
//!
//! The rule: the filter's parameters never change. When it holds a fifth more than it was made for, it is made anew of the
//! newest four fifths; an id that falls out is told by nothing but acknowledgement vectors and citations.

use super::{BloomFilter, FilterConfig, Fingerprint};
use crate::sds::Dialect;
use bytes::Bytes;
use std::collections::VecDeque;

/// A filter that forgets the oldest ids.
#[derive(Debug, Clone)]
pub struct RollingFilter {
    dialect: Dialect,
    config: FilterConfig,
    filter: BloomFilter,
    /// The oldest first.
    recent: VecDeque<Fingerprint>,
}

impl RollingFilter {
    /// Holds nothing yet.
    pub fn new(dialect: Dialect, config: FilterConfig) -> Self {
        Self { dialect, config, filter: BloomFilter::new(dialect, config), recent: VecDeque::new() }
    }

    /// Adds an id.
    pub fn insert(&mut self, id: &str) {
        let fingerprint = Fingerprint::of(self.dialect, id);
        self.filter.insert(fingerprint);
        self.recent.push_back(fingerprint);
        let capacity = usize::try_from(self.config.capacity).unwrap_or(usize::MAX);
        if self.recent.len() > capacity + capacity / 5 {
            let kept = capacity - capacity / 5;
            self.recent.drain(..self.recent.len() - kept);
            self.filter = BloomFilter::new(self.dialect, self.config);
            self.recent.iter().for_each(|fingerprint| self.filter.insert(*fingerprint));
        }
    }

    /// How many ids it holds.
    pub fn len(&self) -> usize {
        self.recent.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty()
    }

    /// Whether it perhaps holds an id.
    pub fn contains(&self, id: &str) -> bool {
        self.filter.contains(Fingerprint::of(self.dialect, id))
    }

    /// The filter as it travels.
    pub fn encode(&self) -> Bytes {
        self.filter.encode(self.config)
    }

    /// What it holds, the oldest first: what has to be kept to make it again.
    pub fn recent(&self) -> impl Iterator<Item = Fingerprint> + '_ {
        self.recent.iter().copied()
    }

    /// The filter that holds `recent`.
    pub fn restored(
        dialect: Dialect,
        config: FilterConfig,
        recent: impl IntoIterator<Item = Fingerprint>,
    ) -> Self {
        let mut restored = Self::new(dialect, config);
        restored.recent.extend(recent);
        restored.recent.iter().for_each(|fingerprint| restored.filter.insert(*fingerprint));
        restored
    }
}
