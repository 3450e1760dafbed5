//! A store that lives as long as the value: for tests, simulations and channels without a disk.

use super::{Batch, Op, Store, StoreError};
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

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let entries = self.lock();
        let from = entries.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        let matching = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(matching.map(|(key, value)| (key.clone(), value.clone())).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_applied_in_order() {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        batch.put("a", "1").put("a", "2").put("b", "3").delete("b");
        store.commit(batch).unwrap();
        assert_eq!(store.get(b"a").unwrap().unwrap(), "2");
        assert_eq!(store.get(b"b").unwrap(), None);
    }

    #[test]
    fn a_scan_yields_the_prefix_in_order_and_nothing_else() {
        let store = MemoryStore::new();
        let mut batch = Batch::new();
        for key in ["b/2", "a/9", "b/1", "c", "b"] {
            batch.put(key, key);
        }
        store.commit(batch).unwrap();
        let keys: Vec<_> = store.scan(b"b/").unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["b/1", "b/2"]);
        assert_eq!(store.scan(b"").unwrap().len(), 5);
    }
}
