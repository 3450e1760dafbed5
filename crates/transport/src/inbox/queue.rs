//! The queue of an inbox: one order for all, a budget for each peer, and one message of a peer that waits for room.
//!
//! The rule: pure. What is in here, waiting messages included, never costs more than the total, and no
//! message of a peer overtakes another of it.

use super::InboxStats;
use quorate_wire::PeerUrl;
use std::collections::{HashMap, VecDeque};

/// Messages `M`, and for those that wait a `W` that says whom to tell.
#[derive(Debug)]
pub(super) struct Queue<M, W> {
    messages: VecDeque<Item<M>>,
    peers: HashMap<PeerUrl, Peer<M, W>>,
    peer_bytes: usize,
    total_bytes: usize,
    /// What everything in here costs.
    used: usize,
    next: u64,
    dropped: u64,
    waited: u64,
    refused: u64,
}

#[derive(Debug)]
struct Item<M> {
    peer: PeerUrl,
    cost: usize,
    message: M,
}

/// A peer of whom something is in here.
#[derive(Debug)]
struct Peer<M, W> {
    /// What its queued messages cost.
    used: usize,
    waiting: Option<Waiting<M, W>>,
}

#[derive(Debug)]
struct Waiting<M, W> {
    ticket: u64,
    cost: usize,
    message: M,
    waiter: W,
}

/// What became of a message.
#[derive(Debug, PartialEq)]
pub(super) enum Pushed<M> {
    Queued,
    /// The peer has no room.
    PeerFull(M),
    /// There is no room at all.
    AllFull(M),
}

impl<M, W> Queue<M, W> {
    pub(super) fn new(peer_bytes: usize, total_bytes: usize) -> Self {
        Self {
            messages: VecDeque::new(),
            peers: HashMap::new(),
            peer_bytes,
            total_bytes,
            used: 0,
            next: 0,
            dropped: 0,
            waited: 0,
            refused: 0,
        }
    }

    /// Takes a message if the peer has room for it and none of its messages waits.
    pub(super) fn push(&mut self, peer: PeerUrl, cost: usize, message: M) -> Pushed<M> {
        let known = self.peers.get(&peer);
        if known.is_some_and(|known| known.waiting.is_some() || !fits(known.used, cost, self.peer_bytes)) {
            return Pushed::PeerFull(message);
        }
        if !fits(self.used, cost, self.total_bytes) {
            return Pushed::AllFull(message);
        }
        self.used += cost;
        self.peers.entry(peer.clone()).or_insert(Peer { used: 0, waiting: None }).used += cost;
        self.messages.push_back(Item { peer, cost, message });
        Pushed::Queued
    }

    /// Lets a message wait for the peer's room. `false`: another one waits, or there is no room at all, and the
    /// message was dropped.
    pub(super) fn wait(&mut self, peer: &PeerUrl, cost: usize, message: M, waiter: W) -> bool {
        let room = fits(self.used, cost, self.total_bytes);
        let Some(known) = self.peers.get_mut(peer).filter(|known| room && known.waiting.is_none()) else {
            self.dropped += 1;
            return false;
        };
        known.waiting = Some(Waiting { ticket: self.next, cost, message, waiter });
        self.next += 1;
        self.used += cost;
        self.waited += 1;
        true
    }

    /// The next message, and the waiter of the message that got its room.
    pub(super) fn pop(&mut self) -> Option<(M, Option<W>)> {
        let Item { peer, cost, message } = self.messages.pop_front()?;
        self.used -= cost;
        let mut admitted = None;
        if let Some(known) = self.peers.get_mut(&peer) {
            known.used -= cost;
            let limit = self.peer_bytes;
            let used = known.used;
            if let Some(waiting) = known.waiting.take_if(|waiting| fits(used, waiting.cost, limit)) {
                known.used += waiting.cost;
                admitted = Some(waiting.waiter);
                let peer = peer.clone();
                self.messages.push_back(Item { peer, cost: waiting.cost, message: waiting.message });
            }
            if known.used == 0 && known.waiting.is_none() {
                self.peers.remove(&peer);
            }
        }
        Some((message, admitted))
    }

    /// What `look` makes of the peer's waiter, if one of its messages waits.
    pub(super) fn waiter<T>(&mut self, peer: &PeerUrl, look: impl FnOnce(u64, &mut W) -> T) -> Option<T> {
        let waiting = self.peers.get_mut(peer)?.waiting.as_mut()?;
        Some(look(waiting.ticket, &mut waiting.waiter))
    }

    /// Drops the message with this ticket if it still waits, and returns it.
    pub(super) fn give_up(&mut self, peer: &PeerUrl, ticket: u64) -> Option<M> {
        let known = self.peers.get_mut(peer)?;
        let waiting = known.waiting.take_if(|waiting| waiting.ticket == ticket)?;
        if known.used == 0 {
            self.peers.remove(peer);
        }
        self.used -= waiting.cost;
        self.dropped += 1;
        Some(waiting.message)
    }

    /// Drops everything, and returns those who wait.
    pub(super) fn clear(&mut self) -> Vec<W> {
        let waiters: Vec<_> =
            self.peers.drain().filter_map(|(_, peer)| peer.waiting).map(|waiting| waiting.waiter).collect();
        self.dropped += (self.messages.len() + waiters.len()) as u64;
        self.messages = VecDeque::new();
        self.used = 0;
        waiters
    }

    pub(super) const fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    pub(super) const fn count_refused(&mut self) {
        self.refused += 1;
    }

    pub(super) fn stats(&self) -> InboxStats {
        let Self { used: bytes, dropped, waited, refused, .. } = *self;
        InboxStats { messages: self.messages.len(), bytes, dropped, waited, refused }
    }
}

/// Whether there is room; what is larger than the limit fits where nothing else is.
const fn fits(used: usize, cost: usize, limit: usize) -> bool {
    used == 0 || used.saturating_add(cost) <= limit
}

#[cfg(test)]
mod tests;
