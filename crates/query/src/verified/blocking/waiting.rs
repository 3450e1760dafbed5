//! Whether anybody still waits for an exchange.
//!
//! The rule: who stops waiting says so once, and what was registered to be stopped is stopped then, or at once if it comes later.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an exchange is told of those who wait for it: for how long, and when nobody does any more.
#[derive(Clone)]
pub struct Waiting {
    timeout: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    over: bool,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Waiting {
    /// Somebody waits, for that long at most.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, state: Arc::default() }
    }

    /// The same waiting, with less time.
    #[must_use]
    pub(super) fn left(&self, timeout: Duration) -> Self {
        Self { timeout, state: self.state.clone() }
    }

    /// The longest that the exchange may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether nobody waits any more.
    pub fn is_over(&self) -> bool {
        self.state().over
    }

    /// Nobody waits any more: what is under way is stopped.
    pub fn end(&self) {
        let stop = {
            let mut state = self.state();
            state.over = true;
            state.stop.take()
        };
        if let Some(stop) = stop {
            stop();
        }
    }

    /// Does `work`. When nobody waits any more, `stop` is called from another thread (once, or before the work where that is so
    /// already): it should make the work end, such as by shutting its socket down.
    ///
    /// What the work gave, and whether it was stopped.
    pub fn until_over<T>(&self, stop: impl FnOnce() + Send + 'static, work: impl FnOnce() -> T) -> (T, bool) {
        let registered = {
            let mut state = self.state();
            match state.over {
                true => Some(stop),
                false => {
                    state.stop = Some(Box::new(stop));
                    None
                }
            }
        };
        if let Some(stop) = registered {
            stop();
        }
        let done = work();
        let mut state = self.state();
        state.stop = None;
        (done, state.over)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("timeout", &self.timeout).field("over", &self.is_over()).finish()
    }
}
