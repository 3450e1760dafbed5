//! The channels of one participant, known by their ids, over one messaging layer.
//!
//! The rule: an envelope goes to every open channel on its topic, and to no other; two channels may
//! share a topic, two channels with one id may not exist.

use crate::channel::{Identity, ReliableChannel, SendOptions};
use crate::cipher::Cipher;
use crate::config::{ChannelConfig, ConfigError};
use crate::driver::{Channel, ChannelEvents};
use crate::envelope::MessageEnvelope;
use crate::error::SendRefused;
use crate::ids::{ChannelId, RequestId};
use crate::messaging::Messaging;
use bytes::Bytes;
use quorate_base::TokioClock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open channels of one participant.
pub struct ReliableChannelManager {
    messaging: Arc<dyn Messaging>,
    clock: TokioClock,
    channels: Mutex<BTreeMap<ChannelId, Channel>>,
}

/// Why a channel could not be opened, found or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// A channel with this id is open. The caller's fault; it stays open.
    #[error("channel {0} is open already")]
    Duplicate(ChannelId),
    /// No channel with this id is open. The caller's fault.
    #[error("channel {0} is not open")]
    Unknown(ChannelId),
    /// The configuration cannot work. The caller's fault; nothing was opened.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system gave no randomness. Nothing was opened.
    #[error("the operating system gave no randomness")]
    NoRandomness,
    /// The channel did not accept the send.
    #[error(transparent)]
    Refused(#[from] SendRefused),
}

impl ReliableChannelManager {
    /// A manager without channels.
    pub fn new(messaging: Arc<dyn Messaging>) -> Self {
        Self { messaging, clock: TokioClock::new(), channels: Mutex::default() }
    }

    /// Opens a channel. Needs a tokio runtime.
    pub fn create(
        &self,
        identity: Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
    ) -> Result<(Channel, ChannelEvents), ManagerError> {
        let entropy = getrandom::u64().map_err(|_| ManagerError::NoRandomness)?;
        let id = identity.channel.clone();
        let machine = ReliableChannel::open(self.clock.now(), identity, config, cipher, entropy)?;
        let mut channels = self.lock();
        if channels.contains_key(&id) {
            return Err(ManagerError::Duplicate(id));
        }
        let (channel, events) = Channel::spawn(machine, self.clock, self.messaging.clone());
        channels.insert(id, channel.clone());
        Ok((channel, events))
    }

    /// Sends a payload over an open channel.
    pub async fn send(
        &self,
        id: &ChannelId,
        payload: Bytes,
        options: SendOptions,
    ) -> Result<RequestId, ManagerError> {
        Ok(self.channel(id)?.send(payload, options).await?)
    }

    /// Hands an envelope from the network to every channel on its topic; returns how many took it.
    pub fn handle_envelope(&self, envelope: &MessageEnvelope) -> usize {
        if !envelope.is_marked() {
            return 0;
        }
        let on_topic = |channel: &&Channel| channel.identity().topic.as_str() == envelope.content_topic;
        let channels: Vec<Channel> = self.lock().values().filter(on_topic).cloned().collect();
        channels.into_iter().filter(|channel| channel.handle_envelope(envelope.clone())).count()
    }

    /// An open channel.
    pub fn channel(&self, id: &ChannelId) -> Result<Channel, ManagerError> {
        self.lock().get(id).cloned().ok_or_else(|| ManagerError::Unknown(id.clone()))
    }

    /// Closes a channel; its open sends get their outcomes first.
    pub async fn close(&self, id: &ChannelId) -> Result<(), ManagerError> {
        let channel = self.lock().remove(id).ok_or_else(|| ManagerError::Unknown(id.clone()))?;
        channel.shutdown().await;
        Ok(())
    }

    /// Closes every channel.
    pub async fn shutdown(&self) {
        let channels = std::mem::take(&mut *self.lock());
        for channel in channels.into_values() {
            channel.shutdown().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Channel>> {
        // Nothing that can panic runs under this lock, so a poisoned one still guards a whole map.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for ReliableChannelManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReliableChannelManager")
            .field("channels", &self.lock().keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
