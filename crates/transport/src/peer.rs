//! Who is at the other end: the key that the transport authenticated, and the URL bound to it.
//!
//! The rule: a URL that names a key is never taken at its word. [`AuthenticatedPeer::new`] fails
//! when the key that was proven is not the one in the URL, so that nobody speaks under another's.

use crate::PeerViolation;
use quorate_wire::PeerUrl;
use std::{borrow::Borrow, fmt, sync::Arc};

/// The public key of a peer as text, as it stands in the last segment of the peer's URL.
///
/// What the text is (64 hex digits, base64url) is the transport's business. Keys are compared byte
/// by byte; for hex that is the order of the numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(Arc<str>);

impl PeerKey {
    /// The key that a URL names, not proven by anybody yet.
    ///
    /// `None` for a URL without a peer, such as `ws://a.b:80`.
    pub fn named_by(url: &PeerUrl) -> Option<Self> {
        url.peer_id().map(Self::from)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for PeerKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for PeerKey {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for PeerKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// By what a peer is known: its key where the transport authenticates, else its URL.
///
/// One transport uses one of the two, never both. The order decides which of two simultaneous
/// connections stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerIdent {
    /// A proven key.
    Key(PeerKey),
    /// An unproven URL.
    Url(PeerUrl),
}

impl PeerIdent {
    /// The text that tells peers apart: the key, or the URL.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(key) => key.as_str(),
            Self::Url(url) => url.as_str(),
        }
    }

    /// What the peer at `url` is called, in the same way as this ident.
    ///
    /// `None` where this is a key and `url` names none.
    pub fn same_way<'a>(&self, url: &'a PeerUrl) -> Option<&'a str> {
        match self {
            Self::Key(_) => url.peer_id(),
            Self::Url(_) => Some(url.as_str()),
        }
    }
}

impl fmt::Display for PeerIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A peer as the transport vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AuthenticatedPeer {
    key: Option<PeerKey>,
    url: PeerUrl,
}

impl AuthenticatedPeer {
    /// A peer that proved `key` and says it is at `url`.
    ///
    /// Fails with [`PeerViolation::SpoofedUrl`] when the last segment of the URL is not the key.
    pub fn new(key: PeerKey, url: PeerUrl) -> Result<Self, PeerViolation> {
        if url.peer_id() == Some(key.as_str()) {
            Ok(Self { key: Some(key), url })
        } else {
            Err(PeerViolation::SpoofedUrl { url, key })
        }
    }

    /// A peer that says it is at `url` and proved nothing.
    ///
    /// Connections to it are refused unless
    /// [`allow_unauthenticated`](crate::TransportConfig::allow_unauthenticated) is set: whoever can
    /// reach the transport can speak under any URL.
    pub const fn unauthenticated(url: PeerUrl) -> Self {
        Self { key: None, url }
    }

    /// A peer for whose URL the transport itself stands: the key in it counts as proven.
    ///
    /// For transports that hand out URLs themselves, such as one within the process. A URL without a peer
    /// yields an unauthenticated one.
    pub fn vouched(url: PeerUrl) -> Self {
        Self { key: PeerKey::named_by(&url), url }
    }

    /// The proven key, if any.
    pub const fn key(&self) -> Option<&PeerKey> {
        self.key.as_ref()
    }

    /// The URL, bound to the key where there is one.
    pub const fn url(&self) -> &PeerUrl {
        &self.url
    }

    /// By what the peer is known.
    pub fn ident(&self) -> PeerIdent {
        match &self.key {
            Some(key) => PeerIdent::Key(key.clone()),
            None => PeerIdent::Url(self.url.clone()),
        }
    }
}

/// Who opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// We dialed: our preflight goes first.
    Outgoing,
    /// The peer dialed: its preflight comes first.
    Incoming,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PeerUrl {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_of_another_key_is_never_accepted() {
        let spoofed = AuthenticatedPeer::new("mallory".into(), url("quic://127.0.0.1:1/alice"));
        assert!(matches!(spoofed, Err(PeerViolation::SpoofedUrl { .. })));
        let anonymous = AuthenticatedPeer::new("mallory".into(), url("quic://127.0.0.1:1"));
        assert!(matches!(anonymous, Err(PeerViolation::SpoofedUrl { .. })));
        assert!(AuthenticatedPeer::new("alice".into(), url("quic://127.0.0.1:1/alice")).is_ok());
    }

    #[test]
    fn a_peer_is_known_by_its_key_where_there_is_one() {
        let keyed = AuthenticatedPeer::new("k".into(), url("mem://a:1/k")).unwrap();
        let bare = AuthenticatedPeer::unauthenticated(url("mem://a:1/k"));
        assert_eq!(keyed.ident().as_str(), "k");
        assert_eq!(bare.ident().as_str(), "mem://a:1/k");
        assert_eq!(keyed.ident().same_way(bare.url()), Some("k"));
        assert_eq!(keyed.ident().same_way(&url("mem://a:1")), None);
        assert_eq!(bare.ident().same_way(&url("mem://a:1")), Some("mem://a:1"));
    }
}
