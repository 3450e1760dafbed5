//! This node's own URLs, and which of them a peer is told.
//!
//! The rule: a peer is told the URL by which it can reach this node in the way in which the two met.

use crate::{RelayStatus, address::is_relay_scheme};
use quorate_wire::PeerUrl;
use tokio::sync::watch;

/// Where this node is reached.
#[derive(Debug, Clone)]
pub(crate) struct OwnUrls {
    /// By its own address, if that is known.
    direct: Option<PeerUrl>,
    /// By its relay, in relay mode.
    relay: Option<watch::Receiver<RelayStatus>>,
}

impl OwnUrls {
    pub(crate) const fn new(direct: Option<PeerUrl>, relay: Option<watch::Receiver<RelayStatus>>) -> Self {
        Self { direct, relay }
    }

    /// The one that is given to others: by the relay where there is one.
    pub(crate) fn advertised(&self) -> Option<PeerUrl> {
        match &self.relay {
            Some(relay) => relay.borrow().url.clone(),
            None => self.direct.clone(),
        }
    }

    /// The one that the peer at `peer` is told; another one than it would choose, where there is no better.
    pub(crate) fn toward(&self, peer: &PeerUrl) -> Option<PeerUrl> {
        let relayed = || self.relay.as_ref().and_then(|relay| relay.borrow().url.clone());
        if is_relay_scheme(peer.scheme()) {
            relayed().or_else(|| self.direct.clone())
        } else {
            self.direct.clone().or_else(relayed)
        }
    }

    /// The way to the relay, in relay mode.
    pub(crate) const fn relay(&self) -> Option<&watch::Receiver<RelayStatus>> {
        self.relay.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_the_url_of_its_own_kind() {
        let url = |text: &str| -> PeerUrl { text.parse().unwrap() };
        let (direct, relayed) = (url("quic://127.0.0.1:1/k"), url("https://a.b:1/k"));
        let (by_address, by_relay) = (url("quic://127.0.0.1:2/p"), url("https://x.y:1/p"));
        let status = RelayStatus { url: Some(relayed.clone()), ..RelayStatus::default() };
        let (_keep, status) = watch::channel(status);

        let both = OwnUrls::new(Some(direct.clone()), Some(status.clone()));
        assert_eq!(both.advertised(), Some(relayed.clone()));
        assert_eq!(both.toward(&by_address), Some(direct.clone()));
        assert_eq!(both.toward(&by_relay), Some(relayed.clone()));
        let only_relay = OwnUrls::new(None, Some(status));
        assert_eq!(only_relay.toward(&by_address), Some(relayed));
        let only_direct = OwnUrls::new(Some(direct.clone()), None);
        assert_eq!(only_direct.advertised(), Some(direct));

        let (_keep, unknown) = watch::channel(RelayStatus::default());
        assert_eq!(OwnUrls::new(None, Some(unknown)).toward(&by_relay), None);
    }
}
