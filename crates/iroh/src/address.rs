//! `quic://ip:port/<key>`: where a peer is, as a URL and as iroh has it.
//!
//! The rule: a key has one spelling, 64 hex digits in lower case, so that two URLs of one peer at one
//! address are the same bytes.

use iroh::{EndpointAddr, EndpointId};
use quorate_transport::{DialError, PeerKey};
use quorate_wire::{PeerUrl, PeerUrlError, Scheme};
use std::net::SocketAddr;

/// The URL of the peer with this key at this address.
///
/// An error where the address cannot stand in a URL (an IPv6 address with a zone).
pub(crate) fn url_of(addr: SocketAddr, id: EndpointId) -> Result<PeerUrl, PeerUrlError> {
    format!("{}://{addr}/{id}", Scheme::Quic).parse()
}

/// The key as text, as it stands in URLs.
pub(crate) fn key_of(id: EndpointId) -> PeerKey {
    id.to_string().into()
}

/// Where to dial for a URL.
pub(crate) fn endpoint_addr(url: &PeerUrl) -> Result<EndpointAddr, DialError> {
    let invalid = |reason: &str| DialError::InvalidUrl { reason: format!("{url}: {reason}") };
    if url.scheme() != Scheme::Quic {
        return Err(invalid("the scheme is not quic"));
    }
    let addr = url.socket_addr().ok_or_else(|| invalid("the host is not an IP address"))?;
    let key = url.peer_id().ok_or_else(|| invalid("there is no key"))?;
    let id: EndpointId = key.parse().map_err(|_| invalid("the key is none"))?;
    match url_of(addr, id) {
        Ok(canonical) if canonical == *url => Ok(EndpointAddr::new(id).with_ip_addr(addr)),
        _ => Err(invalid("not quic://ip:port/ and 64 hex digits")),
    }
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
            let url = url_of(addr, id()).unwrap();
            assert_eq!(url.as_str(), format!("quic://{addr}/{}", key_of(id())));
            assert_eq!(endpoint_addr(&url), Ok(EndpointAddr::new(id()).with_ip_addr(addr)));
        }
        assert_eq!(key_of(id()).as_str().len(), 64);
    }

    #[test]
    fn only_one_spelling_is_dialed() {
        let key = key_of(id());
        let base32 = id().to_z32();
        for url in [
            format!("ws://127.0.0.1:1/{key}"),
            "quic://127.0.0.1:1".to_owned(),
            format!("quic://a.b:1/{key}"),
            format!("quic://127.0.0.1:1/x/{key}"),
            format!("quic://127.0.0.1:1/{}", key.as_str().to_uppercase()),
            format!("quic://127.0.0.1:1/{base32}"),
            "quic://127.0.0.1:1/abc".to_owned(),
            format!("quic://127.0.0.1:1/{}", "g".repeat(64)),
        ] {
            let refused = endpoint_addr(&url.parse().unwrap());
            assert!(matches!(refused, Err(DialError::InvalidUrl { .. })), "{url}: {refused:?}");
        }
    }
}
