//! The way from the network into the task: bounded in bytes and in number, and it never waits.

use crate::envelope::{MAX_ENVELOPE_BYTES, MessageEnvelope};
use crate::stats::ChannelStats;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of envelopes that may wait for the task.
const INTAKE_BYTES: usize = 64 << 20;
/// What an envelope costs beside its payload.
const ENVELOPE_COST: usize = 1 << 10;

/// The end that the network has.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    envelopes: mpsc::Sender<Taken>,
    budget: Arc<Semaphore>,
    refused: Arc<Refused>,
}

/// Envelopes that the task never saw, by cause.
#[derive(Debug, Default)]
pub(super) struct Refused {
    full: AtomicU64,
    oversized: AtomicU64,
}

/// An envelope on its way to the task.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) envelope: MessageEnvelope,
    /// Gives the bytes back when the envelope was handled.
    _permit: OwnedSemaphorePermit,
}

impl Intake {
    /// At most `queue` envelopes wait.
    pub(super) fn new(queue: usize) -> (Self, mpsc::Receiver<Taken>, Arc<Refused>) {
        let (envelopes, taken) = mpsc::channel(queue);
        let refused = Arc::<Refused>::default();
        let budget = Arc::new(Semaphore::new(INTAKE_BYTES));
        (Self { envelopes, budget, refused: refused.clone() }, taken, refused)
    }

    /// Takes an envelope; `false` where it was dropped, and counted.
    pub(super) fn push(&self, envelope: MessageEnvelope) -> bool {
        if envelope.payload.len() > MAX_ENVELOPE_BYTES {
            self.refused.oversized.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let taken = self.admit(envelope).is_some_and(|taken| self.envelopes.try_send(taken).is_ok());
        if !taken {
            self.refused.full.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn admit(&self, envelope: MessageEnvelope) -> Option<Taken> {
        let cost = u32::try_from(envelope.payload.len() + ENVELOPE_COST).ok()?;
        let permit = self.budget.clone().try_acquire_many_owned(cost).ok()?;
        Some(Taken { envelope, _permit: permit })
    }
}

impl Refused {
    /// Counts them to what the machine refused.
    pub(super) fn add_to(&self, stats: &mut ChannelStats) {
        let add = |to: &mut u64, count: &AtomicU64| *to = to.saturating_add(count.load(Ordering::Relaxed));
        add(&mut stats.refused, &self.full);
        add(&mut stats.oversized, &self.oversized);
    }
}
