//! How a driver comes about, whichever it is: a verifier, a pool, perhaps a signer and a store, and then a transport.
//!
//! The rule: what clones of a driver share is settled before there is one.

#[cfg(feature = "blocking")]
use super::blocking::{BlockingTransport, BlockingVerified, MAX_EXCHANGES};
#[cfg(feature = "tokio")]
use super::client::{Transport, VerifiedClient};
use super::{Verified, VerifiedConfig, Verifier};
use crate::pool::{Pool, PoolStoreError};
use crate::signer::Signer;
use quorate_base::{Mono, Store};
#[cfg(feature = "blocking")]
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Makes a driver: `VerifiedClient` for tokio, `BlockingVerified` for threads.
#[must_use]
pub struct VerifiedBuilder<V> {
    shared: Shared<V>,
    config: VerifiedConfig,
    #[cfg(feature = "blocking")]
    exchanges: NonZeroUsize,
}

/// What a driver and its clones share.
pub(super) struct Shared<V> {
    pub(super) verifier: Arc<V>,
    pub(super) pool: Mutex<Pool>,
    pub(super) signer: Option<Arc<dyn Signer>>,
    pub(super) store: Option<Arc<dyn Store>>,
    next: AtomicU64,
    seed: u64,
}

impl<V> VerifiedBuilder<V> {
    /// Asks the nodes of `pool`, and believes what `verifier` verified.
    pub fn new(verifier: V, pool: Pool) -> Self {
        let shared = Shared {
            verifier: Arc::new(verifier),
            pool: Mutex::new(pool),
            signer: None,
            store: None,
            next: AtomicU64::new(0),
            // Without randomness the same nodes come first for all, which is harmless.
            seed: getrandom::u64().unwrap_or(0),
        };
        Self {
            shared,
            config: VerifiedConfig::default(),
            #[cfg(feature = "blocking")]
            exchanges: MAX_EXCHANGES,
        }
    }

    /// How to go about requests. A driver's handle can have it changed later.
    pub fn with_config(mut self, config: VerifiedConfig) -> Self {
        self.config = config;
        self
    }

    /// Who signs. The blocking driver polls its futures on a thread without a runtime.
    pub fn with_signer(mut self, signer: impl Signer) -> Self {
        self.shared.signer = Some(Arc::new(signer));
        self
    }

    /// Keeps what is known of the nodes, and begins with what the store has of those in the pool. Blocks.
    ///
    /// # Errors
    ///
    /// [`PoolStoreError`], when the store cannot be read.
    pub fn with_store(mut self, store: Arc<dyn Store>) -> Result<Self, PoolStoreError> {
        // A driver's clock begins with the driver.
        self.shared.pool().load(Mono::ZERO, &*store)?;
        self.shared.store = Some(store);
        Ok(self)
    }

    /// How many exchanges the blocking driver has under way, each on a thread; others wait for one to end. Default: 64.
    #[cfg(feature = "blocking")]
    pub const fn with_exchanges(mut self, max: NonZeroUsize) -> Self {
        self.exchanges = max;
        self
    }

    /// The async driver.
    #[cfg(feature = "tokio")]
    pub fn client(self, transport: impl Transport) -> VerifiedClient<V> {
        VerifiedClient::make(self.shared, self.config, transport)
    }

    /// The blocking driver.
    #[cfg(feature = "blocking")]
    pub fn blocking(self, transport: impl BlockingTransport) -> BlockingVerified<V> {
        BlockingVerified::make(self.shared, self.config, transport, self.exchanges)
    }
}

impl<V> Shared<V> {
    /// The pool, for a moment: never while anybody's code runs that is not ours.
    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Verifier> Shared<V> {
    /// A request and its number.
    pub(super) fn begin(&self, now: Mono, request: V::Request, config: VerifiedConfig) -> (u64, Verified<V>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let seed = self.seed.wrapping_add(number);
        let verifier = self.verifier.clone();
        (number, Verified::new(now, &mut &self.pool, verifier, request, config, seed))
    }
}
