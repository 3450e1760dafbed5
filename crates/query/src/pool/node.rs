//! A node as it is described, and what is wanted of one.

use crate::endpoint::Endpoint;
use bytes::Bytes;
use std::fmt;

/// A node's number in its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The node at this place; none beyond the bound of a pool.
    pub(super) fn at(place: usize) -> Option<Self> {
        (place < super::MAX_NODES).then(|| u32::try_from(place).ok().map(Self)).flatten()
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a node can do, a bit each. What the bits mean, the protocol of the nodes says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Whether all of `wanted` are there.
    pub const fn contains(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// A node as its operator or a registry describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The key or address with which it signs; empty where it has none.
    pub key: Bytes,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it has to lose, in its protocol's smallest unit.
    pub stake: u128,
}

impl Node {
    /// A node of which nothing is known but where it is.
    pub const fn at(endpoint: Endpoint) -> Self {
        Self { endpoint, key: Bytes::new(), capabilities: Capabilities(0), stake: 0 }
    }
}

/// Which nodes are wanted. The default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What they can do.
    pub capabilities: Capabilities,
    /// What they have to lose, at least.
    pub min_stake: u128,
    /// Only these.
    pub only: Option<Vec<NodeId>>,
}

impl Filter {
    pub(super) fn fits(&self, id: NodeId, node: &Node) -> bool {
        node.capabilities.contains(self.capabilities)
            && node.stake >= self.min_stake
            && self.only.as_ref().is_none_or(|only| only.contains(&id))
    }
}
