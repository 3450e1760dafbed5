//! The calls of Kitsune2's backends, by URL, for those who come from there.
//!
//! The rule: thin. Behind each URL stands one connection as a value, so that all that holds for those holds
//! here: the first frame is the preflight, there is one of them, and an end is told once.

use crate::{
    AuthenticatedPeer, AwaitingPreflight, Close, Direction, OpenError, PeerViolation, PreflightError, Ready,
    RecvError, TxImpHnd, gate::Way, locked,
};
use bytes::Bytes;
use quorate_base::{Mono, Wall};
use quorate_wire::{DecodeError, FrameKind, ModuleId, PeerUrl, SpaceId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Connections by the URL of their peer: `peer_connect`, `recv_data`, `peer_disconnect`.
///
/// At most one for each URL. Whoever dials and is dialed at the same time needs [`TxImpHnd::open`], which yields
/// values, or `Sessions`, which decides between them.
#[derive(Debug)]
pub struct UrlConnections {
    hnd: Arc<TxImpHnd>,
    table: Mutex<HashMap<PeerUrl, State>>,
}

#[derive(Debug)]
enum State {
    Awaiting(AwaitingPreflight),
    Ready(Ready),
    /// A call has it in hand.
    Busy,
    /// A call has it in hand, and is to end it for this reason.
    Ending(String),
}

impl UrlConnections {
    /// An empty table on `hnd`.
    pub fn new(hnd: Arc<TxImpHnd>) -> Self {
        Self { hnd, table: Mutex::default() }
    }

    /// Opens a connection, in or out, and returns the preflight to send first, as bytes. On `Err` the link is to be closed.
    pub async fn peer_connect(
        &self,
        peer: AuthenticatedPeer,
        direction: Direction,
        now: Wall,
    ) -> Result<Bytes, UrlError> {
        let url = peer.url().clone();
        let hand = self.reserve(&url)?;
        let awaiting = self.hnd.open(peer, direction, now).await?;
        let preflight = awaiting.preflight().to_bytes();
        hand.put_back(State::Awaiting(awaiting));
        Ok(preflight)
    }

    /// Takes a frame from the peer: the first one is its preflight, the others go to their handlers. Where a handler
    /// wants the peer to be slowed down, this returns when that is over.
    ///
    /// On `Err` the link is to be closed; but for [`UrlError::Busy`] and [`UrlError::NotConnected`], the connection is over then and its
    /// end has been told.
    pub async fn recv_data(&self, peer: &PeerUrl, frame: Bytes) -> Result<(), UrlError> {
        let mut hand = self.take(peer)?;
        match hand.connection.take() {
            Some(State::Awaiting(awaiting)) => {
                let ready = awaiting.handle_preflight(frame).await?;
                hand.put_back(State::Ready(ready));
            }
            Some(State::Ready(mut ready)) => {
                ready.recv(frame)?;
                let pause = ready.take_pause();
                hand.connection = Some(State::Ready(ready));
                if let Some(pause) = pause {
                    pause.await;
                }
                hand.finish();
            }
            _ => {}
        }
        Ok(())
    }

    /// Charges what arrived to the peer's rate, as [`Ready::charge`] does: how long to wait before it goes to
    /// [`recv_data`](Self::recv_data).
    pub fn charge(&self, peer: &PeerUrl, now: Mono, frames: u64, bytes: u64) -> Result<Duration, UrlError> {
        let mut hand = self.take(peer)?;
        let wait = match hand.connection.as_mut() {
            Some(State::Ready(ready)) => ready.charge(now, frames, bytes),
            _ => Ok(Duration::ZERO),
        };
        match wait {
            Ok(wait) => {
                hand.finish();
                Ok(wait)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The link is gone. Nothing happens where there is no connection any more.
    pub fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        let reason = reason.unwrap_or_default();
        let state = {
            let mut table = locked(&self.table);
            match table.get_mut(peer) {
                Some(state @ State::Busy) => {
                    *state = State::Ending(reason.to_owned());
                    None
                }
                Some(State::Ending(_)) | None => None,
                Some(_) => table.remove(peer),
            }
        };
        end(state, reason);
    }

    fn reserve(&self, peer: &PeerUrl) -> Result<Hand<'_>, UrlError> {
        let mut table = locked(&self.table);
        if table.contains_key(peer) {
            return Err(UrlError::AlreadyConnected);
        }
        table.insert(peer.clone(), State::Busy);
        Ok(Hand { connections: self, peer: peer.clone(), connection: None, done: false })
    }

    fn take(&self, peer: &PeerUrl) -> Result<Hand<'_>, UrlError> {
        let mut table = locked(&self.table);
        let state = table.get_mut(peer).ok_or(UrlError::NotConnected)?;
        if matches!(state, State::Busy | State::Ending(_)) {
            return Err(UrlError::Busy);
        }
        let connection = Some(std::mem::replace(state, State::Busy));
        Ok(Hand { connections: self, peer: peer.clone(), connection, done: false })
    }
}

/// Tells the handlers, without a lock.
fn end(state: Option<State>, reason: &str) {
    match state {
        Some(State::Awaiting(awaiting)) => awaiting.disconnect(reason),
        Some(State::Ready(ready)) => ready.disconnect(reason),
        _ => {}
    }
}

/// A connection that a call has in hand: it goes back, or it is over.
struct Hand<'a> {
    connections: &'a UrlConnections,
    peer: PeerUrl,
    connection: Option<State>,
    done: bool,
}

impl Hand<'_> {
    fn put_back(mut self, state: State) {
        self.connection = Some(state);
        self.finish();
    }

    /// Puts the connection back, unless somebody ended it meanwhile.
    fn finish(mut self) {
        let mut table = locked(&self.connections.table);
        if let Some(place @ State::Busy) = table.get_mut(&self.peer)
            && let Some(state) = self.connection.take()
        {
            *place = state;
            self.done = true;
        }
    }
}

impl Drop for Hand<'_> {
    /// The call failed, or was dropped half-way, or somebody ended the connection meanwhile: it is over.
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let state = locked(&self.connections.table).remove(&self.peer);
        let reason = match state {
            Some(State::Ending(reason)) => reason,
            _ => String::new(),
        };
        end(self.connection.take(), &reason);
    }
}

impl TxImpHnd {
    /// Whether a message of this kind may pass from `peer` to `space`. One that may not is counted.
    ///
    /// Preflights, goodbyes and kinds that nobody knows always may. A message without a space, or to a module without one, is
    /// a violation: the connection is to be closed. A message to an unknown space may not, and counts as such, not as blocked. The connections ask
    /// this by themselves; it is here for backends that decide before they hand a frame on.
    pub fn check_message_permitted(
        &self,
        peer: &PeerUrl,
        space: Option<&SpaceId>,
        module: Option<&ModuleId>,
        kind: FrameKind,
    ) -> Result<bool, RecvError> {
        match kind {
            FrameKind::Notify => {}
            FrameKind::Module if module.is_some() || space.is_none() => {}
            FrameKind::Module => return Err(self.violated(DecodeError::MissingModule)),
            _ => return Ok(true),
        }
        let Some(space) = space else { return Err(self.violated(DecodeError::MissingSpace { kind })) };
        let handlers = self.registry.snapshot();
        let Some((handler, _)) = handlers.space(space) else {
            crate::counters::count(&self.counters.dropped_unknown_space);
            return Ok(false);
        };
        Ok(self.permits(handler, peer, !self.config().allow_unauthenticated, (space, module), Way::In)?)
    }

    fn violated(&self, error: DecodeError) -> RecvError {
        let violation = PeerViolation::Frame(error);
        self.count_violation(&violation);
        RecvError::Violation(violation)
    }
}

/// Why a call by URL failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is no connection to the peer, or it ended. Nothing was done.
    #[error("there is no connection to the peer")]
    NotConnected,
    /// There is a connection to the peer already. Nothing was done.
    #[error("there is a connection to the peer already")]
    AlreadyConnected,
    /// Another call to the same peer has not returned: frames of one peer go in one after the other. The
    /// frame was not taken.
    #[error("another call to the same peer has not returned")]
    Busy,
    /// No connection was opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The preflight was not accepted.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// A frame ended the connection.
    #[error(transparent)]
    Recv(#[from] RecvError),
}

impl UrlError {
    /// What to tell the peer when closing the link, where it has to be closed.
    pub fn close(&self) -> Option<Close> {
        match self {
            Self::NotConnected | Self::AlreadyConnected | Self::Busy => None,
            Self::Open(error) => Some(error.close()),
            Self::Preflight(error) => Some(error.close()),
            Self::Recv(error) => Some(error.close()),
        }
    }
}
