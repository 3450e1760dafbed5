//! A ticket: all that somebody needs to join a group, as one line of text.
//!
//! The rule: text that was truncated, mistyped or made for something else is an error that says so;
//! a ticket that reads is exactly the one that was written. Whoever has the text has the channel's
//! key: it is a secret.
//!
//! The text is [`bech32m`] with the prefix `qrt`. The byte table stands in `docs/specs/ticket.md`.

#[cfg(test)]
mod tests;

use crate::secret::Secret;
use quorate_base::bech32m::{self, Bech32mError};
use quorate_wire::{PeerUrl, PeerUrlError};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The most addresses in a ticket.
pub const MAX_ADDRESSES: usize = 16;
/// The longest channel id in a ticket, in bytes.
pub const MAX_CHANNEL_ID: usize = 255;
/// The longest ticket that is read, in characters. The longest that is written has fewer.
pub const MAX_TEXT: usize = 64 * 1024;

const PREFIX: &str = "qrt";
const VERSION: u8 = 1;

/// All that somebody needs to join a group: where its members are, and its secret.
///
/// ```
/// use quorate::{secret::Secret, ticket::Ticket};
///
/// let addresses = vec!["quic://127.0.0.1:4433".parse()?];
/// let ticket = Ticket::new(addresses, [7; 32], "files", Secret::from_bytes([9; 32]))?;
/// let text = ticket.to_string();
/// assert!(text.starts_with("qrt1"));
/// assert_eq!(text.parse::<Ticket>()?, ticket);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    addresses: Vec<PeerUrl>,
    space: [u8; 32],
    channel: String,
    key: Secret,
}

impl Ticket {
    /// A ticket for the channel `channel` of `space`, whose members are reached at `addresses`.
    pub fn new(
        addresses: Vec<PeerUrl>,
        space: [u8; 32],
        channel: &str,
        key: Secret,
    ) -> Result<Self, TicketError> {
        if !(1..=MAX_ADDRESSES).contains(&addresses.len()) {
            return Err(TicketError::AddressCount { found: addresses.len() });
        }
        if !(1..=MAX_CHANNEL_ID).contains(&channel.len()) {
            return Err(TicketError::ChannelId);
        }
        Ok(Self { addresses, space, channel: channel.to_owned(), key })
    }

    /// Where members of the group are, 1 to [`MAX_ADDRESSES`].
    pub fn addresses(&self) -> &[PeerUrl] {
        &self.addresses
    }

    /// The space that the group meets in: 32 random bytes.
    pub fn space(&self) -> &[u8; 32] {
        &self.space
    }

    /// The channel, 1 to [`MAX_CHANNEL_ID`] bytes.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The channel's key.
    pub fn key(&self) -> &Secret {
        &self.key
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let addresses: usize = self.addresses.iter().map(|address| 2 + address.as_str().len()).sum();
        // Wiping reaches only the last buffer of a vector that grew: this one has its room at once.
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(1 + 32 + 32 + 1 + self.channel.len() + 1 + addresses));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.space);
        bytes.extend_from_slice(self.key.expose());
        bytes.push(self.channel.len() as u8);
        bytes.extend_from_slice(self.channel.as_bytes());
        bytes.push(self.addresses.len() as u8);
        for address in &self.addresses {
            let address = address.as_str().as_bytes();
            bytes.extend_from_slice(&(address.len() as u16).to_be_bytes());
            bytes.extend_from_slice(address);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, TicketError> {
        let mut rest = Rest(bytes);
        let version = rest.array::<1>()?[0];
        if version != VERSION {
            return Err(TicketError::Version { found: version });
        }
        let space = rest.array()?;
        let key = Secret::from_bytes(rest.array()?);
        let channel_len = usize::from(rest.array::<1>()?[0]);
        let channel = std::str::from_utf8(rest.take(channel_len)?).map_err(|_| TicketError::ChannelId)?;
        let count = usize::from(rest.array::<1>()?[0]);
        if count > MAX_ADDRESSES {
            return Err(TicketError::AddressCount { found: count });
        }
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            let len = usize::from(u16::from_be_bytes(rest.array()?));
            addresses.push(PeerUrl::try_from(rest.take(len)?).map_err(TicketError::Address)?);
        }
        if !rest.0.is_empty() {
            return Err(TicketError::TrailingBytes { count: rest.0.len() });
        }
        Self::new(addresses, space, channel, key)
    }
}

impl fmt::Display for Ticket {
    /// The ticket as text, its secret included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32m::write(f, PREFIX, &self.to_bytes())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads a ticket; white space around it is fine, upper case too.
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(TicketError::TooLong { found: text.len() });
        }
        let (prefix, data) = text.split_once('1').ok_or(TicketError::NotATicket)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(TicketError::of_prefix(prefix));
        }
        // For the standard the last `1` ends the prefix; here it can only be a slip.
        if data.contains('1') {
            return Err(TicketError::Character { found: '1' });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        bech32m::read(PREFIX, text, &mut *bytes).map_err(TicketError::of)?;
        Self::from_bytes(&bytes)
    }
}

/// Why text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It does not look like a ticket at all.
    #[error("this is not a ticket: a ticket begins with \"{PREFIX}1\"")]
    NotATicket,
    /// It is longer than any ticket.
    #[error("the text has {found} characters, a ticket has at most {MAX_TEXT}")]
    TooLong {
        /// The length found, in bytes.
        found: usize,
    },
    /// It is something like a ticket for something else.
    #[error("this is not a ticket: it begins with \"{found}1\", a ticket begins with \"{PREFIX}1\"")]
    Prefix {
        /// The prefix found.
        found: String,
    },
    /// It mixes upper and lower case.
    #[error("the ticket is mistyped: it mixes upper and lower case")]
    MixedCase,
    /// It has a character that no ticket has.
    #[error("the ticket is mistyped: {found:?} is in no ticket")]
    Character {
        /// The character.
        found: char,
    },
    /// Its checksum is wrong.
    #[error("the ticket is truncated or mistyped: its checksum does not match")]
    Checksum,
    /// Bits are left over that should be zero: another program wrote it, wrongly.
    #[error("the ticket was written wrongly: bits are left over at its end")]
    Padding,
    /// A newer (or no) program wrote it.
    #[error("the ticket has version {found}, this program reads {VERSION}: one of the two is too old")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Its content ends too early although its checksum holds: another program wrote it, wrongly.
    #[error("the ticket was written wrongly: its content ends too early")]
    Short,
    /// Its content goes on after its end: another program wrote it, wrongly.
    #[error("the ticket was written wrongly: {count} bytes follow its content")]
    TrailingBytes {
        /// How many bytes.
        count: usize,
    },
    /// It has no address, or too many.
    #[error("a ticket has 1 to {MAX_ADDRESSES} addresses, not {found}")]
    AddressCount {
        /// How many were found.
        found: usize,
    },
    /// The channel id is empty, too long or not UTF-8.
    #[error("a ticket's channel id has 1 to {MAX_CHANNEL_ID} bytes of UTF-8")]
    ChannelId,
    /// An address is no peer URL.
    #[error("the ticket has an address that is none")]
    Address(#[source] PeerUrlError),
}

impl TicketError {
    fn of_prefix(prefix: &str) -> Self {
        let plausible = (1..=16).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_alphanumeric());
        if plausible { Self::Prefix { found: prefix.to_ascii_lowercase() } } else { Self::NotATicket }
    }

    const fn of(error: Bech32mError) -> Self {
        match error {
            Bech32mError::Character(found) => Self::Character { found },
            Bech32mError::MixedCase => Self::MixedCase,
            Bech32mError::Checksum => Self::Checksum,
            Bech32mError::Padding => Self::Padding,
            _ => Self::NotATicket,
        }
    }
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], TicketError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(TicketError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TicketError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(TicketError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }
}
