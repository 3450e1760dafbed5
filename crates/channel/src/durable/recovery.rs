//! The way back: records in, checked one by one, then a channel that goes on where it was.
//!
//! The rule: what does not fit together is an error that says so; nothing is guessed, dropped or reset. Any bytes may
//! come in (a fuzz target feeds them).

use super::events::event_of;
use super::journal::{EPHEMERAL_STEP, Past, SCHEMA};
use super::key::{Keys, Kind};
use super::record::{
    AboutRecord, AckerRecord, AgeRecord, ArrivalRecord, AttemptsRecord, BudgetRecord, CountersRecord,
    HeadRecord, MessageRecord, OpaqueRecord, PeerRecord, RequestRecord, VoidsRecord, deadline, set_of,
};
use crate::config::ConfigError;
use crate::ids::{ChannelId, MessageId, ParticipantId, SenderTag, StructuredId};
use crate::sds::{RangeSet, SdsMessage};
use crate::segment::MAX_SEGMENTS;
use bytes::Bytes;
use prost::Message;
use quorate_base::{Entry, Mono, Wall};
use std::collections::BTreeMap;

/// Why a channel cannot go on from what is stored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A record is not what was written, is missing, or contradicts another.
    #[error("the channel's records are damaged: {what}")]
    Damaged {
        /// Which record.
        what: &'static str,
    },
    /// The records were written by a newer version.
    #[error("the channel's records have schema {found}, this version knows up to {known}")]
    NewerSchema {
        /// The schema found.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The records are those of another participant. The caller's fault.
    #[error("the records are those of {found}")]
    OtherParticipant {
        /// Whose they are.
        found: ParticipantId,
    },
    /// A bound of the configuration is too small for what is stored. The caller's fault.
    #[error("`{field}` is too small for what is stored")]
    TooSmall {
        /// The field of the configuration.
        field: &'static str,
    },
    /// The configuration cannot work. The caller's fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Collects the records of one channel.
#[derive(Debug)]
pub struct Recovery {
    keys: Keys,
    found: Recovered,
    is_empty: bool,
}

/// Everything that was stored, decoded.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    about: Option<AboutRecord>,
    pub(crate) tag: Option<SenderTag>,
    counters: Option<CountersRecord>,
    age: Option<AgeRecord>,
    pub(crate) budget: Option<BudgetRecord>,
    pub(crate) voids: Vec<(Mono, std::ops::Range<u64>)>,
    pub(crate) messages: BTreeMap<u64, MessageRecord>,
    attempts: BTreeMap<u64, u32>,
    pub(crate) ackers: Vec<(ParticipantId, RangeSet)>,
    pub(crate) requests: BTreeMap<u64, RequestRecord>,
    pub(crate) peers: Vec<(SenderTag, PeerRecord)>,
    pub(crate) strangers: Vec<(SenderTag, RangeSet)>,
    pub(crate) opaque: Vec<(MessageId, OpaqueRecord)>,
    pub(crate) heads: Vec<HeadRecord>,
    pub(crate) own: Option<HeadRecord>,
    pub(crate) arrivals: BTreeMap<u64, (ArrivalRecord, SdsMessage)>,
    events: BTreeMap<u64, usize>,
}

const fn damaged(what: &'static str) -> RecoveryError {
    RecoveryError::Damaged { what }
}

impl Recovery {
    /// Nothing collected yet.
    pub fn new(channel: &ChannelId) -> Self {
        Self { keys: Keys::new(channel), found: Recovered::default(), is_empty: true }
    }

    /// What the keys of the records begin with: scan the store for it.
    pub fn prefix(&self) -> Bytes {
        self.keys.prefix().clone()
    }

    /// Takes one record, in any order.
    pub fn handle_record(&mut self, (key, value): Entry) -> Result<(), RecoveryError> {
        self.is_empty = false;
        let (kind, name) = self.keys.parse(&key).ok_or(damaged("a key that is none of ours"))?;
        let found = &mut self.found;
        match kind {
            Kind::About => found.about = Some(decode(value, "who we are")?),
            Kind::Counters => found.counters = Some(decode(value, "the counters")?),
            Kind::Age => found.age = Some(decode(value, "the age")?),
            Kind::Budget => found.budget = Some(decode(value, "the budget")?),
            Kind::Voids => found.voids = voids(&decode(value, "the voids")?)?,
            Kind::Message => {
                found.messages.insert(sequence(name)?, decode(value, "an own message")?);
            }
            Kind::Attempts => {
                let record: AttemptsRecord = decode(value, "the attempts of a message")?;
                found.attempts.insert(sequence(name)?, record.attempts);
            }
            Kind::Acker => {
                let record: AckerRecord = decode(value, "an acknowledgement")?;
                found.ackers.push((text(name)?.into(), set(&record.ranges)?));
            }
            Kind::Request => {
                found.requests.insert(number(name)?, request(decode(value, "a send")?)?);
            }
            Kind::Peer => found.peers.push((tag(name)?, decode(value, "a sender")?)),
            Kind::Stranger => {
                let record: AckerRecord = decode(value, "a sender that was heard of")?;
                found.strangers.push((tag(name)?, set(&record.ranges)?));
            }
            Kind::Opaque => found.opaque.push((text(name)?.into(), decode(value, "a foreign id")?)),
            Kind::Head => found.heads.push(decode(value, "a message to cite")?),
            Kind::Own => found.own = Some(decode(value, "the last own message")?),
            Kind::Arrival => {
                let record: ArrivalRecord = decode(value, "a message that came in")?;
                let message = SdsMessage::from_record(record.message.clone());
                let message = message.map_err(|_| damaged("a message that came in"))?;
                found.arrivals.insert(number(name)?, (record, message));
            }
            Kind::Event => {
                let size = value.len();
                event_of(value)?;
                found.events.insert(number(name)?, size);
            }
        }
        Ok(())
    }

    /// Whether there was a channel: its records belong together.
    pub(crate) fn finish(mut self, participant: &ParticipantId) -> Result<Option<Recovered>, RecoveryError> {
        if self.is_empty {
            return Ok(None);
        }
        let about = self.found.about.take().ok_or(damaged("who we are is missing"))?;
        if about.schema > SCHEMA {
            return Err(RecoveryError::NewerSchema { found: about.schema, known: SCHEMA });
        }
        if about.schema == 0 {
            return Err(damaged("the schema is 0"));
        }
        if about.participant != participant.as_str() {
            return Err(RecoveryError::OtherParticipant { found: about.participant.into() });
        }
        self.found.tag = Some(tag(&about.tag)?);
        self.found.check()?;
        Ok(Some(self.found))
    }
}

impl Recovered {
    pub(crate) fn age(&self) -> Mono {
        deadline(self.age.map_or(0, |record| record.age))
    }

    pub(crate) fn counters(&self) -> CountersRecord {
        let counters = self.counters.unwrap_or_default();
        // Ephemeral sends have ids of the same kind, and write nothing but for one in so many.
        let request = counters.request.max(1).saturating_add(EPHEMERAL_STEP);
        CountersRecord { event: counters.event.max(1), request, ..counters }
    }

    /// For how many milliseconds the channel was not open since it began, until `now`.
    pub(crate) fn away(&self, now: Wall) -> u64 {
        let before = self.age.map_or(0, |record| record.away);
        let since = self.age.map_or(0, |record| now.unix_millis().saturating_sub(record.wall));
        before.saturating_add(since)
    }

    pub(crate) fn past(&mut self, now: Wall) -> Past {
        Past {
            counters: self.counters(),
            budget: self.budget,
            age: self.age(),
            away: self.away(now),
            next_arrival: self.arrivals.last_key_value().map_or(0, |(number, _)| number.saturating_add(1)),
            next_opaque: self.opaque.iter().map(|(_, record)| record.order).max().unwrap_or(0),
            event_sizes: std::mem::take(&mut self.events).into_values().collect(),
        }
    }

    /// Whether the records fit together.
    fn check(&mut self) -> Result<(), RecoveryError> {
        let counters = self.counters();
        let numbers = [counters.request, counters.lamport, counters.ephemeral, counters.event];
        if counters.sequence > StructuredId::SEQUENCE_END
            || numbers.into_iter().any(|number| number >= 1 << 63)
        {
            return Err(damaged("a counter is out of its range"));
        }
        if counters.confirmed >= counters.event {
            return Err(damaged("more events are confirmed than there were"));
        }
        if !self.events.keys().copied().eq(counters.confirmed + 1..counters.event) {
            return Err(damaged("an event is missing"));
        }
        if self.age.is_some_and(|record| record.age >= 1 << 63) {
            return Err(damaged("the age is out of its range"));
        }
        if self.requests.keys().any(|id| *id >= counters.request) {
            return Err(damaged("a send whose id was not given out"));
        }
        if self.requests.values().any(|send| send.first + send.count > counters.sequence) {
            return Err(damaged("a send whose numbers were not given out"));
        }
        for (sequence, message) in &mut self.messages {
            let send =
                self.requests.get(&message.request).ok_or(damaged("an own message without its send"))?;
            if !(send.first..send.first + send.count).contains(sequence) || message.content.len() != 4 {
                return Err(damaged("an own message"));
            }
            message.attempts = self.attempts.get(sequence).copied().unwrap_or(message.attempts);
        }
        if self.attempts.keys().any(|sequence| !self.messages.contains_key(sequence)) {
            return Err(damaged("attempts of no message"));
        }
        for (_, peer) in &self.peers {
            set(&peer.received)?;
            set(&peer.over)?;
        }
        self.opaque.sort_by_key(|(_, record)| record.order);
        Ok(())
    }
}

fn decode<M: Message + Default>(value: Bytes, what: &'static str) -> Result<M, RecoveryError> {
    M::decode(value).map_err(|_| damaged(what))
}

fn number(name: &[u8]) -> Result<u64, RecoveryError> {
    let bytes = name.try_into().map_err(|_| damaged("a key without its number"))?;
    Some(u64::from_be_bytes(bytes)).filter(|number| *number < 1 << 63).ok_or(damaged("a number in a key"))
}

fn sequence(name: &[u8]) -> Result<u64, RecoveryError> {
    number(name).and_then(|number| {
        if number < StructuredId::SEQUENCE_END {
            Ok(number)
        } else {
            Err(damaged("a sequence number in a key"))
        }
    })
}

fn tag(name: &[u8]) -> Result<SenderTag, RecoveryError> {
    name.try_into().map(SenderTag).map_err(|_| damaged("a sender's tag"))
}

fn text(name: &[u8]) -> Result<&str, RecoveryError> {
    std::str::from_utf8(name).map_err(|_| damaged("a name in a key"))
}

fn set(pairs: &[u64]) -> Result<RangeSet, RecoveryError> {
    set_of(pairs).ok_or(damaged("a set of sequence numbers"))
}

fn request(record: RequestRecord) -> Result<RequestRecord, RecoveryError> {
    let fits = (1..=MAX_SEGMENTS as u64).contains(&record.count)
        && record.data <= record.count
        && record.first < StructuredId::SEQUENCE_END;
    if fits { Ok(record) } else { Err(damaged("a send")) }
}

fn voids(record: &VoidsRecord) -> Result<Vec<(Mono, std::ops::Range<u64>)>, RecoveryError> {
    let void = |triple: &[u64]| match *triple {
        [until, start, end] if start < end && end <= StructuredId::SEQUENCE_END => {
            Some((deadline(until), start..end))
        }
        _ => None,
    };
    let voids: Option<Vec<_>> = record.voids.chunks(3).map(void).collect();
    voids.filter(|voids| voids.len() <= 64).ok_or(damaged("the voids"))
}
