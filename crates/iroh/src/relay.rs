//! The relay: which one, what is said to it, and whether it can be reached now.
//!
//! The rule: the only relay that is used unasked is the one in the config. A node has its URL from the
//! moment the relay first answers; that the relay goes away and comes back changes nothing about the URL.

use crate::{
    IrohConfigError,
    address::{is_plain_text, relay_peer_url},
};
use iroh::{Endpoint, RelayMap, RelayUrl, Watcher};
use quorate_transport::TxImpHnd;
use quorate_wire::PeerUrl;
use std::{fmt, sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// The relay through which a node is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayConfig {
    /// Its URL, such as `https://relay.example:443` or `http://127.0.0.1:3340/relay`.
    pub url: RelayUrl,
    /// The bearer token that a relay may ask for when a node connects to it. Default: none.
    pub token: Option<String>,
    /// Whether relays may be spoken to without TLS: this one, and those of peers that are dialed. Default false.
    ///
    /// What goes between two nodes is encrypted in any case; without TLS the network sees who talks to
    /// whom, and the token.
    pub allow_plain_text: bool,
    /// Whether two nodes may look for a direct path beside the relay. Default true. Without it everything goes through
    /// relays, and peers do not learn this node's IP addresses.
    pub direct_paths: bool,
}

impl RelayConfig {
    /// A relay over TLS, without a token.
    pub const fn new(url: RelayUrl) -> Self {
        Self { url, token: None, allow_plain_text: false, direct_paths: true }
    }

    /// Whether the URL can be used.
    pub(crate) fn validate(&self) -> Result<(), IrohConfigError> {
        // Any key will do to see whether a URL comes of it.
        let id = iroh::SecretKey::from_bytes(&[1; 32]).public();
        let scheme = self.url.scheme();
        if !matches!(scheme, "https" | "http") || relay_peer_url(&self.url, id).is_err() {
            return Err(IrohConfigError::RelayUrl { url: self.url.to_string() });
        }
        if is_plain_text(&self.url) && !self.allow_plain_text {
            return Err(IrohConfigError::PlainText { url: self.url.to_string() });
        }
        Ok(())
    }

    /// The map of this relay alone.
    pub(crate) fn map(&self) -> RelayMap {
        RelayMap::from_iter([self.for_iroh()])
    }

    fn for_iroh(&self) -> iroh::RelayConfig {
        let mut relay = iroh::RelayConfig::from(with_slash(&self.url));
        if is_plain_text(&self.url) {
            // Where there is no TLS, there is no QUIC to ask for our address.
            relay.quic = None;
        }
        relay.auth_token.clone_from(&self.token);
        relay
    }
}

impl fmt::Debug for RelayConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayConfig")
            .field("url", &self.url.as_str())
            .field("token", &self.token.as_ref().map(|_| ".."))
            .field("allow_plain_text", &self.allow_plain_text)
            .field("direct_paths", &self.direct_paths)
            .finish()
    }
}

/// What is known about the way to the relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayStatus {
    /// This node's URL. `None` until the relay has answered for the first time.
    pub url: Option<PeerUrl>,
    /// Whether the relay can be reached now. The transport goes on trying while it cannot.
    pub connected: bool,
    /// Why the last attempt failed, while there is no connection.
    pub error: Option<String>,
    /// The last attempt failed because the relay does not want this node, or its token.
    pub denied: bool,
}

impl RelayStatus {
    /// The relay was tried, and cannot be reached.
    pub(crate) const fn is_down(&self) -> bool {
        !self.connected && self.error.is_some()
    }
}

/// After how long without a connection the relay is measured again; each time twice as long, up to [`LONGEST`].
const IMPATIENCE: Duration = Duration::from_secs(2);
/// See [`IMPATIENCE`].
const LONGEST: Duration = Duration::from_secs(60);

/// Follows the relay until the endpoint is closed, and tells the handlers of each new URL.
///
/// iroh makes a relay the home of a node when it has measured the way to it. When that fails once, on a machine that is busy or a network
/// that is just coming up, it tries again after five minutes; here it is asked to much sooner.
pub(crate) async fn follow(
    endpoint: Endpoint,
    relay: RelayConfig,
    status: watch::Sender<RelayStatus>,
    hnd: Arc<TxImpHnd>,
) {
    let mut patience = IMPATIENCE;
    let mut relays = endpoint.home_relay_status();
    let mut announced = None;
    loop {
        let now = relays.get();
        let next = assess(&now, endpoint.id(), status.borrow().url.clone());
        let connected = next.connected;
        if let Some(url) = next.url.as_ref().filter(|url| announced.as_ref() != Some(*url)) {
            announced = Some(url.clone());
            status.send_replace(next.clone());
            hnd.new_listening_address(url).await;
        } else {
            status.send_if_modified(|status| {
                let changed = *status != next;
                *status = next;
                changed
            });
        }
        if connected {
            patience = IMPATIENCE;
        }
        tokio::select! {
            updated = relays.updated() => if updated.is_err() { return },
            () = endpoint.closed() => return,
            () = sleep(patience), if !connected => {
                patience = LONGEST.min(patience * 2);
                let relay = relay.for_iroh();
                endpoint.insert_relay(relay.url.clone(), Arc::new(relay)).await;
            }
        }
    }
}

/// iroh's word on the home relay as ours. `url`: the one that the node has so far.
fn assess(relays: &[iroh::endpoint::RelayStatus], id: iroh::EndpointId, url: Option<PeerUrl>) -> RelayStatus {
    let Some(relay) = relays.iter().find(|relay| relay.is_connected()).or_else(|| relays.first()) else {
        return RelayStatus { url, ..RelayStatus::default() };
    };
    if relay.is_connected() {
        let url = relay_peer_url(relay.url(), id).ok().or(url);
        return RelayStatus { url, connected: true, ..RelayStatus::default() };
    }
    let error = relay.last_error().map(|error| format!("{error:#}"));
    RelayStatus { url, connected: false, error, denied: relay.auth_denied_reason().is_some() }
}

/// iroh appends to a relay's path; without a slash at the end it would replace the last segment.
fn with_slash(url: &RelayUrl) -> RelayUrl {
    if url.path().ends_with('/') {
        return url.clone();
    }
    // What has a query or a fragment did not pass `validate`.
    format!("{url}/").parse().unwrap_or_else(|_| url.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(url: &str) -> RelayConfig {
        RelayConfig::new(url.parse().unwrap())
    }

    #[test]
    fn plain_text_must_be_asked_for() {
        let plain = relay("http://127.0.0.1:3340");
        assert_eq!(
            plain.validate(),
            Err(IrohConfigError::PlainText { url: "http://127.0.0.1:3340/".into() })
        );
        assert_eq!(RelayConfig { allow_plain_text: true, ..plain }.validate(), Ok(()));
        assert_eq!(relay("https://relay.example/x").validate(), Ok(()));
    }

    #[test]
    fn what_is_no_relay_is_named() {
        for url in ["ftp://a.b", "https://me@a.b", "https://a.b/?x=1", "wss://a.b", "file:///x"] {
            assert!(matches!(relay(url).validate(), Err(IrohConfigError::RelayUrl { .. })), "{url}");
        }
    }

    #[test]
    fn the_map_has_this_relay_and_no_other() {
        let token = Some("secret".to_owned());
        let map = RelayConfig { token: token.clone(), ..relay("https://a.b:1/x") }.map();
        let relays: Vec<_> = map.relays();
        assert_eq!(relays.len(), 1);
        assert_eq!((relays[0].url.as_str(), &relays[0].auth_token), ("https://a.b:1/x/", &token));
        assert!(relays[0].quic.is_some(), "behind a NAT, a node asks its relay for its own address");
        assert!(relay("http://a.b").map().relays::<Vec<_>>()[0].quic.is_none());
    }

    #[test]
    fn the_token_is_not_printed() {
        let config = RelayConfig { token: Some("secret".into()), ..relay("https://a.b") };
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
    }
}
