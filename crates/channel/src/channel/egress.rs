//! The way out: segment → SDS → rate limit → encrypt → dispatch.
//!
//! The rule: a send is accepted whole or not at all, and an attempt is charged when it is made, not
//! when it is queued.

use super::ReliableChannel;
use crate::envelope::{MARKER, MessageEnvelope};
use crate::error::{SendError, SendRefused};
use crate::ids::{DispatchId, MessageId, RequestId, StructuredId};
use crate::output::{ChannelEvent, Dispatch, DispatchOutcome, Output};
use crate::rate_limit::BudgetState;
use crate::request::GivenUp;
use crate::sds::{Dialect, SdsMessage};
use crate::segment::Segments;
use bytes::{Bytes, BytesMut};
use quorate_base::Now;

/// What waits for the rate limit.
#[derive(Debug)]
pub(super) enum Queued {
    /// An own message, by its sequence number; skipped when it was acknowledged meanwhile.
    Message(u64),
    /// An ephemeral message.
    Ephemeral { id: MessageId, message: Bytes, request: RequestId, sequence: u64 },
    /// A sync message, made when it leaves.
    Sync,
}

/// What was handed to the messaging layer.
#[derive(Debug)]
pub(super) enum Flight {
    Message { sequence: u64, request: RequestId },
    Ephemeral { sequence: u64, request: RequestId },
    Sync,
}

impl Flight {
    /// The send that it belongs to; a sync belongs to none.
    const fn request(&self) -> Option<RequestId> {
        match self {
            Self::Message { request, .. } | Self::Ephemeral { request, .. } => Some(*request),
            Self::Sync => None,
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
        let base = self.next_sequence;
        if base + count as u64 > StructuredId::SEQUENCE_END {
            return Err(SendRefused::SequenceExhausted);
        }
        let request = self.next_request();
        self.requests.push(request, base..base + count as u64, data as u64, false);
        if let Some(expected_at) = self.limiter.expected_at(now) {
            let expected_at = self.ages.outside(expected_at);
            self.event(ChannelEvent::Queued { request, expected_at });
        }
        self.wrap(now, request, segments);
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += bytes;
        self.stats.segments_sent += count as u64;
        let random = self.random.f64();
        self.schedule.activity(now.mono, random);
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
        let base = self.next_ephemeral;
        self.next_ephemeral += count;
        let request = self.next_request();
        self.requests.push(request, base..base + count, data, true);
        for (segment, sequence) in segments.zip(base..) {
            let id = self.structured_id(&segment.hash, sequence).to_message_id();
            let message = SdsMessage { content: segment.encode().into(), ..self.message(id.clone()) }
                .encode(Dialect::Lip);
            self.limiter.enqueue(Queued::Ephemeral { id, message, request, sequence });
        }
        self.stats.messages_sent += 1;
        self.stats.bytes_sent += bytes;
        self.stats.segments_sent += count;
        Ok(request)
    }

    /// Lets go what the rate limit and the messaging layer have room for: stages four and five.
    pub(super) fn pump(&mut self, now: Now) {
        while !self.closed && self.in_flight.len() < self.config.max_in_flight {
            let Some(queued) = self.limiter.poll(now) else { break };
            match queued {
                Queued::Message(sequence) => self.release(now, sequence),
                Queued::Ephemeral { request, sequence, .. }
                    if self.limiter.state(now) != BudgetState::Normal =>
                {
                    self.fail(now, request, sequence, SendError::BudgetLow);
                }
                Queued::Ephemeral { id, message, request, sequence } => {
                    self.requests.released(now.mono, request, sequence, self.config.dispatch_timeout);
                    let message = BytesMut::from(message.as_ref());
                    self.dispatch(now, id, message, 0, Flight::Ephemeral { sequence, request }, true);
                }
                Queued::Sync => self.release_sync(now),
            }
        }
        let state = self.limiter.state(now);
        if std::mem::replace(&mut self.budget, state) != state {
            self.event(ChannelEvent::Budget { state });
        }
    }

    /// The time of a message has come again. Parity that left once waits as long as a data segment of its payload is
    /// repeated: who has that one needs no parity, and who recovers the payload acknowledges both.
    pub(super) fn repeat(&mut self, now: Now, sequence: u64) {
        let request = self.outgoing.request(sequence);
        let data = request.and_then(|request| self.requests.data_beside(request, sequence));
        if data.is_some_and(|data| self.outgoing.has_any(data)) {
            let random = self.random.f64();
            self.outgoing.handle_attempted(now.mono, sequence, false, random);
        } else {
            self.limiter.enqueue(Queued::Message(sequence));
        }
    }

    /// Takes note of how an attempt ended.
    pub(super) fn landed(&mut self, now: Now, flight: Flight, outcome: DispatchOutcome) {
        let confirmed = outcome == DispatchOutcome::Confirmed;
        match flight {
            Flight::Sync => {}
            Flight::Ephemeral { sequence, request } if !confirmed => {
                self.fail(now, request, sequence, SendError::Refused { segments: 1 });
            }
            Flight::Message { sequence, request }
                if outcome == DispatchOutcome::Refused && !self.requests.has_left(request, sequence) =>
            {
                self.fail(now, request, sequence, SendError::Refused { segments: 1 });
            }
            Flight::Message { sequence, request } => {
                let random = self.random.f64();
                self.outgoing.handle_attempted(now.mono, sequence, confirmed, random);
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
            self.cited.remove(&request);
            self.event(event);
            let delivered = self.requests.poll_delivered(request);
            delivered.into_iter().for_each(|event| self.event(event));
        }
    }

    fn check_room(&self, count: usize) -> Result<(), SendRefused> {
        let unacknowledged = self.outgoing.len();
        if unacknowledged + count > self.config.max_unacknowledged || count > self.limiter.room() {
            return Err(SendRefused::Full { unacknowledged, queued: self.limiter.len() });
        }
        Ok(())
    }

    /// Makes SDS messages of the segments of one payload. All cite the same past, so any of them tells
    /// a receiver what the payload follows.
    fn wrap(&mut self, now: Now, request: RequestId, segments: Segments) {
        let history = self.frontier.cite(self.config.causal_history);
        let mut last = None;
        for segment in segments {
            let id = self.structured_id(&segment.hash, self.next_sequence);
            let time = self.lamport.tick(now.wall);
            let acks = self.incoming.take_acks(false);
            if !acks.is_empty() && self.limiter.is_empty() {
                self.schedule.acknowledged();
            }
            let message = SdsMessage {
                time: Some(time),
                history: history.clone(),
                content: segment.encode().into(),
                acks,
                ..self.message(id.to_message_id())
            };
            self.outgoing.push(id, message, request);
            self.limiter.enqueue(Queued::Message(id.sequence));
            self.next_sequence += 1;
            last = Some((id.to_message_id(), time));
        }
        if let Some((id, time)) = last {
            self.frontier.sent(id.clone(), time);
            self.cited.insert(request, (id, history));
        }
    }

    fn release(&mut self, now: Now, sequence: u64) {
        let Some(attempt) = self.outgoing.attempt(sequence) else { return };
        self.stats.retransmissions += u64::from(attempt.attempt > 0);
        self.requests.released(now.mono, attempt.request, sequence, self.config.dispatch_timeout);
        let flight = Flight::Message { sequence, request: attempt.request };
        let message = SdsMessage {
            oldest: Some(self.outgoing.oldest().unwrap_or(sequence)),
            void: self.voids.current(now.mono),
            ..attempt.message
        };
        let bytes = BytesMut::from(message.encode(Dialect::Lip).as_ref());
        self.dispatch(now, message.id, bytes, attempt.attempt, flight, false);
    }

    fn release_sync(&mut self, now: Now) {
        let acks = self.incoming.take_acks(true);
        let history = self.frontier.cite(self.config.causal_history);
        if acks.is_empty() && history.is_empty() {
            return;
        }
        let time = self.lamport.tick(now.wall);
        let id = self.structured_id(b"sync", time % StructuredId::SEQUENCE_END).to_message_id();
        let oldest = Some(self.outgoing.oldest().unwrap_or(self.next_sequence));
        let void = self.voids.current(now.mono);
        let message =
            SdsMessage { time: Some(time), history, acks, oldest, void, ..self.message(id.clone()) };
        self.stats.syncs_sent += 1;
        self.dispatch(now, id, BytesMut::from(message.encode(Dialect::Lip).as_ref()), 0, Flight::Sync, false);
    }

    /// Seals a message and hands it to the driver.
    fn dispatch(
        &mut self,
        now: Now,
        id: MessageId,
        message: BytesMut,
        attempt: u32,
        flight: Flight,
        ephemeral: bool,
    ) {
        self.limiter.charge();
        let payload = match self.keyring.seal(flight.request(), &self.context, message) {
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
        self.outputs.push_back(Output::Dispatch(Dispatch { id: dispatch, envelope, message: id, attempt }));
    }

    /// The cipher is used up: what was not sent before never will be.
    fn unsealed(&mut self, now: Now, flight: Flight, error: SendError) {
        match flight {
            Flight::Message { sequence, request } | Flight::Ephemeral { sequence, request } => {
                self.fail(now, request, sequence, error);
            }
            Flight::Sync => {}
        }
    }

    fn next_request(&mut self) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        request
    }

    fn structured_id(&self, hash: &[u8], sequence: u64) -> StructuredId {
        let mut content = [0; 4];
        for (to, from) in content.iter_mut().zip(hash) {
            *to = *from;
        }
        StructuredId { tag: self.own, sequence, content }
    }

    /// A message of ours with nothing in it: no Lamport time, no content.
    fn message(&self, id: MessageId) -> SdsMessage {
        SdsMessage::bare(self.identity.participant.clone(), id, self.identity.channel.clone())
    }
}
