//! A pool's records in a store: one entry a node, as JSON.

use super::{NodeSnapshot, Pool, PoolSnapshot};
use quorate_base::{Batch, Entries, Mono, Store, StoreError};

/// What the keys begin with; the node's URL follows.
const PREFIX: &[u8] = b"query/pool/";

/// A pool that could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolStoreError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry is not what this version writes. Nothing was taken over.
    #[error("the record of {url} cannot be read: {source}")]
    Record {
        /// Whose record it is.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Pool {
    /// What is known of the nodes as one batch for a store.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError::Record`] when a record cannot be written.
    pub fn to_batch(&self, now: Mono) -> Result<Batch, PoolStoreError> {
        let mut batch = Batch::new();
        for node in self.snapshot(now).nodes {
            let json = serde_json::to_vec(&node)
                .map_err(|source| PoolStoreError::Record { url: node.url.clone(), source })?;
            batch.put([PREFIX, node.url.as_bytes()].concat(), json);
        }
        Ok(batch)
    }

    /// Writes what is known of the nodes.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`].
    pub fn save(&self, now: Mono, store: &dyn Store) -> Result<(), PoolStoreError> {
        Ok(store.commit(self.to_batch(now)?)?)
    }

    /// Takes over what the store has of nodes that are in the pool.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`]; then nothing was taken over.
    pub fn load(&mut self, now: Mono, store: &dyn Store) -> Result<(), PoolStoreError> {
        let mut nodes = Vec::new();
        for entry in Entries::new(store, PREFIX) {
            let (key, value) = entry?;
            let url = String::from_utf8_lossy(key.get(PREFIX.len()..).unwrap_or_default()).into_owned();
            if self.find(&url).is_some() {
                let node: NodeSnapshot = serde_json::from_slice(&value)
                    .map_err(|source| PoolStoreError::Record { url, source })?;
                nodes.push(node);
            }
        }
        self.restore(now, &PoolSnapshot { nodes });
        Ok(())
    }
}
