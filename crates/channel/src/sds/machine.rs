//! The SDS machine: from a payload's bytes to messages that are repeated until they are acknowledged, and from messages to
//! payloads in causal order.
//!
//! The rule: it is usable alone. What a message's content is, bytes or one segment of a payload, is stated when it opens; where messages
//! go is the business of whoever drives it. After any `handle_*`, drain [`Sds::poll_event`] and [`Sds::poll_due`], then wait until
//! [`Sds::poll_timeout`] and call [`Sds::handle_timeout`].

mod egress;
mod ingress;
mod stored;
mod terms;

pub(super) use egress::is_sync;
pub use terms::{Content, Due, Prepared, SdsError, SdsEvent, SdsStats};

use super::auth::SenderAuth;
use super::config::{Profile, SdsConfig};
use super::repair::Repair;
use super::{
    Company, Dependency, Frontier, Incoming, IncomingEvent, Key, Lamport, Outgoing, RollingFilter, Schedule,
    SdsMessage, Voids,
};
use crate::config::ConfigError;
use crate::durable::ArrivalRecord;
use crate::ids::{ChannelId, MessageId, ParticipantId, RequestId, SenderTag};
use crate::segment::{SegmentCounts, SegmentOrigin};
use bytes::Bytes;
use fastrand::Rng;
use quorate_base::{Mono, Now};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// The SDS machine. It is alone usable, without segments, rate limit, cipher and envelopes:
///
/// ```
/// use quorate_base::{Mono, Now, Wall};
/// use quorate_channel::sds::{Content, Due, Sds, SdsConfig, SdsEvent};
/// use quorate_channel::RequestId;
///
/// let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_700_000_000_000));
/// let open = |name: &str, entropy| {
///     Sds::open(now, "c".into(), name.into(), Content::Whole, SdsConfig::default(), entropy).unwrap()
/// };
/// let (mut alice, mut bob) = (open("alice", 1), open("bob", 2));
///
/// let sequence = alice.handle_send(now, RequestId(1), "hello".into()).unwrap();
/// let message = alice.prepare(now, Due::Message(sequence)).unwrap();
/// bob.handle_message(now, message.bytes, None).unwrap(); // the network
/// alice.handle_attempted(now, sequence, true);
/// let Some(SdsEvent::Delivered(delivery)) = bob.poll_event() else { panic!() };
/// assert_eq!(delivery.payload, "hello");
///
/// // Bob says what he has when his time has come.
/// let later = Now::new(bob.poll_timeout().unwrap(), now.wall);
/// bob.handle_timeout(later);
/// let due = bob.poll_due(later).unwrap();
/// alice.handle_message(later, bob.prepare(later, due).unwrap().bytes, None).unwrap();
/// assert!(matches!(alice.poll_event(), Some(SdsEvent::Acknowledged { satisfied: true, .. })));
/// ```
#[derive(Debug)]
pub struct Sds {
    channel: ChannelId,
    participant: ParticipantId,
    own: SenderTag,
    content: Content,
    config: SdsConfig,
    random: Rng,
    auth: Option<SenderAuth>,

    next_sequence: u64,
    lamport: Lamport,
    frontier: Frontier,
    outgoing: Outgoing,
    /// What each unsent message cited, should it have to be taken back.
    cited: BTreeMap<RequestId, (MessageId, Vec<Dependency>)>,
    voids: Voids,

    incoming: Incoming,
    recent_ephemerals: VecDeque<MessageId>,
    schedule: Schedule,
    company: Company,
    sync_queued: bool,
    repair: Repair,
    filter: Option<RollingFilter>,
    since_filter: u32,

    events: VecDeque<SdsEvent>,
    stats: SdsStats,
    /// Messages that were accepted and are to be written; `None` where nothing is.
    accepted: Option<Vec<(SegmentOrigin, ArrivalRecord)>>,
    /// Content is taken now.
    takes_content: bool,
}

impl Sds {
    /// Opens a machine without a past. `entropy` must be random and drawn anew for each call: it tells this
    /// incarnation of the participant from any earlier one, and seeds the jitter.
    pub fn open(
        now: Now,
        channel: ChannelId,
        participant: ParticipantId,
        content: Content,
        config: SdsConfig,
        entropy: u64,
    ) -> Result<Self, ConfigError> {
        let own = SenderTag::derive(&participant, entropy);
        Self::assemble(now, own, channel, participant, content, config, entropy)
    }

    fn assemble(
        now: Now,
        own: SenderTag,
        channel: ChannelId,
        participant: ParticipantId,
        content: Content,
        config: SdsConfig,
        entropy: u64,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        let (filter, log) = match config.profile {
            Profile::Compact => (None, 0),
            Profile::Interop { filter, .. } => {
                (Some(RollingFilter::new(config.dialect, filter)), config.causal_history)
            }
        };
        Ok(Self {
            own,
            content,
            random: Rng::with_seed(entropy),
            auth: None,
            next_sequence: 0,
            lamport: Lamport::starting_at(config.dialect, now.wall),
            frontier: Frontier::with_log(log),
            outgoing: Outgoing::new(config.acks.clone(), config.retransmit),
            cited: BTreeMap::new(),
            voids: Voids::new(config.void_lifetime),
            incoming: Incoming::new(now, own, config.incoming.clone()),
            recent_ephemerals: VecDeque::new(),
            schedule: Schedule::new(config.sync),
            company: Company::new(now.mono, config.acks.others()),
            sync_queued: false,
            repair: Repair::new(config.repair, config.dialect, participant.clone()),
            filter,
            since_filter: 0,
            events: VecDeque::new(),
            stats: SdsStats::default(),
            accepted: None,
            takes_content: true,
            channel,
            participant,
            config,
        })
    }

    /// From here on messages are signed, and only signed ones are read.
    pub fn authenticate(&mut self, auth: SenderAuth) {
        self.auth = Some(auth);
    }

    /// The keys, where messages are signed.
    pub const fn auth_mut(&mut self) -> Option<&mut SenderAuth> {
        self.auth.as_mut()
    }

    /// Does what is due: what is missing for too long is declared lost.
    pub fn handle_timeout(&mut self, now: Now) {
        self.incoming.handle_timeout(now);
        self.collect(now);
    }

    /// A store holds a message, ours or a delivered one, under `hint`: later citations say so.
    pub fn handle_hint(&mut self, id: &MessageId, hint: Bytes) {
        self.frontier.hint(id, hint);
    }

    /// The next thing that is to be sent. First attempts are not among them: whoever sends knows of them.
    pub fn poll_due(&mut self, now: Now) -> Option<Due> {
        if let Some(sequence) = self.outgoing.poll_due(now.mono) {
            return Some(Due::Message(sequence));
        }
        while let Some(key) = self.repair.poll_answer(now.mono) {
            match key {
                Key::Sequence(tag, sequence) if tag == self.own && self.outgoing.contains(sequence) => {
                    if self.outgoing.poll_early(sequence) {
                        return Some(Due::Message(sequence));
                    }
                }
                key => return Some(Due::Repair(key)),
            }
        }
        if !self.sync_queued && (self.schedule.is_due(now.mono) || self.repair.is_request_due(now.mono)) {
            let random = self.random.f64();
            self.schedule.synced(now.mono, random);
            self.sync_queued = true;
            return Some(Due::Sync);
        }
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SdsEvent> {
        self.events.pop_front()
    }

    /// When [`Sds::handle_timeout`] and [`Sds::poll_due`] are to be called next.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let mut timers = vec![self.outgoing.poll_timeout(), self.incoming.poll_timeout()];
        if !self.sync_queued {
            timers.extend([self.schedule.poll_timeout(), self.repair.poll_timeout()]);
        } else {
            timers.push(self.repair.poll_answer_timeout());
        }
        timers.into_iter().flatten().min()
    }

    /// Stops telling of a send whose end the caller has told.
    pub fn settle(&mut self, request: RequestId) {
        self.cited.remove(&request);
    }

    /// A send is given up: its messages are not repeated any more.
    pub fn forget(&mut self, request: RequestId, sequences: Range<u64>) {
        self.outgoing.forget(request, sequences);
        self.cited.remove(&request);
    }

    /// A send never left: no later message cites it, and nobody waits for its numbers.
    pub fn undo(&mut self, now: Now, request: RequestId, sequences: Range<u64>) {
        self.outgoing.forget(request, sequences.clone());
        if let Some((id, cited)) = self.cited.remove(&request) {
            self.frontier.failed(&id, &cited);
            self.voids.push(now.mono, sequences);
        }
    }

    /// Who of those that the policy names has not acknowledged the messages in `sequences`.
    pub fn lacking(&self, sequences: Range<u64>) -> BTreeSet<ParticipantId> {
        self.outgoing.lacking(sequences)
    }

    /// The tag of our ids.
    pub const fn own_tag(&self) -> SenderTag {
        self.own
    }

    /// The number of our next message.
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Own messages that wait for acknowledgements.
    pub fn unacknowledged(&self) -> usize {
        self.outgoing.len()
    }

    /// The send that a message belongs to, as long as it may be sent again.
    pub fn request_of(&self, sequence: u64) -> Option<RequestId> {
        self.outgoing.request(sequence)
    }

    /// Whether any message in `sequences` may be sent again.
    pub fn repeats_any(&self, sequences: Range<u64>) -> bool {
        self.outgoing.has_any(sequences)
    }

    /// What became of segments and sets.
    pub const fn segment_counts(&self) -> SegmentCounts {
        self.incoming.segment_counts()
    }

    /// Payloads that wait for their causal past.
    pub fn waiting(&self) -> usize {
        self.incoming.waiting()
    }

    /// Bytes of incomplete and waiting payloads, with what is kept beside them.
    pub const fn receive_bytes(&self) -> usize {
        self.incoming.bytes()
    }

    /// What is kept for repair.
    pub const fn repair(&self) -> &Repair {
        &self.repair
    }

    /// What was counted so far.
    pub const fn stats(&self) -> &SdsStats {
        &self.stats
    }

    /// Turns what the receiving side has to say into events, and what it lacks into requests.
    fn collect(&mut self, now: Now) {
        while let Some(event) = self.incoming.poll_event() {
            match event {
                IncomingEvent::Deliver(delivery) => {
                    self.lamport.observe(now.wall, delivery.time);
                    self.frontier.delivered(&delivery);
                    let random = self.random.f64();
                    self.schedule.activity(now.mono, random);
                    self.events.push_back(SdsEvent::Delivered(delivery));
                }
                IncomingEvent::Gap(missing) => {
                    self.stats.gaps += 1;
                    self.events.push_back(SdsEvent::Gap(missing));
                }
            }
        }
        self.stats.cycles = self.incoming.cycles();
        while let Some(lack) = self.incoming.poll_lack() {
            let fetch = lack.hint.clone().map(|hint| SdsEvent::Fetch {
                id: lack.id.clone(),
                hint,
                sender: lack.sender.clone(),
            });
            if self.repair.want(now.mono, lack, self.config.incoming.lost_after) {
                self.events.extend(fetch);
            }
        }
        // A sync that waits to be sent carries the news that comes until it leaves.
        if self.incoming.has_news() && !self.sync_queued {
            let random = self.random.f64();
            self.schedule.acknowledge(now.mono, self.company.size(), random);
        }
    }

    /// A message of ours with nothing in it.
    fn bare(&self, id: MessageId) -> SdsMessage {
        SdsMessage::bare(self.participant.clone(), id, self.channel.clone())
    }
}

#[cfg(test)]
mod tests;
