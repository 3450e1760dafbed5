//! A store that breaks one promise at a time: what shows that each check of the suite can fail.

use bytes::Bytes;
use quorate_base::{Batch, Entry, MemoryStore, Op, Store, StoreError};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::ThreadId;

/// Which promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// None.
    None,
    /// Deletes are lost.
    KeepsWhatIsDeleted,
    /// A batch is applied from its end.
    AppliesBackwards,
    /// A put at a key that is there is appended to it.
    Appends,
    /// A reader sees a batch half-way.
    ShowsHalves,
    /// Empty values are not kept.
    DropsEmptyValues,
    /// A scan descends.
    Descends,
    /// A scan yields what comes after its prefix.
    LeavesThePrefix,
    /// A scan yields the key that it should begin after.
    RepeatsTheKey,
    /// A page holds everything.
    IgnoresTheBound,
    /// A page that nothing fits into is empty.
    EndsEarly,
    /// The last batch before it is closed is lost.
    ForgetsTheLast,
    /// Every hundredth operation is lost.
    LosesSome,
}

impl Oddity {
    /// Every way to break a promise.
    pub const ALL: [Self; 12] = [
        Self::KeepsWhatIsDeleted,
        Self::AppliesBackwards,
        Self::Appends,
        Self::ShowsHalves,
        Self::DropsEmptyValues,
        Self::Descends,
        Self::LeavesThePrefix,
        Self::RepeatsTheKey,
        Self::IgnoresTheBound,
        Self::EndsEarly,
        Self::ForgetsTheLast,
        Self::LosesSome,
    ];
}

/// A store in memory with an [`Oddity`].
#[derive(Debug)]
pub struct StrangeStore {
    oddity: Oddity,
    inner: MemoryStore,
    before_the_last: Mutex<Vec<Entry>>,
    ops: AtomicU64,
    reads: Mutex<Reads>,
    was_read: Condvar,
}

#[derive(Debug, Default)]
struct Reads {
    by: Option<ThreadId>,
    count: u64,
}

impl StrangeStore {
    /// An empty one.
    pub fn new(oddity: Oddity) -> Self {
        Self {
            oddity,
            inner: MemoryStore::new(),
            before_the_last: Vec::new().into(),
            ops: AtomicU64::new(0),
            reads: Mutex::default(),
            was_read: Condvar::new(),
        }
    }

    /// Closes it and opens it again.
    #[must_use]
    pub fn reopened(self) -> Self {
        if self.oddity != Oddity::ForgetsTheLast {
            return self;
        }
        let again = Self::new(self.oddity);
        let entries = std::mem::take(&mut *self.before_the_last.lock().expect("no panic under the lock"));
        let batch = entries.into_iter().map(|(key, value)| Op::Put { key, value }).collect();
        again.inner.commit(batch).expect("memory does not fail");
        again
    }

    /// Applies the first half, waits until another thread that reads has read, applies the rest.
    fn commit_in_halves(&self, batch: Batch) -> Result<(), StoreError> {
        let mut ops: Vec<Op> = batch.into_iter().collect();
        let rest = ops.split_off(ops.len() / 2);
        self.inner.commit(ops.into_iter().collect())?;
        let mut reads = self.reads.lock().expect("no panic under the lock");
        if reads.by.is_some_and(|by| by != std::thread::current().id()) {
            let enough = reads.count + 2;
            while reads.count < enough {
                reads = self.was_read.wait(reads).expect("no panic under the lock");
            }
        }
        drop(reads);
        self.inner.commit(rest.into_iter().collect())
    }

    fn twist(&self, op: Op) -> Result<Option<Op>, StoreError> {
        let number = self.ops.fetch_add(1, Ordering::Relaxed);
        Ok(match (self.oddity, op) {
            (Oddity::KeepsWhatIsDeleted, Op::Delete { .. }) => None,
            (Oddity::LosesSome, _) if number % 100 == 99 => None,
            (Oddity::DropsEmptyValues, Op::Put { value, .. }) if value.is_empty() => None,
            (Oddity::Appends, Op::Put { key, value }) => {
                let before = self.inner.get(&key)?.unwrap_or_default();
                let value = Bytes::from([before, value].concat());
                Some(Op::Put { key, value })
            }
            (_, op) => Some(op),
        })
    }
}

impl Store for StrangeStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let page = match self.oddity {
            Oddity::LeavesThePrefix => {
                self.inner.scan(b"", after.or((!prefix.is_empty()).then_some(prefix)), max_bytes)?
            }
            Oddity::RepeatsTheKey => {
                let mut page = self.inner.scan(prefix, after, max_bytes)?;
                if let Some(after) = after
                    && let Some(value) = self.inner.get(after)?
                {
                    page.insert(0, (Bytes::copy_from_slice(after), value));
                }
                page
            }
            Oddity::IgnoresTheBound => self.inner.scan(prefix, after, usize::MAX)?,
            Oddity::Descends => {
                let mut page = self.inner.scan(prefix, after, max_bytes)?;
                page.reverse();
                page
            }
            Oddity::EndsEarly => {
                let page = self.inner.scan(prefix, after, max_bytes)?;
                let size = page.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
                if size > max_bytes { Vec::new() } else { page }
            }
            _ => self.inner.scan(prefix, after, max_bytes)?,
        };
        let mut reads = self.reads.lock().expect("no panic under the lock");
        reads.by = Some(std::thread::current().id());
        reads.count += 1;
        self.was_read.notify_all();
        Ok(page)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.oddity == Oddity::ForgetsTheLast {
            *self.before_the_last.lock().expect("no panic under the lock") =
                self.inner.scan(b"", None, usize::MAX)?;
        }
        let mut ops = Vec::new();
        for op in batch {
            ops.extend(self.twist(op)?);
        }
        if self.oddity == Oddity::AppliesBackwards {
            ops.reverse();
        }
        let batch: Batch = ops.into_iter().collect();
        if self.oddity == Oddity::ShowsHalves {
            self.commit_in_halves(batch)
        } else {
            self.inner.commit(batch)
        }
    }
}
