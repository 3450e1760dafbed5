//! The peers of a demo: each a node of its own, all in one space and one encrypted channel.

use super::args::{Carrier, Plan};
use super::failed;
use super::faults::Names;
use crate::exit::{Failure, chain};
use quorate::channel::{
    AckPolicy, Channel, ChannelEvents, ChannelKey, ChannelStats, Identity, XChaCha20Poly1305Cipher,
};
use quorate::files::{Folder, Home, Inbox, InboxConfig};
use quorate::transfer::receive_files;
use quorate::transport::MemHub;
use quorate::wire::{PeerUrl, SpaceId};
use quorate::{LinkStats, Node, Space};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

/// How long the peers have to find one another.
const GATHERING: Duration = Duration::from_secs(30);

/// The sender and the receivers.
pub(crate) struct Group {
    hub: MemHub,
    space: SpaceId,
    key: ChannelKey,
    pub(super) peers: Vec<Peer>,
    sender_events: Mutex<ChannelEvents>,
}

/// One peer.
pub(crate) struct Peer {
    pub(super) name: String,
    pub(super) node: Node,
    pub(super) space: Space,
    pub(super) channel: Channel,
    pub(super) folder: Option<PathBuf>,
}

/// One more peer, with another key.
pub(crate) struct Outsider {
    pub(super) peer: Peer,
    pub(super) url: PeerUrl,
    _events: ChannelEvents,
}

impl Group {
    /// Starts the peers, connects each with each, and opens the channel.
    pub(crate) async fn gather(plan: &Plan, names: &Arc<Names>, place: &Path) -> Result<Self, Failure> {
        let hub = MemHub::default();
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(failed)?;
        let mut key = [0; 32];
        key.copy_from_slice(&bytes[..32]);
        let (space, key) = (SpaceId::copy_from_slice(&bytes[32..]), ChannelKey::from_bytes(key));

        let mut present = Vec::new();
        for number in 1..=plan.peers {
            let name = format!("peer-{number}");
            let (node, url) = bind(plan, &hub, names, &name, number).await?;
            names.insert(url.clone(), name.clone());
            let joined = node.join(space.clone()).map_err(failed)?;
            present.push((name, node, joined, url));
        }
        let urls: Vec<PeerUrl> = present.iter().map(|(_, _, _, url)| url.clone()).collect();
        for (_, _, joined, own) in &present {
            for url in urls.iter().filter(|url| *url != own) {
                joined.meet(url.clone()).await;
            }
        }
        for (_, _, joined, _) in &present {
            all_present(joined, plan.peers - 1).await?;
        }
        Self::open(plan, hub, space, key, present, place)
    }

    fn open(
        plan: &Plan,
        hub: MemHub,
        space: SpaceId,
        key: ChannelKey,
        present: Vec<(String, Node, Space, PeerUrl)>,
        place: &Path,
    ) -> Result<Self, Failure> {
        let everybody: Vec<String> = present.iter().map(|(name, ..)| name.clone()).collect();
        let mut peers = Vec::new();
        let mut sender_events = None;
        for (name, node, joined, _) in present {
            let is_sender = sender_events.is_none();
            // All the others: what one of them lacks would hold up there whatever follows it.
            let others = everybody.iter().filter(|other| **other != name);
            let acks = AckPolicy::All(others.map(|other| other.as_str().into()).collect());
            let (channel, events) = open_channel(plan, &joined, &name, &key, acks)?;
            let folder = (!is_sender).then(|| place.join(&name));
            match &folder {
                None => sender_events = Some(events),
                Some(folder) => receive(channel.clone(), events, folder)?,
            }
            peers.push(Peer { name, node, space: joined, channel, folder });
        }
        let sender_events = Mutex::new(sender_events.ok_or_else(|| Failure::failed("nobody sends"))?);
        Ok(Self { hub, space, key, peers, sender_events })
    }

    pub(crate) fn receiver_names(&self) -> Vec<String> {
        self.peers.iter().filter(|peer| peer.folder.is_some()).map(|peer| peer.name.clone()).collect()
    }

    pub(crate) fn sender_channel(&self) -> &Channel {
        &self.peers[0].channel
    }

    pub(crate) async fn sender_events(&self) -> MutexGuard<'_, ChannelEvents> {
        self.sender_events.lock().await
    }

    /// Closes every channel: nothing more is sent.
    pub(crate) async fn quiet(&self) {
        for peer in &self.peers {
            peer.channel.shutdown().await;
        }
    }
}

impl Peer {
    pub(crate) async fn stats(&self) -> ChannelStats {
        self.channel.stats().await.unwrap_or_default()
    }

    /// What all links of this peer counted together.
    pub(crate) fn links(&self) -> LinkStats {
        self.space.links().values().fold(LinkStats::default(), |sum, link| LinkStats {
            sent: sum.sent + link.sent,
            dropped: sum.dropped + link.dropped,
            lost: sum.lost + link.lost,
            repeated: sum.repeated + link.repeated,
        })
    }
}

impl Outsider {
    /// Joins the space with another key. Links to it are without faults: it gets every envelope.
    pub(crate) async fn join(plan: &Plan, names: &Arc<Names>, group: &Group) -> Result<Self, Failure> {
        let name = "outsider".to_owned();
        let (node, url) = bind(plan, &group.hub, names, &name, plan.peers + 1).await?;
        let space = node.join(group.space.clone()).map_err(failed)?;
        for peer in &group.peers {
            if let Some(url) = peer.node.url() {
                space.meet(url).await;
            }
        }
        let mut other = *group.key.as_bytes();
        other.iter_mut().for_each(|byte| *byte = !*byte);
        let key = ChannelKey::from_bytes(other);
        let (channel, events) = open_channel(plan, &space, &name, &key, AckPolicy::Any)?;
        all_present(&space, plan.peers).await?;
        for peer in &group.peers {
            all_present(&peer.space, plan.peers).await?;
        }
        Ok(Self { peer: Peer { name, node, space, channel, folder: None }, url, _events: events })
    }

    /// What all members together sent it.
    pub(crate) fn was_sent(&self, group: &Group) -> u64 {
        group.peers.iter().filter_map(|peer| peer.space.links().get(&self.url).map(|link| link.sent)).sum()
    }
}

async fn bind(
    plan: &Plan,
    hub: &MemHub,
    names: &Arc<Names>,
    name: &str,
    number: usize,
) -> Result<(Node, PeerUrl), Failure> {
    let builder = Node::builder().faults(names.faults_of(name));
    let node = match plan.carrier {
        Carrier::Mem => {
            let url = format!("mem://demo:{number}/{name}").parse().map_err(failed)?;
            builder.bind_mem(hub, url).map_err(failed)?
        }
        Carrier::Iroh => builder.bind_iroh(quorate::iroh::IrohConfig::default()).await.map_err(failed)?,
    };
    let url = node.url().ok_or_else(|| Failure::failed("a node without an address"))?;
    Ok((node, url))
}

fn open_channel(
    plan: &Plan,
    space: &Space,
    name: &str,
    key: &ChannelKey,
    acks: AckPolicy,
) -> Result<(Channel, ChannelEvents), Failure> {
    let mut prefix = [0; 16];
    getrandom::fill(&mut prefix).map_err(failed)?;
    let identity =
        Identity { channel: "demo".into(), topic: "/quorate/1/demo/proto".into(), participant: name.into() };
    let cipher = Box::new(XChaCha20Poly1305Cipher::new(key, prefix));
    space.open(identity, plan.channel(acks), cipher).map_err(failed)
}

/// Starts receiving into `folder`, for as long as the channel is open.
fn receive(channel: Channel, mut events: ChannelEvents, folder: &Path) -> Result<(), Failure> {
    let trouble =
        |error| Failure::usage(format!("cannot receive into {}: {}", folder.display(), chain(&error)));
    let home = Home::open(folder).map_err(trouble)?;
    let sink = Folder::new(home).map_err(trouble)?;
    let incarnation = getrandom::u64().map_err(failed)?;
    let inbox = Inbox::new(sink, incarnation, InboxConfig::default());
    tokio::spawn(async move {
        // It ends when the channel is closed, and what it did is on disk.
        let _ = receive_files(&channel, &mut events, inbox, |_| ControlFlow::Continue(())).await;
    });
    Ok(())
}

async fn all_present(space: &Space, count: usize) -> Result<(), Failure> {
    let mut members = space.members();
    let gathered =
        tokio::time::timeout(GATHERING, members.wait_for(|members| members.present.len() >= count)).await;
    match gathered {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Failure::failed(format!(
            "the peers did not find one another: {:?}",
            space.members().borrow()
        ))),
    }
}
