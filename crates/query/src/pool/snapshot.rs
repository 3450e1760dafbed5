//! A pool's state as a value: to look at, and to keep.
//!
//! The rule: times are what is left of them, never points of a clock that another process does not have.

use super::record::Ban;
use super::{Pool, Record};
use crate::error::Seconds;
use quorate_base::Mono;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What is known of every node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSnapshot {
    /// The nodes, in the pool's order.
    pub nodes: Vec<NodeSnapshot>,
}

/// What is known of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSnapshot {
    /// Where it is.
    pub url: String,
    /// Whether it may be asked.
    pub state: NodeState,
    /// The weight with which it is drawn; 0 while it is not.
    #[serde(default)]
    pub weight: u64,
    /// How many of its answers were verified.
    #[serde(default)]
    pub answers: u64,
    /// The mean time of a verified answer, in microseconds.
    #[serde(default)]
    pub latency_micros: u64,
    /// How often it could not be used.
    #[serde(default)]
    pub troubles: u64,
    /// How many of them since its last verified answer.
    #[serde(default)]
    pub in_a_row: u32,
    /// How often it was convicted.
    #[serde(default)]
    pub lies: u64,
    /// How long its last ban lasts or lasted, in milliseconds.
    #[serde(default)]
    pub ban_millis: u64,
    /// How long ago that ban ended, in milliseconds.
    #[serde(default)]
    pub ban_ended_millis: u64,
    /// How long it is held to be offline as a signer, in milliseconds.
    #[serde(default)]
    pub offline_millis: u64,
}

/// Whether a node may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// It may.
    Ready,
    /// It rests after trouble, for so many milliseconds more.
    Resting(u64),
    /// It is banned for a lie, for so many milliseconds more.
    Banned(u64),
}

impl Pool {
    /// What is known of every node.
    pub fn snapshot(&self, now: Mono) -> PoolSnapshot {
        let nodes = self.nodes().zip(&self.records);
        PoolSnapshot {
            nodes: nodes.map(|((id, _), record)| record.snapshot(now, self.weight(now, id))).collect(),
        }
    }

    /// Takes over what a snapshot says of nodes that are in the pool, by their URLs. Others are ignored.
    pub fn restore(&mut self, now: Mono, snapshot: &PoolSnapshot) {
        for node in &snapshot.nodes {
            if let Some(id) = self.find(&node.url)
                && let Some(record) = self.records.get_mut(id.index())
            {
                record.restore(now, node);
            }
        }
    }
}

impl Record {
    pub(super) fn snapshot(&self, now: Mono, weight: u64) -> NodeSnapshot {
        let left = |until: Option<Mono>| until.map_or(Duration::ZERO, |until| until.since(now));
        let banned = self.ban.filter(|ban| now < ban.until);
        let state = match (banned, self.rests_until(now)) {
            (Some(ban), _) => NodeState::Banned(millis(ban.until.since(now))),
            (None, Some(until)) => NodeState::Resting(millis(until.since(now))),
            (None, None) => NodeState::Ready,
        };
        NodeSnapshot {
            url: self.node.endpoint.public_url(),
            state,
            weight,
            answers: self.answers,
            latency_micros: u64::try_from(self.latency.as_micros()).unwrap_or(u64::MAX),
            troubles: self.troubles,
            in_a_row: self.in_a_row,
            lies: self.lies,
            ban_millis: self.ban.map_or(0, |ban| millis(ban.lasts)),
            ban_ended_millis: self.ban.map_or(0, |ban| millis(now.since(ban.until))),
            offline_millis: millis(left(self.offline_until)),
        }
    }

    pub(super) fn restore(&mut self, now: Mono, from: &NodeSnapshot) {
        self.answers = from.answers;
        self.latency = Duration::from_micros(from.latency_micros);
        self.troubles = from.troubles;
        self.in_a_row = from.in_a_row;
        self.lies = from.lies;
        self.rest_until = match from.state {
            NodeState::Resting(left) => Some(now + Duration::from_millis(left)),
            _ => None,
        };
        let lasts = Duration::from_millis(from.ban_millis);
        self.ban = match from.state {
            NodeState::Banned(left) => Some(Ban { until: now + Duration::from_millis(left), lasts }),
            // A clock that has just begun cannot tell how long ago the ban ended: the node grows into its weight anew.
            _ if from.ban_millis > 0 && from.ban_ended_millis < from.ban_millis => {
                Some(Ban { until: now, lasts })
            }
            _ => None,
        };
        self.offline_until =
            (from.offline_millis > 0).then(|| now + Duration::from_millis(from.offline_millis));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for PoolSnapshot {
    /// A line for each node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes.iter().try_for_each(|node| writeln!(f, "{node}"))
    }
}

impl fmt::Display for NodeSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.url)?;
        match self.state {
            NodeState::Ready => write!(f, "ready, weight {}", self.weight)?,
            NodeState::Resting(left) => write!(f, "rests for {}", Seconds(Duration::from_millis(left)))?,
            NodeState::Banned(left) => write!(f, "banned for {}", Seconds(Duration::from_millis(left)))?,
        }
        write!(f, "; {} verified", self.answers)?;
        if self.answers > 0 {
            write!(f, " (mean {}.{:03} ms)", self.latency_micros / 1_000, self.latency_micros % 1_000)?;
        }
        write!(f, ", {} troubles, {} lies", self.troubles, self.lies)?;
        match self.offline_millis {
            0 => Ok(()),
            left => write!(f, "; offline as a signer for {}", Seconds(Duration::from_millis(left))),
        }
    }
}
