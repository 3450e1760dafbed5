//! How many peers a federation has, and what follows from it.
//!
//! The rule: there is at least one peer. Of `n` peers at most `f = (n - 1) / 3` may be faulty, any
//! `n - f` contain an honest majority, and any `f + 1` contain an honest peer.

use std::fmt;
use std::num::NonZeroUsize;

/// The number of peers in a federation (Fedimint's `NumPeers`, which underflows at zero).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumPeers(NonZeroUsize);

impl NumPeers {
    /// `total` peers; `None` when there is none.
    pub const fn new(total: usize) -> Option<Self> {
        match NonZeroUsize::new(total) {
            Some(total) => Some(Self(total)),
            None => None,
        }
    }

    /// All peers: n.
    pub const fn total(self) -> usize {
        self.0.get()
    }

    /// How many may be faulty: f = (n - 1) / 3.
    pub const fn max_evil(self) -> usize {
        (self.0.get() - 1) / 3
    }

    /// The least number that contains an honest peer: f + 1.
    pub const fn one_honest(self) -> usize {
        self.max_evil() + 1
    }

    /// The least number that faulty peers cannot reach twice with different values: n - f.
    pub const fn threshold(self) -> usize {
        self.total() - self.max_evil()
    }

    /// The degree of the polynomial behind threshold signatures: threshold - 1.
    pub const fn degree(self) -> usize {
        self.threshold() - 1
    }
}

impl From<NonZeroUsize> for NumPeers {
    fn from(total: NonZeroUsize) -> Self {
        Self(total)
    }
}

impl fmt::Display for NumPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_field() {
        let table = [
            (1, 0, 1, 1),
            (2, 0, 1, 2),
            (3, 0, 1, 3),
            (4, 1, 2, 3),
            (5, 1, 2, 4),
            (6, 1, 2, 5),
            (7, 2, 3, 5),
            (10, 3, 4, 7),
            (13, 4, 5, 9),
            (100, 33, 34, 67),
        ];
        for (n, max_evil, one_honest, threshold) in table {
            let peers = NumPeers::new(n).expect("not zero");
            assert_eq!(
                (peers.max_evil(), peers.one_honest(), peers.threshold()),
                (max_evil, one_honest, threshold)
            );
            assert_eq!(peers.degree() + 1, threshold);
            assert_eq!(threshold + one_honest, n + 1, "of n final answers one of the two is reached");
        }
    }

    #[test]
    fn no_peers_are_no_federation() {
        assert_eq!(NumPeers::new(0), None);
    }
}
