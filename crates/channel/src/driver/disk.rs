//! The driver's side of a channel's store: what waits to be written, commits, and the way back after one that failed.
//!
//! The rule: what the machine has let out stays inside the task until what it wrote before is on disk. Store calls block,
//! so they run where blocking is allowed.

use crate::durable::{EventLog, EventSeq, LoggedEvent, Recovery, RecoveryError};
use crate::{ChannelId, ReliableChannel};
use quorate_base::{Backoff, Batch, Entries, Mono, Op, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of writes that wait for something that has to wait for them.
const MAX_UNWRITTEN: usize = 4 << 20;
/// What an operation costs beside its key and value.
const OP_COST: usize = 64;
/// How long writes wait for something that has to wait for them.
const WRITE_DELAY: Duration = Duration::from_millis(50);
/// How often a commit is tried before the channel goes back to what is on disk.
const COMMITS: u32 = 4;
/// How often that is tried before the channel is closed.
const RELOADS: u32 = 12;
/// Bytes of events that are read from the log at one go.
const PAGE_BYTES: usize = 256 << 10;

/// Why a channel could not be opened on a store, or had to be closed. What is stored is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records make no channel.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The application has dealt with events that the store does not know: it is older than the cursor.
    #[error("the cursor is {cursor:?}, the last event in the store is {last:?}")]
    CursorAhead {
        /// The application's cursor.
        cursor: EventSeq,
        /// The last event.
        last: EventSeq,
    },
    /// A channel with this id is open. The caller's fault; it stays open.
    #[error("channel {0} is open already")]
    Duplicate(ChannelId),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

/// A channel's store and what waits to be written to it.
#[derive(Debug)]
pub(super) struct Disk {
    store: StoreHandle,
    log: EventLog,
    unwritten: Vec<Op>,
    bytes: usize,
    write_by: Option<Mono>,
    /// Nothing comes after what waits.
    is_last: bool,
    /// Nobody listens to events in this process.
    is_deaf: bool,
    /// The last event that was told, or is about to be.
    pub(super) told: EventSeq,
    /// Whether events are to be read from the log before new ones are told.
    pub(super) is_behind: bool,
}

/// A store that can be named in a debug output.
#[derive(Clone)]
pub(super) struct StoreHandle(pub(super) Arc<dyn Store>);

impl std::fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Disk {
    pub(super) fn new(store: Arc<dyn Store>, channel: &ReliableChannel, told: EventSeq) -> Self {
        Self {
            store: StoreHandle(store),
            log: EventLog::new(&channel.identity().channel),
            unwritten: Vec::new(),
            bytes: 0,
            write_by: None,
            is_last: false,
            is_deaf: false,
            told,
            is_behind: channel.events().1 > told,
        }
    }

    pub(super) const fn store(&self) -> &StoreHandle {
        &self.store
    }

    /// Nobody listens any more; the log keeps the events for the next process.
    pub(super) const fn deafen(&mut self) {
        self.is_deaf = true;
    }

    pub(super) const fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// What waits is to be written at once.
    pub(super) fn write_now(&mut self) {
        self.is_last = true;
    }

    pub(super) fn push(&mut self, now: Mono, op: Op) {
        self.bytes += OP_COST
            + match &op {
                Op::Put { key, value } => key.len() + value.len(),
                Op::Delete { key } => key.len(),
            };
        self.unwritten.push(op);
        self.write_by.get_or_insert(now + WRITE_DELAY);
    }

    /// When what waits is to be written although nothing waits for it.
    pub(super) const fn write_by(&self) -> Option<Mono> {
        self.write_by
    }

    /// Whether there is something to write, and `waits` or it has waited long enough.
    pub(super) fn must_write(&self, now: Mono, waits: bool) -> bool {
        !self.unwritten.is_empty()
            && (waits
                || self.is_last
                || self.bytes > MAX_UNWRITTEN
                || self.write_by.is_some_and(|by| by <= now))
    }

    /// Writes what waits, in one transaction.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        let ops = std::mem::take(&mut self.unwritten);
        (self.bytes, self.write_by) = (0, None);
        let store = self.store.0.clone();
        let backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
        blocking(move || {
            let batch: Batch = ops.into_iter().collect();
            let mut attempt = 0;
            loop {
                match store.commit(batch.clone()) {
                    Err(error) if error.is_retryable() && attempt + 1 < COMMITS => {
                        tracing::warn!(%error, attempt, "a commit failed and is tried again");
                        std::thread::sleep(backoff.delay(attempt, 0.5));
                        attempt += 1;
                    }
                    outcome => return outcome,
                }
            }
        })
        .await
    }

    /// The next events of the log after those that were told; none when there are no more.
    pub(super) async fn next_events(&mut self) -> Result<Vec<LoggedEvent>, OpenError> {
        let events = read_events(self.store.clone(), self.log.clone(), self.told, PAGE_BYTES).await?;
        match events.last().and_then(|last| last.seq) {
            Some(last) => self.told = last,
            None => self.is_behind = false,
        }
        Ok(events)
    }

    /// Reads the channel's records again; tries until the store can be read.
    pub(super) async fn reload(&self, channel: &ChannelId) -> Result<Recovery, OpenError> {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        let mut attempt = 0;
        loop {
            match load(self.store.clone(), channel.clone()).await {
                Err(OpenError::Store(error)) if error.is_retryable() && attempt + 1 < RELOADS => {
                    tracing::warn!(%error, attempt, "the store cannot be read; it is tried again");
                    tokio::time::sleep(backoff.delay(attempt, 0.5)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Reads every record of a channel.
pub(super) async fn load(store: StoreHandle, channel: ChannelId) -> Result<Recovery, OpenError> {
    blocking(move || {
        let mut recovery = Recovery::new(&channel);
        for entry in Entries::new(store.0.as_ref(), recovery.prefix()) {
            recovery.handle_record(entry?)?;
        }
        Ok(recovery)
    })
    .await
}

/// Reads the events after `cursor`, as many as fit into `max_bytes` and at least one where there is any.
pub(super) async fn read_events(
    store: StoreHandle,
    log: EventLog,
    cursor: EventSeq,
    max_bytes: usize,
) -> Result<Vec<LoggedEvent>, OpenError> {
    blocking(move || {
        let page = store.0.scan(&log.prefix(), Some(&log.key(cursor)), max_bytes)?;
        page.into_iter().map(|entry| Ok(log.read(entry)?)).collect()
    })
    .await
}

async fn blocking<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        // The store panicked, or the runtime is going away.
        Err(StoreError::Io(Box::new(error)).into())
    })
}

#[cfg(test)]
mod tests;
