//! Where the records of a channel lie: `channel/`, the length of its id (u32, big-endian), the id, a letter, a name.

use crate::ids::ChannelId;
use bytes::{BufMut, Bytes, BytesMut};

const ROOT: &[u8] = b"channel/";

/// The kinds of records, each with its letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Who we are: schema, participant, incarnation.
    About = b'a',
    /// What the rate limit has spent.
    Budget = b'b',
    /// The numbers that are given out once.
    Counters = b'c',
    /// An event of the log, by its number.
    Event = b'e',
    /// A delivered message that nothing follows yet, by its key.
    Head = b'h',
    /// A foreign message id that was seen.
    Opaque = b'i',
    /// What a participant has of ours, by its name.
    Acker = b'k',
    /// An own message that may have to be sent again, by its sequence number.
    Message = b'm',
    /// How often it was tried, where that is more than once.
    Attempts = b'n',
    /// The last own message.
    Own = b'o',
    /// What is known of a sender, by its tag.
    Peer = b'p',
    /// A send without its final outcome, by its id.
    Request = b'r',
    /// A sender that was only heard of, by its tag.
    Stranger = b's',
    /// How old the channel is.
    Age = b't',
    /// Own sequence numbers that nothing will bear.
    Voids = b'v',
    /// A message of others that was accepted and not delivered yet, in order of arrival.
    Arrival = b'w',
}

impl Kind {
    fn of(letter: u8) -> Option<Self> {
        use Kind::*;
        let all = [
            About, Budget, Counters, Event, Head, Opaque, Acker, Message, Attempts, Own, Peer, Request,
            Stranger, Age, Voids, Arrival,
        ];
        all.into_iter().find(|kind| *kind as u8 == letter)
    }
}

/// The keys of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    prefix: Bytes,
}

impl Keys {
    pub(crate) fn new(channel: &ChannelId) -> Self {
        let id = channel.as_str().as_bytes();
        let mut prefix = BytesMut::with_capacity(ROOT.len() + 4 + id.len());
        prefix.put_slice(ROOT);
        prefix.put_u32(u32::try_from(id.len()).unwrap_or(u32::MAX));
        prefix.put_slice(id);
        Self { prefix: prefix.freeze() }
    }

    /// What all of them begin with; no other channel's do.
    pub(crate) const fn prefix(&self) -> &Bytes {
        &self.prefix
    }

    pub(crate) fn of(&self, kind: Kind) -> Bytes {
        self.named(kind, &[])
    }

    pub(crate) fn numbered(&self, kind: Kind, number: u64) -> Bytes {
        self.named(kind, &number.to_be_bytes())
    }

    pub(crate) fn named(&self, kind: Kind, name: &[u8]) -> Bytes {
        let mut key = BytesMut::with_capacity(self.prefix.len() + 1 + name.len());
        key.put_slice(&self.prefix);
        key.put_u8(kind as u8);
        key.put_slice(name);
        key.freeze()
    }

    /// The kind of a record of this channel, and its name.
    pub(crate) fn parse<'a>(&self, key: &'a [u8]) -> Option<(Kind, &'a [u8])> {
        let (letter, name) = key.strip_prefix(self.prefix.as_ref())?.split_first()?;
        Some((Kind::of(*letter)?, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_one_channel_are_nobody_elses() {
        let (short, long) = (Keys::new(&"a".into()), Keys::new(&"ab".into()));
        let key = short.numbered(Kind::Event, 7);
        assert_eq!(short.parse(&key), Some((Kind::Event, &7u64.to_be_bytes()[..])));
        assert_eq!(long.parse(&key), None);
        assert!(!long.of(Kind::About).starts_with(short.prefix()));
        assert_eq!(short.parse(&short.named(Kind::Age, b"")), Some((Kind::Age, &b""[..])));
    }

    #[test]
    fn numbered_keys_are_in_the_order_of_their_numbers() {
        let keys = Keys::new(&"c".into());
        assert!(keys.numbered(Kind::Event, 255) < keys.numbered(Kind::Event, 256));
    }
}
