//! The gate: whether a message may pass between a peer and a space, and how many may not.
//!
//! The rule: what peers choose (their URLs, the spaces they name) never makes the counts grow beyond
//! the configured number of entries.

use crate::{MessageBlockCount, locked};
use quorate_wire::{PeerUrl, SpaceId};
use std::{collections::BTreeMap, mem, sync::Mutex};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// Blocked messages by peer and space; a bounded number of pairs, the rest in one sum.
#[derive(Debug)]
pub(crate) struct BlockCounts {
    max_entries: usize,
    counts: Mutex<Counts>,
}

/// What the counts are at one time.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) by_peer: BTreeMap<PeerUrl, BTreeMap<SpaceId, MessageBlockCount>>,
    pub(crate) other: MessageBlockCount,
    /// Pairs in `by_peer`.
    entries: usize,
}

impl BlockCounts {
    pub(crate) fn new(max_entries: usize) -> Self {
        Self { max_entries, counts: Mutex::default() }
    }

    /// Counts one message that was dropped.
    pub(crate) fn add(&self, peer: &PeerUrl, space: &SpaceId, way: Way) {
        let mut counts = locked(&self.counts);
        let count = counts.entry(self.max_entries, peer, space);
        let number = match way {
            Way::In => &mut count.incoming,
            Way::Out => &mut count.outgoing,
        };
        *number = number.saturating_add(1);
    }

    pub(crate) fn snapshot(&self) -> Counts {
        locked(&self.counts).clone()
    }

    /// Starts again from nothing; returns what was counted.
    pub(crate) fn reset(&self) -> Counts {
        mem::take(&mut locked(&self.counts))
    }
}

impl Counts {
    fn entry(&mut self, max_entries: usize, peer: &PeerUrl, space: &SpaceId) -> &mut MessageBlockCount {
        let known = self.by_peer.get(peer).is_some_and(|spaces| spaces.contains_key(space));
        if !known {
            if self.entries >= max_entries {
                return &mut self.other;
            }
            self.entries += 1;
        }
        // The ids may be slices of a frame: what is kept must not keep the frame.
        let spaces = self.by_peer.entry(peer.clone()).or_default();
        if known {
            spaces.entry(space.clone()).or_default()
        } else {
            spaces.entry(space.detach()).or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(number: u32) -> PeerUrl {
        format!("mem://peer:1/{number}").parse().unwrap()
    }

    #[test]
    fn a_million_urls_never_take_more_entries_than_configured() {
        let counts = BlockCounts::new(3);
        let space = SpaceId::from_static(b"s");
        for number in 0..1_000_000 {
            counts.add(&url(number), &space, Way::In);
        }
        let seen = counts.snapshot();
        assert_eq!(seen.by_peer.len(), 3);
        assert_eq!(seen.other, MessageBlockCount { incoming: 999_997, outgoing: 0 });
        counts.add(&url(1), &space, Way::Out);
        assert_eq!(
            counts.snapshot().by_peer[&url(1)][&space],
            MessageBlockCount { incoming: 1, outgoing: 1 }
        );
    }

    #[test]
    fn spaces_of_one_peer_count_as_entries_too() {
        let counts = BlockCounts::new(2);
        for space in [&b"a"[..], b"b", b"c", b"a"] {
            counts.add(&url(1), &space.into(), Way::Out);
        }
        let seen = counts.snapshot();
        assert_eq!(seen.by_peer[&url(1)].len(), 2);
        assert_eq!(seen.by_peer[&url(1)][&b"a"[..]].outgoing, 2);
        assert_eq!(seen.other.outgoing, 1);
    }

    #[test]
    fn a_count_stops_at_its_maximum_and_a_reset_starts_again() {
        let counts = BlockCounts::new(1);
        let space = SpaceId::from_static(b"s");
        counts.add(&url(1), &space, Way::In);
        locked(&counts.counts).by_peer.get_mut(&url(1)).unwrap().get_mut(&space).unwrap().incoming = u32::MAX;
        counts.add(&url(1), &space, Way::In);
        assert_eq!(counts.reset().by_peer[&url(1)][&space].incoming, u32::MAX);
        assert!(counts.snapshot().by_peer.is_empty());
        counts.add(&url(2), &space, Way::In);
        assert_eq!(counts.snapshot().by_peer.len(), 1, "a reset frees the entries");
    }
}
