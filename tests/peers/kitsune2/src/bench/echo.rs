//! Nodes that hand on every message that wants an answer, or is one; all others are only counted by the transport.

use super::two::no_events;
use crate::node::{
    ours::Ours,
    theirs::{Recording, Theirs},
};
use bytes::Bytes;
use kitsune2_api as k2;
use quorate_transport as tx;
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedSender;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Who sent a message that matters, and the message.
pub type Heard = UnboundedSender<(String, Bytes)>;

/// A message of that size, at least one byte.
pub fn message(len: usize, wants_answer: bool) -> Bytes {
    let mut data = vec![0; len.max(1)];
    data[0] = u8::from(wants_answer);
    data.into()
}

/// The answer to a message.
pub fn answer(question: &[u8]) -> Bytes {
    let mut data = question.to_vec();
    data[0] = 2;
    data.into()
}

/// Their node.
pub async fn theirs(relay: &str, heard: Heard) -> Result<Theirs, Failure> {
    let events = no_events();
    let echo = Arc::new(Echo(heard));
    let handler = Recording::new(events.clone());
    Ok(Theirs::start_with(relay, events, handler, echo.clone(), echo).await?)
}

/// Ours, without limits on how much a peer may send: theirs has none.
pub async fn ours(relay: Option<&str>, heard: Heard) -> Result<Ours, Failure> {
    let echo = Arc::new(Echo(heard));
    Ours::start_with(relay, tx::TransportConfig::trusted(), no_events(), echo.clone(), echo).await
}

#[derive(Debug)]
struct Echo(Heard);

impl Echo {
    fn hear(&self, peer: &str, data: Bytes) {
        if data.first().is_some_and(|first| *first > 0) {
            // Nobody listens any more when the measurement is over.
            let _ = self.0.send((peer.to_owned(), data));
        }
    }
}

impl k2::TxBaseHandler for Echo {}
impl k2::TxSpaceHandler for Echo {
    fn is_any_agent_at_url_blocked(&self, _: &k2::Url) -> k2::K2Result<bool> {
        Ok(false)
    }
}
impl k2::TxModuleHandler for Echo {
    fn recv_module_msg(&self, peer: k2::Url, _: k2::SpaceId, _: String, data: Bytes) -> k2::K2Result<()> {
        self.hear(peer.as_str(), data);
        Ok(())
    }
}

impl tx::TxSpaceHandler for Echo {}
impl tx::TxModuleHandler for Echo {
    fn recv_module_msg(
        &self,
        peer: &PeerUrl,
        _: &SpaceId,
        _: &ModuleId,
        data: Bytes,
    ) -> Result<(), tx::Refusal> {
        self.hear(peer.as_str(), data);
        Ok(())
    }
}
