//! A node of either kind, behind one trait: the scenarios and the bench do not care which it is.
//!
//! Both nodes have the same handlers ([`Events`]): they write down what they are told, and refuse what the
//! scenario wants refused.

pub mod ours;
pub mod theirs;

use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// The space that all of them are in.
pub const SPACE: &[u8] = &[7; 32];
/// The module that all of them have.
pub const MODULE: &str = "echo";
/// Nothing here takes so long; a scenario that would hang says what it waited for.
const TOO_LONG: Duration = Duration::from_secs(90);

/// What a handler was told.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection to this URL opens.
    Connect(String),
    /// A preflight came.
    Preflight(String, Bytes),
    /// A notify came.
    Notify(String, Bytes),
    /// A module message came.
    Module(String, Bytes),
    /// A connection ended.
    Disconnect(String, Option<String>),
    /// A peer did not answer.
    Unresponsive(String),
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let peer = |url: &str| url.get(url.len().saturating_sub(8)..).unwrap_or(url).to_owned();
        match self {
            Self::Connect(url) => write!(f, "connect {}", peer(url)),
            Self::Preflight(url, data) => write!(f, "preflight {} of {} B", peer(url), data.len()),
            Self::Notify(url, data) => write!(f, "notify {} of {} B", peer(url), data.len()),
            Self::Module(url, data) => write!(f, "module {} of {} B", peer(url), data.len()),
            Self::Disconnect(url, reason) => write!(f, "disconnect {} {reason:?}", peer(url)),
            Self::Unresponsive(url) => write!(f, "unresponsive {}", peer(url)),
        }
    }
}

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was handed to the transport. (Of a blocked peer, Kitsune2 says the same.)
    HandedOff,
    /// The peer is blocked.
    Blocked,
}

/// A node that a scenario drives.
#[async_trait]
pub trait Node: Send + Sync {
    /// What it is, for messages.
    fn kind(&self) -> &'static str;
    /// Where peers reach it.
    fn url(&self) -> String;
    /// Sends to the space.
    async fn notify(&self, peer: &str, data: Bytes) -> Result<Sent, String>;
    /// Sends to the module.
    async fn module(&self, peer: &str, data: Bytes) -> Result<Sent, String>;
    /// Ends the connection.
    async fn disconnect(&self, peer: &str, reason: Option<&str>);
    /// The peers that it is connected to.
    async fn connected(&self) -> Vec<String>;
    /// Messages from and to that peer that were dropped because it is blocked.
    async fn blocked(&self, peer: &str) -> (u32, u32);
    /// Ends everything.
    async fn close(&self);
    /// What its handlers were told, and what they say.
    fn events(&self) -> &Events;
}

/// The handlers of a node: a record, and the answers.
#[derive(Debug, Clone)]
pub struct Events {
    answers: Arc<Mutex<Answers>>,
    events: Arc<watch::Sender<Vec<Event>>>,
}

#[derive(Debug, Default)]
struct Answers {
    preflight: Bytes,
    refuse_preflights: bool,
    held: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
    blocked: HashSet<String>,
}

impl Events {
    /// Handlers that say this in their preflight, and refuse nothing.
    pub fn new(preflight: impl Into<Bytes>) -> Self {
        let answers = Answers { preflight: preflight.into(), ..Answers::default() };
        Self { answers: Arc::new(Mutex::new(answers)), events: Arc::new(watch::Sender::new(vec![])) }
    }

    /// Blocks a peer, or not.
    pub fn block(&self, url: &str, on: bool) {
        let blocked = &mut self.answers().blocked;
        let _changed = if on { blocked.insert(url.to_owned()) } else { blocked.remove(url) };
    }

    /// Refuses every preflight, or none.
    pub fn refuse_preflights(&self, on: bool) {
        self.answers().refuse_preflights = on;
    }

    /// The next connection says nothing until the second end is used or dropped; those behind it do. The first says when it
    /// is about to.
    pub fn hold_next_preflight(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((begins, begun), (go_on, held)) = (oneshot::channel(), oneshot::channel());
        self.answers().held = Some((begins, held));
        (begun, go_on)
    }

    /// What was told so far.
    pub fn so_far(&self) -> Vec<Event> {
        self.events.borrow().clone()
    }

    /// Forgets what was told so far.
    pub fn forget(&self) {
        self.events.send_replace(vec![]);
    }

    /// Waits until what was told so far fits.
    pub async fn until(&self, what: &str, mut fits: impl FnMut(&[Event]) -> bool) -> Vec<Event> {
        let mut events = self.events.subscribe();
        let found = tokio::time::timeout(TOO_LONG, events.wait_for(|events| fits(events))).await;
        match found {
            Ok(Ok(events)) => events.clone(),
            _ => panic!("waited in vain for {what}; so far: {:#?}", self.so_far()),
        }
    }

    /// Waits for one event.
    pub async fn until_told(&self, event: Event) {
        self.until(&format!("{event:?}"), |events| events.contains(&event)).await;
    }

    pub(crate) fn add(&self, event: Event) {
        self.events.send_modify(|events| events.push(event));
    }

    pub(crate) async fn preflight(&self) -> Bytes {
        let held = self.answers().held.take();
        if let Some((begins, held)) = held {
            // Ends that were dropped let it go on, too.
            let _ = begins.send(());
            let _ = held.await;
        }
        self.answers().preflight.clone()
    }

    /// Whether the handler agrees.
    pub(crate) fn judge(&self, peer: &str, data: Bytes) -> bool {
        self.add(Event::Preflight(peer.to_owned(), data));
        !self.answers().refuse_preflights
    }

    pub(crate) fn is_blocked(&self, peer: &str) -> bool {
        self.answers().blocked.contains(peer)
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
