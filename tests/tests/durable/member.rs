//! A participant whose channel is on a disk that may lose power, with an application that keeps its cursor.

use bytes::Bytes;
use quorate_base::{Batch, Entries, Mono, Now, RedbStore, Store, StoreError, Wall};
use quorate_channel::{
    ChannelConfig, ChannelEvent, Dispatch, DispatchOutcome, EventLog, EventSeq, Identity, MessageEnvelope,
    NoCipher, Output, ParticipantId, Recovery, ReliableChannel, RequestId, SendOptions, SendRefused,
};
use quorate_testkit::store::{Disk, Fate};
use std::time::Duration;

/// When the tests' worlds begin.
const BEGINNING: u64 = 1_704_067_200_000;

/// The reading of both clocks after `millis` of the world; the process began `born` milliseconds into it.
pub(crate) fn at(millis: u64, born: u64) -> Now {
    Now::new(
        Mono::from_origin(Duration::from_millis(millis - born)),
        Wall::from_unix_millis(BEGINNING + millis),
    )
}

/// One participant.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) config: ChannelConfig,
    pub(crate) disk: Disk,
    pub(crate) store: RedbStore,
    pub(crate) machine: ReliableChannel,
    /// When this process began.
    pub(crate) born: u64,
    /// What the application was told, with its numbers; it outlives every power cut, and so does the cursor.
    pub(crate) told: Vec<(EventSeq, ChannelEvent)>,
    /// Whether the application keeps its cursor, or only confirms.
    pub(crate) keeps_cursor: bool,
    pub(crate) confirmed: EventSeq,
    /// Sends that were answered.
    pub(crate) accepted: Vec<RequestId>,
    /// Envelopes let out, of all processes.
    pub(crate) dispatched: Vec<(u64, Dispatch)>,
    pub(crate) restarts: u32,
}

impl Member {
    /// A participant on an empty disk.
    pub(crate) fn new(name: &'static str, config: ChannelConfig) -> Self {
        let disk = Disk::new();
        let store = RedbStore::with_backend(disk.clone()).unwrap();
        let machine = open(&store, name, &config, at(0, 0), 1).unwrap();
        Self {
            name,
            config,
            disk,
            store,
            machine,
            born: 0,
            told: Vec::new(),
            keeps_cursor: true,
            confirmed: EventSeq::START,
            accepted: Vec::new(),
            dispatched: Vec::new(),
            restarts: 0,
        }
    }

    pub(crate) fn now(&self, millis: u64) -> Now {
        at(millis, self.born)
    }

    /// The power goes, and comes back: opens what the disk holds now. The next cut comes as `fate` says.
    pub(crate) fn restart(&mut self, millis: u64, seed: u64, mut fate: Fate) {
        loop {
            self.disk = Disk::holding(self.disk.image(), fate, seed);
            self.restarts += 1;
            self.born = millis;
            let opened = RedbStore::with_backend(self.disk.clone()).and_then(|store| {
                let machine = open(&store, self.name, &self.config, self.now(millis), seed)?;
                Ok((store, machine))
            });
            match opened {
                Ok((store, machine)) => {
                    (self.store, self.machine) = (store, machine);
                    break;
                }
                // The power went while it was opened.
                Err(error) => {
                    assert!(self.disk.is_cut(), "{}: {error}", self.name);
                    fate = Fate::Stays;
                }
            }
        }
        let (confirmed, last) = self.machine.events();
        assert!(
            confirmed >= self.confirmed,
            "{} confirmed {:?}, the store has {confirmed:?}",
            self.name,
            self.confirmed
        );
        let cursor = self.told.last().map_or(EventSeq::START, |(seq, _)| *seq);
        assert!(cursor <= last, "{}: the log ends at {last:?}, {cursor:?} was told", self.name);
        let from = if self.keeps_cursor { cursor } else { confirmed };
        let now = self.now(millis);
        let replay = replay(&self.store, from);
        if self.keeps_cursor {
            self.machine.handle_confirm(now, cursor);
        } else {
            self.told.retain(|(seq, _)| *seq <= confirmed);
        }
        // What cannot be read because the power went again is read the next time.
        self.told.extend(replay.unwrap_or_default());
    }

    /// Sends, and says whether it was accepted: `None` when the power went before it was answered.
    pub(crate) fn send(
        &mut self,
        millis: u64,
        payload: Bytes,
    ) -> (Option<Result<RequestId, SendRefused>>, Vec<Dispatch>) {
        let outcome = self.machine.handle_send(self.now(millis), payload, SendOptions::default());
        match self.settle(millis) {
            Some(dispatches) => {
                self.accepted.extend(outcome.iter().copied());
                (Some(outcome), dispatches)
            }
            None => (None, Vec::new()),
        }
    }

    pub(crate) fn receive(&mut self, millis: u64, envelope: MessageEnvelope) -> Option<Vec<Dispatch>> {
        let _ = self.machine.handle_envelope(self.now(millis), envelope);
        self.settle(millis)
    }

    pub(crate) fn time_out(&mut self, millis: u64) -> Option<Vec<Dispatch>> {
        let now = self.now(millis);
        if self.machine.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.machine.handle_timeout(now);
        }
        self.settle(millis)
    }

    pub(crate) fn confirm(&mut self, millis: u64) -> Option<Vec<Dispatch>> {
        let cursor = self.told.last().map_or(EventSeq::START, |(seq, _)| *seq);
        self.machine.handle_confirm(self.now(millis), cursor);
        let dispatches = self.settle(millis)?;
        self.confirmed = cursor;
        Some(dispatches)
    }

    /// What a driver does: writes in one transaction, then lets out. `None` when the power went.
    pub(crate) fn settle(&mut self, millis: u64) -> Option<Vec<Dispatch>> {
        let now = self.now(millis);
        let mut dispatches = Vec::new();
        loop {
            let (mut batch, mut released) = (Batch::new(), Vec::new());
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Write(op) => drop(batch.push(op)),
                    output => released.push(output),
                }
            }
            if batch.is_empty() && released.is_empty() {
                return Some(dispatches);
            }
            if !batch.is_empty() && self.store.commit(batch).is_err() {
                assert!(self.disk.is_cut(), "{}: only the power fails a commit", self.name);
                return None;
            }
            for output in released {
                match output {
                    Output::Dispatch(dispatch) => {
                        self.dispatched.push((millis, dispatch.clone()));
                        self.machine.handle_dispatched(now, dispatch.id, DispatchOutcome::Confirmed);
                        dispatches.push(dispatch);
                    }
                    Output::Logged(seq, event) => self.told.push((seq, event)),
                    _ => {}
                }
            }
        }
    }

    /// The payloads that the application was given, in order.
    pub(crate) fn received(&self) -> Vec<(ParticipantId, Bytes)> {
        let received = |(_, event): &'_ (EventSeq, ChannelEvent)| match event {
            ChannelEvent::Received { sender, payload, .. } => Some((sender.clone(), payload.clone())),
            _ => None,
        };
        self.told.iter().filter_map(received).collect()
    }

    /// Records in the store, by the letter of their kind.
    pub(crate) fn records(&self, letter: u8) -> usize {
        let prefix = Recovery::new(&"c".into()).prefix();
        let of_kind = |key: &Bytes| key.get(prefix.len()) == Some(&letter);
        let all = Entries::new(&self.store, prefix.clone());
        all.filter(|entry| entry.as_ref().is_ok_and(|(key, _)| of_kind(key))).count()
    }
}

fn open(
    store: &RedbStore,
    name: &str,
    config: &ChannelConfig,
    now: Now,
    entropy: u64,
) -> Result<ReliableChannel, StoreError> {
    let identity =
        Identity { channel: "c".into(), topic: "/quorate/1/c/proto".into(), participant: name.into() };
    let mut recovery = Recovery::new(&identity.channel);
    for entry in Entries::new(store, recovery.prefix()) {
        recovery.handle_record(entry?).unwrap();
    }
    let channel =
        ReliableChannel::open_durable(now, identity, config.clone(), Box::new(NoCipher), entropy, recovery);
    Ok(channel.unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn replay(store: &RedbStore, from: EventSeq) -> Result<Vec<(EventSeq, ChannelEvent)>, StoreError> {
    let log = EventLog::new(&"c".into());
    let mut events = Vec::new();
    for entry in Entries::new(store, log.prefix()).after(log.key(from)) {
        let told = log.read(entry?).unwrap();
        events.push((told.seq.unwrap(), told.event));
    }
    Ok(events)
}
