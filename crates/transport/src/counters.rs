//! The numbers behind the stats, and the table of live connections.
//!
//! The rule: counting a frame takes no lock; totals survive a connection's end, because its numbers
//! are added to the sums when it leaves the table.

use crate::{
    AuthenticatedPeer, OpenError, PeerIdent, PeerViolation, TransportConfig, TransportConnectionStats,
    TransportTotals, ViolationCounts, locked,
};
use quorate_base::Wall;
use quorate_wire::{DecodeError, PeerUrl, StreamError};
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// Counts what goes over one connection. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct ConnectionMeter(Arc<Meter>);

#[derive(Debug, Default)]
struct Meter {
    send_messages: AtomicU64,
    send_bytes: AtomicU64,
    recv_messages: AtomicU64,
    recv_bytes: AtomicU64,
    direct: AtomicBool,
}

impl ConnectionMeter {
    /// `frames` frames of `bytes` bytes together went to the peer.
    pub fn sent(&self, frames: u64, bytes: u64) {
        self.0.send_messages.fetch_add(frames, Relaxed);
        self.0.send_bytes.fetch_add(bytes, Relaxed);
    }

    /// `frames` frames of `bytes` bytes together came from the peer. (`Ready::recv` counts its own.)
    pub fn received(&self, frames: u64, bytes: u64) {
        self.0.recv_messages.fetch_add(frames, Relaxed);
        self.0.recv_bytes.fetch_add(bytes, Relaxed);
    }

    /// Whether bytes go to the peer without a relay.
    pub fn set_direct(&self, direct: bool) {
        self.0.direct.store(direct, Relaxed);
    }

    /// Frames received so far.
    pub fn frames_received(&self) -> u64 {
        self.0.recv_messages.load(Relaxed)
    }

    fn add_to(&self, totals: &mut TransportTotals) {
        totals.send_message_count += self.0.send_messages.load(Relaxed);
        totals.send_bytes += self.0.send_bytes.load(Relaxed);
        totals.recv_message_count += self.0.recv_messages.load(Relaxed);
        totals.recv_bytes += self.0.recv_bytes.load(Relaxed);
    }
}

/// One connection in the table.
#[derive(Debug)]
pub(crate) struct Record {
    number: u64,
    pub(crate) peer: AuthenticatedPeer,
    pub(crate) meter: ConnectionMeter,
    opened_at: Wall,
    ready: AtomicBool,
}

/// All connections of a transport, and the sums of those that have ended.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    live: Mutex<Live>,
    pub(crate) dropped_unsent: AtomicU64,
    pub(crate) ignored_unknown_kind: AtomicU64,
    pub(crate) dropped_unknown_space: AtomicU64,
    pub(crate) dropped_unknown_module: AtomicU64,
    pub(crate) handler_panics: AtomicU64,
    pub(crate) refused_here: AtomicU64,
    pub(crate) refused_too_many: AtomicU64,
    pub(crate) refused_blocked: AtomicU64,
    pub(crate) slowed: AtomicU64,
    pub(crate) inbox_waits: AtomicU64,
    pub(crate) refused_by_peer: AtomicU64,
    violations: Mutex<ViolationCounts>,
}

#[derive(Debug, Default)]
struct Live {
    next: u64,
    table: BTreeMap<u64, Arc<Record>>,
    /// How many of them each peer has.
    by_peer: HashMap<PeerIdent, usize>,
    /// Only the fields that connections bring with them.
    sums: TransportTotals,
}

impl Counters {
    /// Takes a place in the table, if one is free.
    pub(crate) fn reserve(
        &self,
        peer: AuthenticatedPeer,
        opened_at: Wall,
        config: &TransportConfig,
    ) -> Result<Arc<Record>, OpenError> {
        let (max, max_of_peer) = (config.max_connections.get(), config.max_connections_per_key.get());
        let ident = peer.ident();
        let mut live = locked(&self.live);
        if live.table.len() >= max {
            return Err(OpenError::TooManyConnections { max });
        }
        let of_peer = live.by_peer.entry(ident).or_default();
        if *of_peer >= max_of_peer {
            return Err(OpenError::TooManyConnectionsOfPeer { max: max_of_peer });
        }
        *of_peer += 1;
        let number = live.next;
        live.next += 1;
        let (meter, ready) = (ConnectionMeter::default(), AtomicBool::new(false));
        let record = Arc::new(Record { number, peer, meter, opened_at, ready });
        live.table.insert(number, Arc::clone(&record));
        Ok(record)
    }

    /// The handlers know of the connection.
    pub(crate) fn opened(&self) {
        locked(&self.live).sums.connections_opened += 1;
    }

    /// The preflights are done.
    pub(crate) fn ready(&self, record: &Record) {
        record.ready.store(true, Relaxed);
        locked(&self.live).sums.connections_ready += 1;
    }

    /// Gives the place back; `told` says whether the handlers knew of the connection.
    pub(crate) fn ended(&self, record: &Record, told: bool) {
        let mut live = locked(&self.live);
        if live.table.remove(&record.number).is_some() {
            record.meter.add_to(&mut live.sums);
            if let Entry::Occupied(mut of_peer) = live.by_peer.entry(record.peer.ident()) {
                *of_peer.get_mut() -= 1;
                if *of_peer.get() == 0 {
                    of_peer.remove();
                }
            }
            live.sums.connections_ended += u64::from(told);
        }
    }

    /// A connection was not opened, for a reason that is neither a close nor a panic.
    pub(crate) fn refused(&self, error: &OpenError) {
        count(&self.refused_here);
        match error {
            OpenError::TooManyConnections { .. } | OpenError::TooManyConnectionsOfPeer { .. } => {
                count(&self.refused_too_many);
            }
            OpenError::Blocked => count(&self.refused_blocked),
            _ => {}
        }
    }

    pub(crate) fn violation(&self, violation: &PeerViolation) {
        let mut counts = locked(&self.violations);
        let count = match violation {
            PeerViolation::NotPreflight { .. } => &mut counts.not_preflight,
            PeerViolation::SecondPreflight => &mut counts.second_preflight,
            PeerViolation::Frame(DecodeError::MissingSpace { .. }) => &mut counts.missing_space,
            PeerViolation::Frame(DecodeError::MissingModule) => &mut counts.missing_module,
            PeerViolation::Frame(_) => &mut counts.undecodable,
            PeerViolation::TooLarge { .. } | PeerViolation::Stream(StreamError::TooLarge { .. }) => {
                &mut counts.too_large
            }
            PeerViolation::Stream(_) => &mut counts.framing,
            PeerViolation::SpoofedUrl { .. } => &mut counts.spoofed_url,
            PeerViolation::PreflightTimeout => &mut counts.preflight_timeout,
            PeerViolation::FrameTimeout => &mut counts.frame_timeout,
            PeerViolation::TooFast => &mut counts.too_fast,
        };
        *count += 1;
    }

    /// The peers whose connections are ready, each once, in the order of their URLs.
    pub(crate) fn connected_peers(&self) -> Vec<PeerUrl> {
        let live = locked(&self.live);
        let ready = live.table.values().filter(|record| record.ready.load(Relaxed));
        let mut peers: Vec<_> = ready.map(|record| record.peer.url().clone()).collect();
        peers.sort_unstable();
        peers.dedup();
        peers
    }

    /// The connections that are ready, in the order in which they were opened.
    pub(crate) fn connections(&self) -> Vec<TransportConnectionStats> {
        let live = locked(&self.live);
        let ready = live.table.values().filter(|record| record.ready.load(Relaxed));
        ready.map(|record| record.stats()).collect()
    }

    pub(crate) fn totals(&self) -> TransportTotals {
        let live = locked(&self.live);
        let mut totals = live.sums;
        for record in live.table.values() {
            record.meter.add_to(&mut totals);
        }
        drop(live);
        TransportTotals {
            refused_here: self.refused_here.load(Relaxed),
            refused_too_many: self.refused_too_many.load(Relaxed),
            refused_blocked: self.refused_blocked.load(Relaxed),
            slowed: self.slowed.load(Relaxed),
            inbox_waits: self.inbox_waits.load(Relaxed),
            refused_by_peer: self.refused_by_peer.load(Relaxed),
            dropped_unsent: self.dropped_unsent.load(Relaxed),
            ignored_unknown_kind: self.ignored_unknown_kind.load(Relaxed),
            dropped_unknown_space: self.dropped_unknown_space.load(Relaxed),
            dropped_unknown_module: self.dropped_unknown_module.load(Relaxed),
            handler_panics: self.handler_panics.load(Relaxed),
            violations: *locked(&self.violations),
            ..totals
        }
    }
}

impl Record {
    fn stats(&self) -> TransportConnectionStats {
        let meter = &self.meter.0;
        TransportConnectionStats {
            pub_key: self.peer.ident().as_str().to_owned(),
            send_message_count: meter.send_messages.load(Relaxed),
            send_bytes: meter.send_bytes.load(Relaxed),
            recv_message_count: meter.recv_messages.load(Relaxed),
            recv_bytes: meter.recv_bytes.load(Relaxed),
            opened_at_s: self.opened_at.unix().as_secs(),
            is_direct: meter.direct.load(Relaxed),
        }
    }
}

/// Adds one, without a lock.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
