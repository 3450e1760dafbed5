//! Where a peer is, as a URL and as iroh has it: `quic://ip:port/<key>`, or `https://relay:port/<key>`.
//!
//! The rule: a key has one spelling, 64 hex digits in lower case, so that two URLs of one peer at one
//! place are the same bytes.

use iroh::{EndpointAddr, EndpointId, RelayUrl};
use quorate_transport::{DialError, PeerKey};
use quorate_wire::{PeerUrl, PeerUrlError, Scheme};
use std::net::SocketAddr;

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// At its own address.
    Direct(EndpointAddr),
    /// Through this relay, and from there by whatever path the two find.
    Relayed(EndpointAddr, RelayUrl),
}

impl Route {
    /// Where to dial for a URL.
    pub(crate) fn to(url: &PeerUrl) -> Result<Self, DialError> {
        let invalid = |reason: &str| DialError::invalid_url(format_args!("{url}: {reason}"));
        let key = url.peer_id().ok_or_else(|| invalid("there is no key"))?;
        let id: EndpointId = key.parse().map_err(|_| invalid("the key is none"))?;
        let (route, canonical) = match url.scheme() {
            Scheme::Quic => {
                let addr = url.socket_addr().ok_or_else(|| invalid("the host is not an IP address"))?;
                (Self::Direct(EndpointAddr::new(id).with_ip_addr(addr)), direct_url(addr, id))
            }
            scheme if is_relay_scheme(scheme) => {
                let relay = relay_of(url).ok_or_else(|| invalid("the relay's URL is none"))?;
                let canonical = relay_peer_url(&relay, id);
                (Self::Relayed(EndpointAddr::new(id).with_relay_url(relay.clone()), relay), canonical)
            }
            _ => return Err(invalid("the scheme is none of quic, https and http")),
        };
        match canonical {
            Ok(canonical) if canonical == *url => Ok(route),
            _ => Err(invalid("not an address, and 64 hex digits as the last segment")),
        }
    }
}

/// Whether URLs of this scheme name a peer by its relay.
pub(crate) const fn is_relay_scheme(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Http | Scheme::Https | Scheme::Ws | Scheme::Wss)
}

/// Whether a relay is spoken to without TLS.
pub(crate) fn is_plain_text(relay: &RelayUrl) -> bool {
    !matches!(relay.scheme(), "https" | "wss")
}

/// The URL of the peer with this key at this address.
///
/// An error where the address cannot stand in a URL (an IPv6 address with a zone).
pub(crate) fn direct_url(addr: SocketAddr, id: EndpointId) -> Result<PeerUrl, PeerUrlError> {
    format!("{}://{addr}/{id}", Scheme::Quic).parse()
}

/// The URL of the peer with this key at this relay, in Kitsune2's form: the relay's URL, its port always
/// written, and the key as the last segment.
///
/// An error where the relay's URL has what a peer's may not have, such as a user or a query.
pub(crate) fn relay_peer_url(relay: &RelayUrl, id: EndpointId) -> Result<PeerUrl, PeerUrlError> {
    let (Some(host), Some(port)) = (relay.host_str(), relay.port_or_known_default()) else {
        return Err(PeerUrlError::NoHost);
    };
    if relay.query().is_some() || relay.fragment().is_some() || !relay.username().is_empty() {
        return Err(PeerUrlError::NotCanonical);
    }
    let path = relay.path().trim_end_matches('/');
    format!("{}://{host}:{port}{path}/{id}", relay.scheme()).parse()
}

/// The relay in a peer's URL: everything before the key.
pub(crate) fn relay_of(url: &PeerUrl) -> Option<RelayUrl> {
    let (relay, _key) = url.as_str().rsplit_once('/')?;
    format!("{relay}/").parse().ok()
}

/// The key as text, as it stands in URLs.
pub(crate) fn key_of(id: EndpointId) -> PeerKey {
    id.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use iroh::SecretKey;

    fn id() -> EndpointId {
        SecretKey::from_bytes(&[7; 32]).public()
    }

    #[test]
    fn a_url_and_an_address_are_the_same_thing() {
        for addr in ["127.0.0.1:4433", "[::1]:80", "[2001:db8::1]:1"] {
            let addr: SocketAddr = addr.parse().unwrap();
            let url = direct_url(addr, id()).unwrap();
            assert_eq!(url.as_str(), format!("quic://{addr}/{}", key_of(id())));
            assert_eq!(Route::to(&url), Ok(Route::Direct(EndpointAddr::new(id()).with_ip_addr(addr))));
        }
        assert_eq!(key_of(id()).as_str().len(), 64);
    }

    #[test]
    fn a_relay_and_a_key_are_a_url_and_back() {
        let key = key_of(id());
        for (relay, expected) in [
            ("https://a.b", "https://a.b:443"),
            ("https://a.b:443/", "https://a.b:443"),
            ("http://127.0.0.1:3340/", "http://127.0.0.1:3340"),
            ("http://[::1]:80/relay/", "http://[::1]:80/relay"),
            ("https://a.b:1/x/relay", "https://a.b:1/x/relay"),
        ] {
            let relay: RelayUrl = relay.parse().unwrap();
            let url = relay_peer_url(&relay, id()).unwrap();
            assert_eq!(url.as_str(), format!("{expected}/{key}"));
            let Ok(Route::Relayed(addr, found)) = Route::to(&url) else { panic!("{url}") };
            assert_eq!(addr, EndpointAddr::new(id()).with_relay_url(found.clone()));
            assert_eq!(found.as_str().trim_end_matches('/'), relay.as_str().trim_end_matches('/'));
            assert_eq!(found, relay_of(&url).unwrap());
        }
        for relay in ["https://user@a.b", "https://a.b/?token=1", "https://a.b/#x", "ftp://a.b"] {
            assert!(relay_peer_url(&relay.parse().unwrap(), id()).is_err(), "{relay}");
        }
    }

    #[test]
    fn only_one_spelling_is_dialed() {
        let key = key_of(id());
        let base32 = id().to_z32();
        for url in [
            format!("mem://127.0.0.1:1/{key}"),
            "quic://127.0.0.1:1".to_owned(),
            "https://127.0.0.1:1".to_owned(),
            format!("quic://a.b:1/{key}"),
            format!("quic://127.0.0.1:1/x/{key}"),
            format!("quic://127.0.0.1:1/{}", key.as_str().to_uppercase()),
            format!("https://127.0.0.1:1/{}", key.as_str().to_uppercase()),
            format!("quic://127.0.0.1:1/{base32}"),
            format!("https://127.0.0.1:1/{base32}"),
            "quic://127.0.0.1:1/abc".to_owned(),
            format!("quic://127.0.0.1:1/{}", "g".repeat(64)),
        ] {
            let refused = Route::to(&url.parse().unwrap());
            assert!(matches!(refused, Err(DialError::InvalidUrl { .. })), "{url}: {refused:?}");
        }
    }

    #[test]
    fn plain_text_is_what_has_no_tls() {
        for (url, plain) in
            [("http://a.b", true), ("ws://a.b", true), ("https://a.b", false), ("wss://a.b", false)]
        {
            assert_eq!(is_plain_text(&url.parse().unwrap()), plain, "{url}");
        }
    }
}
