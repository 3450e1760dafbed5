//! The envelope that crosses the network: 14/WAKU2-MESSAGE, marked as ours.
//!
//! The rule: an envelope whose `meta` is not [`MARKER`] is somebody else's traffic and costs one
//! comparison.

use bytes::Bytes;

/// The wire-format marker of the reliable-channel layer, carried in `meta`.
pub const MARKER: &[u8] = b"RELIABLE-CHANNEL-API/1";

/// The largest envelope payload that is taken in.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;

/// A message of the messaging layer (14/WAKU2-MESSAGE; `docs/specs/envelope.md`).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct MessageEnvelope {
    /// The sealed SDS message.
    #[prost(bytes = "bytes", tag = "1")]
    pub payload: Bytes,
    /// Where it is published.
    #[prost(string, tag = "2")]
    pub content_topic: String,
    /// The payload's encryption version of 14/WAKU2-MESSAGE; absent here, the cipher has its own.
    #[prost(uint32, optional, tag = "3")]
    pub version: Option<u32>,
    /// When it was published, in nanoseconds since the Unix epoch.
    #[prost(sint64, optional, tag = "10")]
    pub timestamp: Option<i64>,
    /// The layer it belongs to: [`MARKER`].
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub meta: Option<Bytes>,
    /// A rate-limit proof (17/WAKU2-RLN-RELAY), opaque here.
    #[prost(bytes = "bytes", optional, tag = "21")]
    pub rate_limit_proof: Option<Bytes>,
    /// Whether nobody is to store it.
    #[prost(bool, optional, tag = "31")]
    pub ephemeral: Option<bool>,
}

impl MessageEnvelope {
    /// Whether it belongs to a reliable channel at all.
    pub fn is_marked(&self) -> bool {
        self.meta.as_deref() == Some(MARKER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn the_field_numbers_are_those_of_14_waku2_message() {
        let envelope = MessageEnvelope {
            payload: Bytes::from_static(b"p"),
            content_topic: "t".into(),
            version: Some(0),
            timestamp: Some(-1),
            meta: Some(Bytes::from_static(b"m")),
            rate_limit_proof: Some(Bytes::from_static(b"r")),
            ephemeral: Some(true),
        };
        let wire = [
            [0x0a, 1, b'p'].as_slice(),
            &[0x12, 1, b't'],
            &[0x18, 0],
            &[0x50, 1],
            &[0x5a, 1, b'm'],
            &[0xaa, 0x01, 1, b'r'],
            &[0xf8, 0x01, 1],
        ]
        .concat();
        assert_eq!(envelope.encode_to_vec(), wire);
        assert_eq!(MessageEnvelope::decode(wire.as_slice()).unwrap(), envelope);
    }
}
