//! Whole channels on stores under the same model: killed at any point, opened again on what was written, and the same sets come out.
//!
//! What is written is on disk before anything that follows from it leaves, as a driver does it. A channel that is opened again is
//! the same participant, so the model is told of nothing.

use crate::group::{LOST_AFTER, Verdict, participant};
use crate::model::{Member, Model, Number, Policy};
use bytes::Bytes;
use quorate_base::{Backoff, Batch, Entries, MemoryStore, Mono, Now, Store, Wall};
use quorate_channel::sds::{Dialect, Kind, RepairConfig, SdsMessage, SyncConfig};
use quorate_channel::segment::Segment;
use quorate_channel::{
    AckPolicy, ChannelConfig, ChannelEvent, Dispatch, DispatchOutcome, Identity, JoinPolicy, MessageEnvelope,
    Missing, NoCipher, Output, Recovery, ReliableChannel, RequestId, SendOptions, SenderTag, StructuredId,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How a send goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its first attempt leaves.
    Leaves,
    /// The network refuses it: it is undone.
    Refused,
    /// It is written, and its process is killed before anything leaves.
    Killed,
}

struct Flight {
    to: Member,
    envelope: MessageEnvelope,
    content: Option<Number>,
}

struct Process {
    store: MemoryStore,
    channel: ReliableChannel,
    /// When it was started: its clock begins then.
    born: Duration,
}

/// Channels, model and network. Nobody is without a memory here.
pub(crate) struct Stored {
    pub(crate) model: Model,
    processes: Vec<Process>,
    numbers: BTreeMap<(SenderTag, u64), Number>,
    requests: BTreeMap<(Member, RequestId), Number>,
    flights: Vec<Flight>,
    elapsed: Duration,
    started: u64,
    /// The network refuses this message.
    refuses: Option<Number>,
}

impl Stored {
    pub(crate) fn new(names: usize) -> Self {
        let mut group = Self {
            model: Model::new(names, Policy::Everybody),
            processes: Vec::new(),
            numbers: BTreeMap::new(),
            requests: BTreeMap::new(),
            flights: Vec::new(),
            elapsed: Duration::ZERO,
            started: 0,
            refuses: None,
        };
        for name in 0..names {
            let process = group.start(name, names, MemoryStore::new());
            group.processes.push(process);
        }
        group
    }

    /// A process on a store, which may hold what an earlier one wrote.
    fn start(&mut self, name: usize, names: usize, store: MemoryStore) -> Process {
        self.started += 1;
        let identity = Identity {
            channel: "c".into(),
            topic: "/quorate/1/c/proto".into(),
            participant: participant(name),
        };
        let mut recovery = Recovery::new(&identity.channel);
        for entry in Entries::new(&store, recovery.prefix()) {
            recovery.handle_record(entry.expect("memory is read")).expect("it is as it was written");
        }
        let now = Now::new(Mono::ZERO, wall(self.elapsed));
        let channel = ReliableChannel::open_durable(
            now,
            identity,
            config(name, names),
            Box::new(NoCipher),
            self.started,
            recovery,
        );
        Process { store, channel: channel.expect("it opens"), born: self.elapsed }
    }

    /// A participant sends.
    pub(crate) fn send(&mut self, member: Member, fate: Fate) -> Verdict {
        let number = self.model.send(member);
        let content = Bytes::copy_from_slice(&u32::try_from(number).expect("they are few").to_be_bytes());
        let now = self.now(member);
        let channel = &mut self.processes[member].channel;
        let request = channel.handle_send(now, content, SendOptions::default()).expect("there is room");
        self.requests.insert((member, request), number);
        match fate {
            Fate::Leaves => self.settle(member),
            Fate::Refused => {
                self.refuses = Some(number);
                self.settle(member)?;
                self.refuses = None;
                Ok(())
            }
            Fate::Killed => {
                self.commit(member);
                self.kill(member)
            }
        }
    }

    /// The process is killed, and started again on its store.
    pub(crate) fn kill(&mut self, member: Member) -> Verdict {
        let store = std::mem::take(&mut self.processes[member].store);
        self.processes[member] = self.start(member, self.processes.len(), store);
        self.settle(member)
    }

    /// A copy on its way: arrives, and stays where `again`.
    pub(crate) fn deliver(&mut self, flight: usize, again: bool) -> Verdict {
        if self.flights.is_empty() {
            return Ok(());
        }
        let flight = self.flights.remove(flight % self.flights.len());
        if again {
            let (to, content) = (flight.to, flight.content);
            self.flights.push(Flight { to, envelope: flight.envelope.clone(), content });
        }
        self.arrive(flight)
    }

    /// A copy on its way is lost.
    pub(crate) fn lose(&mut self, flight: usize) {
        if !self.flights.is_empty() {
            self.flights.swap_remove(flight % self.flights.len());
        }
    }

    /// Time passes, and everybody does what is due.
    pub(crate) fn pass(&mut self, duration: Duration) -> Verdict {
        let end = self.elapsed + duration;
        loop {
            let due = |process: &Process| Some(process.born + process.channel.poll_timeout()?.elapsed());
            let Some(next) = self.processes.iter().filter_map(due).min().filter(|next| *next <= end) else {
                break;
            };
            self.elapsed = next.max(self.elapsed);
            for member in 0..self.processes.len() {
                let now = self.now(member);
                self.processes[member].channel.handle_timeout(now);
                self.settle(member)?;
            }
        }
        self.elapsed = end;
        Ok(())
    }

    /// Nothing is lost any more, and time passes.
    pub(crate) fn calm(&mut self, duration: Duration) -> Verdict {
        let end = self.elapsed + duration;
        while self.elapsed < end {
            for flight in std::mem::take(&mut self.flights) {
                self.arrive(flight)?;
            }
            self.pass(Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn now(&self, member: Member) -> Now {
        let lived = self.elapsed.saturating_sub(self.processes[member].born);
        Now::new(Mono::from_origin(lived), wall(self.elapsed))
    }

    fn arrive(&mut self, flight: Flight) -> Verdict {
        if let Some(number) = flight.content {
            self.model.arrive(flight.to, number);
        }
        let now = self.now(flight.to);
        let taken = self.processes[flight.to].channel.handle_envelope(now, flight.envelope);
        taken.map_err(|error| format!("{} does not read what another wrote: {error}", flight.to))?;
        self.settle(flight.to)
    }

    /// Writes what is to be written; what follows from it is yielded.
    fn commit(&mut self, member: Member) -> Vec<Output> {
        let process = &mut self.processes[member];
        let (mut batch, mut released) = (Batch::new(), Vec::new());
        while let Some(output) = process.channel.poll_output() {
            match output {
                Output::Write(op) => drop(batch.push(op)),
                output => released.push(output),
            }
        }
        process.store.commit(batch).expect("memory takes it");
        released
    }

    /// Does what a channel asks for. Everything that it tells is as the model has it.
    fn settle(&mut self, member: Member) -> Verdict {
        let mut told = VecDeque::new();
        loop {
            let released = self.commit(member);
            if released.is_empty() {
                break;
            }
            for output in released {
                match output {
                    Output::Dispatch(dispatch) => self.dispatch(member, &dispatch),
                    Output::Logged(_, event) | Output::Event(event) => told.push_back(event),
                    _ => {}
                }
            }
        }
        while let Some(event) = told.pop_front() {
            self.told(member, event, told.front())?;
        }
        self.model.settled(member)
    }

    fn dispatch(&mut self, from: Member, dispatch: &Dispatch) {
        let message = SdsMessage::decode(Dialect::Lip, dispatch.envelope.payload.clone());
        let message = message.expect("they write what they read");
        let content = (message.kind() == Kind::Content).then(|| {
            let segment = Segment::decode(message.content.clone()).expect("it is a segment");
            number_of(&segment.payload)
        });
        // An answer to a request is another's message.
        if let (Some(number), Some(id)) = (content, StructuredId::parse(message.id.as_str())) {
            self.numbers.insert((id.tag, id.sequence), number);
        }
        let refused = content.is_some() && content == self.refuses;
        let now = self.now(from);
        if refused {
            self.processes[from].channel.handle_dispatched(now, dispatch.id, DispatchOutcome::Refused);
            return;
        }
        for to in (0..self.processes.len()).filter(|to| *to != from) {
            self.flights.push(Flight { to, envelope: dispatch.envelope.clone(), content });
        }
        self.processes[from].channel.handle_dispatched(now, dispatch.id, DispatchOutcome::Confirmed);
    }

    fn told(&mut self, member: Member, event: ChannelEvent, next: Option<&ChannelEvent>) -> Verdict {
        match event {
            ChannelEvent::Received { payload, .. } => self.model.delivered(member, number_of(&payload)),
            ChannelEvent::Gap { missing } => {
                let named = missing.iter().flat_map(|missing| self.named(missing)).collect::<Vec<_>>();
                named.into_iter().try_for_each(|number| self.model.given_up(member, number))
            }
            ChannelEvent::Acknowledged { request, by } => {
                let number = self.requests[&(member, request)];
                let name = by.as_str().parse().expect("names are numbers");
                let satisfied = next == Some(&ChannelEvent::Delivered { request });
                self.model.acknowledged(number, name, satisfied)
            }
            ChannelEvent::SendError { request, .. } => {
                let number = self.requests[&(member, request)];
                self.model.undo(number);
                Ok(())
            }
            ChannelEvent::Sent { .. } | ChannelEvent::Delivered { .. } => Ok(()),
            other => Err(format!("nobody asked for {other:?}")),
        }
    }

    fn named(&self, missing: &Missing) -> Vec<Number> {
        match missing {
            Missing::Segments { tag, sequences, .. } => {
                let number = |sequence| self.numbers.get(&(*tag, sequence)).copied();
                sequences.clone().filter_map(number).collect()
            }
            Missing::Message(_) => Vec::new(),
        }
    }
}

fn config(own: usize, names: usize) -> ChannelConfig {
    ChannelConfig {
        acks: AckPolicy::All((0..names).filter(|name| *name != own).map(participant).collect()),
        retransmit: Backoff::new(Duration::from_millis(500), Duration::from_secs(4)),
        delivery_timeout: Duration::from_secs(86_400),
        sync: SyncConfig {
            ack_delay: Duration::from_millis(50),
            idle: Backoff::new(Duration::from_secs(1), Duration::from_secs(8)),
        },
        repair: RepairConfig {
            t_min: Duration::from_millis(200),
            t_max: Duration::from_secs(1),
            ..RepairConfig::default()
        },
        lost_after: LOST_AFTER,
        join: JoinPolicy::Since(Wall::from_unix_millis(0)),
        ..ChannelConfig::default()
    }
}

fn wall(elapsed: Duration) -> Wall {
    Wall::from_unix(Duration::from_secs(1_764_000_000) + elapsed)
}

fn number_of(content: &Bytes) -> Number {
    let number: [u8; 4] = content.as_ref().try_into().expect("four bytes were sent");
    u32::from_be_bytes(number) as Number
}
