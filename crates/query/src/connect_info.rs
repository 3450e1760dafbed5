//! The seed's connect info: one guardian, the federation's public key, and a token for the config.
//!
//! The rule: a value is written as one text, its URL in canonical form; another spelling of the URL is read. The seed's reader lets trailing
//! bytes pass, and its writer cuts the length of a long URL to 16 bits. Neither happens here. Whether the key is a point of its curve is not checked: that
//! takes the curve, and who verifies with it finds out.
//!
//! Layout: bech32m with the prefix `fed1` over: key 48 bytes, length of the URL 2 bytes big-endian, URL, token 12 bytes.

use crate::text::{self, TextError};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use url::Url;

const KEY_BYTES: usize = 48;
const TOKEN_BYTES: usize = 12;

/// How to reach a federation of the seed's time (seed `WsClientConnectInfo`).
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectInfo {
    url: Url,
    token: [u8; TOKEN_BYTES],
    key: [u8; KEY_BYTES],
}

impl ConnectInfo {
    /// A guardian at `url`, the federation's BLS12-381 public key in compressed form, and a download token.
    ///
    /// # Errors
    ///
    /// [`ConnectInfoError::UrlTooLong`] beyond what the text can hold.
    pub fn new(url: Url, token: [u8; TOKEN_BYTES], key: [u8; KEY_BYTES]) -> Result<Self, ConnectInfoError> {
        // The text holds five bits a character; the rest is the prefix, the checksum, and what is not the URL.
        let most = text::MAX_TEXT / 8 * 5 - KEY_BYTES - TOKEN_BYTES - 16;
        match url.as_str().len() > most {
            true => Err(ConnectInfoError::UrlTooLong { max: most }),
            false => Ok(Self { url, token, key }),
        }
    }

    /// The guardian.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Allows to download the config, perhaps a limited number of times.
    pub const fn token(&self) -> &[u8; TOKEN_BYTES] {
        &self.token
    }

    /// The public key that signs the config.
    pub const fn key(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ConnectInfoError> {
        let short = ConnectInfoError::Short;
        let (key, rest) = bytes.split_first_chunk().ok_or(short.clone())?;
        let (length, rest) = rest.split_first_chunk().ok_or(short.clone())?;
        let (url, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(short.clone())?;
        let (token, rest) = rest.split_first_chunk().ok_or(short)?;
        if !rest.is_empty() {
            return Err(ConnectInfoError::LeftOver { count: rest.len() });
        }
        let url = std::str::from_utf8(url).map_err(|_| ConnectInfoError::NotUtf8)?;
        Self::new(Url::parse(url).map_err(ConnectInfoError::Url)?, *token, *key)
    }
}

impl fmt::Display for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_str().as_bytes();
        let mut bytes = self.key.to_vec();
        bytes.extend_from_slice(&u16::try_from(url.len()).map_err(|_| fmt::Error)?.to_be_bytes());
        bytes.extend_from_slice(url);
        bytes.extend_from_slice(&self.token);
        f.write_str(&text::to_bech32m(&bytes).ok_or(fmt::Error)?)
    }
}

impl FromStr for ConnectInfo {
    type Err = ConnectInfoError;

    fn from_str(code: &str) -> Result<Self, ConnectInfoError> {
        Self::from_bytes(&text::from_bech32m(code.trim())?)
    }
}

impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectInfo").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Serialize for ConnectInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why text is no connect info.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectInfoError {
    /// The text is none.
    #[error("not a connect info: {0}")]
    Text(#[from] TextError),
    /// The content ends too early.
    #[error("not a connect info: its content ends too early")]
    Short,
    /// Bytes follow the content.
    #[error("not a connect info: {count} bytes follow its content")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// The URL is not UTF-8.
    #[error("the address is not UTF-8")]
    NotUtf8,
    /// The URL is none.
    #[error("the address is none: {0}")]
    Url(#[source] url::ParseError),
    /// The URL does not fit.
    #[error("the address has more than {max} bytes")]
    UrlTooLong {
        /// How many fit.
        max: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ConnectInfo {
        ConnectInfo::new(Url::parse("ws://test1").unwrap(), [7; 12], [9; 48]).unwrap()
    }

    #[test]
    fn converts_connect_string() {
        let bech32 = info().to_string();
        assert!(bech32.starts_with("fed11"));
        assert_eq!(bech32.parse(), Ok(info()));
        let json = serde_json::to_string(&info()).unwrap();
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), bech32);
        assert_eq!(serde_json::from_str::<ConnectInfo>(&json).unwrap(), info());
    }

    #[test]
    fn the_layout_is_the_seeds() {
        let bytes = text::from_bech32m(&info().to_string()).unwrap();
        assert_eq!(bytes, [&[9; 48][..], &[0, 11], b"ws://test1/", &[7; 12]].concat());
        let read = |bytes: &[u8]| text::to_bech32m(bytes).unwrap().parse::<ConnectInfo>();
        assert_eq!(read(&[&bytes[..], &[0]].concat()), Err(ConnectInfoError::LeftOver { count: 1 }));
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), Err(ConnectInfoError::Short));
        }
        let mut no_url = bytes.clone();
        no_url[50] = 0xff;
        assert_eq!(read(&no_url), Err(ConnectInfoError::NotUtf8));
    }

    #[test]
    fn a_url_that_does_not_fit_is_refused_before_it_is_cut() {
        let long = Url::parse(&format!("ws://host/{}", "a".repeat(70_000))).unwrap();
        assert!(matches!(ConnectInfo::new(long, [0; 12], [0; 48]), Err(ConnectInfoError::UrlTooLong { .. })));
        let longest = Url::parse(&format!("ws://host/{}", "a".repeat(40_000))).unwrap();
        let info = ConnectInfo::new(longest, [0; 12], [0; 48]).unwrap();
        assert_eq!(info.to_string().parse(), Ok(info), "40 kB fit in 64 k characters");
    }
}
