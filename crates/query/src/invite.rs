//! Today's invite code: where some guardians are, and which federation they must prove to be.
//!
//! The rule: what reads is exactly what was written, trailing bytes and second federations are refused, and parts of a
//! kind that is not known yet are kept and written back.
//!
//! Layout (Fedimint 0.2 to 0.13; bech32m with the prefix `fed1`, or `fedimint` and base32): a list of parts, each
//! `variant, length, payload` in the encoding of [`quorate_versioning::encoding`].
//!
//! | variant | payload |
//! |---|---|
//! | 0 | a guardian: URL, peer |
//! | 1 | the federation: 32 bytes |
//! | 2 | the secret of a private federation |
//! | other | unknown, kept |

use crate::endpoint::{Endpoint, EndpointError};
use crate::peer::PeerId;
use crate::text::{self, TextError};
use quorate_versioning::NumPeers;
use quorate_versioning::encoding::{ConsensusEncoding, DecodeError, Reader, write_big_size, write_bytes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use url::Url;

/// The most parts in a code.
pub const MAX_PARTS: usize = 1_024;

/// What identifies a federation: the SHA-256 of its guardians' endpoints in consensus encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FederationId(pub [u8; 32]);

impl fmt::Display for FederationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for FederationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FederationId({self})")
    }
}

impl FromStr for FederationId {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(InviteError::FederationId)
    }
}

impl Serialize for FederationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FederationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An invitation to a federation.
///
/// ```
/// use quorate_query::InviteCode;
///
/// let text = "fed11qgqpu8rhwden5te0vejkg6tdd9h8gepwd4cxcumxv4jzuen0duhsqqfqh6nl7sgk72caxfx8khtfnn8y436q3nhyrkev3qp8ugdhdllnh86qmp42pm";
/// let invite: InviteCode = text.parse()?;
/// assert_eq!(invite.guardians()[&0.into()].as_str(), "wss://fedimintd.mplsfed.foo/");
/// assert_eq!(invite.to_string(), text);
/// # Ok::<(), quorate_query::InviteError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode {
    guardians: BTreeMap<PeerId, Url>,
    federation: FederationId,
    api_secret: Option<String>,
    unknown: Vec<(u64, Vec<u8>)>,
}

impl InviteCode {
    /// An invitation by these guardians.
    ///
    /// # Errors
    ///
    /// [`InviteError`] when there is none of them, more than fit, or an address that no client can use.
    pub fn new(
        guardians: BTreeMap<PeerId, Url>,
        federation: FederationId,
        api_secret: Option<String>,
    ) -> Result<Self, InviteError> {
        Self { guardians, federation, api_secret, unknown: Vec::new() }.checked()
    }

    /// An invitation by the f + 1 guardians with the lowest numbers: one of them is honest.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of_federation(
        guardians: &BTreeMap<PeerId, Url>,
        federation: FederationId,
        api_secret: Option<String>,
    ) -> Result<Self, InviteError> {
        let enough = NumPeers::new(guardians.len()).map_or(0, NumPeers::one_honest);
        let some = guardians.iter().take(enough).map(|(peer, url)| (*peer, url.clone()));
        Self::new(some.collect(), federation, api_secret)
    }

    /// The guardians that it names, at least one.
    pub const fn guardians(&self) -> &BTreeMap<PeerId, Url> {
        &self.guardians
    }

    /// The same as endpoints, with the secret.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] for the first one that cannot be spoken to here.
    pub fn endpoints(&self) -> Result<Vec<(PeerId, Endpoint)>, EndpointError> {
        let endpoints = self.guardians.iter().map(|(peer, url)| {
            let endpoint = Endpoint::new(url.clone())?;
            Ok((
                *peer,
                match &self.api_secret {
                    Some(secret) => endpoint.with_api_secret(secret.as_str()),
                    None => endpoint,
                },
            ))
        });
        endpoints.collect()
    }

    /// The federation.
    pub const fn federation(&self) -> FederationId {
        self.federation
    }

    /// The secret of a private federation.
    pub fn api_secret(&self) -> Option<&str> {
        self.api_secret.as_deref()
    }

    /// The code in base32: shorter in a QR code, without a checksum. Read since 0.5.
    pub fn to_base32(&self) -> String {
        text::to_base32(&self.to_bytes())
    }

    fn checked(self) -> Result<Self, InviteError> {
        let parts = self.guardians.len() + 1 + usize::from(self.api_secret.is_some()) + self.unknown.len();
        if self.guardians.is_empty() {
            return Err(InviteError::NoGuardian);
        }
        if parts > MAX_PARTS {
            return Err(InviteError::TooManyParts);
        }
        match text::to_bech32m(&self.to_bytes()) {
            Some(_) => Ok(self),
            None => Err(InviteError::Text(TextError::TooLong)),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
        for (peer, url) in &self.guardians {
            let mut payload = Vec::new();
            write_bytes(url.as_str().as_bytes(), &mut payload);
            write_big_size(peer.0.into(), &mut payload);
            parts.push((0, payload));
        }
        parts.push((1, self.federation.0.to_vec()));
        if let Some(secret) = &self.api_secret {
            let mut payload = Vec::new();
            write_bytes(secret.as_bytes(), &mut payload);
            parts.push((2, payload));
        }
        let mut bytes = Vec::new();
        write_big_size((parts.len() + self.unknown.len()) as u64, &mut bytes);
        for (variant, payload) in parts.iter().chain(&self.unknown) {
            write_big_size(*variant, &mut bytes);
            write_bytes(payload, &mut bytes);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, InviteError> {
        let mut reader = Reader::new(bytes)?;
        let count = reader.big_size()?;
        if count > MAX_PARTS as u64 {
            return Err(InviteError::TooManyParts);
        }
        let (mut guardians, mut federation, mut api_secret, mut unknown) =
            (BTreeMap::new(), None, None, Vec::new());
        for _ in 0..count {
            let variant = reader.big_size()?;
            let payload = reader.bytes()?;
            match variant {
                0 => {
                    let (peer, url) = read_guardian(payload)?;
                    if guardians.insert(peer, url).is_some() {
                        return Err(InviteError::Twice);
                    }
                }
                1 => {
                    let id = FederationId(ConsensusEncoding::from_consensus_bytes(payload)?);
                    if federation.replace(id).is_some() {
                        return Err(InviteError::Twice);
                    }
                }
                2 => {
                    let secret = String::from_consensus_bytes(payload)?;
                    if api_secret.replace(secret).is_some() {
                        return Err(InviteError::Twice);
                    }
                }
                other => unknown.push((other, payload.to_vec())),
            }
        }
        reader.finish()?;
        let federation = federation.ok_or(InviteError::NoFederation)?;
        Self { guardians, federation, api_secret, unknown }.checked()
    }
}

fn read_guardian(payload: &[u8]) -> Result<(PeerId, Url), InviteError> {
    let mut reader = Reader::new(payload)?;
    let url = String::read(&mut reader)?;
    let peer = PeerId(u16::read(&mut reader)?);
    reader.finish()?;
    Ok((peer, Url::parse(&url).map_err(InviteError::Url)?))
}

impl FromStr for InviteCode {
    type Err = InviteError;

    /// Reads either form, in either case; white space around it is fine.
    fn from_str(code: &str) -> Result<Self, InviteError> {
        let code = code.trim();
        let prefix = code.get(..text::BASE32_PREFIX.len());
        let bytes = match prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(text::BASE32_PREFIX)) {
            true => text::from_base32(code)?,
            false => text::from_bech32m(code)?,
        };
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for InviteCode {
    /// The code in bech32m.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::to_bech32m(&self.to_bytes()).ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteCode")
            .field("guardians", &self.guardians)
            .field("federation", &self.federation)
            .field("private", &self.api_secret.is_some())
            .finish_non_exhaustive()
    }
}

impl Serialize for InviteCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for InviteCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why text is no invite code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// The text is none.
    #[error("not an invite code: {0}")]
    Text(#[from] TextError),
    /// The bytes in it are none.
    #[error("not an invite code: {0}")]
    Bytes(#[from] DecodeError),
    /// An address in it is none.
    #[error("the invite code has an address that is none: {0}")]
    Url(#[source] url::ParseError),
    /// It names no guardian.
    #[error("the invite code names no guardian")]
    NoGuardian,
    /// It names no federation.
    #[error("the invite code names no federation")]
    NoFederation,
    /// It has one part twice that can be there once.
    #[error("the invite code names a guardian, federation or secret twice")]
    Twice,
    /// It has more parts than any.
    #[error("the invite code has more than {MAX_PARTS} parts")]
    TooManyParts,
    /// Not 64 hexadecimal digits.
    #[error("a federation id has 64 hexadecimal digits")]
    FederationId,
}

#[cfg(test)]
mod tests;
