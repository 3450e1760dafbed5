//! How many links that peers dialed are in hand, in all and of each peer.
//!
//! The rule: every such link is counted from the moment it comes until its task is over. A peer that
//! dials faster than its old links end is turned away, so that redialing costs it and not us.

use crate::{OpenError, locked};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

/// The links in hand. A clone is the same count.
#[derive(Debug, Clone)]
pub(super) struct Links {
    counts: Arc<Mutex<Counts>>,
    max: usize,
    max_of_peer: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    of_peer: HashMap<Box<str>, usize>,
}

/// One link's place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    links: Links,
    name: Box<str>,
}

impl Links {
    /// For so many connections: links on their way in or out may be as many again.
    pub(super) fn new(max_connections: usize, max_of_peer: usize) -> Self {
        Self { counts: Arc::default(), max: max_connections.saturating_mul(2), max_of_peer }
    }

    /// Whether there are none.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let counts = locked(&self.counts);
        counts.all == 0 && counts.of_peer.is_empty()
    }

    /// A place for one more link of the peer of this name.
    pub(super) fn admit(&self, name: &str) -> Result<Place, OpenError> {
        let mut counts = locked(&self.counts);
        if counts.all >= self.max {
            return Err(OpenError::TooManyConnections { max: self.max / 2 });
        }
        let of_peer = counts.of_peer.entry(name.into()).or_default();
        if *of_peer >= self.max_of_peer {
            return Err(OpenError::TooManyConnectionsOfPeer { max: self.max_of_peer });
        }
        *of_peer += 1;
        counts.all += 1;
        Ok(Place { links: self.clone(), name: name.into() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = locked(&self.links.counts);
        counts.all -= 1;
        if let Entry::Occupied(mut of_peer) = counts.of_peer.entry(std::mem::take(&mut self.name)) {
            *of_peer.get_mut() -= 1;
            if *of_peer.get() == 0 {
                of_peer.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_peer_and_in_all_and_come_back() {
        let links = Links::new(2, 3);
        let of_a: Vec<_> = (0..3).map(|_| links.admit("a").unwrap()).collect();
        assert_eq!(links.admit("a").unwrap_err(), OpenError::TooManyConnectionsOfPeer { max: 3 });
        let of_b = links.admit("b").unwrap();
        assert_eq!(links.admit("c").unwrap_err(), OpenError::TooManyConnections { max: 2 });
        drop(of_b);
        links.admit("c").unwrap();
        drop(of_a);
        assert!(links.is_empty(), "{links:?}");
    }
}
