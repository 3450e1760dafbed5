//! The event log: what the application is told, numbered, kept until it says that it dealt with it.
//!
//! The rule: an event is in the store before it is told. An application that keeps the number of the last event that it
//! dealt with sees each event once; one that does not sees those again that it has not confirmed. What is only true now
//! is told and not kept: [`ChannelEvent::Queued`], and ephemeral payloads.

use super::key::{Keys, Kind};
use super::recovery::RecoveryError;
use crate::SealError;
use crate::error::SendError;
use crate::ids::{ChannelId, MessageId, ParticipantId, RequestId, SenderTag};
use crate::output::ChannelEvent;
use crate::sds::Missing;
use bytes::Bytes;
use prost::Message;
use quorate_base::Entry;

/// The number of an event in a channel's log: 1 for the first, one more for each, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventSeq(pub u64);

impl EventSeq {
    /// Before every event: the cursor of an application that has dealt with none.
    pub const START: Self = Self(0);
}

/// An event and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Its number; `None` for what is told and not kept: every event of a channel without a store, `Queued`, ephemeral
    /// payloads.
    pub seq: Option<EventSeq>,
    /// What happened.
    pub event: ChannelEvent,
}

/// Where the events of a channel lie in its store, for a driver that reads them.
#[derive(Debug, Clone)]
pub struct EventLog {
    keys: Keys,
}

impl EventLog {
    /// The log of a channel.
    pub fn new(channel: &ChannelId) -> Self {
        Self { keys: Keys::new(channel) }
    }

    /// What the keys of all its events begin with; they ascend with the numbers.
    pub fn prefix(&self) -> Bytes {
        self.keys.of(Kind::Event)
    }

    /// The key of an event.
    pub fn key(&self, seq: EventSeq) -> Bytes {
        self.keys.numbered(Kind::Event, seq.0)
    }

    /// The event in an entry of the log.
    pub fn read(&self, (key, value): Entry) -> Result<LoggedEvent, RecoveryError> {
        let damaged = RecoveryError::Damaged { what: "an event's key" };
        let number = self.keys.parse(&key).and_then(|(_, name)| name.try_into().ok()).ok_or(damaged)?;
        Ok(LoggedEvent { seq: Some(EventSeq(u64::from_be_bytes(number))), event: event_of(value)? })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LogRecord {
    #[prost(oneof = "Told", tags = "1, 2, 3, 4, 5, 6, 7")]
    told: Option<Told>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Told {
    #[prost(uint64, tag = "1")]
    Sent(u64),
    #[prost(message, tag = "2")]
    SendError(Failed),
    #[prost(message, tag = "3")]
    Acknowledged(Acked),
    #[prost(uint64, tag = "4")]
    Delivered(u64),
    #[prost(message, tag = "5")]
    DeliveryError(Undelivered),
    #[prost(message, tag = "6")]
    Received(Payload),
    #[prost(message, tag = "7")]
    Gap(Holes),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Failed {
    #[prost(uint64, tag = "1")]
    request: u64,
    /// 1 refused, 2 timed out, 3 the cipher, 4 closed, 5 the budget.
    #[prost(uint32, tag = "2")]
    why: u32,
    #[prost(uint64, tag = "3")]
    segments: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Acked {
    #[prost(uint64, tag = "1")]
    request: u64,
    #[prost(string, tag = "2")]
    by: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Undelivered {
    #[prost(uint64, tag = "1")]
    request: u64,
    #[prost(string, repeated, tag = "2")]
    lacking: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(string, tag = "1")]
    sender: String,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Holes {
    #[prost(message, repeated, tag = "1")]
    holes: Vec<Hole>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Hole {
    /// An opaque id; otherwise the other fields.
    #[prost(string, optional, tag = "1")]
    id: Option<String>,
    #[prost(string, optional, tag = "2")]
    sender: Option<String>,
    #[prost(bytes = "bytes", tag = "3")]
    tag: Bytes,
    #[prost(uint64, tag = "4")]
    start: u64,
    #[prost(uint64, tag = "5")]
    end: u64,
}

/// The record of an event; `None` for what is told and not kept.
pub(crate) fn log_record(event: &ChannelEvent) -> Option<LogRecord> {
    let told = match event {
        ChannelEvent::Sent { request } => Told::Sent(request.0),
        ChannelEvent::SendError { request, error } => Told::SendError(failed(*request, error)),
        ChannelEvent::Acknowledged { request, by } => {
            Told::Acknowledged(Acked { request: request.0, by: by.as_str().to_owned() })
        }
        ChannelEvent::Delivered { request } => Told::Delivered(request.0),
        ChannelEvent::DeliveryError { request, lacking } => Told::DeliveryError(Undelivered {
            request: request.0,
            lacking: lacking.iter().map(|name| name.as_str().to_owned()).collect(),
        }),
        ChannelEvent::Received { sender, payload, ephemeral: false } => {
            Told::Received(Payload { sender: sender.as_str().to_owned(), payload: payload.clone() })
        }
        ChannelEvent::Gap { missing } => Told::Gap(Holes { holes: missing.iter().map(hole).collect() }),
        _ => return None,
    };
    Some(LogRecord { told: Some(told) })
}

/// The event in a record of the log.
pub(crate) fn event_of(value: Bytes) -> Result<ChannelEvent, RecoveryError> {
    let damaged = || RecoveryError::Damaged { what: "an event" };
    let told = LogRecord::decode(value).map_err(|_| damaged())?.told.ok_or_else(damaged)?;
    Ok(match told {
        Told::Sent(request) => ChannelEvent::Sent { request: RequestId(request) },
        Told::SendError(failed) => ChannelEvent::SendError {
            request: RequestId(failed.request),
            error: error(&failed).ok_or_else(damaged)?,
        },
        Told::Acknowledged(acked) => {
            ChannelEvent::Acknowledged { request: RequestId(acked.request), by: acked.by.into() }
        }
        Told::Delivered(request) => ChannelEvent::Delivered { request: RequestId(request) },
        Told::DeliveryError(undelivered) => ChannelEvent::DeliveryError {
            request: RequestId(undelivered.request),
            lacking: undelivered.lacking.into_iter().map(ParticipantId::from).collect(),
        },
        Told::Received(payload) => ChannelEvent::Received {
            sender: payload.sender.into(),
            payload: payload.payload,
            ephemeral: false,
        },
        Told::Gap(holes) => {
            let missing: Option<_> = holes.holes.into_iter().map(missing).collect();
            ChannelEvent::Gap { missing: missing.ok_or_else(damaged)? }
        }
    })
}

fn failed(request: RequestId, error: &SendError) -> Failed {
    let (why, segments) = match error {
        SendError::Refused { segments } => (1, *segments),
        SendError::TimedOut { segments } => (2, *segments),
        SendError::Seal(_) => (3, 0),
        SendError::Closed => (4, 0),
        SendError::BudgetLow => (5, 0),
    };
    Failed { request: request.0, why, segments: segments as u64 }
}

fn error(failed: &Failed) -> Option<SendError> {
    let segments = usize::try_from(failed.segments).ok()?;
    match failed.why {
        1 => Some(SendError::Refused { segments }),
        2 => Some(SendError::TimedOut { segments }),
        3 => Some(SendError::Seal(SealError)),
        4 => Some(SendError::Closed),
        5 => Some(SendError::BudgetLow),
        _ => None,
    }
}

fn hole(missing: &Missing) -> Hole {
    match missing {
        Missing::Message(id) => Hole { id: Some(id.as_str().to_owned()), ..Hole::default() },
        Missing::Segments { sender, tag, sequences } => Hole {
            id: None,
            sender: sender.as_ref().map(|name| name.as_str().to_owned()),
            tag: Bytes::copy_from_slice(&tag.0),
            start: sequences.start,
            end: sequences.end,
        },
    }
}

fn missing(hole: Hole) -> Option<Missing> {
    if let Some(id) = hole.id {
        return Some(Missing::Message(MessageId::from(id)));
    }
    Some(Missing::Segments {
        sender: hole.sender.map(ParticipantId::from),
        tag: SenderTag(hole.tag.as_ref().try_into().ok()?),
        sequences: hole.start..hole.end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_that_is_kept_survives_its_record() {
        let request = RequestId(7);
        let sequences = 3..9;
        let segments = Missing::Segments { sender: Some("bob".into()), tag: SenderTag([4; 6]), sequences };
        let kept = [
            ChannelEvent::Sent { request },
            ChannelEvent::SendError { request, error: SendError::Refused { segments: 2 } },
            ChannelEvent::SendError { request, error: SendError::TimedOut { segments: 1 } },
            ChannelEvent::SendError { request, error: SendError::Seal(SealError) },
            ChannelEvent::SendError { request, error: SendError::Closed },
            ChannelEvent::SendError { request, error: SendError::BudgetLow },
            ChannelEvent::Acknowledged { request, by: "bob".into() },
            ChannelEvent::Delivered { request },
            ChannelEvent::DeliveryError { request, lacking: ["bob".into(), "carol".into()].into() },
            ChannelEvent::Received { sender: "bob".into(), payload: "hello".into(), ephemeral: false },
            ChannelEvent::Gap { missing: vec![segments, Missing::Message("foreign".into())] },
        ];
        for event in kept {
            let record = log_record(&event).unwrap();
            assert_eq!(event_of(record.encode_to_vec().into()), Ok(event));
        }
        let ephemeral =
            ChannelEvent::Received { sender: "bob".into(), payload: "hello".into(), ephemeral: true };
        assert_eq!(log_record(&ephemeral), None);
    }

    #[test]
    fn what_is_no_event_is_damage() {
        for bytes in [&b""[..], b"\xff", b"\x12\x02\x10\x09", b"\x3a\x02\x0a\x00"] {
            assert_eq!(
                event_of(Bytes::copy_from_slice(bytes)),
                Err(RecoveryError::Damaged { what: "an event" })
            );
        }
    }
}
