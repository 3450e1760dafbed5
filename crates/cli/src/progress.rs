//! Progress bars on standard error, where that is a terminal; else nothing.
//!
//! The rule: whoever reads the output with a program sees no bar and no escape sequence.

use crate::output;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// The bars of a running command. Dropping it leaves them as they are.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bars: MultiProgress,
}

/// One bar of bytes.
#[derive(Debug, Clone)]
pub(crate) struct Bar(ProgressBar);

impl Progress {
    /// Bars where standard error is a terminal.
    pub(crate) fn on_terminal() -> Self {
        let shown = std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target) }
    }

    /// No bars.
    pub(crate) fn hidden() -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()) }
    }

    /// A bar of `total` bytes, labelled `label`.
    pub(crate) fn bar(&self, label: &str, total: u64) -> Bar {
        let bar = ProgressBar::new(total);
        let template = "{prefix:>18.bold} [{bar:32}] {decimal_bytes:>10} / {decimal_total_bytes:<10} {decimal_bytes_per_sec:>12} {msg}";
        // The template is a constant that a test reads; the plain bar is as good.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(output::tame(label));
        Bar(self.bars.add(bar))
    }

    /// Writes a line to standard error, above the bars.
    pub(crate) fn say(&self, text: &str) {
        self.bars.suspend(|| output::say(text));
    }

    /// Writes a line to standard output, above the bars.
    pub(crate) fn line(&self, text: &str) {
        self.bars.suspend(|| output::line(text));
    }
}

impl Bar {
    /// So many more bytes are there.
    pub(crate) fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// So many bytes are there.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set_position(bytes);
    }

    /// It stays as it is, with `text` behind it.
    pub(crate) fn finish(&self, text: &str) {
        self.0.finish_with_message(text.to_owned());
    }

    /// It stays where it is, with `text` behind it: it did not come to its end.
    pub(crate) fn abandon(&self, text: &str) {
        self.0.abandon_with_message(text.to_owned());
    }
}
