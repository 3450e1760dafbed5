//! What the handlers answer: one script, read by both sides, and what both are asked to do.

use crate::event::{Blob, Event, Log, Outcome, Who};
use crate::op::{Agents, SPACES, Vetoer};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

/// Block counts by URL and space: in, out.
pub(crate) type Counts = BTreeMap<(String, Vec<u8>), (u32, u32)>;

/// One side: a node with a transport below it that only takes notes. Connections have numbers, which the test gives.
pub(crate) trait Side {
    fn register_space(&mut self, space: u8, number: u32) -> Outcome;
    fn register_module(&mut self, space: u8, module: u8, number: u32) -> Outcome;
    fn unregister_space(&mut self, space: u8);
    fn connect(&mut self, connection: u32, url: &str, spoofed: bool) -> Outcome;
    fn recv(&mut self, connection: u32, frame: Bytes) -> Outcome;
    /// The link is gone; a connection that has ended already stays so.
    fn end(&mut self, connection: u32, reason: Option<&str>);
    fn send_notify(&mut self, url: &str, space: u8, data: Bytes) -> Outcome;
    fn send_module(&mut self, url: &str, space: u8, module: u8, data: Bytes) -> Outcome;
    fn disconnect(&mut self, url: &str, reason: Option<&str>);
    fn listening(&mut self, url: &str);
    fn listening_for(&mut self, space: u8, url: &str);
    fn forget_address(&mut self, space: u8);
    fn unresponsive(&mut self, url: &str, at_us: u64);
    fn close(&mut self);
    /// The counts, and the sum of what was not counted apart.
    fn counts(&mut self) -> (Counts, (u32, u32));
    fn log(&self) -> &Log;
}

/// The answers of the handlers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<Answers>>);

#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) vetoes: BTreeSet<Vetoer>,
    pub(crate) blocks: BTreeSet<(u8, String)>,
    pub(crate) failing_checks: BTreeSet<u8>,
    pub(crate) agents: BTreeMap<u8, Agents>,
    pub(crate) gather_fails: bool,
}

/// A handler's no.
#[derive(Debug)]
pub(crate) struct No;

impl Script {
    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap()
    }
}

/// A handler of any kind: it notes that it was called, and answers as the script says.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) who: Who,
    pub(crate) log: Log,
    pub(crate) script: Script,
}

impl Actor {
    pub(crate) fn listening(&self, url: &str) {
        self.log.add(Event::Listening { who: self.who, url: url.to_owned() });
    }

    pub(crate) fn connect(&self, url: &str) -> Result<(), No> {
        self.log.add(Event::Connect { who: self.who, url: url.to_owned() });
        if self.script.answers().vetoes.contains(&self.vetoer()) { Err(No) } else { Ok(()) }
    }

    pub(crate) fn disconnect(&self, url: &str, reason: Option<&str>) {
        let (url, reason) = (url.to_owned(), reason.map(str::to_owned));
        self.log.add(Event::Disconnect { who: self.who, url, reason });
    }

    pub(crate) fn gather(&self, url: &str) -> Result<Bytes, No> {
        self.log.add(Event::Gather { url: url.to_owned() });
        if self.script.answers().gather_fails { Err(No) } else { Ok(Bytes::from_static(b"who we are")) }
    }

    pub(crate) fn validate(&self, url: &str, data: Bytes) -> Result<(), No> {
        self.log.add(Event::Validate { url: url.to_owned(), data: Blob(data.clone()) });
        verdict(&data)
    }

    pub(crate) fn received(&self, url: &str, data: Bytes) -> Result<(), No> {
        self.log.add(Event::Received { who: self.who, url: url.to_owned(), data: Blob(data.clone()) });
        verdict(&data)
    }

    pub(crate) fn is_blocked(&self, url: &str) -> Result<bool, No> {
        self.log.add(Event::BlockCheck { who: self.who, url: url.to_owned() });
        let (answers, space) = (self.script.answers(), self.space());
        if answers.failing_checks.contains(&space) {
            return Err(No);
        }
        Ok(answers.blocks.contains(&(space, url.to_owned())))
    }

    pub(crate) fn has_agents(&self) -> Result<bool, No> {
        self.log.add(Event::Agents { who: self.who });
        match self.script.answers().agents.get(&self.space()) {
            Some(Agents::Fails) => Err(No),
            Some(Agents::None) => Ok(false),
            Some(Agents::Some) | None => Ok(true),
        }
    }

    pub(crate) fn unresponsive(&self, url: &str, at_us: u64) {
        self.log.add(Event::Unresponsive { who: self.who, url: url.to_owned(), at_us });
    }

    /// A message must come to the handler of its own space.
    pub(crate) fn check_space(&self, space: &[u8]) {
        assert_eq!(space, SPACES[usize::from(self.space())], "delivered to the wrong space");
    }

    fn space(&self) -> u8 {
        match self.who {
            Who::Space { space, .. } | Who::Module { space, .. } => space,
            Who::Handler => u8::MAX,
        }
    }

    fn vetoer(&self) -> Vetoer {
        vetoer(&self.who)
    }
}

/// Whose veto it is, whatever the number of the registration.
pub(crate) const fn vetoer(who: &Who) -> Vetoer {
    match who {
        Who::Handler => Vetoer::Handler,
        Who::Space { space, .. } => Vetoer::Space(*space),
        Who::Module { space, module, .. } => Vetoer::Module(*space, *module),
    }
}

fn verdict(data: &[u8]) -> Result<(), No> {
    match data {
        b"refuse" => Err(No),
        b"panic" => panic!("a handler that panics"),
        _ => Ok(()),
    }
}
