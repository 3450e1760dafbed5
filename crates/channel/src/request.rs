//! Sends, from acceptance to their outcomes: one state per segment, one verdict per send.
//!
//! The rule: a send is final only when all its segments are, and each outcome is told once.

mod stored;

use crate::error::SendError;
use crate::ids::{ParticipantId, RequestId};
use crate::output::ChannelEvent;
use quorate_base::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

/// Where one segment of a send stands (the seed's four states).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// Queued behind the rate limit.
    AwaitingRateLimit,
    /// Handed to the messaging layer.
    InFlight,
    /// It left.
    Confirmed,
    /// It will not leave.
    Failed,
}

/// All sends without a final outcome.
#[derive(Debug, Default)]
pub struct Requests {
    open: BTreeMap<RequestId, Request>,
    deadlines: BTreeSet<(Mono, RequestId)>,
    /// What is to be written; `None` where nothing is.
    changes: Option<BTreeSet<RequestId>>,
}

/// A send that was given up: what the other stages are to forget.
#[derive(Debug)]
pub struct GivenUp {
    /// The send.
    pub request: RequestId,
    /// Its sequence numbers; empty for an ephemeral one.
    pub sequences: Range<u64>,
    /// Whether it left before.
    pub sent: bool,
}

#[derive(Debug)]
struct Request {
    ephemeral: bool,
    sequences: Range<u64>,
    /// How many of them are data; parity follows.
    data: u64,
    segments: Vec<SegmentState>,
    acks: BTreeMap<ParticipantId, usize>,
    delivered: bool,
    sent: bool,
    failure: Option<SendError>,
    deadline: Option<Mono>,
}

impl Requests {
    /// Accepts a send whose segments have `sequences`, the first `data` of them data.
    pub fn push(&mut self, request: RequestId, sequences: Range<u64>, data: u64, ephemeral: bool) {
        let count = usize::try_from(sequences.end - sequences.start).unwrap_or(usize::MAX);
        if let Some(changes) = self.changes.as_mut().filter(|_| !ephemeral) {
            changes.insert(request);
        }
        self.open.insert(
            request,
            Request {
                ephemeral,
                segments: vec![SegmentState::AwaitingRateLimit; count],
                sequences,
                data,
                acks: BTreeMap::new(),
                delivered: false,
                sent: false,
                failure: None,
                deadline: None,
            },
        );
    }

    /// A segment was released; it has `timeout` to leave.
    pub fn released(&mut self, now: Mono, request: RequestId, sequence: u64, timeout: Duration) {
        let Some(open) = self.open.get_mut(&request) else { return };
        if open.sent {
            return;
        }
        if let Some(state @ SegmentState::AwaitingRateLimit) = open.segment(sequence) {
            *state = SegmentState::InFlight;
            self.deadline(request, now + timeout);
        }
    }

    /// Where each segment of a send stands.
    pub fn states(&self, request: RequestId) -> Option<&[SegmentState]> {
        self.open.get(&request).map(|open| open.segments.as_slice())
    }

    /// The oldest send without a final outcome.
    pub fn oldest(&self) -> Option<RequestId> {
        self.open.first_key_value().map(|(request, _)| *request)
    }

    /// Whether a segment left before: then what happens to later attempts decides nothing.
    pub fn has_left(&self, request: RequestId, sequence: u64) -> bool {
        let Some(open) = self.open.get(&request) else { return true };
        let index = sequence.checked_sub(open.sequences.start).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| open.segments.get(index)).is_none_or(|state| *state == SegmentState::Confirmed)
    }

    /// The data segments beside a parity segment that left before; `None` for a data segment.
    pub fn data_beside(&self, request: RequestId, sequence: u64) -> Option<Range<u64>> {
        let open = self.open.get(&request)?;
        let data = open.sequences.start..open.sequences.start + open.data;
        (sequence >= data.end && self.has_left(request, sequence)).then_some(data)
    }

    /// A segment left. Yields `Sent` when it was the last.
    pub fn confirmed(
        &mut self,
        now: Mono,
        request: RequestId,
        sequence: u64,
        delivery_timeout: Duration,
    ) -> (Option<ChannelEvent>, Option<GivenUp>) {
        self.finalize(now, request, sequence, SegmentState::Confirmed, delivery_timeout)
    }

    /// A segment will not leave. Yields `SendError` when all siblings are final.
    pub fn failed(
        &mut self,
        now: Mono,
        request: RequestId,
        sequence: u64,
        error: SendError,
    ) -> (Option<ChannelEvent>, Option<GivenUp>) {
        if let Some(open) = self.open.get_mut(&request) {
            open.failure.get_or_insert(error);
        }
        self.finalize(now, request, sequence, SegmentState::Failed, Duration::ZERO)
    }

    /// `by` has one more segment of a send; `satisfied` says that as many as have to have all of it.
    pub fn acknowledged(
        &mut self,
        request: RequestId,
        by: &ParticipantId,
        satisfied: bool,
    ) -> VecDeque<ChannelEvent> {
        let mut events = VecDeque::new();
        let Some(open) = self.open.get_mut(&request) else { return events };
        let acks = open.acks.entry(by.clone()).or_insert(0);
        *acks += 1;
        if *acks == open.segments.len() {
            events.push_back(ChannelEvent::Acknowledged { request, by: by.clone() });
        }
        open.delivered |= satisfied;
        if open.delivered && open.sent {
            self.remove(request);
            events.push_back(ChannelEvent::Delivered { request });
        }
        events
    }

    /// The next send whose deadline passed: it is no longer open, and its outcome is the caller's to
    /// tell.
    pub fn poll_expired(&mut self, now: Mono) -> Option<(GivenUp, usize)> {
        let (at, request) = *self.deadlines.first()?;
        if at > now {
            return None;
        }
        let waits = |open: &Request| open.segments.contains(&SegmentState::AwaitingRateLimit);
        if self.open.get(&request).is_some_and(|open| !open.sent && waits(open)) {
            // The rate limit holds segments back; the clock runs from the last one released.
            self.deadlines.pop_first();
            if let Some(open) = self.open.get_mut(&request) {
                open.deadline = None;
            }
            return self.poll_expired(now);
        }
        let open = self.remove(request)?;
        let unsent = open.segments.iter().filter(|state| **state != SegmentState::Confirmed).count();
        Some((GivenUp { request, sequences: open.sequences, sent: open.sent }, unsent))
    }

    /// When the next deadline passes.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The sends without a final outcome, taken out: the channel closes.
    pub fn drain(&mut self) -> Vec<GivenUp> {
        self.deadlines.clear();
        let open = std::mem::take(&mut self.open);
        let given_up = |(request, open): (RequestId, Request)| GivenUp {
            request,
            sequences: open.sequences,
            sent: open.sent,
        };
        open.into_iter().map(given_up).collect()
    }

    fn finalize(
        &mut self,
        now: Mono,
        request: RequestId,
        sequence: u64,
        state: SegmentState,
        delivery_timeout: Duration,
    ) -> (Option<ChannelEvent>, Option<GivenUp>) {
        let Some(open) = self.open.get_mut(&request) else { return (None, None) };
        if let Some(current @ (SegmentState::AwaitingRateLimit | SegmentState::InFlight)) =
            open.segment(sequence)
        {
            *current = state;
        }
        let is_final = |state: &SegmentState| matches!(state, SegmentState::Confirmed | SegmentState::Failed);
        if open.sent || !open.segments.iter().all(is_final) {
            return (None, None);
        }
        if let Some(error) = open.failure.take() {
            let Some(open) = self.remove(request) else { return (None, None) };
            let given_up = GivenUp { request, sequences: open.sequences, sent: false };
            return (Some(ChannelEvent::SendError { request, error }), Some(given_up));
        }
        open.sent = true;
        if let Some(changes) = self.changes.as_mut().filter(|_| !open.ephemeral) {
            changes.insert(request);
        }
        if open.ephemeral {
            self.remove(request);
        } else {
            self.deadline(request, now + delivery_timeout);
        }
        (Some(ChannelEvent::Sent { request }), None)
    }

    /// Whether a send left and is acknowledged as it has to be: its outcome is then told.
    pub fn poll_delivered(&mut self, request: RequestId) -> Option<ChannelEvent> {
        let open = self.open.get(&request)?;
        if open.sent && open.delivered {
            self.remove(request);
            return Some(ChannelEvent::Delivered { request });
        }
        None
    }

    fn deadline(&mut self, request: RequestId, at: Mono) {
        let Some(open) = self.open.get_mut(&request) else { return };
        if let Some(before) = open.deadline.replace(at) {
            self.deadlines.remove(&(before, request));
        }
        self.deadlines.insert((at, request));
    }

    fn remove(&mut self, request: RequestId) -> Option<Request> {
        let open = self.open.remove(&request)?;
        if let Some(changes) = self.changes.as_mut().filter(|_| !open.ephemeral) {
            changes.insert(request);
        }
        if let Some(at) = open.deadline {
            self.deadlines.remove(&(at, request));
        }
        Some(open)
    }
}

impl Request {
    fn segment(&mut self, sequence: u64) -> Option<&mut SegmentState> {
        let index = usize::try_from(sequence.checked_sub(self.sequences.start)?).ok()?;
        self.segments.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const R: RequestId = RequestId(1);

    fn at(seconds: u64) -> Mono {
        Mono::from_origin(Duration::from_secs(seconds))
    }

    fn requests(sequences: Range<u64>) -> Requests {
        let mut requests = Requests::default();
        requests.push(R, sequences.clone(), sequences.end - sequences.start, false);
        sequences.for_each(|sequence| requests.released(at(0), R, sequence, TIMEOUT));
        requests
    }

    #[test]
    fn a_send_is_sent_when_its_last_segment_left_and_not_before() {
        let mut requests = requests(5..8);
        assert!(requests.confirmed(at(1), R, 7, TIMEOUT).0.is_none());
        assert!(requests.confirmed(at(1), R, 5, TIMEOUT).0.is_none());
        assert_eq!(requests.confirmed(at(1), R, 6, TIMEOUT).0, Some(ChannelEvent::Sent { request: R }));
        assert!(requests.confirmed(at(2), R, 6, TIMEOUT).0.is_none(), "told once");
        assert_eq!(requests.poll_timeout(), Some(at(11)));
    }

    #[test]
    fn one_failed_segment_fails_the_send_after_its_siblings_are_final() {
        let mut requests = requests(0..2);
        let error = SendError::Refused { segments: 1 };
        assert!(requests.failed(at(1), R, 0, error.clone()).0.is_none());
        let (event, given_up) = requests.confirmed(at(1), R, 1, TIMEOUT);
        assert_eq!(event, Some(ChannelEvent::SendError { request: R, error }));
        assert_eq!(given_up.unwrap().sequences, 0..2);
        assert_eq!(requests.poll_timeout(), None);
    }

    #[test]
    fn delivered_never_comes_before_sent() {
        let mut requests = requests(0..1);
        let bob = ParticipantId::from("bob");
        assert_eq!(
            requests.acknowledged(R, &bob, true),
            [ChannelEvent::Acknowledged { request: R, by: bob.clone() }]
        );
        assert_eq!(requests.confirmed(at(1), R, 0, TIMEOUT).0, Some(ChannelEvent::Sent { request: R }));
        assert_eq!(requests.poll_delivered(R), Some(ChannelEvent::Delivered { request: R }));
        assert_eq!(requests.poll_delivered(R), None);
    }

    #[test]
    fn a_segment_behind_the_rate_limit_stops_the_clock() {
        let mut requests = Requests::default();
        requests.push(R, 0..2, 2, false);
        requests.released(at(0), R, 0, TIMEOUT);
        assert!(requests.poll_expired(at(10)).is_none());
        requests.released(at(50), R, 1, TIMEOUT);
        let (given_up, unsent) = requests.poll_expired(at(60)).unwrap();
        assert_eq!((given_up.sent, unsent), (false, 2));
    }
}
