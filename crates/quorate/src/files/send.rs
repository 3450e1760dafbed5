//! The sending side: offers, then sends every chunk that some receiver lacks, until all have all.
//!
//! The rule: what a receiver has is what it last said, nothing else. A chunk that the channel calls
//! delivered is not sent again for a while, and then only to who still lacks it: so a lost report,
//! a receiver that was killed, and a sender that starts anew are all the same case.

mod queue;
mod receiver;
#[cfg(test)]
mod tests;

pub use receiver::{ReceiverState, ReceiverStatus};

use super::manifest::{Manifest, TransferId};
use super::message::{Complete, Have, Hello, Message, Refused};
use super::peer::PeerName;
use queue::{Queue, SendQueueLimits};
use quorate_base::{Backoff, Mono, Now};
use receiver::Receiver;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How an [`Outbox`] behaves. The default suits a channel with megabytes per second and seconds of
/// delay, lossy or not.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxConfig {
    /// The most bytes of chunks that are sent and neither delivered nor failed. One chunk always goes.
    pub window: u64,
    /// How the offer is repeated until somebody answers, and whenever all have been silent.
    pub offer: Backoff,
    /// How long all must have been silent before the offer is repeated.
    pub quiet: Duration,
    /// The least time between two offers, however many receivers say hello.
    pub offer_every: Duration,
    /// How long a delivered chunk rests before a report that lacks it has it sent again.
    pub rest: Duration,
    /// How long sending pauses after a chunk failed.
    pub retry: Backoff,
    /// How many receivers have to complete or refuse before the transfer is settled, at least.
    pub expected: usize,
    /// The most receivers that are told apart; the others' messages are counted and ignored.
    pub max_receivers: usize,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            window: 6 * 1024 * 1024,
            offer: Backoff::new(second, 15 * second).jitter(0.0),
            quiet: 5 * second,
            offer_every: second / 2,
            rest: 5 * second,
            retry: Backoff::new(second / 2, 10 * second).jitter(0.0),
            expected: 1,
            max_receivers: 256,
        }
    }
}

/// The name of a message on its way, for its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendToken(u64);

/// A sender of one transfer: reports and outcomes go in, messages to broadcast and events come out.
///
/// After any `handle_*` drain [`poll_output`](Self::poll_output) until `None`, then wait until
/// [`poll_timeout`](Self::poll_timeout) or the next input.
#[derive(Debug)]
pub struct Outbox {
    manifest: Manifest,
    config: OutboxConfig,
    receivers: BTreeMap<PeerName, Receiver>,
    queue: Queue,
    next_token: u64,
    offer_at: Option<Mono>,
    offered_at: Option<Mono>,
    attempt: u32,
    outputs: VecDeque<OutboxOutput>,
    stats: OutboxStats,
}

/// What an [`Outbox`] wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutboxOutput {
    /// Broadcast this, reliably. Its outcome may be reported and changes nothing.
    Send {
        /// Its name.
        token: SendToken,
        /// The message.
        message: Message,
    },
    /// Read this chunk, broadcast it reliably, and report the outcome by the token.
    SendChunk {
        /// Its name.
        token: SendToken,
        /// The file's index in the manifest.
        file: u32,
        /// The chunk's index in the file.
        chunk: u32,
    },
    /// Something happened.
    Event(OutboxEvent),
}

/// What a receiver did. Each of these is progress, for whoever gives up without.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutboxEvent {
    /// A receiver answered for the first time.
    Joined {
        /// Its name.
        receiver: PeerName,
    },
    /// A receiver has more than before, or read back more of it.
    Progress {
        /// Its name.
        receiver: PeerName,
        /// Bytes it has.
        held: u64,
        /// Bytes of all files.
        total: u64,
        /// Bytes it read back so far, to verify them.
        checked: u64,
    },
    /// A receiver has every file, verified.
    Completed {
        /// Its name.
        receiver: PeerName,
    },
    /// A receiver cannot take the transfer.
    Refused {
        /// Its name.
        receiver: PeerName,
        /// Why, in its words.
        refused: Refused,
    },
}

/// Counters of an [`Outbox`] since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxStats {
    /// Offers sent.
    pub offers: u64,
    /// Chunks sent, again or for the first time.
    pub chunks: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Chunks that the channel failed to deliver.
    pub failed: u64,
    /// Messages that were ignored: about what the manifest does not have, or from too many.
    pub ignored: u64,
}

impl Outbox {
    /// A sender of `manifest`; its first output is the offer.
    pub fn new(now: Now, manifest: Manifest, config: OutboxConfig) -> Self {
        let limits = SendQueueLimits { window: config.window, rest: config.rest, retry: config.retry };
        let mut outbox = Self {
            queue: Queue::new(manifest.clone(), limits),
            manifest,
            config,
            receivers: BTreeMap::new(),
            next_token: 0,
            offer_at: None,
            offered_at: None,
            attempt: 0,
            outputs: VecDeque::new(),
            stats: OutboxStats::default(),
        };
        outbox.offer(now.mono);
        outbox
    }

    /// Takes in a message of the group; those about other transfers change nothing.
    pub fn handle_message(&mut self, now: Now, from: &PeerName, message: &Message) {
        if message.transfer().is_some_and(|id| id != self.manifest.id()) {
            return;
        }
        match message {
            Message::Have(have) => self.handle_have(now.mono, from, have),
            Message::Complete(complete) => self.handle_complete(now.mono, from, complete),
            Message::Refused(refused) => self.handle_refused(now.mono, from, refused),
            Message::Hello(Hello { .. }) => self.offer_soon(now.mono),
            Message::Offer(_) | Message::Chunk(_) => {}
        }
    }

    /// The channel delivered the message: who has to have it has it.
    pub fn handle_delivered(&mut self, now: Now, token: SendToken) {
        self.queue.handle_delivered(now.mono, token);
    }

    /// The channel gave the message up. A chunk is sent again after a pause, if it is still wanted.
    pub fn handle_failed(&mut self, now: Now, token: SendToken) {
        if self.queue.handle_failed(now.mono, token) {
            self.stats.failed += 1;
            self.queue.keep_wanted(self.receivers.values());
        }
    }

    /// A receiver is there, as the application knows: it is made an offer, and waited for until it
    /// answers or [is gone](Self::handle_gone).
    pub fn handle_present(&mut self, now: Now, receiver: &PeerName) {
        match known(&mut self.receivers, &self.config, receiver, &self.manifest) {
            Some(receiver) if receiver.is_settled() => {}
            Some(_) => self.offer_soon(now.mono),
            None => self.stats.ignored += 1,
        }
    }

    /// A receiver is not there any more, and may come back: it is waited for only if it has answered.
    pub fn handle_gone(&mut self, receiver: &PeerName) {
        if self.receivers.get(receiver).is_some_and(Receiver::is_silent) {
            self.handle_left(receiver);
        }
    }

    /// A participant left for good: nothing is sent for it any more, and it is no longer listed.
    pub fn handle_left(&mut self, receiver: &PeerName) {
        if self.receivers.remove(receiver).is_some() {
            self.queue.keep_wanted(self.receivers.values());
        }
    }

    /// Does what is due: the offer again, or sending after a pause.
    pub fn handle_timeout(&mut self, now: Now) {
        self.queue.handle_timeout(now.mono);
        if self.offer_at.is_some_and(|at| at <= now.mono) {
            self.offer(now.mono);
        }
    }

    /// The next thing to do or to know.
    pub fn poll_output(&mut self) -> Option<OutboxOutput> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let token = SendToken(self.next_token);
        let (file, chunk, len) = self.queue.poll(token)?;
        self.next_token += 1;
        self.stats.chunks += 1;
        self.stats.bytes += u64::from(len);
        Some(OutboxOutput::SendChunk { token, file, chunk })
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.offer_at.into_iter().chain(self.queue.poll_timeout()).min()
    }

    /// Whether every receiver that is known has completed or refused, and as many are known as the
    /// config expects. Until then the offer is repeated.
    pub fn is_settled(&self) -> bool {
        self.receivers.len() >= self.config.expected.max(1)
            && self.receivers.values().all(Receiver::is_settled)
    }

    /// The receivers that answered or are known to be there, with how far each is.
    pub fn receivers(&self) -> impl Iterator<Item = ReceiverStatus<'_>> {
        self.receivers.iter().map(|(name, receiver)| receiver.status(name))
    }

    /// What is sent.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The transfer's id.
    pub fn transfer(&self) -> TransferId {
        self.manifest.id()
    }

    /// Bytes of chunks that are neither delivered nor failed.
    pub fn in_flight(&self) -> u64 {
        self.queue.in_flight()
    }

    /// The counters.
    pub fn stats(&self) -> OutboxStats {
        self.stats
    }

    fn handle_have(&mut self, now: Mono, from: &PeerName, have: &Have) {
        let Some((held, _)) = have.resolve(&self.manifest) else {
            self.stats.ignored += 1;
            return;
        };
        let Some(receiver) = known(&mut self.receivers, &self.config, from, &self.manifest) else {
            self.stats.ignored += 1;
            return;
        };
        let joined = receiver.is_silent();
        // What was delivered before a receiver's first word may be on its way to its disk.
        let restarted = receiver.handle_have(have, held, &self.manifest) && !joined;
        if !have.busy {
            self.queue.want_what_lacks(now, receiver.held(), restarted);
        }
        if joined {
            self.event(OutboxEvent::Joined { receiver: from.clone() });
        }
        if let Some(receiver) = self.receivers.get_mut(from)
            && let Some((held, checked)) = receiver.take_progress()
        {
            let total = self.manifest.total_bytes();
            self.event(OutboxEvent::Progress { receiver: from.clone(), held, total, checked });
        }
        self.heard(now);
    }

    fn handle_complete(&mut self, now: Mono, from: &PeerName, complete: &Complete) {
        let hashes = self.manifest.files().iter().map(|file| &file.sha256);
        if !hashes.eq(complete.sha256.iter()) {
            self.stats.ignored += 1;
            return;
        }
        let Some(receiver) = known(&mut self.receivers, &self.config, from, &self.manifest) else {
            self.stats.ignored += 1;
            return;
        };
        let joined = receiver.is_silent();
        let fresh = receiver.handle_complete(&self.manifest);
        if joined {
            self.event(OutboxEvent::Joined { receiver: from.clone() });
        }
        if fresh {
            self.event(OutboxEvent::Completed { receiver: from.clone() });
        }
        self.heard(now);
    }

    fn handle_refused(&mut self, now: Mono, from: &PeerName, refused: &Refused) {
        let Some(receiver) = known(&mut self.receivers, &self.config, from, &self.manifest) else {
            self.stats.ignored += 1;
            return;
        };
        if receiver.handle_refused(refused) {
            self.event(OutboxEvent::Refused { receiver: from.clone(), refused: refused.clone() });
        }
        self.heard(now);
    }

    /// A receiver spoke: drops chunks that nobody lacks any more, and postpones the offer.
    fn heard(&mut self, now: Mono) {
        self.queue.keep_wanted(self.receivers.values());
        let again = now + self.config.quiet;
        if self.receivers.values().any(Receiver::is_silent) {
            // Those who chat do not keep the offer from who has not had it.
            self.offer_at = Some(self.offer_at.map_or(again, |at| at.min(again)));
        } else {
            self.attempt = 0;
            self.offer_at = (!self.is_settled()).then_some(again);
        }
    }

    fn offer(&mut self, now: Mono) {
        let token = SendToken(self.next_token);
        self.next_token += 1;
        self.stats.offers += 1;
        let message = Message::Offer(self.manifest.clone());
        self.outputs.push_back(OutboxOutput::Send { token, message });
        self.offered_at = Some(now);
        let again = now + self.config.offer.delay(self.attempt, 0.5);
        self.offer_at = (!self.is_settled()).then_some(again);
        self.attempt = self.attempt.saturating_add(1);
    }

    fn offer_soon(&mut self, now: Mono) {
        let earliest = self.offered_at.map_or(now, |at| at + self.config.offer_every);
        if earliest <= now {
            self.offer(now);
        } else {
            self.offer_at = Some(self.offer_at.map_or(earliest, |at| at.min(earliest)));
        }
    }

    fn event(&mut self, event: OutboxEvent) {
        self.outputs.push_back(OutboxOutput::Event(event));
    }
}

/// The receiver of this name, made where there is room for one more.
fn known<'a>(
    receivers: &'a mut BTreeMap<PeerName, Receiver>,
    config: &OutboxConfig,
    name: &PeerName,
    manifest: &Manifest,
) -> Option<&'a mut Receiver> {
    if receivers.len() >= config.max_receivers && !receivers.contains_key(name) {
        return None;
    }
    Some(receivers.entry(name.clone()).or_insert_with(|| Receiver::new(manifest)))
}
