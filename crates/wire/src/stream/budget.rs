//! One bound on the unfinished frames of all connections together.
//!
//! The rule: what a decoder holds of an unfinished frame is charged here before it is kept, and given
//! back when the finished frame was taken and its taker comes back for more, or the decoder is dropped. The first [`FREE`] bytes of each are not: who
//! sends small frames does not notice that others have used up the budget.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Bytes of an unfinished frame that cost nothing.
pub(super) const FREE: usize = 16 << 10;

/// How many bytes of unfinished frames all decoders that share it may hold. A clone is the same budget.
///
/// The first 16 KiB of each unfinished frame are not charged: that many small frames may be under way on
/// every stream, whatever others do.
#[derive(Debug, Clone)]
pub struct PartialBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
}

impl PartialBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { limit, used: AtomicUsize::new(0) }))
    }

    /// The limit, in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// How much of it is taken, in bytes.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, or nothing where not all of them are left.
    fn take(&self, bytes: usize) -> bool {
        self.0
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&used| used <= self.0.limit)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One decoder's part of a budget; dropping it gives everything back.
#[derive(Debug)]
pub(super) struct Charge {
    budget: Option<PartialBudget>,
    taken: usize,
}

impl Charge {
    pub(super) const fn new(budget: Option<PartialBudget>) -> Self {
        Self { budget, taken: 0 }
    }

    /// Makes the part `bytes` large; whether there was room. Without room nothing changes.
    pub(super) fn set(&mut self, bytes: usize) -> bool {
        let Some(budget) = &self.budget else { return true };
        let bytes = bytes.saturating_sub(FREE);
        if bytes > self.taken {
            if !budget.take(bytes - self.taken) {
                return false;
            }
        } else if bytes < self.taken {
            budget.give_back(self.taken - bytes);
        }
        self.taken = bytes;
        true
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}
