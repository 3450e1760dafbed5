//! Where a peer listens.
//!
//! The rule: an endpoint has a scheme that a client here speaks, a host, and a port, by default its scheme's; so no client
//! has to ask again whether it has. What the URL says beyond that (path, query) is kept.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use url::{Host, Url};

/// A peer's address, and what a private federation asks for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    url: Url,
    scheme: Scheme,
    api_secret: Option<Box<str>>,
}

/// How an endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Websocket, port 80.
    Ws,
    /// Websocket over TLS, port 443.
    Wss,
    /// HTTP, port 80.
    Http,
    /// HTTP over TLS, port 443.
    Https,
}

impl Scheme {
    /// Whether it is encrypted.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Wss | Self::Https)
    }

    /// Whether it is a websocket.
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// A URL that is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not a URL.
    #[error("not a URL: {0}")]
    Url(url::ParseError),
    /// No scheme that can be spoken here.
    #[error("the scheme is none of ws, wss, http and https")]
    Scheme,
    /// No host.
    #[error("the URL has no host")]
    Host,
}

impl Endpoint {
    /// The endpoint at `url`. A user and password in it are sent as HTTP's Basic authorization.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] when it has no host, or another scheme.
    pub fn new(url: Url) -> Result<Self, EndpointError> {
        let scheme = match url.scheme() {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(EndpointError::Scheme),
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(EndpointError::Host);
        }
        Ok(Self { url, scheme, api_secret: None })
    }

    /// The secret of a private federation, sent as the password of the user `fedimint`.
    #[must_use]
    pub fn with_api_secret(mut self, secret: impl Into<Box<str>>) -> Self {
        self.api_secret = Some(secret.into());
        self
    }

    /// The URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The URL without user and password: what may be shown and kept.
    pub fn public_url(&self) -> String {
        let mut url = self.url.clone();
        // A URL with a host takes both.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.into()
    }

    /// How it is spoken to.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, by default 443 with TLS and 80 without.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(if self.scheme.is_tls() { 443 } else { 80 })
    }

    /// `host:port` as HTTP writes it, the port always there: some servers behind proxies want it.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port())
    }

    /// Path and query.
    pub fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// Whether both lead to one server, as far as that can be told without asking anybody.
    ///
    /// Default ports, slashes at the end of the path, a dot at the end of the name, how an address is written, and who asks, make no difference; nor does
    /// the scheme, for a server speaks several on its port. `localhost`, `127.0.0.1`, `[::1]` and the unspecified addresses are one host: this one.
    pub fn is_same_server(&self, other: &Self) -> bool {
        let place = |one: &Self| {
            let path = one.url.path().trim_end_matches('/').to_owned();
            (one.canonical_host(), one.port(), path, one.url.query().map(str::to_owned))
        };
        place(self) == place(other)
    }

    fn canonical_host(&self) -> Host<String> {
        let address = match self.url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                if name != "localhost" && !name.ends_with(".localhost") {
                    return Host::Domain(name);
                }
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical(),
            // No endpoint is without a host.
            None => return Host::Domain(String::new()),
        };
        match address {
            here if here.is_unspecified() => Host::Ipv4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(here) if here.is_loopback() => Host::Ipv4(Ipv4Addr::LOCALHOST),
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        }
    }

    /// The value of the `Authorization` header, if there is one: `Basic base64(user:password)`.
    pub fn authorization(&self) -> Option<String> {
        let credentials = match (&self.api_secret, self.url.username(), self.url.password()) {
            (Some(secret), _, _) => format!("fedimint:{secret}").into_bytes(),
            (None, "", None) => return None,
            (None, user, password) => {
                let mut credentials = percent_decoded(user);
                credentials.push(b':');
                credentials.extend(percent_decoded(password.unwrap_or_default()));
                credentials
            }
        };
        Some(format!("Basic {}", data_encoding::BASE64.encode(&credentials)))
    }
}

/// A user or password as the URL means it.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = [ahead.next(), ahead.next()].map(|digit| char::from(digit.unwrap_or(0)).to_digit(16));
        match (byte, digits) {
            (b'%', [Some(high), Some(low)]) => {
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    decoded
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => EndpointError::Host,
            other => EndpointError::Url(other),
        })?;
        Self::new(url)
    }
}

impl fmt::Display for Endpoint {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{authority}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.target())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        url.parse().expect(url)
    }

    #[test]
    fn a_port_is_always_known() {
        for (url, authority) in [
            ("ws://host", "host:80"),
            ("wss://host/", "host:443"),
            ("https://host:8443/x", "host:8443"),
            ("http://[::1]", "[::1]:80"),
            ("wss://host:443", "host:443"),
        ] {
            assert_eq!(endpoint(url).authority(), authority);
        }
        assert_eq!(endpoint("ws://[::1]:5/").host(), "::1");
        assert_eq!(endpoint("wss://host/a/b?c=d").target(), "/a/b?c=d");
    }

    #[test]
    fn one_server_has_many_names() {
        for (one, other) in [
            ("ws://127.0.0.1:7", "http://localhost:7/"),
            ("ws://127.0.0.1:7", "ws://[::1]:7"),
            ("ws://127.0.0.1:7", "ws://user@0.0.0.0:7"),
            ("ws://127.0.0.1:7", "ws://[::ffff:127.0.0.1]:7"),
            ("ws://127.1:7", "ws://0x7f000001:7"),
            ("wss://Host.example", "https://host.example.:443/"),
            ("ws://host/a/?b", "ws://host:80/a?b"),
            ("ws://a.localhost:7", "ws://LOCALHOST:7"),
            ("ws://[2001:db8::1]", "ws://[2001:DB8:0::1]:80"),
        ] {
            assert!(endpoint(one).is_same_server(&endpoint(other)), "{one} and {other}");
        }
        for (one, other) in [
            ("ws://127.0.0.1:7", "ws://127.0.0.2:7"),
            ("ws://host", "wss://host"),
            ("ws://host/a", "ws://host/A"),
            ("ws://host/?a", "ws://host/?b"),
            ("ws://host", "ws://localhost"),
            ("ws://nolocalhost", "ws://localhost"),
        ] {
            assert!(!endpoint(one).is_same_server(&endpoint(other)), "{one} and {other}");
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused() {
        assert_eq!("ws://".parse::<Endpoint>(), Err(EndpointError::Host));
        assert_eq!("iroh://abc".parse::<Endpoint>(), Err(EndpointError::Scheme));
        assert!(matches!("nonsense".parse::<Endpoint>(), Err(EndpointError::Url(_))));
    }

    #[test]
    fn a_secret_is_sent_and_not_shown() {
        let endpoint = endpoint("wss://user:p%40ss@host/");
        assert_eq!(endpoint.authorization().as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(format!("{endpoint} {endpoint:?}"), "wss://host/ Endpoint(wss://host/)");
        let private = endpoint.with_api_secret("secret");
        assert_eq!(private.authorization().as_deref(), Some("Basic ZmVkaW1pbnQ6c2VjcmV0"));
    }
}
