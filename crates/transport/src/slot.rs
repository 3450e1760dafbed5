//! Which connection to a peer counts, when both sides dial at the same time.
//!
//! The rule: of two connections that crossed, the one dialed by the larger ident stays, and both
//! sides come to that by themselves. A connection that is gone for the peer but not yet for us
//! never locks the peer out: a peer that dials again in the same direction, or a second time, wins.

use crate::Direction;

/// One connection (attempt) within a [`Slot`]. Never used again within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// The place of one peer in the table of connections: at most one connection holds it.
///
/// Pure: inputs are `handle_*`, each of which returns what the driver has to do.
#[derive(Debug)]
pub struct Slot {
    /// Whether a connection that we dialed beats one that the peer dialed.
    ours_wins: bool,
    current: Option<Current>,
    /// The peer told us that our connection lost, and the winner is not here yet.
    awaiting_winner: bool,
    next: u64,
}

#[derive(Debug)]
struct Current {
    id: ConnectionId,
    direction: Direction,
    ready: bool,
    /// How many frames had come over the connection when the peer last dialed in spite of it.
    challenged_at: Option<u64>,
}

/// What to do with a link that the peer dialed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incoming {
    /// It holds the slot now.
    Accept {
        /// Its id.
        id: ConnectionId,
        /// The connection that held the slot: to be closed as superseded. What waited to be written to
        /// it goes to the new one.
        displaced: Option<ConnectionId>,
    },
    /// Close it as superseded: ours stays.
    Supersede,
}

/// What the end of a connection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotEnd {
    /// It had lost the slot before: nothing more to do.
    Stale,
    /// The peer prefers another one: wait for it a while, then call [`Slot::handle_winner_missing`].
    AwaitWinner,
    /// The slot is empty.
    Empty,
}

impl Slot {
    /// An empty slot. `ours_wins`: our ident is larger than the peer's.
    pub const fn new(ours_wins: bool) -> Self {
        Self { ours_wins, current: None, awaiting_winner: false, next: 0 }
    }

    /// Somebody wants a connection: the id to dial under, or `None` when there is one, or one on its way.
    pub fn handle_dial(&mut self) -> Option<ConnectionId> {
        if self.current.is_some() || self.awaiting_winner {
            return None;
        }
        Some(self.hold(Direction::Outgoing))
    }

    /// The peer dialed us. `received`: the frames that came over the current connection so far.
    pub fn handle_incoming(&mut self, received: u64) -> Incoming {
        if let Some(current) = &mut self.current
            && current.direction == Direction::Outgoing
            && self.ours_wins
        {
            // A peer whose dial crossed ours waits for ours. One that dials again did not get ours, or
            // lost it, unless something has come over it since.
            let insists = current.challenged_at == Some(received);
            current.challenged_at = Some(received);
            if !insists {
                return Incoming::Supersede;
            }
        }
        let displaced = self.current.take().map(|current| current.id);
        Incoming::Accept { id: self.hold(Direction::Incoming), displaced }
    }

    /// The preflights of `id` are done. `false`: it lost the slot meanwhile.
    pub fn handle_ready(&mut self, id: ConnectionId) -> bool {
        match &mut self.current {
            Some(current) if current.id == id => {
                current.ready = true;
                true
            }
            _ => false,
        }
    }

    /// `id` is over; `superseded`: because the peer said that another one stays.
    pub fn handle_ended(&mut self, id: ConnectionId, superseded: bool) -> SlotEnd {
        if self.current() != Some(id) {
            return SlotEnd::Stale;
        }
        self.current = None;
        self.awaiting_winner = superseded;
        if superseded { SlotEnd::AwaitWinner } else { SlotEnd::Empty }
    }

    /// The wait for the winner is over: the id to dial under, or `None` when it came.
    pub fn handle_winner_missing(&mut self) -> Option<ConnectionId> {
        self.awaiting_winner = false;
        self.handle_dial()
    }

    /// The connection that holds the slot.
    pub fn current(&self) -> Option<ConnectionId> {
        self.current.as_ref().map(|current| current.id)
    }

    /// Whether a connection that is past the preflights holds the slot.
    pub fn is_ready(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.ready)
    }

    fn hold(&mut self, direction: Direction) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next += 1;
        self.awaiting_winner = false;
        self.current = Some(Current { id, direction, ready: false, challenged_at: None });
        id
    }
}

#[cfg(test)]
mod tests;
