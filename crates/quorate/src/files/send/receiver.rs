//! One receiver as its sender knows it: what it last said.

use crate::files::chunks::ChunkSet;
use crate::files::manifest::Manifest;
use crate::files::message::{Have, Refused};
use crate::files::peer::PeerName;

/// How far a receiver is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiverState {
    /// It is there, as the application knows, and has not answered yet.
    Silent,
    /// It lacks something, or verifies.
    Receiving,
    /// It has every file, verified.
    Complete,
    /// It cannot take the transfer.
    Refused(Refused),
}

/// A receiver and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverStatus<'a> {
    /// Its name.
    pub name: &'a PeerName,
    /// How far it is.
    pub state: &'a ReceiverState,
    /// Bytes it said it has.
    pub held: u64,
    /// Bytes it said it read back.
    pub checked: u64,
}

#[derive(Debug)]
pub(super) struct Receiver {
    state: ReceiverState,
    held: ChunkSet,
    held_bytes: u64,
    checked: u64,
    incarnation: Option<u64>,
    /// It has said what it lacks since it last started (and was not busy finding out).
    synced: bool,
    /// What the last progress event said.
    told: (u64, u64),
}

impl Receiver {
    pub(super) fn new(manifest: &Manifest) -> Self {
        Self {
            state: ReceiverState::Silent,
            held: ChunkSet::new(manifest.total_chunks()),
            held_bytes: 0,
            checked: 0,
            incarnation: None,
            synced: false,
            told: (0, 0),
        }
    }

    /// Takes a report over. Whether it is the first full one since the receiver started: then
    /// whatever it lacks is lost, however recently it was delivered.
    pub(super) fn handle_have(&mut self, have: &Have, held: ChunkSet, manifest: &Manifest) -> bool {
        self.state = ReceiverState::Receiving;
        if self.incarnation.replace(have.incarnation) != Some(have.incarnation) {
            self.synced = false;
        }
        self.held_bytes = bytes_of(&held, manifest);
        self.held = held;
        self.checked = have.checked;
        let first = !self.synced && !have.busy;
        self.synced |= first;
        first
    }

    /// Whether that is news.
    pub(super) fn handle_complete(&mut self, manifest: &Manifest) -> bool {
        self.held = ChunkSet::full(manifest.total_chunks());
        self.held_bytes = manifest.total_bytes();
        std::mem::replace(&mut self.state, ReceiverState::Complete) != ReceiverState::Complete
    }

    /// Whether that is news.
    pub(super) fn handle_refused(&mut self, refused: &Refused) -> bool {
        // Its next report comes after it opened the transfer anew.
        self.synced = false;
        let state = ReceiverState::Refused(refused.clone());
        std::mem::replace(&mut self.state, state.clone()) != state
    }

    /// Bytes held and read back, if either changed since the last call.
    pub(super) fn take_progress(&mut self) -> Option<(u64, u64)> {
        let now = (self.held_bytes, self.checked);
        (std::mem::replace(&mut self.told, now) != now).then_some(now)
    }

    pub(super) fn held(&self) -> &ChunkSet {
        &self.held
    }

    /// Whether it said that it lacks something, and not yet that it has all.
    pub(super) fn is_receiving(&self) -> bool {
        self.state == ReceiverState::Receiving
    }

    pub(super) fn is_silent(&self) -> bool {
        self.state == ReceiverState::Silent
    }

    /// Whether nothing more is expected of it.
    pub(super) fn is_settled(&self) -> bool {
        !self.is_receiving() && !self.is_silent()
    }

    pub(super) fn status<'a>(&'a self, name: &'a PeerName) -> ReceiverStatus<'a> {
        ReceiverStatus { name, state: &self.state, held: self.held_bytes, checked: self.checked }
    }
}

/// The bytes of the chunks in `held`.
fn bytes_of(held: &ChunkSet, manifest: &Manifest) -> u64 {
    let size = u64::from(manifest.chunk_size());
    (0..manifest.file_count())
        .map(|file| {
            let chunks = manifest.chunks_of(file);
            let full = u64::from(held.count_in(chunks.clone())) * size;
            let last = chunks.end.checked_sub(1).filter(|last| chunks.contains(last) && held.contains(*last));
            let short = last.and_then(|last| manifest.place_of(last)).map_or(0, |p| size - u64::from(p.len));
            full - short
        })
        .sum()
}
