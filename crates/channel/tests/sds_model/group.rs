//! The real machines under the model: each input goes to both, and every event is checked as it comes.

use crate::model::{Member, Model, Number, Policy};
use bytes::Bytes;
use quorate_base::{Backoff, Mono, Now, Wall};
use quorate_channel::sds::{
    Content, Due, Kind, RepairConfig, Sds, SdsConfig, SdsEvent, SdsMessage, SyncConfig,
};
use quorate_channel::{AckPolicy, JoinPolicy, Missing, ParticipantId, RequestId, SenderTag};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long what is missing is waited for.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(60);

pub(crate) type Verdict = Result<(), String>;

/// A copy of a message on its way to one member.
#[derive(Debug, Clone)]
struct Flight {
    to: Member,
    from: Member,
    bytes: Bytes,
    /// The content message that it is, if it is one.
    content: Option<Number>,
    /// What its maker had when it was made, if it is a sync and says all of it.
    has: Option<BTreeSet<Number>>,
}

/// Machines, model and network.
pub(crate) struct Group {
    pub(crate) model: Model,
    machines: Vec<Sds>,
    /// The incarnation of each participant that is there.
    present: Vec<Member>,
    config: Box<dyn Fn(usize) -> SdsConfig>,
    numbers: BTreeMap<(SenderTag, u64), Number>,
    /// Where each message stands in its sender's sequence.
    sequences: Vec<u64>,
    flights: Vec<Flight>,
    now: Now,
    /// The members that were told of something lost.
    pub(crate) deliveries: usize,
}

impl Group {
    pub(crate) fn new(names: usize, policy: Policy) -> Self {
        let config = move |own: usize| SdsConfig {
            acks: match policy {
                Policy::AtLeast(least) => AckPolicy::AtLeast(least),
                Policy::Everybody => {
                    AckPolicy::All((0..names).filter(|name| *name != own).map(participant).collect())
                }
            },
            retransmit: Backoff::new(Duration::from_millis(500), Duration::from_secs(4)),
            sync: SyncConfig {
                ack_delay: Duration::from_millis(50),
                idle: Backoff::new(Duration::from_secs(1), Duration::from_secs(8)),
            },
            repair: RepairConfig {
                t_min: Duration::from_millis(200),
                t_max: Duration::from_secs(1),
                ..RepairConfig::default()
            },
            incoming: quorate_channel::sds::IncomingConfig {
                lost_after: LOST_AFTER,
                join: JoinPolicy::Since(Wall::from_unix_millis(0)),
                ..SdsConfig::default().incoming
            },
            ..SdsConfig::default()
        };
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_764_000_000_000));
        let mut group = Self {
            model: Model::new(names, policy),
            machines: Vec::new(),
            present: (0..names).collect(),
            config: Box::new(config),
            numbers: BTreeMap::new(),
            sequences: Vec::new(),
            flights: Vec::new(),
            now,
            deliveries: 0,
        };
        (0..names).for_each(|name| group.open(name));
        group
    }

    fn open(&mut self, name: usize) {
        let entropy = self.machines.len() as u64;
        let config = (self.config)(name);
        let sds = Sds::open(self.now, "c".into(), participant(name), Content::Whole, config, entropy);
        self.machines.push(sds.expect("the configuration is valid"));
    }

    /// A participant sends; its first attempt is on its way, unless it is not to leave.
    pub(crate) fn send(&mut self, name: usize, leaves: bool) -> Verdict {
        let member = self.present[name];
        let number = self.model.send(member);
        let content = Bytes::copy_from_slice(&u32::try_from(number).expect("they are few").to_be_bytes());
        let machine = &mut self.machines[member];
        let request = RequestId(number as u64 + 1);
        let sequence = machine.handle_send(self.now, request, content).expect("there is room");
        self.numbers.insert((machine.own_tag(), sequence), number);
        self.sequences.push(sequence);
        if leaves {
            self.transmit(member, Due::Message(sequence));
        } else {
            machine.undo(self.now, request, sequence..sequence + 1);
            self.model.undo(number);
        }
        self.listen(member)
    }

    /// A participant says now what it has.
    pub(crate) fn sync(&mut self, name: usize) {
        self.transmit(self.present[name], Due::Sync);
    }

    /// A participant comes back without its memory.
    pub(crate) fn restart(&mut self, name: usize) {
        self.present[name] = self.model.restart(self.present[name]);
        self.open(name);
    }

    /// A copy on its way: arrives, and stays where `again`.
    pub(crate) fn deliver(&mut self, flight: usize, again: bool) -> Verdict {
        if self.flights.is_empty() {
            return Ok(());
        }
        let at = flight % self.flights.len();
        let flight = if again { self.flights[at].clone() } else { self.flights.remove(at) };
        self.arrive(flight)
    }

    /// A copy on its way is lost.
    pub(crate) fn lose(&mut self, flight: usize) {
        if !self.flights.is_empty() {
            let at = flight % self.flights.len();
            self.flights.swap_remove(at);
        }
    }

    /// Time passes, and everybody does what is due.
    pub(crate) fn pass(&mut self, duration: Duration) -> Verdict {
        let end = self.now.mono + duration;
        loop {
            let present = self.present.clone();
            let next = present.iter().filter_map(|member| self.machines[*member].poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.clock(next.max(self.now.mono));
            for member in present {
                self.machines[member].handle_timeout(self.now);
                self.listen(member)?;
                while let Some(due) = self.machines[member].poll_due(self.now) {
                    self.transmit(member, due);
                }
            }
        }
        self.clock(end);
        Ok(())
    }

    /// Nothing is lost any more, and time passes.
    pub(crate) fn calm(&mut self, duration: Duration) -> Verdict {
        let end = self.now.mono + duration;
        while self.now.mono < end {
            while !self.flights.is_empty() {
                let flight = self.flights.remove(0);
                self.arrive(flight)?;
            }
            self.pass(Duration::from_millis(100))?;
        }
        Ok(())
    }

    fn clock(&mut self, to: Mono) {
        let passed = to.since(self.now.mono);
        self.now = Now::new(to, Wall::from_unix(self.now.wall.unix() + passed));
    }

    fn transmit(&mut self, from: Member, due: Due) {
        let machine = &mut self.machines[from];
        let Some(prepared) = machine.prepare(self.now, due.clone()) else { return };
        let message = SdsMessage::decode((self.config)(0).dialect, prepared.bytes.clone());
        let message = message.expect("they write what they read");
        let content = (message.kind() == Kind::Content).then(|| number_of(&message.content));
        let has = (message.kind() == Kind::Sync).then(|| self.model.has(from));
        if let Due::Message(sequence) = due {
            machine.handle_attempted(self.now, sequence, true);
        }
        for to in self.present.iter().copied().filter(|to| *to != from) {
            self.flights.push(Flight { to, from, bytes: prepared.bytes.clone(), content, has: has.clone() });
        }
    }

    fn arrive(&mut self, flight: Flight) -> Verdict {
        let Flight { to, from, bytes, content, has } = flight;
        if !self.present.contains(&to) {
            return Ok(());
        }
        if let Some(number) = content {
            self.model.arrive(to, number);
        }
        let name = self.model.name(from);
        let news = has.map(|has| self.model.news(to, name, &has));
        self.machines[to].handle_message(self.now, bytes, None).expect("they read what they write");
        let told = self.listen_and_tell(to)?;
        match news {
            Some(news) if news != told => {
                Err(format!("{to} takes {told:?} from a sync of {from}, which tells {news:?}"))
            }
            _ => Ok(()),
        }
    }

    fn listen(&mut self, member: Member) -> Verdict {
        self.listen_and_tell(member).map(drop)
    }

    /// Everything that `member` has to say now is as the model has it. Yields what was acknowledged.
    fn listen_and_tell(&mut self, member: Member) -> Result<BTreeSet<Number>, String> {
        let mut acknowledged = BTreeSet::new();
        while let Some(event) = self.machines[member].poll_event() {
            match event {
                SdsEvent::Delivered(delivery) => {
                    self.deliveries += 1;
                    self.model.delivered(member, number_of(&delivery.payload))?;
                }
                SdsEvent::Gap(missing) => {
                    let named: Vec<_> = missing.iter().flat_map(|missing| self.named(missing)).collect();
                    for number in named {
                        self.model.given_up(member, number)?;
                    }
                }
                SdsEvent::Acknowledged { request, sequence, by, satisfied } => {
                    let number = usize::try_from(request.0 - 1).expect("it is one of ours");
                    if self.sequences[number] != sequence {
                        return Err(format!("{number} is not {sequence}"));
                    }
                    acknowledged.insert(number);
                    let name = by.as_str().parse().expect("names are numbers");
                    self.model.acknowledged(number, name, satisfied)?;
                }
                other => return Err(format!("nobody asked for {other:?}")),
            }
        }
        self.model.settled(member)?;
        Ok(acknowledged)
    }

    /// The messages that a gap names.
    fn named(&self, missing: &Missing) -> Vec<Number> {
        match missing {
            Missing::Segments { tag, sequences, .. } => sequences
                .clone()
                .filter_map(|sequence| self.numbers.get(&(*tag, sequence)).copied())
                .collect(),
            Missing::Message(_) => Vec::new(),
        }
    }
}

pub(crate) fn participant(name: usize) -> ParticipantId {
    name.to_string().into()
}

fn number_of(content: &Bytes) -> Number {
    let number: [u8; 4] = content.as_ref().try_into().expect("four bytes were sent");
    u32::from_be_bytes(number) as Number
}
