//! A group as the command knows it: a space whose members send or receive, and the channel they share.
//!
//! The rule: what `recv` and `send` have to agree on stands here, once: who is called what, which topic
//! a channel has, how roles are told, how soon a dead peer is noticed.

use crate::exit::{Failure, chain};
use quorate::channel::{
    AckPolicy, Channel, ChannelConfig, ChannelEvents, ChannelKey, Identity, XChaCha20Poly1305Cipher,
};
use quorate::files::PeerName;
use quorate::iroh::{BindError, IrohConfig, SecretKey};
use quorate::secret::Secret;
use quorate::wire::{PeerUrl, SpaceId};
use quorate::{Node, NodeError, RefusedPeer, Space};
use std::collections::BTreeSet;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Hexadecimal digits of a peer's key that make its name.
const NAME_DIGITS: usize = 16;
/// How often an idle connection gives a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// After how long without one a peer counts as dead: so long a peer that was killed and started again is
/// not noticed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(6);
/// How long taking leave of everybody may take.
const PARTING: Duration = Duration::from_secs(3);
/// The same where nobody is here: only dials are left, to be forgotten.
const PARTING_ALONE: Duration = Duration::from_millis(200);

/// What a member does, as it says in its preflight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

/// What members of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) space: [u8; 32],
    pub(crate) channel: String,
    pub(crate) key: Secret,
}

/// This process as a member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    node: Node,
    space: Space,
    url: PeerUrl,
}

impl Role {
    /// The preflight bytes of the command's application, version 1.
    const fn preflight(self) -> &'static [u8] {
        match self {
            Self::Sender => b"quorate-cli/1 send",
            Self::Receiver => b"quorate-cli/1 recv",
        }
    }
}

impl Member {
    /// Listens at `listen` under `key`, and enters the space.
    pub(crate) async fn enter(
        role: Role,
        group: &Group,
        key: &Secret,
        listen: SocketAddr,
    ) -> Result<Self, Failure> {
        let config = IrohConfig {
            bind_addr: listen,
            secret_key: Some(SecretKey::from_bytes(key.expose())),
            keep_alive: KEEP_ALIVE,
            idle_timeout: IDLE_TIMEOUT,
            ..IrohConfig::default()
        };
        let node = Node::builder().app_preflight(role.preflight()).bind_iroh(config).await;
        let node = node.map_err(|error| Failure::usage(bind_trouble(listen, &error)))?;
        let url = node.url().ok_or_else(|| Failure::usage(format!("nobody can reach {listen}")))?;
        let space = node.join(SpaceId::from(group.space.to_vec()));
        let space = space.map_err(|error| Failure::failed(chain(&error)))?;
        Ok(Self { node, space, url })
    }

    /// Where this member is reached.
    pub(crate) const fn url(&self) -> &PeerUrl {
        &self.url
    }

    /// What this member is called in the channel.
    pub(crate) fn name(&self) -> PeerName {
        name_of(&self.url)
    }

    /// The space, to meet its members.
    pub(crate) const fn space(&self) -> &Space {
        &self.space
    }

    /// Opens the channel of the group.
    pub(crate) fn open(&self, group: &Group) -> Result<(Channel, ChannelEvents), Failure> {
        let identity = Identity {
            channel: group.channel.as_str().into(),
            topic: format!("/quorate/1/{}/proto", group.channel).as_str().into(),
            participant: self.name().as_str().into(),
        };
        let key = ChannelKey::from_bytes(*group.key.expose());
        let cipher = Box::new(XChaCha20Poly1305Cipher::new(&key, random()?));
        let opened = self.space.open(identity, channel_config(), cipher);
        opened.map_err(|error| Failure::failed(chain(&error)))
    }

    /// The members that are here and have this role.
    pub(crate) fn present(&self, role: Role) -> BTreeSet<PeerName> {
        let members = self.space.members();
        let present = &members.borrow().present;
        // Who says nothing about its role is taken for a receiver: a sender waits rather too long.
        let is_sender =
            |url: &PeerUrl| self.node.app_preflight(url).is_some_and(|app| app == Role::Sender.preflight());
        let wanted = present.iter().filter(|url| is_sender(url) == (role == Role::Sender));
        wanted.map(name_of).collect()
    }

    /// The receivers that are here, and those that may turn out to be: the ticket named them, and they are being
    /// reached.
    pub(crate) fn expected(&self) -> BTreeSet<PeerName> {
        let members = self.space.members();
        let sought: Vec<_> = members.borrow().sought.iter().map(name_of).collect();
        self.present(Role::Receiver).into_iter().chain(sought).collect()
    }

    /// Keeps `expected` up to date with [`Self::expected`]. Never returns.
    pub(crate) async fn watch_expected(&self, expected: &watch::Sender<BTreeSet<PeerName>>) {
        let mut members = self.space.members();
        loop {
            members.borrow_and_update();
            let now = self.expected();
            expected.send_if_modified(|told| {
                let changed = *told != now;
                *told = now;
                changed
            });
            if members.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The peers that are turned away from now on.
    pub(crate) fn refusals(&self) -> broadcast::Receiver<RefusedPeer> {
        self.node.refusals()
    }

    /// Takes leave of everybody.
    pub(crate) async fn part(self) {
        let alone = self.space.members().borrow().present.is_empty();
        let limit = if alone { PARTING_ALONE } else { PARTING };
        let parting = async {
            self.space.shutdown().await;
            self.node.shutdown().await;
        };
        // Who does not answer is left without a word.
        let _ = tokio::time::timeout(limit, parting).await;
    }
}

/// What a peer is called: the first digits of its key.
pub(crate) fn name_of(url: &PeerUrl) -> PeerName {
    let id = url.peer_id().unwrap_or(url.as_str());
    PeerName::from(id.get(..NAME_DIGITS).unwrap_or(id))
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Failure::usage("the operating system gave no randomness"))?;
    Ok(bytes)
}

fn channel_config() -> ChannelConfig {
    let default = ChannelConfig::default();
    ChannelConfig {
        // Each receiver reports what it lacks: whose acknowledgement counts here is all one.
        acks: AckPolicy::Any,
        // A process that was killed is cited by nobody: whoever is started anew would wait for what nobody sends again.
        // Messages about files do not need it, each says the whole truth.
        causal_history: 0,
        // What one of several receivers missed is reported and sent anew.
        lost_after: Duration::from_secs(10),
        retransmit: quorate::base::Backoff::new(Duration::from_millis(250), Duration::from_secs(10)),
        ..default
    }
}

fn bind_trouble(listen: SocketAddr, error: &NodeError) -> String {
    let in_use = error.source().and_then(|source| source.downcast_ref());
    match in_use {
        Some(BindError::AddrInUse { addr }) => {
            format!("{addr} is in use: end what uses it, or name another address with --listen")
        }
        _ => format!("cannot listen at {listen}: {}", chain(error)),
    }
}
