//! What the transport tells a node, as events.
//!
//! The rule: nothing here waits. An event that does not fit is left out, and the next that fits comes after it.

use super::event::Event;
use crate::exit::{Failure, chain};
use async_trait::async_trait;
use bytes::Bytes;
use quorate::base::Wall;
use quorate::preflight::{NodeVersions, Preflight, judge};
use quorate::transport::{BlockList, Refusal, TxHandler, TxSpaceHandler};
use quorate::wire::{PeerUrl, SpaceId};
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// What is said first, and what is made of what the peer says first.
pub(super) enum Preflights {
    /// These bytes, and any.
    Verbatim(Bytes),
    /// This version's summary, and one that it can work with.
    Versions { ours: NodeVersions, encoded: Bytes },
}

impl Preflights {
    /// The summary of a node without modules of its own.
    pub(super) fn versions() -> Result<Self, Failure> {
        let ours = NodeVersions::default();
        let encoded =
            Preflight::new(ours.clone()).encode().map_err(|error| Failure::failed(chain(&error)))?;
        Ok(Self::Versions { ours, encoded })
    }
}

/// The handler of the whole transport.
pub(super) struct Handler {
    told: Sender<Event>,
    preflights: Preflights,
}

impl Handler {
    pub(super) fn new(told: Sender<Event>, preflights: Preflights) -> Self {
        Self { told, preflights }
    }

    fn tell(&self, event: Event) {
        let _ = self.told.try_send(event);
    }
}

#[async_trait]
impl TxHandler for Handler {
    async fn new_listening_address(&self, this_url: &PeerUrl) {
        self.tell(Event::Listening { url: this_url.clone() });
    }

    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.tell(Event::Connect { peer: peer.clone() });
        Ok(())
    }

    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.tell(Event::Disconnect { peer: peer.clone(), reason: reason.map(str::to_owned) });
    }

    async fn preflight_gather_outgoing(&self, _: &PeerUrl) -> Result<Bytes, Refusal> {
        match &self.preflights {
            Preflights::Verbatim(bytes) | Preflights::Versions { encoded: bytes, .. } => Ok(bytes.clone()),
        }
    }

    async fn preflight_validate_incoming(&self, peer: &PeerUrl, data: Bytes) -> Result<(), Refusal> {
        self.tell(Event::Preflight { peer: peer.clone(), data: data.clone() });
        let Preflights::Versions { ours, .. } = &self.preflights else { return Ok(()) };
        let theirs = Preflight::decode(data).map_err(|error| Refusal::new(error.to_string()))?;
        judge(ours, &theirs.versions).map(drop).map_err(|error| Refusal::new(error.for_them()))
    }
}

/// The handler of one space; what comes in goes past it, into the inbox.
pub(super) struct Member {
    space: SpaceId,
    told: Sender<Event>,
    blocked: Arc<BlockList>,
    /// The one that tells what concerns no space alone.
    first: bool,
}

impl Member {
    pub(super) fn new(space: SpaceId, told: Sender<Event>, blocked: Arc<BlockList>, first: bool) -> Self {
        Self { space, told, blocked, first }
    }
}

#[async_trait]
impl TxSpaceHandler for Member {
    fn is_any_agent_at_url_blocked(&self, peer: &PeerUrl) -> Result<bool, Refusal> {
        let blocked = self.blocked.is_blocked(peer, Some(&self.space));
        if blocked {
            let _ = self.told.try_send(Event::Blocked { peer: peer.clone(), space: self.space.clone() });
        }
        Ok(blocked)
    }

    async fn set_unresponsive(&self, peer: &PeerUrl, _: Wall) {
        if self.first {
            let _ = self.told.try_send(Event::Unresponsive { peer: peer.clone() });
        }
    }
}
