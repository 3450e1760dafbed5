//! The nodes that answers with proofs are asked for: how fast they are, and whom not to ask.
//!
//! The rule: a node's record comes from what it did, never from what it says of itself. Lies and trouble are kept apart: a
//! node that lied is banned for long, and only time ends that; one that could not be reached rests for a
//! little, and is asked early when nobody else is left.

mod config;
mod node;
mod nodes;
mod record;
mod snapshot;
mod store;

pub use config::PoolConfig;
pub use node::{Capabilities, Filter, Node, NodeId};
pub use nodes::Nodes;
pub use snapshot::{NodeSnapshot, NodeState, PoolSnapshot};
pub use store::PoolStoreError;

use fastrand::Rng;
use quorate_base::Mono;
use record::Record;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The most nodes of a pool.
pub const MAX_NODES: usize = 65_536;
/// The longest key of a node, in bytes.
pub const MAX_KEY_BYTES: usize = 128;

/// What happened with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeEvent {
    /// Its answer was verified; it took that long.
    Verified(Duration),
    /// It could not be reached, was too slow, or broke the protocol.
    Trouble,
    /// It was convicted: its answer contradicts its own proof.
    Lied,
}

/// Nodes, and what they are worth. Each is drawn with a weight that falls with its measured latency.
#[derive(Debug, Clone)]
pub struct Pool {
    config: PoolConfig,
    records: Vec<Record>,
    by_url: BTreeMap<String, NodeId>,
}

/// A node that the pool does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// There are as many as there may be.
    #[error("a pool has at most {MAX_NODES} nodes")]
    TooManyNodes,
    /// Its key is too long.
    #[error("the key of a node has at most {MAX_KEY_BYTES} bytes")]
    KeyTooLong,
}

/// Why nobody can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "of {nodes} nodes nobody can be asked: {unfit} are not what is wanted, {banned} are banned, {excluded} were asked already"
)]
pub struct NoNodes {
    /// How many there are.
    pub nodes: usize,
    /// How many the filter leaves out.
    pub unfit: usize,
    /// How many are banned for a lie.
    pub banned: usize,
    /// How many the caller excluded.
    pub excluded: usize,
}

impl Pool {
    /// A pool without nodes.
    pub const fn new(config: PoolConfig) -> Self {
        Self { config, records: Vec::new(), by_url: BTreeMap::new() }
    }

    /// Takes a node in. One whose URL is known keeps its record and gets the new description.
    ///
    /// # Errors
    ///
    /// [`PoolError`]; nothing was changed.
    pub fn insert(&mut self, node: Node) -> Result<NodeId, PoolError> {
        if node.key.len() > MAX_KEY_BYTES {
            return Err(PoolError::KeyTooLong);
        }
        let url = node.endpoint.public_url();
        if let Some(id) = self.by_url.get(&url) {
            if let Some(record) = self.records.get_mut(id.index()) {
                record.node = node;
            }
            return Ok(*id);
        }
        let id = NodeId::at(self.records.len()).ok_or(PoolError::TooManyNodes)?;
        self.by_url.insert(url, id);
        self.records.push(Record::new(node));
        Ok(id)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.records.get(id.index()).map(|record| &record.node)
    }

    /// The node at this URL.
    pub fn find(&self, url: &str) -> Option<NodeId> {
        self.by_url.get(url).copied()
    }

    /// The node with this key.
    pub fn with_key(&self, key: &[u8]) -> Option<NodeId> {
        self.nodes().find(|(_, node)| !key.is_empty() && node.key == key).map(|(id, _)| id)
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.records.iter().enumerate().filter_map(|(at, record)| Some((NodeId::at(at)?, &record.node)))
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Draws up to `count` different nodes, the faster ones more often.
    ///
    /// Those at rest after trouble are taken only when nobody else is there, the one whose rest ends first
    /// foremost. Those who are banned are never taken.
    ///
    /// # Errors
    ///
    /// [`NoNodes`] when there is nobody.
    pub fn pick(
        &self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Result<Vec<NodeId>, NoNodes> {
        let mut none = NoNodes { nodes: self.len(), unfit: 0, banned: 0, excluded: 0 };
        let (mut free, mut resting) = (Vec::new(), Vec::new());
        for (at, record) in self.records.iter().enumerate() {
            let Some(id) = NodeId::at(at) else { continue };
            if excluded.contains(&id) {
                none.excluded += 1;
            } else if !filter.fits(id, &record.node) {
                none.unfit += 1;
            } else if record.is_banned(now) {
                none.banned += 1;
            } else if let Some(until) = record.rests_until(now) {
                resting.push((until, id));
            } else {
                free.push((record.weight(now, &self.config), id));
            }
        }
        if free.is_empty() {
            resting.sort_unstable();
            let first: Vec<_> = resting.into_iter().map(|(_, id)| id).take(count.max(1)).collect();
            return if first.is_empty() { Err(none) } else { Ok(first) };
        }
        Ok(draw(free, count, random))
    }

    /// The keys of up to `count` nodes who can vouch for an answer: with a key, not offline, none of `excluded` and none that one
    /// of those has. Each key is there once.
    pub fn pick_signers(
        &self,
        now: Mono,
        count: usize,
        filter: &Filter,
        excluded: &[NodeId],
        random: &mut Rng,
    ) -> Vec<bytes::Bytes> {
        let key_of = |id: &NodeId| self.node(*id).map(|node| &node.key);
        let mut taken: BTreeSet<_> = excluded.iter().filter_map(key_of).collect();
        let able = |id: &NodeId, record: &'_ Record| {
            !record.node.key.is_empty()
                && !excluded.contains(id)
                && filter.fits(*id, &record.node)
                && !record.is_banned(now)
                && !record.is_offline(now)
        };
        let free = self.records.iter().enumerate().filter_map(|(at, record)| {
            let id = NodeId::at(at)?;
            (able(&id, record) && taken.insert(&record.node.key))
                .then(|| (record.weight(now, &self.config), id))
        });
        let drawn = draw(free.collect(), count, random);
        drawn.into_iter().filter_map(|id| self.node(id)).map(|node| node.key.clone()).collect()
    }

    /// Notes what happened with a node.
    pub fn record(&mut self, now: Mono, id: NodeId, event: NodeEvent, random: &mut Rng) {
        let Some(record) = self.records.get_mut(id.index()) else { return };
        match event {
            NodeEvent::Verified(latency) => record.verified(latency),
            NodeEvent::Trouble => record.trouble(now, &self.config, random),
            NodeEvent::Lied => record.lied(now, &self.config),
        }
    }

    /// A node says that a signer did not sign. The signer is held to be offline when two different nodes say so within
    /// [`PoolConfig::offline`].
    ///
    /// True when that is the case now.
    pub fn report_offline(&mut self, now: Mono, signer: NodeId, by: NodeId) -> bool {
        let config = self.config;
        if signer == by {
            return false;
        }
        self.records.get_mut(signer.index()).is_some_and(|record| record.reported_offline(now, by, &config))
    }

    /// Whether a node is banned for a lie.
    pub fn is_banned(&self, now: Mono, id: NodeId) -> bool {
        self.records.get(id.index()).is_some_and(|record| record.is_banned(now))
    }

    /// Whether a node is held to be offline as a signer.
    pub fn is_offline(&self, now: Mono, id: NodeId) -> bool {
        self.records.get(id.index()).is_some_and(|record| record.is_offline(now))
    }

    /// The weight with which a node is drawn; 0 while it is banned or at rest.
    pub fn weight(&self, now: Mono, id: NodeId) -> u64 {
        let record = self.records.get(id.index());
        record
            .filter(|record| !record.is_banned(now) && record.rests_until(now).is_none())
            .map_or(0, |record| record.weight(now, &self.config))
    }
}

/// Draws without putting back. Weights are at least 1.
fn draw(mut from: Vec<(u64, NodeId)>, count: usize, random: &mut Rng) -> Vec<NodeId> {
    let mut drawn = Vec::with_capacity(count.min(from.len()));
    let mut sum: u64 = from.iter().map(|(weight, _)| *weight).sum();
    while drawn.len() < count && sum > 0 {
        let mut rest = random.u64(0..sum);
        let hit = from.iter().position(|(weight, _)| match rest.checked_sub(*weight) {
            Some(left) => {
                rest = left;
                false
            }
            None => true,
        });
        let Some(hit) = hit else { break };
        let (weight, id) = from.swap_remove(hit);
        sum -= weight;
        drawn.push(id);
    }
    drawn
}

#[cfg(test)]
mod tests;
