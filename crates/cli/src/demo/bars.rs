//! The demo's progress: one bar for reading, one for each receiver.

use crate::progress::{Bar, Progress};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The bars of a demo.
pub(crate) struct Bars {
    progress: Progress,
    receivers: Mutex<BTreeMap<String, Bar>>,
}

impl Bars {
    pub(crate) fn new(wanted: bool) -> Self {
        let progress = if wanted { Progress::on_terminal() } else { Progress::hidden() };
        Self { progress, receivers: Mutex::default() }
    }

    pub(crate) fn reading(&self, total: u64) -> Bar {
        self.progress.bar("reading", total)
    }

    pub(crate) fn receiver(&self, name: &str, total: u64) {
        let bar = self.progress.bar(name, total);
        self.lock().insert(name.to_owned(), bar);
    }

    pub(crate) fn progress(&self, name: &str, held: u64) {
        if let Some(bar) = self.lock().get(name) {
            bar.set(held);
        }
    }

    pub(crate) fn done(&self, name: &str) {
        if let Some(bar) = self.lock().remove(name) {
            bar.finish("verified");
        }
    }

    /// Leaves the bars of those who are not done where they are.
    pub(crate) fn finish(&self) {
        self.lock().values().for_each(|bar| bar.abandon("incomplete"));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bar>> {
        // Nothing that can panic half-way runs under this lock.
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
