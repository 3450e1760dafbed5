//! The channels of one participant, known by their ids, over one messaging layer.
//!
//! The rule: an envelope goes to every open channel on its topic, and to no other; two channels may
//! share a topic, two channels with one id may not exist.

use crate::channel::{Identity, ReliableChannel, SendOptions};
use crate::cipher::Cipher;
use crate::config::{ChannelConfig, ConfigError};
use crate::driver::{Channel, ChannelEvents, OpenError};
use crate::durable::EventSeq;
use crate::envelope::MessageEnvelope;
use crate::error::SendRefused;
use crate::ids::{ChannelId, RequestId};
use crate::messaging::Messaging;
use bytes::Bytes;
use quorate_base::{Store, TokioClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open channels of one participant.
pub struct ReliableChannelManager {
    messaging: Arc<dyn Messaging>,
    clock: TokioClock,
    channels: Mutex<BTreeMap<ChannelId, Channel>>,
    /// Held while a channel is read from its store: nobody opens the same one meanwhile.
    opening: tokio::sync::Mutex<()>,
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
        Self {
            messaging,
            clock: TokioClock::new(),
            channels: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
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

    /// Opens a channel on a store, as [`Channel::open`] does: a channel that was closed, or whose process ended, goes on
    /// where it was.
    pub async fn open(
        &self,
        store: Arc<dyn Store>,
        cursor: Option<EventSeq>,
        identity: Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
    ) -> Result<(Channel, ChannelEvents), OpenError> {
        let _opening = self.opening.lock().await;
        let id = identity.channel.clone();
        if self.lock().contains_key(&id) {
            return Err(OpenError::Duplicate(id));
        }
        let messaging = self.messaging.clone();
        let (channel, events) =
            Channel::open(store, cursor, identity, config, cipher, self.clock, messaging).await?;
        let duplicate = self.lock().insert(id.clone(), channel.clone());
        if let Some(before) = duplicate {
            // One without a store was created meanwhile: it stays.
            self.lock().insert(id.clone(), before);
            channel.shutdown().await;
            return Err(OpenError::Duplicate(id));
        }
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

    /// Closes a channel; its open sends get their outcomes first, or are kept where it is on a store.
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
