//! What members of a space tell one another: "I am here, and so are these".
//!
//! The rule: a notice is a hint. A peer named in it is dialed, and is a member only once it says so
//! itself. The text is `docs/specs/notice.md`.

use bytes::Bytes;
use prost::Message;
use quorate_wire::PeerUrl;

/// The first bytes of a notice: its format and version.
const MAGIC: &[u8] = b"QRN\x01";
/// The most members that one notice names.
pub(super) const MAX_NAMED: usize = 32;
/// The longest URL that is written or read.
const MAX_URL: usize = 512;

/// One notice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// Other members, at most 32.
    pub(super) members: Vec<PeerUrl>,
}

/// Why bytes are no notice. The sender's fault; they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoticeError {
    #[error("not a notice")]
    NotOurs,
    #[error("a malformed notice")]
    Malformed,
}

impl Notice {
    pub(super) fn write(&self) -> Bytes {
        let members = self.members.iter().take(MAX_NAMED).map(|url| url.as_str().to_owned());
        let mut bytes = MAGIC.to_vec();
        bytes.extend(NoticeProto { members: members.collect() }.encode_to_vec());
        bytes.into()
    }

    /// Reads a notice. Members beyond the most, and what is no URL, are left out.
    pub(super) fn read(bytes: Bytes) -> Result<Self, NoticeError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(NoticeError::NotOurs)?;
        if body.len() > MAX_NAMED * (MAX_URL + 8) {
            return Err(NoticeError::Malformed);
        }
        let proto = NoticeProto::decode(body).map_err(|_| NoticeError::Malformed)?;
        let urls = proto.members.iter().take(MAX_NAMED).filter(|url| url.len() <= MAX_URL);
        Ok(Self { members: urls.filter_map(|url| url.parse().ok()).collect() })
    }
}

/// `docs/specs/notice.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct NoticeProto {
    #[prost(string, repeated, tag = "1")]
    members: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_notice_survives_the_wire_and_names_at_most_32() {
        let url = |port: u16| format!("mem://host:{port}/p").parse::<PeerUrl>().unwrap();
        let notice = Notice { members: (1..100).map(url).collect() };
        let read = Notice::read(notice.write()).unwrap();
        assert_eq!(read.members, notice.members[..MAX_NAMED]);
        assert_eq!(Notice::read(Bytes::from_static(b"re: hello")), Err(NoticeError::NotOurs));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_notice_or_an_error(bytes: Vec<u8>) {
            let _ = Notice::read([MAGIC, &bytes].concat().into());
        }
    }
}
