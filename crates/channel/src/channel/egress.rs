//! The way out: segment → SDS → rate limit → encrypt → dispatch.
//!
//! The rule: a send is accepted whole or not at all, and an attempt is charged when it is made, not
//! when it is queued.

use super::ReliableChannel;
use crate::envelope::{MARKER, MessageEnvelope};
use crate::error::{SendError, SendRefused};
use crate::ids::{DispatchId, RequestId};
use crate::output::{ChannelEvent, Dispatch, DispatchOutcome, Output};
use crate::rate_limit::BudgetState;
use crate::request::GivenUp;
use crate::sds::{Due, Prepared};
use bytes::{Bytes, BytesMut};
use quorate_base::Now;

/// What waits for the rate limit.
#[derive(Debug)]
pub(super) enum Queued {
    /// What the SDS machine makes when it leaves; skipped when it is not needed any more.
    Sds(Due),
    /// An ephemeral message.
    Ephemeral { message: Prepared, request: RequestId, sequence: u64 },
}

/// What was handed to the messaging layer.
#[derive(Debug)]
pub(super) enum Flight {
    Message {
        sequence: u64,
        request: RequestId,
    },
    Ephemeral {
        sequence: u64,
        request: RequestId,
    },
    /// A sync or a repair: nobody waits for its outcome.
    Other,
}

impl Flight {
    /// The send that it belongs to; a sync or a repair belongs to none.
    const fn request(&self) -> Option<RequestId> {
        match self {
            Self::Message { request, .. } | Self::Ephemeral { request, .. } => Some(*request),
            Self::Other => None,
        }
    }
}

impl ReliableChannel {
    /// Stages one to three of a persistent send.
    pub(super) fn send(&mut self, now: Now, payload: Bytes) -> Result<RequestId, SendRefused> {
        let bytes = payload.len() as u64;
        let segments = self.segmenter.cut(payload)?;
        let (count, data) = (segments.total(), segments.data());
        self.check_log()?;
        self.check_room(count)?;
        let request = RequestId(self.next_request);
        let contents = segments.map(|segment| (head(&segment.hash), segment.encode().into()));
        let sequences = self.sds.handle_send_all(now, request, count as u64, contents)?;
        self.next_request += 1;
        self.requests.push(request, sequences.clone(), data as u64, false);
        if let Some(expected_at) = self.limiter.expected_at(now) {
            let expected_at = self.ages.outside(expected_at);
            self.event(ChannelEvent::Queued { request, expected_at });
        }
        sequences.for_each(|sequence| self.limiter.enqueue(Queued::Sds(Due::Message(sequence))));
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += bytes;
        self.stats.segments_sent += count as u64;
        Ok(request)
    }

    /// Stages one to three of an ephemeral send.
    pub(super) fn send_ephemeral(&mut self, now: Now, payload: Bytes) -> Result<RequestId, SendRefused> {
        if self.limiter.state(now) != BudgetState::Normal {
            return Err(SendRefused::BudgetLow);
        }
        let bytes = payload.len() as u64;
        let segments = self.segmenter.cut(payload)?;
        self.check_room(segments.total())?;
        let (count, data) = (segments.total() as u64, segments.data() as u64);
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let base = self.next_ephemeral;
        self.next_ephemeral += count;
        self.requests.push(request, base..base + count, data, true);
        for (segment, sequence) in segments.zip(base..) {
            let message = self.sds.ephemeral(sequence, head(&segment.hash), segment.encode().into());
            self.limiter.enqueue(Queued::Ephemeral { message, request, sequence });
        }
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += bytes;
        self.stats.segments_sent += count;
        Ok(request)
    }

    /// Queues what the SDS machine wants to send.
    pub(super) fn queue_due(&mut self, now: Now) {
        while let Some(due) = self.sds.poll_due(now) {
            match due {
                Due::Sync => self.limiter.enqueue_urgent(Queued::Sds(due)),
                Due::Message(sequence) if self.is_parity_in_vain(sequence) => {
                    self.sds.handle_attempted(now, sequence, false);
                }
                due => self.limiter.enqueue(Queued::Sds(due)),
            }
        }
    }

    /// Parity that left once waits as long as a data segment of its payload is repeated: who has that one needs no
    /// parity, and who recovers the payload acknowledges both.
    fn is_parity_in_vain(&self, sequence: u64) -> bool {
        let request = self.sds.request_of(sequence);
        let data = request.and_then(|request| self.requests.data_beside(request, sequence));
        data.is_some_and(|data| self.sds.repeats_any(data))
    }

    /// Lets go what the rate limit and the messaging layer have room for: stages four and five.
    pub(super) fn pump(&mut self, now: Now) {
        while !self.closed && self.in_flight.len() < self.config.max_in_flight {
            let Some(queued) = self.limiter.poll(now) else { break };
            match queued {
                Queued::Sds(due) => self.release(now, due),
                Queued::Ephemeral { request, sequence, .. }
                    if self.limiter.state(now) != BudgetState::Normal =>
                {
                    self.fail(now, request, sequence, SendError::BudgetLow);
                }
                Queued::Ephemeral { message, request, sequence } => {
                    self.requests.released(now.mono, request, sequence, self.config.dispatch_timeout);
                    self.dispatch(now, message, Flight::Ephemeral { sequence, request }, true);
                }
            }
        }
        let state = self.limiter.state(now);
        if std::mem::replace(&mut self.budget, state) != state {
            self.event(ChannelEvent::Budget { state });
        }
    }

    /// Takes note of how an attempt ended.
    pub(super) fn landed(&mut self, now: Now, flight: Flight, outcome: DispatchOutcome) {
        let confirmed = outcome == DispatchOutcome::Confirmed;
        match flight {
            Flight::Other => {}
            Flight::Ephemeral { sequence, request } if !confirmed => {
                self.fail(now, request, sequence, SendError::Refused { segments: 1 });
            }
            Flight::Message { sequence, request }
                if outcome == DispatchOutcome::Refused && !self.requests.has_left(request, sequence) =>
            {
                self.fail(now, request, sequence, SendError::Refused { segments: 1 });
            }
            Flight::Message { sequence, request } => {
                self.sds.handle_attempted(now, sequence, confirmed);
                if confirmed {
                    self.confirm(now, request, sequence);
                }
            }
            Flight::Ephemeral { sequence, request } => self.confirm(now, request, sequence),
        }
    }

    /// A segment left, or somebody has it.
    pub(super) fn confirm(&mut self, now: Now, request: RequestId, sequence: u64) {
        let told = self.requests.confirmed(now.mono, request, sequence, self.config.delivery_timeout);
        self.tell(request, told);
    }

    fn fail(&mut self, now: Now, request: RequestId, sequence: u64, error: SendError) {
        let told = self.requests.failed(now.mono, request, sequence, error);
        self.tell(request, told);
    }

    fn tell(&mut self, request: RequestId, (event, given_up): (Option<ChannelEvent>, Option<GivenUp>)) {
        if let Some(given_up) = given_up {
            self.take_back(given_up);
        }
        if let Some(event) = event {
            self.sds.settle(request);
            self.event(event);
            let delivered = self.requests.poll_delivered(request);
            delivered.into_iter().for_each(|event| self.event(event));
        }
    }

    fn check_room(&self, count: usize) -> Result<(), SendRefused> {
        let unacknowledged = self.sds.unacknowledged();
        if unacknowledged + count > self.config.max_unacknowledged || count > self.limiter.room() {
            return Err(SendRefused::Full { unacknowledged, queued: self.limiter.len() });
        }
        Ok(())
    }

    fn release(&mut self, now: Now, due: Due) {
        let sequence = match due {
            Due::Message(sequence) => Some(sequence),
            Due::Repair(_) | Due::Sync => None,
        };
        let Some(message) = self.sds.prepare(now, due) else { return };
        let flight = match (sequence, message.request) {
            (Some(sequence), Some(request)) => {
                self.requests.released(now.mono, request, sequence, self.config.dispatch_timeout);
                Flight::Message { sequence, request }
            }
            _ => Flight::Other,
        };
        self.dispatch(now, message, flight, false);
    }

    /// Seals a message and hands it to the driver.
    fn dispatch(&mut self, now: Now, message: Prepared, flight: Flight, ephemeral: bool) {
        self.limiter.charge();
        // Whoever sent it, it is copied once: what is sealed grows by a tag.
        let bytes = message.bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let payload = match self.keyring.seal(flight.request(), &self.context, bytes) {
            Ok(payload) => payload,
            Err(error) => return self.unsealed(now, flight, error.into()),
        };
        self.stats.envelopes_dispatched += 1;
        self.stats.envelope_bytes_dispatched += payload.len() as u64;
        let envelope = MessageEnvelope {
            payload,
            content_topic: self.identity.topic.as_str().to_owned(),
            version: None,
            timestamp: Some(now.wall.unix_nanos()),
            meta: Some(Bytes::from_static(MARKER)),
            rate_limit_proof: None,
            ephemeral: ephemeral.then_some(true),
        };
        let dispatch = DispatchId(self.next_dispatch);
        self.next_dispatch += 1;
        self.in_flight.insert(dispatch, flight);
        let (id, attempt) = (message.id, message.attempt);
        self.outputs.push_back(Output::Dispatch(Dispatch { id: dispatch, envelope, message: id, attempt }));
    }

    /// The cipher is used up: what was not sent before never will be.
    fn unsealed(&mut self, now: Now, flight: Flight, error: SendError) {
        match flight {
            Flight::Message { sequence, request } | Flight::Ephemeral { sequence, request } => {
                self.fail(now, request, sequence, error);
            }
            Flight::Other => {}
        }
    }
}

/// The part of an id that tells of the content: the first bytes of the payload's hash.
fn head(hash: &[u8; 32]) -> [u8; 4] {
    [hash[0], hash[1], hash[2], hash[3]]
}
