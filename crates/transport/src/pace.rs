//! The rates of one connection: its peer's bucket, and what its messages owe to the buckets of spaces.
//!
//! The rule: a message costs an addition; buckets are charged once for all that came together. A peer that
//! comes back still owes what it owed.

use crate::{AuthenticatedPeer, PeerIdent, Rate, TokenBucket, locked, rate::SharedBucket};
use quorate_base::Mono;
use std::{collections::HashMap, sync::Arc, sync::Mutex, time::Duration};

/// How many peers that are gone may still owe; who comes after that begins anew.
const MAX_DEBTORS: usize = 4_096;

/// What one connection owes.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    peer: Option<TokenBucket>,
    charged_at: Mono,
    space: Option<Owed>,
    /// How long to wait for spaces whose bucket was charged since.
    wait: Duration,
}

#[derive(Debug)]
struct Owed {
    bucket: Arc<SharedBucket>,
    messages: u64,
    bytes: u64,
}

impl Pace {
    /// A message came for the space of this bucket.
    pub(crate) fn note(&mut self, bucket: Option<&Arc<SharedBucket>>, bytes: usize) {
        let Some(bucket) = bucket else { return };
        if !self.space.as_ref().is_some_and(|owed| Arc::ptr_eq(&owed.bucket, bucket)) {
            self.settle(self.charged_at);
        }
        let owed =
            self.space.get_or_insert_with(|| Owed { bucket: Arc::clone(bucket), messages: 0, bytes: 0 });
        owed.messages += 1;
        owed.bytes += bytes as u64;
    }

    /// Frames arrived: how long to wait for the peer's own rate, and for those of its spaces.
    pub(crate) fn charge(&mut self, now: Mono, frames: u64, bytes: u64) -> (Duration, Duration) {
        self.charged_at = now;
        let of_peer = self.peer.as_mut().map_or(Duration::ZERO, |peer| peer.charge(now, frames, bytes));
        self.settle(now);
        (of_peer, std::mem::take(&mut self.wait))
    }

    fn settle(&mut self, now: Mono) {
        if let Some(Owed { bucket, messages, bytes }) = self.space.take() {
            self.wait = self.wait.max(bucket.charge(now, messages, bytes));
        }
    }
}

/// What peers owe that have no connection now, so that coming back is no way around the rate.
#[derive(Debug)]
pub(crate) struct Debts {
    rate: Option<Rate>,
    gone: Mutex<HashMap<PeerIdent, TokenBucket>>,
}

impl Debts {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self { rate, gone: Mutex::default() }
    }

    /// The rates of a connection that begins.
    pub(crate) fn pace_of(&self, peer: &AuthenticatedPeer) -> Pace {
        let fresh = self.rate.as_ref().map(TokenBucket::new);
        let owed = fresh.is_some().then(|| locked(&self.gone).remove(&peer.ident())).flatten();
        Pace { peer: owed.or(fresh), ..Pace::default() }
    }

    /// The connection ended: what its peer owes is kept, if it owes something and there is room.
    pub(crate) fn keep(&self, peer: &AuthenticatedPeer, pace: &mut Pace) {
        let now = pace.charged_at;
        let Some(bucket) = pace.peer.take().filter(|bucket| !bucket.is_full(now)) else { return };
        let mut gone = locked(&self.gone);
        if gone.len() >= MAX_DEBTORS {
            gone.retain(|_, bucket| !bucket.is_full(now));
        }
        if gone.len() < MAX_DEBTORS {
            gone.insert(peer.ident(), bucket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportConfig;

    fn peer(number: usize) -> AuthenticatedPeer {
        AuthenticatedPeer::vouched(format!("mem://host:1/{number}").parse().unwrap())
    }

    #[test]
    fn a_peer_that_comes_back_still_owes() {
        let rate = TransportConfig::default().peer_rate.unwrap();
        let debts = Debts::new(Some(rate));
        let mut pace = debts.pace_of(&peer(1));
        let burst = rate.messages_per_s.get();
        assert_eq!(pace.charge(Mono::ZERO, burst, 0), (Duration::ZERO, Duration::ZERO));
        debts.keep(&peer(1), &mut pace);
        assert!(debts.pace_of(&peer(2)).charge(Mono::ZERO, burst, 0).0.is_zero(), "another peer");
        assert!(!debts.pace_of(&peer(1)).charge(Mono::ZERO, 1, 0).0.is_zero());
    }

    #[test]
    fn debtors_never_outgrow_their_bound() {
        let debts = Debts::new(TransportConfig::default().peer_rate);
        for number in 0..MAX_DEBTORS + 100 {
            let mut pace = debts.pace_of(&peer(number));
            pace.charge(Mono::ZERO, 1_000, 0);
            debts.keep(&peer(number), &mut pace);
        }
        assert_eq!(locked(&debts.gone).len(), MAX_DEBTORS);
        let later = Mono::from_origin(Duration::from_secs(100));
        let mut pace = debts.pace_of(&peer(usize::MAX));
        pace.charge(later, 1_000, 0);
        debts.keep(&peer(usize::MAX), &mut pace);
        assert_eq!(locked(&debts.gone).len(), 1, "those who paid make room");
    }

    #[test]
    fn spaces_are_charged_once_for_all_that_came_together() {
        let rate = TransportConfig::default().space_rate.unwrap();
        let (one, other) = (Arc::new(SharedBucket::new(&rate)), Arc::new(SharedBucket::new(&rate)));
        let mut pace = Pace::default();
        for _ in 0..rate.messages_per_s.get() {
            pace.note(Some(&one), 1);
        }
        pace.note(Some(&other), 1);
        pace.note(Some(&one), 1);
        assert!(!pace.charge(Mono::ZERO, 0, 0).1.is_zero());
        assert!(pace.charge(Mono::ZERO, 0, 0).1.is_zero(), "said once");
        assert!(other.charge(Mono::ZERO, rate.messages_per_s.get() - 1, 0).is_zero());
        assert!(!other.charge(Mono::ZERO, 1, 0).is_zero());
    }
}
