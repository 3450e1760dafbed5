//! The channel: the pipeline of five stages, in the order of its stages.
//!
//! ```text
//! handle_send      segment -> SDS -> rate limit -> encrypt -> dispatch
//! handle_envelope  decrypt -> SDS -> reassemble -> event
//! ```
//!
//! The rule: the machine touches no clock, socket or thread. After any `handle_*`, drain
//! [`ReliableChannel::poll_output`] until `None`, then wait until [`ReliableChannel::poll_timeout`].

mod egress;
mod ingress;
mod persist;

use crate::cipher::{Cipher, CipherContext, Keyring};
use crate::config::{ChannelConfig, ConfigError};
use crate::durable::Journal;
use crate::envelope::MessageEnvelope;
use crate::error::{IngressError, SendError, SendRefused};
use crate::ids::{ChannelId, ContentTopic, DispatchId, MessageId, ParticipantId, RequestId};
use crate::output::{ChannelEvent, DispatchOutcome, Output};
use crate::rate_limit::{BudgetState, RateLimiter, SpentBudget};
use crate::request::{GivenUp, Requests, SegmentState};
use crate::sds::{Content, Sds, SenderAuth};
use crate::segment::{Reassembler, ReassemblyLimits, Segmenter};
use crate::stats::ChannelStats;
use bytes::Bytes;
use egress::{Flight, Queued};
use quorate_base::{Mono, Now};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Who we are, and which channel this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The channel.
    pub channel: ChannelId,
    /// Where its envelopes are published.
    pub topic: ContentTopic,
    /// How we call ourselves; at most 64 bytes are sensible, they travel in every message.
    pub participant: ParticipantId,
}

/// How a payload is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// Not acknowledged, not ordered, not repeated; dropped first when the rate limit's budget is low.
    pub ephemeral: bool,
}

/// A reliable group channel, as a machine.
///
/// ```
/// use quorate_base::{Mono, Now, Wall};
/// use quorate_channel::{
///     ChannelConfig, ChannelEvent, DispatchOutcome, Identity, NoCipher, Output, ReliableChannel, SendOptions,
/// };
///
/// let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_700_000_000_000));
/// let open = |participant: &str, entropy: u64| {
///     let identity = Identity { channel: "c".into(), topic: "/quorate/1/c/proto".into(), participant: participant.into() };
///     ReliableChannel::open(now, identity, ChannelConfig::default(), Box::new(NoCipher), entropy).unwrap()
/// };
/// let (mut alice, mut bob) = (open("alice", 1), open("bob", 2));
///
/// alice.handle_send(now, "hello".into(), SendOptions::default()).unwrap();
/// while let Some(output) = alice.poll_output() {
///     if let Output::Dispatch(dispatch) = output {
///         bob.handle_envelope(now, dispatch.envelope).unwrap(); // the network
///         alice.handle_dispatched(now, dispatch.id, DispatchOutcome::Confirmed);
///     }
/// }
/// let Some(Output::Event(ChannelEvent::Received { payload, .. })) = bob.poll_output() else { panic!() };
/// assert_eq!(payload, "hello");
/// ```
#[derive(Debug)]
pub struct ReliableChannel {
    identity: Identity,
    config: ChannelConfig,
    context: CipherContext,
    now: Now,
    closed: bool,

    segmenter: Segmenter,
    next_request: u64,
    requests: Requests,
    sds: Sds,
    ephemerals: Reassembler,
    next_ephemeral: u64,

    limiter: RateLimiter<Queued>,
    budget: BudgetState,
    keyring: Keyring,
    in_flight: BTreeMap<DispatchId, Flight>,
    next_dispatch: u64,

    outputs: VecDeque<Output>,
    stats: ChannelStats,

    /// Where changes are noted on their way to the store; `None` where the channel ends with its process.
    journal: Option<Box<Journal>>,
    /// Something may have changed since the journal was asked.
    changed: bool,
    /// What was waiting when the last process ended is to be let go.
    starting: bool,
    ages: persist::Ages,
}

impl ReliableChannel {
    /// Opens a channel without a past. `entropy` must be random and drawn anew for each call: it tells
    /// this incarnation of the participant from any earlier one, and seeds the jitter.
    pub fn open(
        now: Now,
        identity: Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
        entropy: u64,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let (channel, participant) = (identity.channel.clone(), identity.participant.clone());
        let sds = Sds::open(now, channel, participant, Content::Segment, config.sds(), entropy)?;
        Ok(Self {
            context: CipherContext { channel: identity.channel.clone(), topic: identity.topic.clone() },
            now,
            closed: false,
            segmenter: Segmenter::new(config.segment_bytes).with_parity(config.parity_permille),
            next_request: 1,
            requests: Requests::default(),
            sds,
            ephemerals: ephemeral_reassembler(),
            next_ephemeral: 0,
            limiter: RateLimiter::new(now, config.rate_limit),
            budget: BudgetState::Normal,
            keyring: Keyring::new(cipher),
            in_flight: BTreeMap::new(),
            next_dispatch: 0,
            outputs: VecDeque::new(),
            stats: ChannelStats::default(),
            journal: None,
            changed: false,
            starting: false,
            ages: persist::Ages::default(),
            identity,
            config,
        })
    }

    /// From here on messages are signed, and only those are read that their sender signed. To be called before anything is sent.
    #[must_use]
    pub fn with_sender_auth(mut self, auth: SenderAuth) -> Self {
        self.sds.authenticate(auth);
        self
    }

    /// The keys, where messages are signed: to change the roster.
    pub const fn sender_auth(&mut self) -> Option<&mut SenderAuth> {
        self.sds.auth_mut()
    }

    /// A store holds the SDS message `id`, ours or a received one, under `hint`: later messages say so (LIP `retrieval_hint`).
    pub fn handle_hint(&mut self, id: &MessageId, hint: Bytes) {
        self.sds.handle_hint(id, hint);
    }

    /// Accepts a payload for sending, and returns the name under which its outcomes are told.
    pub fn handle_send(
        &mut self,
        now: Now,
        payload: Bytes,
        options: SendOptions,
    ) -> Result<RequestId, SendRefused> {
        let now = self.enter(now);
        if self.closed {
            return Err(SendRefused::Closed);
        }
        let request =
            if options.ephemeral { self.send_ephemeral(now, payload)? } else { self.send(now, payload)? };
        self.pump(now);
        Ok(request)
    }

    /// Takes an envelope from the network.
    pub fn handle_envelope(&mut self, now: Now, envelope: MessageEnvelope) -> Result<(), IngressError> {
        let now = self.enter(now);
        if self.closed {
            return Err(IngressError::Closed);
        }
        let outcome = self.ingest(now, envelope);
        self.count_ingress(&outcome);
        // What was refused may have brought news all the same.
        let _ = self.collect(now);
        self.queue_due(now);
        self.pump(now);
        outcome
    }

    /// Takes note of how handing over an envelope ended.
    pub fn handle_dispatched(&mut self, now: Now, id: DispatchId, outcome: DispatchOutcome) {
        let now = self.enter(now);
        let Some(flight) = self.in_flight.remove(&id) else { return };
        self.stats.dispatch_failures += u64::from(outcome != DispatchOutcome::Confirmed);
        self.landed(now, flight, outcome);
        self.pump(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.enter(now);
        if self.closed {
            return;
        }
        while let Some((given_up, unsent)) = self.requests.poll_expired(now.mono) {
            self.expire(given_up, unsent);
        }
        while self.ephemerals.poll_expired(now.mono).is_some() {}
        self.keyring.handle_timeout(now.mono, self.requests.oldest());
        self.sds.handle_timeout(now);
        let _ = self.collect(now);
        self.queue_due(now);
        self.pump(now);
    }

    /// From now on `cipher` seals. What earlier ciphers sealed opens for `grace` longer; at most four of them are kept.
    ///
    /// A send that was accepted under a cipher never leaves without one: where `cipher` is
    /// [`plain`](Cipher::is_plain), the earlier cipher goes on sealing what was accepted before, repetitions included.
    pub fn handle_rotation(&mut self, now: Now, cipher: Box<dyn Cipher>, grace: Duration) {
        let now = self.enter(now);
        self.keyring.rotate(now.mono, cipher, grace, RequestId(self.next_request));
    }

    /// Ends the channel: every open send gets its outcome, and nothing more is sent or received. A channel on a store
    /// keeps its open sends instead, and goes on with them when it is opened again.
    pub fn handle_close(&mut self, now: Now) {
        self.enter(now);
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if self.is_durable() {
            return;
        }
        for given_up in self.requests.drain() {
            let request = given_up.request;
            let lacking = self.sds.lacking(given_up.sequences.clone());
            self.sds.forget(request, given_up.sequences);
            self.event(if given_up.sent {
                ChannelEvent::DeliveryError { request, lacking }
            } else {
                ChannelEvent::SendError { request, error: SendError::Closed }
            });
        }
    }

    /// The next thing for the driver to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.poll_write().or_else(|| self.outputs.pop_front())
    }

    /// When [`ReliableChannel::handle_timeout`] is to be called next.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.closed {
            return None;
        }
        let limiter = if self.in_flight.len() < self.config.max_in_flight {
            self.limiter.poll_timeout(self.now)
        } else {
            None
        };
        let timers = [
            self.requests.poll_timeout(),
            self.sds.poll_timeout(),
            self.ephemerals.poll_timeout(),
            self.keyring.poll_timeout(),
            self.heartbeat(),
            limiter,
        ];
        timers.into_iter().flatten().min().map(|at| self.ages.outside(at))
    }

    /// Who we are, and which channel this is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The longest payload that can be sent.
    pub const fn max_payload(&self) -> usize {
        self.segmenter.max_payload()
    }

    /// Takes note of what the network itself allows per epoch (RLN's user message limit): the lower of this and the
    /// configured limit holds. `Some(0)` lets nothing out; `None` leaves the configured limit alone.
    pub fn handle_quota(&mut self, now: Now, quota: Option<u32>) {
        let now = self.enter(now);
        self.limiter.set_quota(quota);
        self.pump(now);
    }

    /// What was spent of the rate limit's budget: to be kept over a restart.
    pub fn spent_budget(&mut self) -> SpentBudget {
        self.limiter.spent(self.now)
    }

    /// What an earlier process had spent counts on, unless its epoch is over. To be called before anything is sent.
    pub fn restore_budget(&mut self, spent: SpentBudget) {
        self.limiter.restore(self.now, spent);
    }

    /// Where each segment of a send stands, in their order; `None` once the send has its last outcome.
    pub fn segment_states(&self, request: RequestId) -> Option<&[SegmentState]> {
        self.requests.states(request)
    }

    /// How much of the rate limit's budget is gone.
    pub fn budget(&mut self) -> BudgetState {
        self.limiter.state(self.now)
    }

    /// Whether nothing sent waits for an outcome.
    pub fn is_idle(&self) -> bool {
        self.sds.unacknowledged() == 0 && self.in_flight.is_empty() && self.limiter.is_empty()
    }

    /// What was counted so far.
    pub fn stats(&self) -> ChannelStats {
        let sds = self.sds.stats();
        ChannelStats {
            retransmissions: sds.retransmissions,
            syncs_sent: sds.syncs_sent,
            segments_received: self.stats.segments_received + sds.accepted,
            duplicates: self.stats.duplicates + sds.duplicates,
            late: sds.late,
            gaps: sds.gaps,
            cycles: sds.cycles,
            repairs_asked: sds.repairs_asked,
            repairs_given: sds.repairs_given,
            unacknowledged: self.sds.unacknowledged() as u64,
            waiting: self.sds.waiting() as u64,
            queued: self.limiter.len() as u64,
            segments: self.stats.segments.plus(self.sds.segment_counts()).plus(self.ephemerals.counts()),
            receive_bytes: (self.sds.receive_bytes() + self.ephemerals.bytes()) as u64,
            ..self.stats.clone()
        }
    }

    /// Takes note of the time, and that something may change.
    fn enter(&mut self, now: Now) -> Now {
        self.now = self.ages.inside(now);
        self.changed = true;
        self.now
    }

    /// A send's deadline passed: it never left, or was not acknowledged by all it should be.
    fn expire(&mut self, given_up: GivenUp, unsent: usize) {
        let request = given_up.request;
        let lacking = self.sds.lacking(given_up.sequences.clone());
        let sent = given_up.sent;
        self.take_back(given_up);
        self.event(if sent {
            ChannelEvent::DeliveryError { request, lacking }
        } else {
            ChannelEvent::SendError { request, error: SendError::TimedOut { segments: unsent } }
        });
    }

    /// Forgets a send that is given up; one that never left is not cited by later ones.
    fn take_back(&mut self, given_up: GivenUp) {
        if given_up.sent {
            self.sds.forget(given_up.request, given_up.sequences);
        } else {
            self.sds.undo(self.now, given_up.request, given_up.sequences);
        }
    }
}

/// Ephemeral payloads share a small budget of their own: nobody waits for them, so an old one makes room for a new one.
fn ephemeral_reassembler() -> Reassembler {
    const BYTES: usize = 32 << 20;
    const SETS: usize = 64;
    Reassembler::new(ReassemblyLimits {
        bytes: BYTES,
        bytes_per_sender: BYTES / 2,
        sets: SETS,
        sets_per_sender: SETS / 2,
        timeout: Duration::from_secs(30),
        evict: true,
    })
}

#[cfg(test)]
mod tests;
