//! Envelopes to every member of a space.
//!
//! The rule: a member whose queue is full is waited for shortly, once; until it keeps up again its
//! envelopes are dropped and counted, and the channel repeats them.

use super::{Members, channel_module};
use crate::faults::LinkFaults;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use prost::Message;
use quorate_channel::{Dispatch, Messaging, MessagingError};
use quorate_transport::{SendError, SendOutcome, Transport};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How long a member that kept up so far is waited for.
const PATIENCE: Duration = Duration::from_millis(50);
/// The most links whose counters are kept.
const MAX_LINKS: usize = 1_024;
/// The most copies that a fault holds back at once.
const MAX_DELAYED: usize = 4_096;

/// What was sent on the link to one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Envelopes handed to the transport.
    pub sent: u64,
    /// Envelopes dropped because the member did not keep up, or its connection failed.
    pub dropped: u64,
    /// Envelopes lost to a fault on purpose.
    pub lost: u64,
    /// Copies beyond the first that a fault added.
    pub repeated: u64,
}

/// The [`Messaging`] of a space.
#[derive(Clone)]
pub(super) struct Publisher {
    transport: Transport,
    space: SpaceId,
    module: ModuleId,
    members: watch::Receiver<Members>,
    faults: Option<Arc<dyn LinkFaults>>,
    links: Arc<Mutex<BTreeMap<PeerUrl, Link>>>,
    delayed: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Link {
    stats: LinkStats,
    slow: bool,
}

impl Publisher {
    pub(super) fn new(
        transport: Transport,
        space: SpaceId,
        members: watch::Receiver<Members>,
        faults: Option<Arc<dyn LinkFaults>>,
    ) -> Self {
        Self {
            transport,
            space,
            module: channel_module(),
            members,
            faults,
            links: Arc::default(),
            delayed: Arc::new(Semaphore::new(MAX_DELAYED)),
        }
    }

    pub(super) fn links(&self) -> BTreeMap<PeerUrl, LinkStats> {
        self.lock().iter().map(|(peer, link)| (peer.clone(), link.stats)).collect()
    }

    /// Sends to one member what the faults leave of an envelope.
    async fn publish(&self, peer: &PeerUrl, dispatch: &Dispatch, data: &Bytes) -> bool {
        let Some(faults) = &self.faults else { return self.deliver(peer, data.clone()).await };
        let copies = faults.copies(peer, dispatch);
        self.count(peer, |stats| {
            stats.lost += u64::from(copies.is_empty());
            stats.repeated += copies.len().saturating_sub(1) as u64;
        });
        for delay in copies {
            if delay.is_zero() {
                self.deliver(peer, data.clone()).await;
            } else if let Ok(permit) = self.delayed.clone().try_acquire_owned() {
                let (publisher, peer, data) = (self.clone(), peer.clone(), data.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    publisher.deliver(&peer, data).await;
                    drop(permit);
                });
            } else {
                self.count(peer, |stats| stats.dropped += 1);
            }
        }
        true
    }

    async fn deliver(&self, peer: &PeerUrl, data: Bytes) -> bool {
        let outcome = match self.transport.try_send_module(peer, &self.space, &self.module, data.clone()) {
            Err(SendError::Full) if !self.is_slow(peer) => {
                let sent = self.transport.send_module(peer, &self.space, &self.module, data);
                tokio::time::timeout(PATIENCE, sent).await.unwrap_or(Err(SendError::Full))
            }
            outcome => outcome,
        };
        let sent = matches!(outcome, Ok(SendOutcome::HandedOff));
        let full = matches!(outcome, Err(SendError::Full));
        let mut links = self.lock();
        if links.len() < MAX_LINKS || links.contains_key(peer) {
            let link = links.entry(peer.clone()).or_default();
            link.slow = full;
            link.stats.sent += u64::from(sent);
            link.stats.dropped += u64::from(!sent);
        }
        sent
    }

    fn is_slow(&self, peer: &PeerUrl) -> bool {
        self.lock().get(peer).is_some_and(|link| link.slow)
    }

    fn count(&self, peer: &PeerUrl, count: impl FnOnce(&mut LinkStats)) {
        let mut links = self.lock();
        if links.len() < MAX_LINKS || links.contains_key(peer) {
            count(&mut links.entry(peer.clone()).or_default().stats);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerUrl, Link>> {
        // Nothing that can panic runs under this lock, so a poisoned one still guards a whole map.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Messaging for Publisher {
    async fn send(&self, dispatch: &Dispatch) -> Result<(), MessagingError> {
        let members = self.members.borrow().present.clone();
        if members.is_empty() {
            return Err(MessagingError::Unreachable);
        }
        let data = Bytes::from(dispatch.envelope.encode_to_vec());
        let sent = join_all(members.iter().map(|peer| self.publish(peer, dispatch, &data))).await;
        if sent.contains(&true) { Ok(()) } else { Err(MessagingError::Unreachable) }
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("space", &self.space).finish_non_exhaustive()
    }
}
