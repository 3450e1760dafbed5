//! An envelope (14/WAKU2-MESSAGE) from any bytes.

use bytes::Bytes;
use prost::Message;
use quorate_channel::MessageEnvelope;

/// Any bytes are an envelope or an error; an envelope survives being written, and its parts are parts of the input.
pub fn envelope(input: &[u8]) {
    let Ok(envelope) = MessageEnvelope::decode(Bytes::copy_from_slice(input)) else { return };
    let optional = [&envelope.meta, &envelope.rate_limit_proof].into_iter().flatten().map(Bytes::len);
    assert!(envelope.payload.len() + optional.sum::<usize>() + envelope.content_topic.len() <= input.len());
    let again = MessageEnvelope::decode(envelope.encode_to_vec().as_slice());
    assert_eq!(again.as_ref(), Ok(&envelope));
    assert_eq!(envelope.is_marked(), envelope.meta.as_deref() == Some(b"RELIABLE-CHANNEL-API/1"));
}
