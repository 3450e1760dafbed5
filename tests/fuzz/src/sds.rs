//! An SDS message from any bytes, in both dialects.

use bytes::Bytes;
use quorate_channel::sds::{Dialect, Kind, SdsMessage};

/// Any bytes are a message or an error. What is written once is read and written the same ever after.
pub fn sds(input: &[u8]) {
    for dialect in [Dialect::Lip, Dialect::Nim] {
        let Ok(message) = SdsMessage::decode(dialect, Bytes::copy_from_slice(input)) else { continue };
        assert!(message.content.len() <= input.len(), "content is part of the input");
        assert_eq!(message.kind() == Kind::Ephemeral, message.time.is_none());
        for vector in &message.acks {
            assert!(vector.ranges.iter().all(|range| range.start < range.end), "no range is empty");
            let pairs = vector.ranges.iter().zip(vector.ranges.iter().skip(1));
            assert!(pairs.into_iter().all(|(a, b)| a.end < b.start), "ranges ascend and do not touch");
        }

        let written = message.encode(dialect);
        let again = SdsMessage::decode(dialect, written.clone()).expect("what is written can be read");
        assert_eq!(
            (&again.id, again.kind(), &again.content),
            (&message.id, message.kind(), &message.content)
        );
        assert_eq!((&again.acks, &again.repair), (&message.acks, &message.repair));
        assert_eq!(again.encode(dialect), written);
    }
}
