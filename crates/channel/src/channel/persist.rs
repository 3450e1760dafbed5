//! The channel and its store: what changed becomes writes, and what was written becomes the channel again.

use super::{Queued, ReliableChannel};
use crate::cipher::{Cipher, Keyring, NoCipher};
use crate::config::ChannelConfig;
use crate::durable::log_record;
use crate::durable::{
    BudgetRecord, EventSeq, Journal, Recovered, Recovery, RecoveryError, Snapshot, age, deadline,
};
use crate::error::SendRefused;
use crate::ids::{RequestId, SenderTag};
use crate::output::{ChannelEvent, Output};
use crate::rate_limit::SpentBudget;
use crate::sds::Sds;
use quorate_base::{Mono, Now};

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
        channel.starting = true;
        Ok(channel)
    }

    /// All but the cipher; nothing leaves before `starting` is set.
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
            let mut channel = Self::again(ages.inside(now), own, identity, config, cipher, entropy)?;
            channel.ages = ages;
            channel.journal = Some(Box::new(journal));
            channel.track();
            return Ok(channel);
        };
        let own = found.tag.unwrap_or(SenderTag([0; 6]));
        let ages = Ages { opened: now.mono, age: found.age() };
        let journal = Journal::resumed(&identity.channel, found.past(now.wall));
        let mut channel = Self::again(ages.inside(now), own, identity, config, cipher, entropy)?;
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
        channel.sds.take_auth(&mut self.sds);
        *self = channel;
        self.starting = true;
        Ok(())
    }

    /// A channel without a past under a tag that may have one.
    fn again(
        now: Now,
        own: SenderTag,
        identity: super::Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
        entropy: u64,
    ) -> Result<Self, RecoveryError> {
        let (id, participant, sds) = (identity.channel.clone(), identity.participant.clone(), config.sds());
        let mut channel = Self::open(now, identity, config, cipher, entropy)?;
        channel.sds = Sds::again(now, own, id, participant, sds, entropy)?;
        Ok(channel)
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

    /// The next write, if anything changed.
    pub(super) fn poll_write(&mut self) -> Option<Output> {
        if std::mem::take(&mut self.starting) {
            // What was waiting when the last process ended.
            self.pump(self.now);
        }
        let waits = self.waits();
        let spent = self.limiter.spent(self.now);
        let ends = age(self.now.mono + spent.left);
        let budget =
            self.limiter.budget().map(|_| BudgetRecord { epoch: spent.epoch, ends, spent: spent.spent });
        let journal = self.journal.as_mut()?;
        if std::mem::take(&mut self.changed) {
            self.sds.write(journal);
            self.requests.write(journal, self.sds.cited());
            journal.close(Snapshot {
                now: self.now,
                sequence: self.sds.next_sequence(),
                request: self.next_request,
                lamport: self.sds.lamport(),
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
        self.requests.poll_timeout().is_some() || self.sds.waits()
    }

    fn track(&mut self) {
        self.sds.track();
        self.requests.track();
        self.changed = true;
    }

    fn resume(&mut self, now: Now, mut found: Recovered) -> Result<(), RecoveryError> {
        let counters = found.counters();
        self.next_request = counters.request;
        self.next_ephemeral = counters.ephemeral;
        if let Some(budget) = found.budget {
            let left = deadline(budget.ends).since(now.mono);
            self.limiter.restore(now, SpentBudget { epoch: budget.epoch, spent: budget.spent, left });
        }
        let at_once = self.sds.resume(now, &mut found)?;
        at_once.into_iter().for_each(|due| self.limiter.enqueue(Queued::Sds(due)));
        self.track();
        self.sds.settle_restored();
        for (id, record) in &found.requests {
            let acks = self.sds.acks_of(record.first..record.first + record.count);
            let held = |at| self.sds.request_of(at).is_some();
            self.requests.restore(RequestId(*id), record, acks, |at| self.sds.is_somewhere(at), held);
        }
        for id in found.requests.keys() {
            // Nothing of it has to leave, or be acknowledged, any more: its outcome is due. No segment bears this number.
            self.confirm(now, RequestId(*id), u64::MAX);
            let delivered = self.requests.poll_delivered(RequestId(*id));
            delivered.into_iter().for_each(|event| self.event(event));
        }
        if let Some(journal) = &mut self.journal {
            self.sds.resume_arrivals(now, found, journal)?;
        }
        // Nothing comes in while a channel is opened, so nothing of it is refused.
        let _ = self.collect(now);
        Ok(())
    }
}
