//! A participant: its machine, its clock, what it was told.

use crate::clock::{VirtualClock, WallOffset};
use bytes::Bytes;
use quorate_base::Mono;
use quorate_channel::{
    ChannelConfig, ChannelEvent, ChannelKey, Cipher, ConfigError, DispatchOutcome, Identity, ParticipantId,
    ReliableChannel, XChaCha20Poly1305Cipher, sds::SenderAuth,
};
use std::time::Duration;

const CHANNEL: &str = "channel";
const TOPIC: &str = "/quorate/1/channel/proto";
/// The key of everybody who brings none of their own.
const GROUP_KEY: [u8; 32] = [1; 32];

/// How a participant differs from the others. The default does not.
#[derive(Debug, Default)]
pub struct Setup {
    config: Option<ChannelConfig>,
    cipher: Option<Box<dyn Cipher>>,
    key: Option<[u8; 32]>,
    auth: Option<SenderAuth>,
    wall: WallOffset,
}

/// A payload that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub from: ParticipantId,
    /// The payload.
    pub payload: Bytes,
    /// Whether it was sent as an ephemeral one.
    pub ephemeral: bool,
    /// When it was delivered.
    pub at: Mono,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) machine: ReliableChannel,
    pub(super) entropy: u64,
    pub(super) wall: WallOffset,
    pub(super) alive: bool,
    pub(super) messaging: DispatchOutcome,
    pub(super) events: Vec<ChannelEvent>,
    pub(super) inbox: Vec<Received>,
    pub(super) envelopes: u64,
}

impl Setup {
    /// Its own configuration.
    #[must_use]
    pub fn config(mut self, config: ChannelConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Its own key: it cannot read the others, nor they it.
    #[must_use]
    pub fn key(mut self, key: [u8; 32]) -> Self {
        self.key = Some(key);
        self
    }

    /// Its own cipher.
    #[must_use]
    pub fn cipher(mut self, cipher: Box<dyn Cipher>) -> Self {
        self.cipher = Some(cipher);
        self
    }

    /// Its messages are signed, and it reads those only that their senders signed.
    #[must_use]
    pub fn sender_auth(mut self, auth: SenderAuth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// A wall clock that is ahead of the others'.
    #[must_use]
    pub fn wall_ahead(mut self, by: Duration) -> Self {
        self.wall.forward(by);
        self
    }

    /// A wall clock that is behind the others'.
    #[must_use]
    pub fn wall_behind(mut self, by: Duration) -> Self {
        self.wall.back(by);
        self
    }
}

impl Member {
    /// `index` tells the incarnations of one world apart.
    pub(super) fn open(
        name: &str,
        setup: Setup,
        config: &ChannelConfig,
        clock: &VirtualClock,
        seed: u64,
        index: usize,
    ) -> Result<Self, ConfigError> {
        let identity = Identity { channel: CHANNEL.into(), topic: TOPIC.into(), participant: name.into() };
        let config = setup.config.unwrap_or_else(|| config.clone());
        let entropy = seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let cipher = setup.cipher.unwrap_or_else(|| cipher(setup.key.unwrap_or(GROUP_KEY), entropy));
        let machine = ReliableChannel::open(clock.now(setup.wall), identity, config, cipher, entropy)?;
        let machine = match setup.auth {
            Some(auth) => machine.with_sender_auth(auth),
            None => machine,
        };
        Ok(Self {
            machine,
            entropy,
            wall: setup.wall,
            alive: true,
            messaging: DispatchOutcome::Confirmed,
            events: Vec::new(),
            inbox: Vec::new(),
            envelopes: 0,
        })
    }

    pub(super) fn told(&mut self, at: Mono, event: ChannelEvent) {
        if let ChannelEvent::Received { sender, payload, ephemeral } = &event {
            let (from, payload) = (sender.clone(), payload.clone());
            self.inbox.push(Received { from, payload, ephemeral: *ephemeral, at });
        }
        self.events.push(event);
    }
}

fn cipher(key: [u8; 32], entropy: u64) -> Box<dyn Cipher> {
    let mut prefix = [0; 16];
    prefix[..8].copy_from_slice(&entropy.to_be_bytes());
    Box::new(XChaCha20Poly1305Cipher::new(&ChannelKey::from_bytes(key), prefix))
}
