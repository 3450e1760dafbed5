//! All entries under a prefix, one page at a time.

use super::{Entry, Store, StoreError};
use bytes::Bytes;

/// Bytes of keys and values in one page; an entry that is larger is a page of its own.
const PAGE_BYTES: usize = 1 << 20;

/// The entries under a prefix, in ascending order of their keys; holds one page of them.
///
/// What is written while it runs may be seen or not; what was there before and stays is seen once. It ends after the
/// first error.
///
/// ```
/// use quorate_base::{Batch, Entries, MemoryStore, Store};
///
/// let store = MemoryStore::new();
/// let mut batch = Batch::new();
/// batch.put("b/1", "one").put("b/2", "two").put("c", "three");
/// store.commit(batch)?;
/// let values: Result<Vec<_>, _> = Entries::new(&store, "b/").map(|entry| entry.map(|(_, value)| value)).collect();
/// assert_eq!(values?, ["one", "two"]);
/// # Ok::<(), quorate_base::StoreError>(())
/// ```
pub struct Entries<'a> {
    store: &'a dyn Store,
    prefix: Bytes,
    after: Option<Bytes>,
    page: std::vec::IntoIter<Entry>,
    ended: bool,
}

impl<'a> Entries<'a> {
    /// All entries whose key begins with `prefix`.
    pub fn new(store: &'a dyn Store, prefix: impl Into<Bytes>) -> Self {
        Self { store, prefix: prefix.into(), after: None, page: Vec::new().into_iter(), ended: false }
    }

    /// Those of them that come after the key `after`.
    #[must_use]
    pub fn after(mut self, after: impl Into<Bytes>) -> Self {
        self.after = Some(after.into());
        self
    }

    fn turn(&mut self) -> Result<(), StoreError> {
        let page = self.store.scan(&self.prefix, self.after.as_deref(), PAGE_BYTES)?;
        self.ended = page.is_empty();
        self.after = page.last().map(|(key, _)| key.clone()).or_else(|| self.after.take());
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.page.next() {
            return Some(Ok(entry));
        }
        if self.ended {
            return None;
        }
        if let Err(error) = self.turn() {
            self.ended = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

impl std::fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries")
            .field("prefix", &self.prefix)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}
