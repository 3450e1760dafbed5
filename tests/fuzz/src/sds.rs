//! An SDS message from any bytes.

use bytes::Bytes;
use quorate_channel::sds::{Kind, SdsMessage};

/// Any bytes are a message or an error. What is written once is read and written the same ever after.
pub fn sds(input: &[u8]) {
    let Ok(message) = SdsMessage::decode(Bytes::copy_from_slice(input)) else { return };
    assert!(message.content.len() <= input.len(), "content is part of the input");
    assert_eq!(message.kind() == Kind::Ephemeral, message.time.is_none());
    for vector in &message.acks {
        assert!(vector.ranges.iter().all(|range| range.start < range.end), "no range is empty");
        let pairs = vector.ranges.iter().zip(vector.ranges.iter().skip(1));
        assert!(pairs.into_iter().all(|(a, b)| a.end < b.start), "ranges ascend and do not touch");
    }

    let written = message.encode();
    let again = SdsMessage::decode(written.clone()).expect("what is written can be read");
    assert_eq!((&again.id, again.kind(), &again.content), (&message.id, message.kind(), &message.content));
    assert_eq!(again.acks, message.acks);
    assert_eq!(again.encode(), written);
}
