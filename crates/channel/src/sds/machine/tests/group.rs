//! Members in virtual time, and what is said between them.

use crate::config::JoinPolicy;
use crate::ids::{ParticipantId, RequestId};
use crate::sds::{
    Content, Dialect, Due, Kind, Profile, Roster, Sds, SdsConfig, SdsEvent, SdsMessage, SenderAuth,
};
use bytes::Bytes;
use quorate_base::{Mono, Now, Wall};
use std::time::Duration;

/// What happens to a message on its way: from, to, the message. `false` loses it.
pub(super) type Link<'a> = &'a mut dyn FnMut(usize, usize, &SdsMessage) -> bool;

pub(super) struct Group {
    pub(super) members: Vec<Sds>,
    pub(super) now: Now,
    pub(super) dialect: Dialect,
    /// What each was told.
    pub(super) events: Vec<Vec<SdsEvent>>,
    /// Everything that was said, by whom.
    pub(super) said: Vec<(usize, SdsMessage)>,
    requests: u64,
}

pub(super) fn lip(change: impl Fn(&mut SdsConfig) + Copy) -> Group {
    Group::of(Dialect::Lip, &["alice", "bob", "carol"], change)
}

pub(super) fn nim(change: impl Fn(&mut SdsConfig) + Copy) -> Group {
    Group::of(Dialect::Nim, &["alice", "bob", "carol"], change)
}

impl Group {
    pub(super) fn of(dialect: Dialect, names: &[&str], change: impl Fn(&mut SdsConfig) + Copy) -> Self {
        let now = Now::new(Mono::ZERO, Wall::from_unix_millis(1_764_000_000_000));
        let open = |(number, name): (usize, &&str)| {
            let mut config = SdsConfig { dialect, ..SdsConfig::default() };
            config.incoming.join = JoinPolicy::Since(Wall::from_unix_millis(0));
            change(&mut config);
            Sds::open(now, "c".into(), (*name).into(), Content::Whole, config, number as u64).unwrap()
        };
        let members: Vec<Sds> = names.iter().enumerate().map(open).collect();
        let events = members.iter().map(|_| Vec::new()).collect();
        Self { members, now, dialect, events, said: Vec::new(), requests: 0 }
    }

    /// Everybody signs, and knows everybody's key.
    pub(super) fn signed(mut self) -> Self {
        let keys = (0..self.members.len()).map(|number| {
            let auth = SenderAuth::new(&[number as u8 + 1; 32], Roster::Names);
            (self.members[number].participant.clone(), auth.public_key())
        });
        let keys = Roster::Keys(keys.collect());
        for (number, member) in self.members.iter_mut().enumerate() {
            member.authenticate(SenderAuth::new(&[number as u8 + 1; 32], keys.clone()));
        }
        self
    }

    /// `from` sends; the first attempt goes over `link`.
    pub(super) fn send(&mut self, from: usize, content: &str, link: Link<'_>) -> u64 {
        self.requests += 1;
        let content = Bytes::copy_from_slice(content.as_bytes());
        let sequence = self.members[from].handle_send(self.now, RequestId(self.requests), content).unwrap();
        self.transmit(from, Due::Message(sequence), link);
        sequence
    }

    pub(super) fn transmit(&mut self, from: usize, due: Due, link: Link<'_>) {
        let Some(prepared) = self.members[from].prepare(self.now, due.clone()) else { return };
        let message = SdsMessage::decode(self.dialect, prepared.bytes.clone()).unwrap();
        for to in 0..self.members.len() {
            if to != from && link(from, to, &message) {
                self.members[to].handle_message(self.now, prepared.bytes.clone(), None).unwrap();
                self.listen(to);
            }
        }
        self.said.push((from, message));
        if let Due::Message(sequence) = due {
            self.members[from].handle_attempted(self.now, sequence, true);
        }
    }

    /// Lets time pass, and everybody do what is due.
    pub(super) fn run(&mut self, duration: Duration, link: Link<'_>) {
        let end = self.now.mono + duration;
        loop {
            let next = self.members.iter().filter_map(Sds::poll_timeout).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.pass(next.max(self.now.mono));
            for number in 0..self.members.len() {
                self.members[number].handle_timeout(self.now);
                self.listen(number);
                while let Some(due) = self.members[number].poll_due(self.now) {
                    self.transmit(number, due, link);
                }
            }
        }
        self.pass(end);
    }

    fn pass(&mut self, to: Mono) {
        let passed = to.since(self.now.mono);
        self.now = Now::new(to, Wall::from_unix(self.now.wall.unix() + passed));
    }

    pub(super) fn listen(&mut self, member: usize) {
        while let Some(event) = self.members[member].poll_event() {
            self.events[member].push(event);
        }
    }

    /// Whatever is to be read now, as `member` would from a stranger.
    pub(super) fn inject(&mut self, member: usize, message: &SdsMessage) {
        let _ = self.members[member].handle_message(self.now, message.encode(self.dialect), None);
        self.listen(member);
    }

    /// A foreign member's content message.
    pub(super) fn foreign(&self, sender: &str, id: &str, past: &[&str]) -> SdsMessage {
        let entry = |id: &&str| crate::sds::Dependency {
            id: (*id).into(),
            time: None,
            hint: Some(format!("hint of {id}").into()),
            sender: Some("js".into()),
        };
        let time = match self.dialect {
            Dialect::Lip => self.now.wall.unix_millis(),
            Dialect::Nim => self.now.wall.unix_millis() / 1_000,
        };
        SdsMessage {
            time: Some(time),
            history: past.iter().map(entry).collect(),
            content: format!("content of {id}").into(),
            ..SdsMessage::bare(sender.into(), id.into(), "c".into())
        }
    }

    pub(super) fn delivered(&self, member: usize) -> Vec<String> {
        let payloads = self.events[member].iter().filter_map(|event| match event {
            SdsEvent::Delivered(delivery) => Some(String::from_utf8_lossy(&delivery.payload).into_owned()),
            _ => None,
        });
        payloads.collect()
    }

    /// The numbers that `by` acknowledged to `member`.
    pub(super) fn acknowledged(&self, member: usize, by: &str) -> Vec<u64> {
        let who = ParticipantId::from(by);
        let numbers = self.events[member].iter().filter_map(|event| match event {
            SdsEvent::Acknowledged { sequence, by, .. } if *by == who => Some(*sequence),
            _ => None,
        });
        numbers.collect()
    }

    pub(super) fn said_by(&self, member: usize, kind: Kind) -> Vec<&SdsMessage> {
        let said = self.said.iter().filter(|(by, message)| *by == member && message.kind() == kind);
        said.map(|(_, message)| message).collect()
    }
}

/// Everything arrives.
pub(super) fn all(_: usize, _: usize, _: &SdsMessage) -> bool {
    true
}

/// Nothing arrives.
pub(super) fn none(_: usize, _: usize, _: &SdsMessage) -> bool {
    false
}

pub(super) fn interop(config: &mut SdsConfig) {
    config.profile = Profile::INTEROP;
    config.causal_history = 10;
}
