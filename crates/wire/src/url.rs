//! Where a peer is: a URL in the one form in which it may be written.
//!
//! The rule: two URLs are the same peer exactly when their bytes are equal, so text in any other
//! form than the canonical one is an error and is never repaired. The rules are Kitsune2's
//! (`kitsune2_api::Url`), with the schemes `quic` and `mem` besides and a bound on the length.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Borrow, fmt, hash, net::SocketAddr, str::FromStr, sync::Arc};
use url::{ParseError, Url};

/// A peer's URL: `scheme://host:port`, or that and a path whose last segment is the peer's id.
///
/// Canonical form: scheme and host in lower case, IP addresses as the URL standard writes them
/// (`[::1]`, not `[0:0::1]`), the port always written, no user, query or fragment, no empty path
/// segment and no `/` at the end. A clone is a reference count.
///
/// ```
/// use quorate_wire::{PeerUrl, Scheme};
///
/// let url: PeerUrl = "ws://a.b:80/a/b/c".parse()?;
/// assert_eq!((url.scheme(), url.addr(), url.peer_id()), (Scheme::Ws, "a.b:80", Some("c")));
/// assert!("ws://a.b/c".parse::<PeerUrl>().is_err(), "the port is always written");
/// # Ok::<(), quorate_wire::PeerUrlError>(())
/// ```
#[derive(Clone)]
pub struct PeerUrl {
    text: Arc<str>,
    scheme: Scheme,
    /// Where `host:port` ends; it begins after `scheme://`.
    addr_end: u16,
}

impl PeerUrl {
    /// The most bytes a URL may have. (Kitsune2 has no bound of its own.)
    pub const MAX_LEN: usize = 2_048;

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// `host:port`, an IPv6 host in brackets.
    pub fn addr(&self) -> &str {
        let start = self.scheme.as_str().len() + 3;
        self.text.get(start..usize::from(self.addr_end)).unwrap_or_default()
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.addr().rsplit_once(':').map_or("", |(host, _)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.addr().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    /// Host and port as a socket address, where the host is an IP address.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.addr().parse().ok()
    }

    /// The peer's id: the last segment of the path.
    pub fn peer_id(&self) -> Option<&str> {
        let path = self.text.get(usize::from(self.addr_end)..)?;
        path.rsplit_once('/').map(|(_, id)| id)
    }

    /// Whether the URL names a peer, and not only an address.
    pub fn is_peer(&self) -> bool {
        self.peer_id().is_some()
    }

    /// Checks `text` against the canonical form.
    fn parse(text: Arc<str>) -> Result<Self, PeerUrlError> {
        if text.len() > Self::MAX_LEN {
            return Err(PeerUrlError::TooLong { len: text.len() });
        }
        let (scheme, rest) = text.split_once(':').ok_or(PeerUrlError::Syntax)?;
        let scheme = Scheme::from_name(scheme).ok_or(PeerUrlError::Scheme)?;
        // Hosts are canonical only in schemes that the URL standard knows, so each is read as one of those.
        let url = Url::parse(&format!("{}:{rest}", scheme.read_as())).map_err(PeerUrlError::from)?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(PeerUrlError::NoHost);
        };
        let addr = format!("{scheme}://{host}:{port}");
        let path = text.strip_prefix(addr.as_str()).ok_or(PeerUrlError::NotCanonical)?;
        match path.strip_prefix('/') {
            _ if path.is_empty() => {}
            Some(segments) if segments.split('/').any(str::is_empty) => {
                return Err(PeerUrlError::EmptySegment);
            }
            Some(_) if path == url.path() => {}
            _ => return Err(PeerUrlError::NotCanonical),
        }
        let addr_end = u16::try_from(addr.len()).map_err(|_| PeerUrlError::TooLong { len: text.len() })?;
        Ok(Self { text, scheme, addr_end })
    }
}

impl FromStr for PeerUrl {
    type Err = PeerUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.into())
    }
}

impl TryFrom<String> for PeerUrl {
    type Error = PeerUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(text.into())
    }
}

impl TryFrom<&[u8]> for PeerUrl {
    type Error = PeerUrlError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        std::str::from_utf8(bytes).map_err(|_| PeerUrlError::NotUtf8)?.parse()
    }
}

impl PartialEq for PeerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PeerUrl {}

impl PartialOrd for PeerUrl {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PeerUrl {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl hash::Hash for PeerUrl {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for PeerUrl {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for PeerUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerUrl({})", self.as_str())
    }
}

impl Serialize for PeerUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PeerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// How a peer is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scheme {
    /// A signal server, or a peer through it.
    Ws,
    /// The same over TLS.
    Wss,
    /// A relay, or a peer through it.
    Http,
    /// The same over TLS.
    Https,
    /// A peer at its own address, over QUIC.
    Quic,
    /// A peer in the same process.
    Mem,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ws, Self::Wss, Self::Http, Self::Https, Self::Quic, Self::Mem];

    /// The scheme as it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Http => "http",
            Self::Https => "https",
            Self::Quic => "quic",
            Self::Mem => "mem",
        }
    }

    /// Whether the server that the URL names is spoken to over TLS (Kitsune2's `uses_tls`).
    pub const fn uses_tls(self) -> bool {
        matches!(self, Self::Wss | Self::Https)
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }

    /// A scheme that the URL standard knows, whose hosts have the same canonical form.
    const fn read_as(self) -> &'static str {
        match self {
            Self::Quic | Self::Mem => "ws",
            known => known.as_str(),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Why text is no [`PeerUrl`]. The fault of whoever wrote it; nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerUrlError {
    /// The bytes are not UTF-8.
    #[error("a peer URL is UTF-8")]
    NotUtf8,
    /// Longer than [`PeerUrl::MAX_LEN`].
    #[error("a peer URL has at most {max} bytes, this has {len}", max = PeerUrl::MAX_LEN)]
    TooLong {
        /// The length found, in bytes.
        len: usize,
    },
    /// It is no URL.
    #[error("not a URL")]
    Syntax,
    /// The scheme is none of [`Scheme::ALL`], or not in lower case.
    #[error("the scheme of a peer URL is ws, wss, http, https, quic or mem")]
    Scheme,
    /// There is no host, or it is none that can exist.
    #[error("the host of the peer URL is missing or invalid")]
    NoHost,
    /// Two slashes without anything between them, or one at the end.
    #[error("a peer URL has no empty path segment and no slash at its end")]
    EmptySegment,
    /// A URL, but not in its canonical form: the port is missing, a letter is in upper case, an
    /// address is not written as the URL standard writes it, or there is a user, a query or a fragment.
    #[error("not the canonical form scheme://host:port or scheme://host:port/path")]
    NotCanonical,
}

impl From<ParseError> for PeerUrlError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::EmptyHost
            | ParseError::IdnaError
            | ParseError::InvalidIpv4Address
            | ParseError::InvalidIpv6Address
            | ParseError::InvalidDomainCharacter => Self::NoHost,
            _ => Self::Syntax,
        }
    }
}

/// Reads a URL from borrowed and from owned text.
struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = PeerUrl;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a peer URL in canonical form")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map_err(E::custom)
    }
}
