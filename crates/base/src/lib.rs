//! What Quorate's layers share and no protocol: time, backoff, the store.
//!
//! **What it is.** Three small things that every layer needs in the same shape, so that a driver
//! for one layer can drive another: [`Now`] (time as an argument), [`Backoff`] (delays that grow,
//! with jitter from a number the caller draws), and [`Store`] (an ordered map with atomic, durable
//! batches) with [`MemoryStore`] as its smallest implementation and `RedbStore` as the one that stays.
//!
//! **What it does not do.** It reads no clock, draws no randomness and opens no file: the machines
//! of the other crates are deterministic because nothing in here is not. The two exceptions are for drivers only:
//! [`TokioClock`] stands behind the feature `tokio`, the store in a file behind `redb`.
//!
//! ```
//! use quorate_base::{Backoff, Mono, Now, Wall};
//! use std::time::Duration;
//!
//! let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_700_000_000_000));
//! let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
//! let retry_at = now.mono + backoff.delay(0, 0.5);
//! assert_eq!(retry_at.since(now.mono), Duration::from_millis(100));
//! ```
//!
//! **Features.** `tokio`: [`TokioClock`]. `redb`: `RedbStore`, a store in one file. `bech32m`: bytes as text that somebody copies.
//! None is on by default.

mod backoff;
#[cfg(feature = "bech32m")]
pub mod bech32m;
#[cfg(feature = "tokio")]
mod clock;
mod store;
mod time;

pub use backoff::Backoff;
#[cfg(feature = "tokio")]
pub use clock::TokioClock;
pub use store::{Batch, Entries, Entry, MemoryStore, Op, Store, StoreError};
#[cfg(feature = "redb")]
pub use store::{REDB_SCHEMA, RedbStore};
pub use time::{Mono, Now, Wall};
