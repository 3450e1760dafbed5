//! An envelope from any bytes.

use bytes::Bytes;
use prost::Message;
use quorate_channel::MessageEnvelope;

/// Any bytes are an envelope or an error; what was read is written and read again the same.
pub fn envelope(input: &[u8]) {
    let Ok(envelope) = MessageEnvelope::decode(Bytes::copy_from_slice(input)) else { return };
    let optional = |field: &Option<Bytes>| field.as_ref().map_or(0, Bytes::len);
    let kept = envelope.payload.len() + optional(&envelope.meta) + optional(&envelope.rate_limit_proof);
    assert!(kept <= input.len(), "its fields are parts of the input");

    let written = envelope.encode_to_vec();
    let again = MessageEnvelope::decode(written.as_slice()).expect("what is written can be read");
    assert_eq!(again, envelope);
    assert_eq!(again.is_marked(), envelope.is_marked());
    assert_eq!(again.encode_to_vec(), written);
}
