//! The receiving side: takes offers and chunks, keeps them, says what it has.
//!
//! The rule: a report never claims what is not on disk, and a file is never called complete before
//! its hash was compared with what was read back. What a receiver says is always the whole truth
//! about a transfer, so a lost report costs time and nothing else.

mod early;
mod journal;
mod readback;
#[cfg(test)]
mod tests;
mod transfer;

pub use transfer::Violation;

use super::manifest::{Manifest, TransferId};
use super::message::{Chunk, Hello, Message, Refused, RefusedReason};
use super::peer::PeerName;
use super::sink::Sink;
use early::Early;
use quorate_base::{Mono, Now};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use transfer::{Opened, Step, Taken, Transfer, Trouble};

/// The most ids remembered in each table of what is not open: finished, refused, asked for.
const MAX_REMEMBERED: usize = 256;

/// How an [`Inbox`] behaves. The default suits files of any size over a channel of any speed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxConfig {
    /// How many transfers are open at once. More are refused, unless one has been idle for long.
    pub max_open: usize,
    /// How long a transfer must be idle to make way for another. Its parts stay on disk.
    pub idle_after: Duration,
    /// The least time between two reports about one transfer.
    pub report_every: Duration,
    /// How long a refused transfer stays refused; an offer after that is tried anew.
    pub retry_after: Duration,
    /// The least time between two requests for the offer of one transfer.
    pub ask_every: Duration,
}

impl Default for InboxConfig {
    fn default() -> Self {
        Self {
            max_open: 32,
            idle_after: Duration::from_secs(600),
            report_every: Duration::from_secs(1),
            retry_after: Duration::from_secs(10),
            ask_every: Duration::from_secs(5),
        }
    }
}

/// A receiver of files: messages and time go in, messages to broadcast and events come out.
///
/// After any `handle_*` drain [`poll_output`](Self::poll_output) until `None`, then wait until
/// [`poll_timeout`](Self::poll_timeout) or the next message. Calls touch the disk through the
/// [`Sink`]; none reads more than a few MiB.
#[derive(Debug)]
pub struct Inbox<S> {
    sink: S,
    config: InboxConfig,
    incarnation: u64,
    open: BTreeMap<TransferId, Open>,
    finished: Remembered<()>,
    refused: Remembered<(Mono, Refused)>,
    asked: Remembered<Mono>,
    early: Early,
    /// Whose turn it is to read back.
    turn: Option<TransferId>,
    outputs: VecDeque<InboxOutput>,
    stats: InboxStats,
}

/// What an [`Inbox`] wants done or known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboxOutput {
    /// Broadcast this, reliably. A failure needs no report: the sender asks again.
    Send(Message),
    /// Something happened.
    Event(InboxEvent),
}

/// What happened to a transfer on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InboxEvent {
    /// A transfer was opened, new or resumed.
    Opened {
        /// Who offered it.
        from: PeerName,
        /// What it consists of. The names in it are as hostile as they came.
        manifest: Manifest,
    },
    /// More of it is on disk, or was read back.
    Progress {
        /// The transfer.
        transfer: TransferId,
        /// Bytes on disk that count.
        held: u64,
        /// Bytes of all its files.
        total: u64,
    },
    /// A file is verified and stands under its final name.
    Placed {
        /// The transfer.
        transfer: TransferId,
        /// The file's index in the manifest.
        file: u32,
        /// The name it has in the receiver's folder.
        name: String,
        /// The number in that name, 0 where the plain name was free.
        number: u32,
    },
    /// A file's content did not have its hash; it is asked for again.
    Rejected {
        /// The transfer.
        transfer: TransferId,
        /// The file's index in the manifest.
        file: u32,
        /// How often that happened to it.
        attempt: u32,
    },
    /// All files of the transfer are verified and in place.
    Completed {
        /// The transfer.
        transfer: TransferId,
        /// They were so before it was offered: nothing was written.
        already: bool,
    },
    /// The transfer cannot go on here; the senders were told.
    Refused {
        /// The transfer.
        transfer: TransferId,
        /// Why.
        reason: RefusedReason,
        /// The same for people.
        text: String,
    },
}

/// Counters of an [`Inbox`] since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InboxStats {
    /// Chunks written.
    pub chunks: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Chunks that were there already.
    pub duplicates: u64,
    /// Chunks of transfers that are not open.
    pub stray: u64,
    /// Messages that broke the protocol.
    pub violations: u64,
}

#[derive(Debug)]
struct Open {
    transfer: Transfer,
    heard_at: Mono,
    report_at: Option<Mono>,
    reported_at: Mono,
}

impl<S: Sink> Inbox<S> {
    /// A receiver that keeps what arrives in `sink`, and greets whoever is there.
    ///
    /// `incarnation` is a number drawn at random for this process: a sender that sees a new one
    /// sends again what may have been lost with the old process.
    pub fn new(sink: S, incarnation: u64, config: InboxConfig) -> Self {
        let hello = InboxOutput::Send(Message::Hello(Hello { transfer: None }));
        Self {
            sink,
            config,
            incarnation,
            open: BTreeMap::new(),
            finished: Remembered::default(),
            refused: Remembered::default(),
            asked: Remembered::default(),
            early: Early::default(),
            turn: None,
            outputs: VecDeque::from([hello]),
            stats: InboxStats::default(),
        }
    }

    /// Takes in a message of the group. Those between senders and other receivers change nothing.
    ///
    /// # Errors
    ///
    /// A [`Violation`] when `from` broke the protocol; it is counted, and nothing was changed.
    pub fn handle_message(&mut self, now: Now, from: &PeerName, message: Message) -> Result<(), Violation> {
        match message {
            Message::Offer(manifest) => self.handle_offer(now.mono, from, manifest),
            Message::Chunk(chunk) => return self.handle_chunk(now.mono, &chunk),
            Message::Have(_) | Message::Complete(_) | Message::Refused(_) | Message::Hello(_) => {}
        }
        Ok(())
    }

    /// Does what is due: a slice of reading back, and reports.
    pub fn handle_timeout(&mut self, now: Now) {
        self.work(now.mono);
        let due: Vec<TransferId> = self
            .open
            .iter()
            .filter(|(_, open)| open.report_at.is_some_and(|at| at <= now.mono))
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().for_each(|id| self.report(now.mono, id));
    }

    /// The next thing to do or to know.
    pub fn poll_output(&mut self) -> Option<InboxOutput> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: [`Mono::ZERO`] (at once) while there is
    /// something to read back.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.open.values().any(|open| open.transfer.has_work()) {
            return Some(Mono::ZERO);
        }
        self.open.values().filter_map(|open| open.report_at).min()
    }

    /// The counters.
    pub fn stats(&self) -> InboxStats {
        self.stats
    }

    /// The transfers that are open.
    pub fn open_transfers(&self) -> impl Iterator<Item = &Manifest> {
        self.open.values().map(|open| open.transfer.manifest())
    }

    /// Where it keeps what arrives.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    fn handle_offer(&mut self, now: Mono, from: &PeerName, manifest: Manifest) {
        let id = manifest.id();
        if let Some(open) = self.open.get_mut(&id) {
            open.heard_at = now;
            open.schedule(now, &self.config);
            return;
        }
        if let Some((until, refused)) = self.refused.get(id)
            && now < *until
        {
            self.outputs.push_back(InboxOutput::Send(Message::Refused(refused.clone())));
            return;
        }
        if !self.make_room(now) {
            let text = format!("{} transfers are open here already", self.open.len());
            return self.refuse(now, id, RefusedReason::TooManyTransfers, &text);
        }
        match Transfer::open(&mut self.sink, manifest.clone()) {
            Ok(Opened::Finished) => {
                let complete = transfer::completed(&manifest);
                self.outputs.push_back(InboxOutput::Send(Message::Complete(complete)));
                if self.finished.insert(id, ()) {
                    self.event(InboxEvent::Completed { transfer: id, already: true });
                }
            }
            Ok(Opened::Begun(transfer)) => {
                let report_at = None;
                self.open.insert(id, Open { transfer, heard_at: now, report_at, reported_at: now });
                self.event(InboxEvent::Opened { from: from.clone(), manifest });
                self.progress(id);
                for chunk in self.early.take(id) {
                    // A chunk that breaks the protocol is counted, whenever it came.
                    let _ = self.handle_chunk(now, &chunk);
                }
                self.report(now, id);
                self.finish_if_complete(now, id);
            }
            Err(trouble) => self.give_up(now, id, &trouble),
        }
    }

    fn handle_chunk(&mut self, now: Mono, chunk: &Chunk) -> Result<(), Violation> {
        let id = chunk.transfer;
        let Some(open) = self.open.get_mut(&id) else {
            self.stats.stray += 1;
            if self.ask_for(now, id) {
                self.early.keep(chunk.clone());
            }
            return Ok(());
        };
        match open.transfer.handle_chunk(&mut self.sink, chunk) {
            Ok(Ok(taken)) => {
                open.heard_at = now;
                open.schedule(now, &self.config);
                match taken {
                    Taken::Fresh => {
                        self.stats.chunks += 1;
                        self.stats.bytes += chunk.data.len() as u64;
                        self.progress(id);
                    }
                    Taken::Duplicate => self.stats.duplicates += 1,
                }
                Ok(())
            }
            Ok(Err(violation)) => {
                self.stats.violations += 1;
                Err(violation)
            }
            Err(trouble) => {
                self.give_up(now, id, &trouble);
                Ok(())
            }
        }
    }

    /// Asks for the offer of a transfer that a chunk came of; `true` when this process has not seen it.
    fn ask_for(&mut self, now: Mono, id: TransferId) -> bool {
        let settled = self.finished.get(id).is_some() || self.refused.get(id).is_some();
        let recent = self.asked.get(id).is_some_and(|at| now.since(*at) < self.config.ask_every);
        if !settled && !recent {
            self.asked.insert(id, now);
            self.outputs.push_back(InboxOutput::Send(Message::Hello(Hello { transfer: Some(id) })));
        }
        !settled
    }

    /// One slice of reading back, for the transfer whose turn it is.
    fn work(&mut self, now: Mono) {
        let busy = |(id, open): (&TransferId, &Open)| open.transfer.has_work().then_some(*id);
        let after = self.turn.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let next = self.open.range((after, std::ops::Bound::Unbounded)).find_map(busy);
        let Some(id) = next.or_else(|| self.open.iter().find_map(busy)) else { return };
        self.turn = Some(id);
        let Some(open) = self.open.get_mut(&id) else { return };
        let step = open.transfer.work(&mut self.sink);
        open.heard_at = now;
        open.schedule(now, &self.config);
        match step {
            Ok(Step::Quiet) => self.progress(id),
            Ok(Step::Placed { file, name, number }) => {
                self.progress(id);
                self.event(InboxEvent::Placed { transfer: id, file, name, number });
                self.finish_if_complete(now, id);
            }
            Ok(Step::Rejected { file, attempt }) => {
                self.event(InboxEvent::Rejected { transfer: id, file, attempt });
            }
            Err(trouble) => self.give_up(now, id, &trouble),
        }
    }

    fn finish_if_complete(&mut self, now: Mono, id: TransferId) {
        let Some(open) = self.open.get_mut(&id).filter(|open| open.transfer.is_complete()) else { return };
        match open.transfer.finish(&mut self.sink) {
            Ok(complete) => {
                self.open.remove(&id);
                self.finished.insert(id, ());
                self.refused.remove(id);
                self.outputs.push_back(InboxOutput::Send(Message::Complete(complete)));
                self.event(InboxEvent::Completed { transfer: id, already: false });
            }
            Err(trouble) => self.give_up(now, id, &trouble),
        }
    }

    /// Drops a transfer from memory; what is on disk stays for a later attempt.
    fn give_up(&mut self, now: Mono, id: TransferId, trouble: &Trouble) {
        self.open.remove(&id);
        self.refuse(now, id, trouble.reason(), &trouble.to_string());
    }

    fn refuse(&mut self, now: Mono, id: TransferId, reason: RefusedReason, text: &str) {
        let refused = Refused::new(id, reason, text);
        let text = refused.text.clone();
        self.refused.insert(id, (now + self.config.retry_after, refused.clone()));
        self.outputs.push_back(InboxOutput::Send(Message::Refused(refused)));
        self.event(InboxEvent::Refused { transfer: id, reason, text });
    }

    fn make_room(&mut self, now: Mono) -> bool {
        if self.open.len() < self.config.max_open {
            return true;
        }
        let idlest = self.open.iter().min_by_key(|(_, open)| open.heard_at);
        let idle = idlest.filter(|(_, open)| now.since(open.heard_at) >= self.config.idle_after);
        let id = idle.map(|(id, _)| *id);
        id.and_then(|id| self.open.remove(&id)).is_some()
    }

    fn report(&mut self, now: Mono, id: TransferId) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.report_at = None;
        open.reported_at = now;
        let have = open.transfer.report(self.incarnation);
        self.outputs.push_back(InboxOutput::Send(Message::Have(have)));
    }

    fn progress(&mut self, id: TransferId) {
        let Some(open) = self.open.get(&id) else { return };
        let (held, total) = (open.transfer.held_bytes(), open.transfer.manifest().total_bytes());
        self.event(InboxEvent::Progress { transfer: id, held, total });
    }

    fn event(&mut self, event: InboxEvent) {
        self.outputs.push_back(InboxOutput::Event(event));
    }
}

impl Open {
    /// Makes a report due, at once or when the last one is old enough.
    fn schedule(&mut self, now: Mono, config: &InboxConfig) {
        let at = (self.reported_at + config.report_every).max(now);
        self.report_at.get_or_insert(at);
    }
}

/// A table of the last [`MAX_REMEMBERED`] ids.
#[derive(Debug)]
struct Remembered<V> {
    order: VecDeque<TransferId>,
    values: BTreeMap<TransferId, V>,
}

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self { order: VecDeque::new(), values: BTreeMap::new() }
    }
}

impl<V> Remembered<V> {
    /// Keeps `value` for `id`; whether the id is new.
    fn insert(&mut self, id: TransferId, value: V) -> bool {
        let new = self.values.insert(id, value).is_none();
        if new {
            self.order.push_back(id);
            if self.order.len() > MAX_REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.values.remove(&oldest);
            }
        }
        new
    }

    fn remove(&mut self, id: TransferId) {
        if self.values.remove(&id).is_some() {
            self.order.retain(|known| *known != id);
        }
    }

    fn get(&self, id: TransferId) -> Option<&V> {
        self.values.get(&id)
    }
}
