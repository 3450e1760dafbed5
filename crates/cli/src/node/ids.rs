//! Spaces and payloads as words: text, or bytes as base64url behind `b64:`.

use crate::exit::Failure;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use quorate::wire::SpaceId;

/// What stands before bytes that are no text.
pub(super) const BYTES: &str = "b64:";

/// The space of a word.
pub(super) fn space_of(word: &str) -> Result<SpaceId, Failure> {
    bytes_of(word).map(SpaceId::from)
}

/// The payload of a word.
pub(super) fn payload_of(word: &str) -> Result<Bytes, Failure> {
    bytes_of(word).map(Bytes::from)
}

/// A space as a word: as it is where that is text that reads back the same, else as base64url.
pub(super) fn word_of(space: &SpaceId) -> String {
    match std::str::from_utf8(space.as_bytes()) {
        Ok(text) if is_plain(text) => text.to_owned(),
        _ => encoded(space.as_bytes()),
    }
}

/// Bytes behind `b64:`.
pub(super) fn encoded(bytes: &[u8]) -> String {
    format!("{BYTES}{}", BASE64URL_NOPAD.encode(bytes))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(BYTES) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn bytes_of(word: &str) -> Result<Vec<u8>, Failure> {
    match word.strip_prefix(BYTES) {
        Some(encoded) => BASE64URL_NOPAD
            .decode(encoded.trim_end_matches('=').as_bytes())
            .map_err(|error| Failure::usage(format!("{word}: not base64url: {error}"))),
        None => Ok(word.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_space_has_a_word_that_reads_back() {
        for bytes in [&b"chat"[..], b"", b"two words", b"b64:x", b"\xff\x00", "r\u{e4}um".as_bytes()] {
            let space = SpaceId::copy_from_slice(bytes);
            assert_eq!(space_of(&word_of(&space)).unwrap(), space, "{bytes:?}");
        }
        assert_eq!(word_of(&SpaceId::from_static(b"chat")), "chat");
        assert_eq!(word_of(&SpaceId::from_static(b"\xff\x00")), "b64:_wA");
        assert_eq!(payload_of("b64:_wA=").unwrap(), &b"\xff\x00"[..]);
        assert!(space_of("b64:?").is_err());
    }
}
