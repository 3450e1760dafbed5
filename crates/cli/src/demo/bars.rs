//! Progress bars on a terminal, and nothing anywhere else.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

/// One bar for reading, one for each receiver.
pub(crate) struct Bars {
    all: MultiProgress,
    receivers: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    pub(crate) fn new(wanted: bool) -> Self {
        let visible = wanted && std::io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), receivers: Mutex::default() }
    }

    pub(crate) fn reading(&self, total: u64) -> ProgressBar {
        self.bar("reading", total)
    }

    pub(crate) fn receiver(&self, name: &str, total: u64) {
        let bar = self.bar(name, total);
        self.receivers.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), bar);
    }

    pub(crate) fn progress(&self, name: &str, held: u64) {
        self.with(name, |bar| bar.set_position(held));
    }

    pub(crate) fn done(&self, name: &str) {
        self.with(name, |bar| bar.finish_with_message("verified"));
    }

    pub(crate) fn finish(&self) {
        let receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner);
        receivers.values().filter(|bar| !bar.is_finished()).for_each(ProgressBar::abandon);
    }

    fn bar(&self, name: &str, total: u64) -> ProgressBar {
        const TEMPLATE: &str = "{prefix:>9} {wide_bar} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {msg}";
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.all.add(ProgressBar::new(total).with_style(style).with_prefix(name.to_owned()))
    }

    fn with(&self, name: &str, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.receivers.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            act(bar);
        }
    }
}
