//! A space a node is in: its members, and the channels they share.
//!
//! The rule: an envelope goes to the members of the space and to nobody else, and never waits for one
//! of them that is slow: what it misses, it gets again.

mod membership;
mod notice;
mod publish;
mod task;

use crate::faults::LinkFaults;
use crate::node::CHANNEL_MODULE;
use bytes::Bytes;
use membership::Membership;
use prost::Message;
use publish::Publisher;
use quorate_channel::{
    Channel, ChannelConfig, ChannelEvents, Cipher, Identity, ManagerError, MessageEnvelope,
    ReliableChannelManager,
};
use quorate_transport::{
    ModuleRegistration, Refusal, RegisterError, SpaceRegistration, Transport, TxModuleHandler, TxSpaceHandler,
};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::collections::BTreeMap;
use std::sync::Arc;
use task::{Input, Meeting};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

pub use publish::LinkStats;

/// Inputs that may wait for the membership task.
const QUEUE: usize = 1_024;

/// A node's presence in a space. Dropping it leaves the space and closes its channels.
#[derive(Debug)]
pub struct Space {
    id: SpaceId,
    manager: Arc<ReliableChannelManager>,
    publisher: Arc<Publisher>,
    meeting: mpsc::Sender<Input>,
    members: watch::Receiver<Members>,
    task: AbortHandle,
    _space: SpaceRegistration,
    _module: ModuleRegistration,
}

/// Who is in a space, as far as this node knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The members that are connected now.
    pub present: Vec<PeerUrl>,
    /// Those that the application named and of whom nothing is known yet: they are being reached for the first
    /// time.
    pub sought: Vec<PeerUrl>,
    /// Those that cannot be reached now, and why.
    pub absent: BTreeMap<PeerUrl, Absence>,
}

/// Why a member is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The reason, for people.
    pub reason: String,
    /// Whether it is tried again. It is not where another try makes no sense: the peer refused, or
    /// another one answered.
    pub retried: bool,
}

/// A space could not be entered: the node is in it already, or was closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this node cannot enter the space: {0}")]
pub struct JoinError(#[from] RegisterError);

impl Space {
    pub(crate) fn join(
        transport: Transport,
        id: SpaceId,
        faults: Option<Arc<dyn LinkFaults>>,
    ) -> Result<Self, JoinError> {
        let (meeting, inputs) = mpsc::channel(QUEUE);
        let (told, members) = watch::channel(Members::default());
        let publisher = Arc::new(Publisher::new(transport.clone(), id.clone(), members.clone(), faults));
        let manager = Arc::new(ReliableChannelManager::new(publisher.clone()));
        let door = Arc::new(Door { meeting: meeting.clone(), manager: manager.clone() });
        let (space, own) = transport.register_space_handler(id.clone(), door.clone())?;
        let module = transport.register_module_handler(id.clone(), channel_module(), door)?;
        let meeting_task = Meeting::new(transport, id.clone(), Membership::new(own), told);
        let task = tokio::spawn(meeting_task.run(inputs)).abort_handle();
        Ok(Self { id, manager, publisher, meeting, members, task, _space: space, _module: module })
    }

    /// The space.
    pub const fn id(&self) -> &SpaceId {
        &self.id
    }

    /// Keeps a connection to a member whose address is known, for as long as the space is open; it
    /// introduces this node to the others.
    pub async fn meet(&self, peer: PeerUrl) {
        // The task lives as long as this value.
        let _ = self.meeting.send(Input::Meet(peer)).await;
    }

    /// Tries to reach a member of former days: given up after some failures, unlike one that is to be
    /// [met](Self::meet).
    pub async fn seek(&self, peer: PeerUrl) {
        // The task lives as long as this value.
        let _ = self.meeting.send(Input::Seek(peer)).await;
    }

    /// Who is here, and every change of it.
    pub fn members(&self) -> watch::Receiver<Members> {
        self.members.clone()
    }

    /// Opens a reliable channel with the members of this space.
    pub fn open(
        &self,
        identity: Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
    ) -> Result<(Channel, ChannelEvents), ManagerError> {
        self.manager.create(identity, config, cipher)
    }

    /// The channels that are open here.
    pub fn channels(&self) -> &ReliableChannelManager {
        &self.manager
    }

    /// What was sent to each member.
    pub fn links(&self) -> BTreeMap<PeerUrl, LinkStats> {
        self.publisher.links()
    }

    /// Closes every channel; open sends get their outcomes first. Then leaves the space.
    pub async fn shutdown(self) {
        self.manager.shutdown().await;
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the transport knocks at.
struct Door {
    meeting: mpsc::Sender<Input>,
    manager: Arc<ReliableChannelManager>,
}

impl Door {
    /// Tells the task, without waiting. What does not fit is told again by the next greeting.
    fn tell(&self, input: Input) {
        if self.meeting.try_send(input).is_err() {
            tracing::debug!("a membership input was dropped: the queue is full");
        }
    }
}

impl TxSpaceHandler for Door {
    fn peer_connect(&self, peer: &PeerUrl) -> Result<(), Refusal> {
        self.tell(Input::Connected(peer.clone()));
        Ok(())
    }

    fn peer_disconnect(&self, peer: &PeerUrl, reason: Option<&str>) {
        self.tell(Input::Disconnected(peer.clone(), reason.map(str::to_owned)));
    }

    fn recv_space_notify(&self, peer: &PeerUrl, _: &SpaceId, data: Bytes) -> Result<(), Refusal> {
        match notice::Notice::read(data) {
            Ok(notice) => self.tell(Input::Notice(peer.clone(), notice)),
            Err(error) => tracing::debug!(%peer, %error, "notice dropped"),
        }
        Ok(())
    }
}

impl TxModuleHandler for Door {
    fn recv_module_msg(&self, peer: &PeerUrl, _: &SpaceId, _: &ModuleId, data: Bytes) -> Result<(), Refusal> {
        match MessageEnvelope::decode(data) {
            Ok(envelope) => drop(self.manager.handle_envelope(&envelope)),
            Err(error) => tracing::debug!(%peer, %error, "envelope dropped"),
        }
        Ok(())
    }
}

fn channel_module() -> ModuleId {
    ModuleId::from(CHANNEL_MODULE)
}
