//! Frames, envelopes and SDS messages as fields with names.
//!
//! The rule: their own crates decode them; here the result gets names, and an error a place.

use super::{Fault, protobuf, show::data};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use prost::Message;
use quorate::CHANNEL_MODULE;
use quorate::channel::MessageEnvelope;
use quorate::channel::sds::{AckVector, Dependency, Dialect, Kind, SdsDecodeError, SdsMessage, Wanted};
use quorate::channel::segment::Segment;
use quorate::wire::{DecodeError, Frame, ModuleId, SpaceId};
use serde_json::{Map, Value, json};

/// What the cipher that ships with a channel adds: format, key id, nonce, tag.
const SEALED: usize = 45;

/// A frame.
pub(super) fn frame(bytes: &Bytes) -> Result<Value, Fault> {
    let frame = Frame::decode(bytes.clone()).map_err(|error| {
        let missing = matches!(error, DecodeError::MissingSpace { .. } | DecodeError::MissingModule);
        let same = |prefix: &[u8]| !missing && Frame::decode(Bytes::copy_from_slice(prefix)) == Err(error);
        Fault { offset: protobuf::offending(bytes, same), reason: error.to_string() }
    })?;
    let mut fields = Map::from_iter([("kind".to_owned(), frame.kind().to_string().into())]);
    let (space, module) = match &frame {
        Frame::Notify { space, .. } => (Some(space), None),
        Frame::Module { space, module, .. } => (Some(space), Some(module)),
        Frame::Other { space, module, .. } => (space.as_ref(), module.as_ref()),
        _ => (None, None),
    };
    if let Some(space) = space {
        fields.insert("space".to_owned(), space_id(space));
    }
    if let Some(module) = module {
        fields.insert("module".to_owned(), module.as_str().into());
    }
    let payload = match &frame {
        Frame::Disconnect { reason } => reason,
        Frame::Preflight { data } | Frame::Notify { data, .. } | Frame::Module { data, .. } => data,
        Frame::Other { data, .. } => data,
    };
    fields.insert("data".to_owned(), payload_of(module, payload));
    Ok(Value::Object(fields))
}

/// Whether the frame is of a known kind, and written as this version writes it.
pub(super) fn is_canonical_frame(bytes: &Bytes) -> bool {
    match Frame::decode(bytes.clone()) {
        Ok(Frame::Other { .. }) | Err(_) => false,
        Ok(frame) => frame.encode().to_bytes() == bytes,
    }
}

/// An envelope.
pub(super) fn envelope(bytes: &Bytes) -> Result<Value, Fault> {
    let envelope = MessageEnvelope::decode(bytes.clone()).map_err(|error| {
        let offset = protobuf::offending(bytes, |prefix| MessageEnvelope::decode(prefix).is_err());
        Fault { offset, reason: error.to_string() }
    })?;
    let MessageEnvelope { payload, content_topic, version, timestamp, meta, rate_limit_proof, ephemeral } =
        &envelope;
    let mut fields = Map::new();
    let mut put =
        |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    put("content_topic", Some(content_topic.as_str().into()));
    put("marked", Some(envelope.is_marked().into()));
    put("version", version.map(Value::from));
    put("timestamp_ns", timestamp.map(Value::from));
    put("meta", meta.as_deref().map(data));
    put("rate_limit_proof", rate_limit_proof.as_deref().map(data));
    put("ephemeral", ephemeral.map(Value::from));
    put("payload", Some(sealed(payload)));
    Ok(Value::Object(fields))
}

/// The payload of an envelope: sealed, or an SDS message in the clear.
fn sealed(payload: &Bytes) -> Value {
    if payload.first() == Some(&1) && payload.len() >= SEALED {
        return json!({
            "sealed": true,
            "format": 1,
            "key_id": HEXLOWER.encode(&payload[1..5]),
            "nonce": HEXLOWER.encode(&payload[5..29]),
            "plaintext_bytes": payload.len() - SEALED,
        });
    }
    match sds(Dialect::Lip, payload) {
        Ok(message) if !payload.is_empty() => json!({ "sds": message }),
        _ => data(payload),
    }
}

/// An SDS message.
pub(super) fn sds(dialect: Dialect, bytes: &Bytes) -> Result<Value, Fault> {
    let message = SdsMessage::decode(dialect, bytes.clone()).map_err(|error| {
        let missing = matches!(error, SdsDecodeError::NoId | SdsDecodeError::NoKind);
        let same = |prefix: &[u8]| {
            !missing && SdsMessage::decode(dialect, Bytes::copy_from_slice(prefix)).as_ref() == Err(&error)
        };
        Fault { offset: protobuf::offending(bytes, same), reason: error.to_string() }
    })?;
    let kind = match message.kind() {
        Kind::Content => "content",
        Kind::Sync => "sync",
        Kind::Ephemeral => "ephemeral",
    };
    let mut fields = Map::new();
    let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
    let mut put =
        |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    put("kind", Some(kind.into()));
    put("sender", Some(message.sender.as_str().into()));
    put("id", Some(message.id.as_str().into()));
    put("channel", Some(message.channel.as_str().into()));
    put("lamport_time", message.time.map(Value::from));
    put("causal_history", Some(message.history.iter().map(dependency).collect()));
    put("bloom_filter_bytes", message.bloom_filter.as_ref().map(|filter| filter.len().into()));
    put("repair", list(message.repair.iter().map(wanted).collect()));
    put("acks", list(message.acks.iter().map(vector).collect()));
    put("oldest", message.oldest.map(Value::from));
    put("void", list(message.void.iter().map(|range| json!([range.start, range.end])).collect()));
    put("content", Some(content(&message.content)));
    Ok(Value::Object(fields))
}

fn dependency(dependency: &Dependency) -> Value {
    let mut object = json!({ "id": dependency.id.as_str() });
    if let Some(time) = dependency.time {
        object["lamport_time"] = time.into();
    }
    if let Some(sender) = &dependency.sender {
        object["sender"] = sender.as_str().into();
    }
    if let Some(hint) = &dependency.hint {
        object["hint"] = data(hint);
    }
    object
}

fn wanted(wanted: &Wanted) -> Value {
    let sender = wanted.sender.as_ref().map(|sender| sender.as_str().to_owned());
    json!({ "id": wanted.id.as_str(), "run": wanted.run, "sender": sender })
}

fn vector(vector: &AckVector) -> Value {
    let ranges: Vec<_> = vector.ranges.iter().map(|range| json!([range.start, range.end])).collect();
    json!({ "tag": HEXLOWER.encode(&vector.tag.0), "has": ranges })
}

/// The content of an SDS message: a segment, where it is one.
fn content(content: &Bytes) -> Value {
    match Segment::decode(content.clone()) {
        Ok(segment) if !content.is_empty() => json!({ "segment": {
            "payload_hash": HEXLOWER.encode(&segment.hash),
            "payload_bytes": segment.length,
            "index": segment.index,
            "data_segments": segment.data_count,
            "parity_segments": segment.parity_count,
            "parity": segment.is_parity,
            "data": data(&segment.payload),
        }}),
        _ => data(content),
    }
}

/// The payload of a frame; that of a channel's module is an envelope.
fn payload_of(module: Option<&ModuleId>, payload: &Bytes) -> Value {
    if module.is_some_and(|module| module.as_str() == CHANNEL_MODULE)
        && let Ok(envelope) = envelope(payload)
    {
        return json!({ "envelope": envelope });
    }
    data(payload)
}

fn space_id(space: &SpaceId) -> Value {
    data(space.as_bytes())
}
