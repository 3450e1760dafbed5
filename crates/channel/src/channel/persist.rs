//! The channel and its store: what changed becomes writes, and what was written becomes the channel again.

use super::{Queued, ReliableChannel};
use crate::cipher::{Cipher, Keyring, NoCipher};
use crate::config::ChannelConfig;
use crate::durable::{
    ArrivalRecord, BudgetRecord, EventSeq, Journal, Recovered, Recovery, RecoveryError, Snapshot, age,
    deadline,
};
use crate::durable::{cited_of, log_record};
use crate::error::SendRefused;
use crate::ids::{MessageId, RequestId, SenderTag, StructuredId};
use crate::output::{ChannelEvent, Output};
use crate::rate_limit::SpentBudget;
use crate::sds::{Arrival, Lamport, SdsMessage, Verdict};
use crate::segment::{Segment, SegmentOrigin};
use quorate_base::{Mono, Now, Wall};
use std::time::Duration;

/// Time as the channel counts it: how long it was open, over all its processes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ages {
    /// The driver's clock when this process opened it.
    opened: Mono,
    /// How old it was then.
    age: Mono,
}

impl Ages {
    pub(super) fn inside(self, now: Now) -> Now {
        Now::new(self.age + now.mono.since(self.opened), now.wall)
    }

    pub(super) fn outside(self, at: Mono) -> Mono {
        self.opened + at.since(self.age)
    }
}

impl ReliableChannel {
    /// Opens a channel on what its store holds: the same incarnation, going on where it was. Without records it begins
    /// anew. From here on [`Output::Write`]s come out, each before the dispatches and events that follow from it.
    ///
    /// `entropy` is as for [`ReliableChannel::open`]; a channel that was there before keeps its tag.
    pub fn open_durable(
        now: Now,
        identity: super::Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
        entropy: u64,
        recovery: Recovery,
    ) -> Result<Self, RecoveryError> {
        let mut channel = Self::unsealed_durable(now, identity, config, entropy, recovery)?;
        channel.keyring = Keyring::new(cipher);
        channel.start();
        Ok(channel)
    }

    /// All but the cipher; nothing is sealed before [`ReliableChannel::start`].
    fn unsealed_durable(
        now: Now,
        identity: super::Identity,
        config: ChannelConfig,
        entropy: u64,
        recovery: Recovery,
    ) -> Result<Self, RecoveryError> {
        let cipher = Box::new(NoCipher);
        let Some(mut found) = recovery.finish(&identity.participant)? else {
            let ages = Ages { opened: now.mono, age: Mono::ZERO };
            let own = SenderTag::derive(&identity.participant, entropy);
            let journal = Journal::new(&identity.channel, &identity.participant, own);
            let mut channel = Self::assemble(ages.inside(now), own, identity, config, cipher, entropy)?;
            channel.ages = ages;
            channel.journal = Some(Box::new(journal));
            channel.track();
            return Ok(channel);
        };
        let own = found.tag.unwrap_or(SenderTag([0; 6]));
        let ages = Ages { opened: now.mono, age: found.age() };
        let journal = Journal::resumed(&identity.channel, found.past(now.wall));
        let mut channel = Self::assemble(ages.inside(now), own, identity, config, cipher, entropy)?;
        channel.ages = ages;
        channel.journal = Some(Box::new(journal));
        channel.resume(ages.inside(now), found)?;
        Ok(channel)
    }

    /// The application has dealt with all events up to `upto`: they are kept no longer.
    pub fn handle_confirm(&mut self, now: Now, upto: EventSeq) {
        self.enter(now);
        if let Some(journal) = &mut self.journal {
            journal.confirm(upto.0);
        }
    }

    /// The last event that was confirmed, and the last one there was.
    pub fn events(&self) -> (EventSeq, EventSeq) {
        let (confirmed, next) = self.journal.as_ref().map_or((0, 1), |journal| journal.events());
        (EventSeq(confirmed), EventSeq(next.saturating_sub(1)))
    }

    /// Whether the channel goes on after its process.
    pub const fn is_durable(&self) -> bool {
        self.journal.is_some()
    }

    /// Goes back to what the store holds: what was not written has not happened. The ciphers stay. After an error the
    /// channel is closed.
    pub fn handle_reload(&mut self, now: Now, entropy: u64, recovery: Recovery) -> Result<(), RecoveryError> {
        self.closed = true;
        let (identity, config) = (self.identity.clone(), self.config.clone());
        let mut channel = Self::unsealed_durable(now, identity, config, entropy, recovery)?;
        std::mem::swap(&mut channel.keyring, &mut self.keyring);
        *self = channel;
        self.start();
        Ok(())
    }

    /// Tells an event, and logs it where it is to be kept.
    pub(super) fn event(&mut self, event: ChannelEvent) {
        let journal = self.journal.as_mut();
        let logged = journal.and_then(|journal| Some(journal.log(&log_record(&event)?)));
        self.outputs.push_back(match logged {
            Some(seq) => Output::Logged(EventSeq(seq), event),
            None => Output::Event(event),
        });
    }

    /// Whether so many events wait to be confirmed that no more payloads and sends are taken.
    pub(super) fn log_is_full(&self) -> bool {
        let (events, bytes) = self.journal.as_ref().map_or((0, 0), |journal| journal.unconfirmed());
        events >= self.config.max_unconfirmed_events || bytes >= self.config.max_unconfirmed_bytes
    }

    pub(super) fn check_log(&self) -> Result<(), SendRefused> {
        let unconfirmed = self.journal.as_ref().map_or(0, |journal| journal.unconfirmed().0);
        if self.log_is_full() { Err(SendRefused::Unconfirmed { events: unconfirmed }) } else { Ok(()) }
    }

    /// The record of a message that may be accepted, made before it is taken apart.
    pub(super) fn arrival_record(
        &self,
        now: Now,
        message: &SdsMessage,
        sent_at: Option<u64>,
    ) -> Option<ArrivalRecord> {
        self.journal.as_ref()?;
        let (age, wall) = (age(now.mono), now.wall.unix_millis());
        Some(ArrivalRecord { age, wall, sent_at, message: message.to_record() })
    }

    /// A message was accepted: it is written before it is acknowledged.
    pub(super) fn accepted(&mut self, origin: Option<SegmentOrigin>, record: Option<ArrivalRecord>) {
        if let (Some(journal), Some(origin), Some(record)) = (&mut self.journal, origin, record) {
            journal.arrived(origin, &record);
        }
    }

    /// The next write, if anything changed.
    pub(super) fn poll_write(&mut self) -> Option<Output> {
        let waits = self.waits();
        let spent = self.limiter.spent(self.now);
        let ends = age(self.now.mono + spent.left);
        let budget =
            self.limiter.budget().map(|_| BudgetRecord { epoch: spent.epoch, ends, spent: spent.spent });
        let journal = self.journal.as_mut()?;
        if std::mem::take(&mut self.changed) {
            self.outgoing.write(journal);
            self.requests.write(journal, &self.cited);
            self.frontier.write(journal);
            self.voids.write(journal);
            self.incoming.write(journal);
            journal.close(Snapshot {
                now: self.now,
                sequence: self.next_sequence,
                request: self.next_request,
                lamport: self.lamport.current(),
                ephemeral: self.next_ephemeral,
                budget,
                waits,
            });
        }
        journal.poll().map(Output::Write)
    }

    /// When the channel's age is to be written again.
    pub(super) fn heartbeat(&self) -> Option<Mono> {
        self.journal.as_ref().filter(|_| self.waits()).map(|journal| journal.heartbeat())
    }

    /// Whether a deadline is pending that a restart must not begin anew.
    fn waits(&self) -> bool {
        self.requests.poll_timeout().is_some() || self.incoming.poll_timeout().is_some()
    }

    fn track(&mut self) {
        self.outgoing.track();
        self.requests.track();
        self.frontier.track();
        self.incoming.track();
        self.changed = true;
    }

    fn resume(&mut self, now: Now, mut found: Recovered) -> Result<(), RecoveryError> {
        let counters = found.counters();
        self.next_sequence = counters.sequence;
        self.next_request = counters.request;
        self.next_ephemeral = counters.ephemeral;
        self.lamport = Lamport::starting_at(Wall::from_unix_millis(counters.lamport));
        if let Some(budget) = found.budget {
            let left = deadline(budget.ends).since(now.mono);
            self.limiter.restore(now, SpentBudget { epoch: budget.epoch, spent: budget.spent, left });
        }
        self.voids.restore(std::mem::take(&mut found.voids));
        found.heads.drain(..).for_each(|head| self.frontier.restore(head));
        found.own.take().into_iter().for_each(|own| self.frontier.restore_own(own));
        self.resume_sends(now, &mut found)?;
        self.incoming.restore_joined(Mono::ZERO, Duration::from_millis(found.away(now.wall)));
        self.resume_senders(&mut found)?;
        self.track();
        self.resume_arrivals(found)?;
        let (activity, acknowledge) = (self.random.f64(), self.random.f64());
        self.schedule.activity(now.mono, activity);
        self.schedule.acknowledge(now.mono, acknowledge);
        self.collect(now);
        Ok(())
    }

    /// Lets go what was waiting when the last process ended.
    fn start(&mut self) {
        self.pump(self.now);
    }

    /// What was not acknowledged is sent again: at once where its send has not left whole, else when it is due.
    fn resume_sends(&mut self, now: Now, found: &mut Recovered) -> Result<(), RecoveryError> {
        const MESSAGE: RecoveryError = RecoveryError::Damaged { what: "an own message" };
        self.outgoing.restore_end(self.next_sequence);
        found.ackers.drain(..).for_each(|(by, ranges)| self.outgoing.restore_acked(by, ranges));
        for (sequence, record) in std::mem::take(&mut found.messages) {
            let content = record.content.as_ref().try_into().map_err(|_| MESSAGE)?;
            let message = SdsMessage::from_record(record.message).map_err(|_| MESSAGE)?;
            let id = StructuredId { tag: self.own, sequence, content };
            let sent = found.requests.get(&record.request).is_some_and(|send| send.sent);
            if !self.outgoing.restore(id, message, RequestId(record.request), record.attempts) {
                continue;
            }
            if sent {
                let random = self.random.f64();
                self.outgoing.handle_attempted(now.mono, sequence, false, random);
            } else {
                self.limiter.enqueue(Queued::Message(sequence));
            }
        }
        for (id, record) in &found.requests {
            let id = RequestId(*id);
            let acks = self.outgoing.acks_of(record.first..record.first + record.count);
            let (somewhere, held) = (|at| self.outgoing.is_somewhere(at), |at| self.outgoing.holds(at));
            self.requests.restore(id, record, acks, somewhere, held);
            if let Some(last) = &record.last {
                self.cited.insert(
                    id,
                    (MessageId::from(last.as_str()), record.cited.iter().map(cited_of).collect()),
                );
            }
        }
        for id in found.requests.keys() {
            // Nothing of it has to leave, or be acknowledged, any more: its outcome is due. No segment bears this number.
            self.confirm(now, RequestId(*id), u64::MAX);
            let delivered = self.requests.poll_delivered(RequestId(*id));
            delivered.into_iter().for_each(|event| self.event(event));
        }
        Ok(())
    }

    fn resume_senders(&mut self, found: &mut Recovered) -> Result<(), RecoveryError> {
        for (tag, record) in found.peers.drain(..) {
            self.incoming.restore_peer(tag, record).ok_or(RecoveryError::Damaged { what: "a sender" })?;
        }
        found.strangers.drain(..).for_each(|(tag, over)| self.incoming.restore_stranger(tag, over));
        found.opaque.drain(..).for_each(|(id, record)| self.incoming.restore_opaque(id, record));
        Ok(())
    }

    fn resume_arrivals(&mut self, found: Recovered) -> Result<(), RecoveryError> {
        const ARRIVAL: RecoveryError = RecoveryError::Damaged { what: "a message that came in" };
        for (number, (record, message)) in found.arrivals {
            let then = Now::new(deadline(record.age), Wall::from_unix_millis(record.wall));
            let segment = Segment::decode(message.content.clone()).map_err(|_| ARRIVAL)?;
            let arrival = Arrival::of(message, segment, record.sent_at);
            let origin = arrival.origin().ok_or(ARRIVAL)?;
            let verdict = self.incoming.restore_arrival(then, arrival);
            let Some(journal) = &mut self.journal else { return Ok(()) };
            journal.resume_arrival(origin.clone(), number);
            match verdict {
                Verdict::Accepted => {}
                Verdict::Full => return Err(RecoveryError::TooSmall { field: "max_receive_bytes" }),
                Verdict::Duplicate | Verdict::Late | Verdict::Malformed => return Err(ARRIVAL),
            }
        }
        Ok(())
    }
}
