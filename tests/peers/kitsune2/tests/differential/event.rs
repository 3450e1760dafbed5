//! What an operation caused, in words that both sides share: what it returned, and who was called.
//!
//! Neither side promises an order among the spaces, or among the modules, so runs of equal calls are
//! sorted; the order between modules, spaces and the handler stays.

use bytes::Bytes;
use std::sync::{Arc, Mutex};

/// Somebody who is called. Spaces and modules carry the number of their registration: a handler that
/// was replaced is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Module { space: u8, module: u8, number: u32 },
    Space { space: u8, number: u32 },
    Handler,
}

/// Bytes that are shown by their length and their beginning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Blob(pub(crate) Bytes);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = self.0.get(..self.0.len().min(16)).unwrap_or_default();
        write!(f, "{} B {:?}", self.0.len(), Bytes::copy_from_slice(start))
    }
}

/// A call of a handler, or of the transport below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Listening { who: Who, url: String },
    Connect { who: Who, url: String },
    Disconnect { who: Who, url: String, reason: Option<String> },
    Gather { url: String },
    Validate { url: String, data: Blob },
    BlockCheck { who: Who, url: String },
    Agents { who: Who },
    Received { who: Who, url: String, data: Blob },
    Unresponsive { who: Who, url: String, at_us: u64 },
    Sent { url: String, bytes: Blob },
    Hangup { url: String, reason: Option<String> },
    Shut,
}

impl Event {
    /// The name that the report counts it under.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Listening { .. } => "told of an address",
            Self::Connect { .. } => "told of a connection",
            Self::Disconnect { .. } => "told of an end",
            Self::Gather { .. } => "preflight gathered",
            Self::Validate { .. } => "preflight judged",
            Self::BlockCheck { .. } => "asked for a block",
            Self::Agents { .. } => "asked for agents",
            Self::Received { who: Who::Module { .. }, .. } => "module message delivered",
            Self::Received { .. } => "notify delivered",
            Self::Unresponsive { .. } => "told of an unresponsive peer",
            Self::Sent { .. } => "frame sent",
            Self::Hangup { .. } => "disconnect reached the transport",
            Self::Shut => "close reached the transport",
        }
    }

    /// All names, for the report.
    pub(crate) const NAMES: [&str; 13] = [
        "told of an address",
        "told of a connection",
        "told of an end",
        "preflight gathered",
        "preflight judged",
        "asked for a block",
        "asked for agents",
        "module message delivered",
        "notify delivered",
        "told of an unresponsive peer",
        "frame sent",
        "disconnect reached the transport",
        "close reached the transport",
    ];

    /// Events of one group may come in any order.
    const fn group(&self) -> Option<(u8, u8)> {
        let (kind, who) = match self {
            Self::Listening { who, .. } => (0, who),
            Self::Connect { who, .. } => (1, who),
            Self::Disconnect { who, .. } => (2, who),
            Self::Agents { who } => (3, who),
            Self::Unresponsive { who, .. } => (4, who),
            _ => return None,
        };
        Some((kind, phase(who)))
    }
}

/// Modules are told first, then spaces, then the handler.
pub(crate) const fn phase(who: &Who) -> u8 {
    match who {
        Who::Module { .. } => 0,
        Who::Space { .. } => 1,
        Who::Handler => 2,
    }
}

/// What an operation returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    /// The current URL, at a registration.
    Url(Option<String>),
    /// Our preflight as bytes, at a connection.
    Preflight(Blob),
    /// A handler said no.
    Refused,
    NoLocalAgents,
    Blocked,
    UnknownSpace,
    Goodbye(String),
    Undecodable,
    MissingSpace,
    MissingModule,
    NotPreflight,
    SecondPreflight,
    TooLarge,
    TooManyOfPeer,
    SpoofedUrl,
    Duplicate,
    Panicked,
    /// The connection takes no more frames.
    Ended,
    Closed,
    /// Anything else, in its own words: never equal to the other side's.
    Other(String),
}

impl Outcome {
    /// Whether a backend has to close the connection.
    pub(crate) const fn is_error(&self) -> bool {
        !matches!(self, Self::Ok | Self::Url(_) | Self::Preflight(_) | Self::Blocked)
    }
}

/// The events of one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    pub(crate) fn add(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    /// What happened since the last call, runs of one group sorted.
    pub(crate) fn take(&self) -> Vec<Event> {
        let mut events = std::mem::take(&mut *self.0.lock().unwrap());
        let runs = events.chunk_by_mut(|a, b| a.group().is_some() && a.group() == b.group());
        runs.for_each(<[Event]>::sort);
        events
    }
}
