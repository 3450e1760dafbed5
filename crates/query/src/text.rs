//! Bytes as text that somebody copies: bech32m, and Fedimint's base32.
//!
//! The rule: one text per value. Padding bits are zero, the checksum (where there is one) holds, and nothing follows.

use data_encoding::{BitOrder, Encoding, Specification};
use quorate_base::bech32m::{self, Bech32mError};

/// The longest text that is read, in characters.
pub const MAX_TEXT: usize = 64 * 1024;
/// The prefix of invite codes and connect infos; the text goes on with the separator, a further `1`.
const PREFIX: &str = "fed1";
/// The prefix of codes in base32.
pub(crate) const BASE32_PREFIX: &str = "fedimint";

/// Text that is no code at all; nothing in it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It begins otherwise.
    #[error("it does not begin with \"fed11\" or \"fedimint\"")]
    Prefix,
    /// It is longer than any code.
    #[error("it has more than {MAX_TEXT} characters")]
    TooLong,
    /// It mixes upper and lower case, or has a character that no code has.
    #[error("it is mistyped: a character is in no code")]
    Character,
    /// Its checksum is wrong.
    #[error("it is truncated or mistyped: its checksum does not match")]
    Checksum,
    /// Bits are left over that should be zero.
    #[error("it was written wrongly: bits are left over at its end")]
    Padding,
}

/// `bytes` as bech32m; `None` when they are too many.
pub(crate) fn to_bech32m(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    bech32m::write(&mut text, PREFIX, bytes).ok().filter(|()| text.len() <= MAX_TEXT)?;
    Some(text)
}

pub(crate) fn from_bech32m(text: &str) -> Result<Vec<u8>, TextError> {
    if text.len() > MAX_TEXT {
        return Err(TextError::TooLong);
    }
    let mut bytes = Vec::new();
    match bech32m::read(PREFIX, text, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(Bech32mError::Prefix) => Err(TextError::Prefix),
        Err(Bech32mError::Checksum) => Err(TextError::Checksum),
        Err(Bech32mError::Padding) => Err(TextError::Padding),
        Err(_) => Err(TextError::Character),
    }
}

/// Fedimint's base32: digits before letters, least significant bit first, no padding. Not that of RFC 4648.
fn base32() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789abcdefghijklmnopqrstuv");
    specification.bit_order = BitOrder::LeastSignificantFirst;
    specification.encoding().ok()
}

/// `bytes` in base32, with the prefix. It has no checksum.
pub(crate) fn to_base32(bytes: &[u8]) -> String {
    // The alphabet is a valid one: 32 distinct symbols.
    let encoded = base32().map(|encoding| encoding.encode(bytes)).unwrap_or_default();
    format!("{BASE32_PREFIX}{encoded}")
}

/// The bytes behind the prefix, which the caller has checked.
pub(crate) fn from_base32(text: &str) -> Result<Vec<u8>, TextError> {
    if text.len() > MAX_TEXT {
        return Err(TextError::TooLong);
    }
    let symbols = text.get(BASE32_PREFIX.len()..).unwrap_or_default().to_ascii_lowercase();
    let encoding = base32().ok_or(TextError::Character)?;
    encoding.decode(symbols.as_bytes()).map_err(|error| match error.kind {
        data_encoding::DecodeKind::Symbol => TextError::Character,
        _ => TextError::Padding,
    })
}
