//! A store that lives as long as the value: for tests, simulations and channels without a disk.

use super::{Batch, Entry, Op, Store, StoreError};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A [`Store`] in memory. Also the template for authors of others.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: Mutex<BTreeMap<Bytes, Bytes>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Bytes, Bytes>> {
        // No user code runs under this lock and no operation on the map is left half-way by a
        // panic, so a poisoned lock still guards a whole map.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.lock().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let entries = self.lock();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut room = max_bytes;
        let mut page = Vec::new();
        for (key, value) in entries.range::<[u8], _>((from, Bound::Unbounded)) {
            let size = key.len() + value.len();
            if !key.starts_with(prefix) || (size > room && !page.is_empty()) {
                break;
            }
            room = room.saturating_sub(size);
            page.push((key.clone(), value.clone()));
        }
        Ok(page)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut entries = self.lock();
        for op in batch {
            match op {
                Op::Put { key, value } => drop(entries.insert(key, value)),
                Op::Delete { key } => drop(entries.remove(&key)),
            }
        }
        Ok(())
    }
}
