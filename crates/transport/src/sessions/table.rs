//! The table: which peers there are, and who owns the connection to each.
//!
//! The rule: every change of a slot happens under the table's one lock, in a few lines that neither
//! wait nor call anybody.

use super::outbox::Outbox;
use crate::{ConnectError, ConnectionId, ConnectionMeter, Slot};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;

/// Peers by the text that tells them apart.
#[derive(Default)]
pub(super) struct Table {
    pub(super) closed: bool,
    pub(super) peers: HashMap<Box<str>, Entry>,
}

/// A peer's place.
pub(super) struct Entry {
    pub(super) peer: Arc<Peer>,
    pub(super) slot: Slot,
    /// The task that holds the slot, or waits for the winner.
    pub(super) holder: Holder,
    /// The connection is being closed by us: this entry takes nothing new.
    pub(super) closing: bool,
}

/// How to reach the task that holds a slot.
pub(super) struct Holder {
    pub(super) stop: watch::Sender<Option<Stop>>,
    /// Closed when the task's connection is gone for the handlers and its queue is in order.
    pub(super) done: watch::Receiver<()>,
    pub(super) meter: Option<ConnectionMeter>,
}

/// What those who send and the task that writes have in common.
pub(super) struct Peer {
    pub(super) name: Box<str>,
    pub(super) outbox: Outbox,
    phase: watch::Sender<Phase>,
}

/// How far the connection to a peer is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    Connecting,
    Ready,
    /// It was ready, and is on its way out.
    Ending,
    Ended(ConnectError),
}

/// Why a task has to end its connection.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stop {
    /// We disconnect, for this reason.
    Graceful(String),
    /// Another connection took its place.
    Superseded,
}

impl Table {
    /// Tells the task of the named peer to stop. The peer, if there is one.
    pub(super) fn stop(&mut self, name: &str, stop: Stop) -> Option<Arc<Peer>> {
        let entry = self.peers.get_mut(name)?;
        entry.close(stop);
        Some(Arc::clone(&entry.peer))
    }

    /// Tells all tasks to stop.
    pub(super) fn stop_all(&mut self, stop: &Stop) {
        for entry in self.peers.values_mut() {
            entry.close(stop.clone());
        }
    }

    /// The entry of exactly this peer value; one that took its name later is another.
    pub(super) fn entry_of(&mut self, peer: &Arc<Peer>) -> Option<&mut Entry> {
        self.peers.get_mut(&peer.name).filter(|entry| Arc::ptr_eq(&entry.peer, peer))
    }
}

impl Entry {
    /// A place for a peer, without a task.
    pub(super) fn new(name: &str, ours_wins: bool, queue_bytes: usize) -> Self {
        let peer = Peer {
            name: name.into(),
            outbox: Outbox::new(queue_bytes),
            phase: watch::Sender::new(Phase::Connecting),
        };
        let holder = Holder::new().0;
        Self { peer: Arc::new(peer), slot: Slot::new(ours_wins), holder, closing: false }
    }

    /// The first reason to close stays.
    fn close(&mut self, stop: Stop) {
        self.holder.stop(stop);
        self.retire();
    }

    /// Takes nothing new; whoever comes now begins anew when this is over.
    pub(super) fn retire(&mut self) {
        self.closing = true;
        self.peer.ending();
    }

    /// The current connection gives way to another: what is queued waits for that one.
    pub(super) fn displace(&mut self) {
        self.peer.connecting();
        self.holder.stop(Stop::Superseded);
    }

    /// Frames that came over the current connection.
    pub(super) fn frames_received(&self) -> u64 {
        self.holder.meter.as_ref().map_or(0, ConnectionMeter::frames_received)
    }

    /// The preflights of `id` are done; `false` when it lost its place.
    pub(super) fn activate(&mut self, id: ConnectionId, meter: &ConnectionMeter) -> bool {
        let holds = self.slot.handle_ready(id);
        if holds {
            self.holder.meter = Some(meter.clone());
            self.peer.outbox.open();
            self.peer.phase.send_replace(Phase::Ready);
        }
        holds
    }
}

impl Holder {
    /// A holder, and the task's ends of it.
    pub(super) fn new() -> (Self, watch::Receiver<Option<Stop>>, watch::Sender<()>) {
        let (stop, stopped) = watch::channel(None);
        let (finished, done) = watch::channel(());
        (Self { stop, done, meter: None }, stopped, finished)
    }

    fn stop(&self, stop: Stop) {
        self.stop.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(stop);
            }
            first
        });
    }
}

impl Peer {
    /// Waits until the connection is past the preflights, or has failed. `false`: it is ending already.
    pub(super) async fn ready(&self) -> Result<bool, ConnectError> {
        match self.wait(|phase| *phase != Phase::Connecting).await {
            Phase::Ended(error) => Err(error),
            phase => Ok(phase == Phase::Ready),
        }
    }

    /// Waits until the connection is over.
    pub(super) async fn ended(&self) {
        self.wait(|phase| matches!(phase, Phase::Ended(_))).await;
    }

    async fn wait(&self, reached: impl FnMut(&Phase) -> bool) -> Phase {
        match self.phase.subscribe().wait_for(reached).await {
            Ok(phase) => phase.clone(),
            // The sender lives as long as `self`.
            Err(_) => Phase::Ended(ConnectError::Ended { reason: String::new() }),
        }
    }

    /// Whether anybody waits for the connection.
    pub(super) fn is_awaited(&self) -> bool {
        self.phase.receiver_count() > 0 || !self.outbox.is_empty()
    }

    /// Another connection is on its way.
    pub(super) fn connecting(&self) {
        self.phase.send_replace(Phase::Connecting);
        self.outbox.hold();
    }

    /// Takes nothing new, and writes what is there.
    fn ending(&self) {
        self.outbox.drain();
        self.phase.send_if_modified(|phase| {
            let was_ready = *phase == Phase::Ready;
            if was_ready {
                *phase = Phase::Ending;
            }
            was_ready
        });
    }

    /// The end; returns how many frames were never written.
    pub(super) fn end(&self, error: ConnectError) -> usize {
        let unsent = self.outbox.close();
        self.phase.send_if_modified(|phase| {
            let first = !matches!(phase, Phase::Ended(_));
            if first {
                *phase = Phase::Ended(error);
            }
            first
        });
        unsent
    }
}
