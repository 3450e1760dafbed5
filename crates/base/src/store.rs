//! An ordered map of bytes with atomic, durable batches: what a machine's `Write`s go to.
//!
//! The rule: a batch is all or nothing, and when [`Store::commit`] returns it survives a power cut
//! (as far as the implementation can promise that; [`MemoryStore`] promises it for the life of the
//! value).

mod batch;
mod entries;
mod memory;
#[cfg(feature = "redb")]
mod redb;

pub use batch::{Batch, Op};
pub use entries::Entries;
pub use memory::MemoryStore;

#[cfg(feature = "redb")]
pub use self::redb::{RedbStore, SCHEMA as REDB_SCHEMA};

use bytes::Bytes;
use std::error::Error;

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// An ordered map from byte keys to byte values.
///
/// A key has up to 64 KiB, a value up to 256 MiB.
///
/// Calls block; a driver that must not block calls them where blocking is allowed.
pub trait Store: Send + Sync + 'static {
    /// The value at `key`, if any.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Entries whose key begins with `prefix`, in ascending order of their keys: those that come after the key `after`,
    /// as many as fit into `max_bytes` of keys and values, and at least one where there is any. None: there are no more.
    ///
    /// So what a caller holds is bounded however much is stored; [`Entries`] turns the pages.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, max_bytes: usize) -> Result<Vec<Entry>, StoreError>;

    /// Applies every operation of `batch`, in order, or none of them.
    ///
    /// After an error the caller does not know whether the batch was applied: it retries the same
    /// batch (operations are idempotent) or reads the state back.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The medium failed (disk full, device gone). State may or may not have changed.
    #[error("the store's medium failed")]
    Io(#[source] Box<dyn Error + Send + Sync>),
    /// Another process, or another value in this one, has it open. Nothing was changed.
    #[error("the store is in use")]
    InUse,
    /// What was read is not what was written. Nothing was changed.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What did not hold.
        what: String,
    },
    /// A key or a value is longer than a store takes. The caller's fault; nothing was changed.
    #[error("{what} is too large for the store")]
    TooLarge {
        /// Which of the two.
        what: &'static str,
    },
    /// The data were written by a newer version. Nothing was changed.
    #[error("the store has schema {found}, this version knows up to {known}")]
    NewerSchema {
        /// The schema number found.
        found: u32,
        /// The newest schema number that this version reads.
        known: u32,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody repairing the data.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io(_) | Self::InUse)
    }
}
