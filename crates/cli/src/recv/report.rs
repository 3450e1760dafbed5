//! What a receiver shows: bars and names for people, events for programs.
//!
//! The rule: a name is shown when the file stands under it, whole, and not before.

use crate::output;
use crate::progress::{Bar, Progress};
use indicatif::DecimalBytes;
use quorate::files::message::RefusedReason;
use quorate::files::{InboxEvent, Manifest, TransferId};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Shows what happens.
pub(super) struct Reporter {
    dir: PathBuf,
    progress: Progress,
    json: bool,
    transfers: HashMap<TransferId, Transfer>,
}

struct Transfer {
    manifest: Manifest,
    bar: Bar,
}

impl Reporter {
    pub(super) fn new(dir: &Path, progress: Progress, json: bool) -> Self {
        Self { dir: dir.to_owned(), progress, json, transfers: HashMap::new() }
    }

    /// Shows an event; `true` when it is that a transfer is complete.
    pub(super) fn tell(&mut self, event: &InboxEvent) -> bool {
        if self.json
            && let Some(object) = self.to_json(event)
        {
            output::json(&object);
        }
        self.show(event);
        matches!(event, InboxEvent::Completed { .. })
    }

    fn show(&mut self, event: &InboxEvent) {
        match event {
            InboxEvent::Opened { from, manifest } => {
                let (total, files) = (manifest.total_bytes(), manifest.file_count());
                self.say(&format!("{from} sends {} in {files} file(s)", DecimalBytes(total)));
                let bar = self.progress.bar(from.as_str(), total);
                self.transfers.insert(manifest.id(), Transfer { manifest: manifest.clone(), bar });
            }
            InboxEvent::Progress { transfer, held, .. } => {
                if let Some(transfer) = self.transfers.get(transfer) {
                    transfer.bar.set(*held);
                }
            }
            InboxEvent::Placed { name, .. } => {
                self.say(&format!("received {}", self.dir.join(name).display()))
            }
            InboxEvent::Rejected { attempt, .. } => {
                self.say(&format!(
                    "a file was not what its sender promised (attempt {attempt}); asking again"
                ));
            }
            InboxEvent::Completed { transfer, already } => {
                if let Some(done) = self.transfers.remove(transfer) {
                    done.bar.finish("complete");
                }
                self.say(if *already { "complete: all of it was here already" } else { "complete" });
            }
            InboxEvent::Refused { transfer, text, .. } => {
                if let Some(over) = self.transfers.remove(transfer) {
                    over.bar.abandon("refused");
                }
                self.say(&format!("refused a transfer: {text}"));
            }
            _ => {}
        }
    }

    /// A line for people, who read no JSON.
    fn say(&self, text: &str) {
        if !self.json {
            self.progress.say(text);
        }
    }

    fn to_json(&self, event: &InboxEvent) -> Option<Value> {
        Some(match event {
            InboxEvent::Opened { from, manifest } => {
                let files: Vec<_> = manifest
                    .files()
                    .iter()
                    .map(|file| json!({ "name": file.name, "bytes": file.size }))
                    .collect();
                json!({
                    "event": "opened",
                    "transfer": manifest.id().to_string(),
                    "from": from.as_str(),
                    "files": files,
                    "bytes": manifest.total_bytes(),
                })
            }
            InboxEvent::Progress { transfer, held, total } => json!({
                "event": "progress",
                "transfer": transfer.to_string(),
                "held": held,
                "total": total,
            }),
            InboxEvent::Placed { transfer, file, name, .. } => {
                let size = self.transfers.get(transfer).and_then(|known| known.manifest.file(*file));
                json!({
                    "event": "placed",
                    "transfer": transfer.to_string(),
                    "file": file,
                    "name": name,
                    "bytes": size.map(|entry| entry.size),
                })
            }
            InboxEvent::Rejected { transfer, file, attempt } => json!({
                "event": "rejected",
                "transfer": transfer.to_string(),
                "file": file,
                "attempt": attempt,
            }),
            InboxEvent::Completed { transfer, already } => json!({
                "event": "completed",
                "transfer": transfer.to_string(),
                "already": already,
            }),
            InboxEvent::Refused { transfer, reason, text } => json!({
                "event": "refused",
                "transfer": transfer.to_string(),
                "reason": reason_name(*reason),
                "text": text,
            }),
            _ => return None,
        })
    }
}

/// What programs call a reason.
pub(crate) const fn reason_name(reason: RefusedReason) -> &'static str {
    match reason {
        RefusedReason::Full => "full",
        RefusedReason::CannotWrite => "cannot-write",
        RefusedReason::UnacceptableName => "unacceptable-name",
        RefusedReason::TooManyTransfers => "too-many-transfers",
        RefusedReason::Corrupt => "corrupt",
        _ => "other",
    }
}
