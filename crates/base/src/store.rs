//! An ordered map of bytes with atomic, durable batches: what a machine's `Write`s go to.
//!
//! The rule: a batch is all or nothing, and when [`Store::commit`] returns it survives a power cut
//! (as far as the implementation can promise that; [`MemoryStore`] promises it for the life of the
//! value).

mod batch;
mod memory;

pub use batch::{Batch, Op};
pub use memory::MemoryStore;

use bytes::Bytes;
use std::error::Error;

/// An ordered map from byte keys to byte values.
///
/// Calls block; a driver that must not block calls them where blocking is allowed.
pub trait Store: Send + Sync + 'static {
    /// The value at `key`, if any.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// All entries whose key begins with `prefix`, in ascending order of their keys.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Bytes, Bytes)>, StoreError>;

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
    /// What was read is not what was written. Nothing was changed.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What did not hold.
        what: String,
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
        matches!(self, Self::Io(_))
    }
}
