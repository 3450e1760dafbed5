//! The life of one connection: dial or wait, preflights, pump, last words.
//!
//! The rule: however it ends, the handlers are told, the slot is given back, those who wait learn
//! why, and only then does the next connection to that peer begin.

use super::{
    Inner, Link, LinkError,
    links::Place,
    pump::{Outcome, pump},
    table::{Entry, Holder, Peer, Stop},
};
use crate::{
    AuthenticatedPeer, Close, CloseCode, ConnectError, ConnectionId, DialError, Direction, OpenError,
    PeerViolation, PreflightError, Ready, RecvError, Side, SlotEnd,
    counters::count,
    guarded::{self, Panicked},
    locked,
};
use bytes::Bytes;
use quorate_wire::{EncodedFrame, PeerUrl};
use std::{collections::VecDeque, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

/// How long to wait for the connection that the peer preferred, before dialing again.
const WINNER_WAIT: Duration = Duration::from_secs(1);
/// How often to dial again because the peer preferred a connection that did not come.
const MAX_REDIALS: u32 = 2;
/// How long a link that no longer takes frames is asked for the peer's last words.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(250);

/// One task's hold on a peer's slot.
pub(super) struct Run {
    inner: Arc<Inner>,
    peer: Arc<Peer>,
    id: ConnectionId,
    stop: watch::Receiver<Option<Stop>>,
    /// Dropped when the handlers have been told of the end and the queue is in order.
    done: Option<watch::Sender<()>>,
    redials: u32,
}

/// What remains of a connection.
struct End {
    /// What those who waited for it are told.
    error: ConnectError,
    /// The peer said that another connection stays.
    superseded: bool,
    /// The spaces are to be told that the peer does not respond.
    unresponsive: bool,
}

/// Drives a connection that we dial.
pub(super) async fn outgoing(mut run: Run, url: PeerUrl) {
    loop {
        let end = run.dial(&url).await;
        if !run.finish(end, &url).await {
            return;
        }
    }
}

/// Drives a connection that the peer dialed, once `predecessor` is out of the way.
pub(super) async fn incoming(
    mut run: Run,
    peer: AuthenticatedPeer,
    link: Link,
    predecessor: Option<watch::Receiver<()>>,
    place: Place,
) {
    if let Some(mut predecessor) = predecessor {
        while predecessor.changed().await.is_ok() {}
    }
    let url = peer.url().clone();
    let end = run.serve(peer, Direction::Incoming, link).await;
    drop(place);
    if run.finish(end, &url).await {
        outgoing(run, url).await;
    }
}

impl Run {
    /// Makes a new task the holder of `entry`, under the table's lock.
    pub(super) fn new(inner: &Arc<Inner>, entry: &mut Entry, id: ConnectionId) -> Self {
        let (holder, stop, done) = Holder::new();
        entry.holder = holder;
        let (inner, peer) = (Arc::clone(inner), Arc::clone(&entry.peer));
        Self { inner, peer, id, stop, done: Some(done), redials: 0 }
    }

    async fn dial(&mut self, url: &PeerUrl) -> End {
        let limit = self.inner.hnd.config().connect_time;
        let dialed = tokio::select! {
            biased;
            stop = stopped(&mut self.stop) => return End::stopped(&stop),
            dialed = timeout(limit, guarded::drive(self.inner.dialer.dial(url))) => dialed,
        };
        let (peer, link) = match dialed {
            Ok(Ok(Ok(dialed))) => dialed,
            Ok(Ok(Err(error))) => return End::dial(error),
            Ok(Err(Panicked)) => return End::panicked(),
            Err(_) => return End::dial(DialError::Unreachable { reason: "no answer in time".into() }),
        };
        let ident = peer.ident();
        if ident.as_str() != &*self.peer.name {
            return End::dial(DialError::WrongPeer { found: ident.to_string() });
        }
        self.serve(peer, Direction::Outgoing, link).await
    }

    /// From a link to the end of its connection.
    async fn serve(&mut self, peer: AuthenticatedPeer, direction: Direction, mut link: Link) -> End {
        let limit = self.inner.hnd.config().preflight_time;
        let mut frames = VecDeque::new();
        let handshake = handshake(&self.inner, peer, direction, &mut link, &mut frames);
        let handshaken = tokio::select! {
            biased;
            stop = stopped(&mut self.stop) => {
                self.part(link, Some(stop.close())).await;
                return End::stopped(&stop);
            }
            handshaken = timeout(limit, guarded::drive(handshake)) => handshaken,
        };
        let failure = match handshaken {
            Ok(Ok(Ok(ready))) => return self.ready(ready, link, frames).await,
            Ok(Ok(Err(failure))) => failure,
            Ok(Err(Panicked)) => return End::panicked(),
            Err(_) => {
                self.inner.hnd.count_violation(&PeerViolation::PreflightTimeout);
                PreflightError::Violation(PeerViolation::PreflightTimeout).into()
            }
        };
        if failure.refused_by_peer {
            count(&self.inner.hnd.counters.refused_by_peer);
        }
        self.part(link, failure.tell).await;
        failure.end
    }

    /// From the preflights to the end.
    async fn ready(&mut self, mut ready: Ready, mut link: Link, mut frames: VecDeque<Bytes>) -> End {
        let activated = {
            let mut table = locked(&self.inner.table);
            table.entry_of(&self.peer).is_some_and(|entry| entry.activate(self.id, ready.meter()))
        };
        let outcome = if activated {
            let close_time = self.inner.hnd.config().close_time;
            let (outbox, clock) = (&self.peer.outbox, &self.inner.clock);
            let pumped = pump(&mut ready, &mut link, &mut frames, outbox, &mut self.stop, close_time, clock);
            guarded::drive(pumped).await.unwrap_or(Outcome::Recv(RecvError::HandlerPanicked))
        } else {
            Outcome::Stopped(stopped(&mut self.stop).await)
        };
        let (reason, tell, end) = self.assess(outcome);
        tracing::debug!(peer = %ready.peer().url(), error = %end.error, "a connection ended");
        self.retire(end.superseded);
        ready.disconnect(reason.as_deref().unwrap_or_default());
        self.part(link, tell).await;
        end
    }

    /// The connection takes nothing more: sends wait for the winner, or for the end and then dial.
    fn retire(&self, superseded: bool) {
        let mut table = locked(&self.inner.table);
        let entry = table.entry_of(&self.peer).filter(|entry| entry.slot.current() == Some(self.id));
        match entry {
            Some(_) if superseded => self.peer.connecting(),
            Some(entry) => entry.retire(),
            // Another connection holds the slot, and has the queue.
            None => {}
        }
    }

    /// What an end means: for the handlers, for the peer, for those who wait.
    fn assess(&self, outcome: Outcome) -> (Option<String>, Option<Close>, End) {
        let (close, tell, superseded, unresponsive) = match outcome {
            Outcome::Stopped(stop) => (stop.close(), true, false, false),
            Outcome::Link(LinkError::Closed(close)) => {
                if close.code == CloseCode::Refused {
                    count(&self.inner.hnd.counters.refused_by_peer);
                }
                let superseded = close.code == CloseCode::Superseded;
                let graceful = close.code == CloseCode::Graceful;
                (close, false, superseded, !superseded && !graceful)
            }
            Outcome::Link(LinkError::Broken { reason }) => {
                let error = ConnectError::Ended { reason };
                return (None, None, End { error, superseded: false, unresponsive: true });
            }
            Outcome::Link(LinkError::Violation(violation)) => {
                self.inner.hnd.count_violation(&violation);
                (RecvError::Violation(violation).close(), true, false, true)
            }
            Outcome::Recv(RecvError::RemoteDisconnect { reason }) => {
                (Close::new(CloseCode::Graceful, reason), true, false, false)
            }
            Outcome::Recv(error) => {
                let ours = error == RecvError::HandlerPanicked;
                (error.close(), true, false, !ours)
            }
        };
        let reason = close.words().map(str::to_owned);
        let error = ConnectError::Ended { reason: close.reason.clone() };
        (reason, tell.then_some(close), End { error, superseded, unresponsive })
    }

    /// Lets the next connection begin, and then tells the peer why this one ends.
    async fn part(&mut self, mut link: Link, tell: Option<Close>) {
        self.done = None;
        if let Some(close) = tell {
            let limit = self.inner.hnd.config().close_time;
            let _ = timeout(limit, guarded::drive(link.sink.close(&close))).await;
        }
    }

    /// Gives the slot back. `true`: this task has it again, to dial once more.
    async fn finish(&mut self, end: End, url: &PeerUrl) -> bool {
        self.done = None;
        match self.leave(end.superseded) {
            SlotEnd::Stale => self.conclude_orphan(end.error),
            SlotEnd::Empty => {
                self.conclude(end.error);
                if end.unresponsive {
                    self.inner.hnd.set_unresponsive(url, self.inner.wall()).await;
                }
            }
            SlotEnd::AwaitWinner => return self.await_winner().await,
        }
        false
    }

    /// Takes the slot's verdict; an empty slot leaves the table.
    fn leave(&self, superseded: bool) -> SlotEnd {
        let mut table = locked(&self.inner.table);
        let Some(entry) = table.entry_of(&self.peer) else { return SlotEnd::Stale };
        let verdict = entry.slot.handle_ended(self.id, superseded && !entry.closing);
        match verdict {
            SlotEnd::Empty => {
                table.peers.remove(&self.peer.name);
            }
            SlotEnd::AwaitWinner => self.peer.connecting(),
            SlotEnd::Stale => {}
        }
        verdict
    }

    /// The peer preferred another connection: waits for it, then dials once more if anybody cares.
    async fn await_winner(&mut self) -> bool {
        tokio::select! {
            () = sleep(WINNER_WAIT) => {}
            _ = stopped(&mut self.stop) => {}
        }
        let mut table = locked(&self.inner.table);
        let Some(entry) = table.entry_of(&self.peer) else {
            drop(table);
            self.conclude_orphan(ConnectError::Superseded);
            return false;
        };
        let Some(id) = entry.slot.handle_winner_missing() else { return false };
        self.id = id;
        if self.redials < MAX_REDIALS && !entry.closing && self.peer.is_awaited() {
            self.redials += 1;
            let (holder, stop, done) = Holder::new();
            entry.holder = holder;
            self.stop = stop;
            self.done = Some(done);
            return true;
        }
        entry.slot.handle_ended(id, false);
        table.peers.remove(&self.peer.name);
        drop(table);
        self.conclude(ConnectError::Superseded);
        false
    }

    /// Somebody else has the name now; if they took over the peer value too, it is theirs.
    fn conclude_orphan(&self, error: ConnectError) {
        if locked(&self.inner.table).entry_of(&self.peer).is_none() {
            self.conclude(error);
        }
    }

    fn conclude(&self, error: ConnectError) {
        let unsent = self.peer.end(error);
        self.inner.hnd.counters.dropped_unsent.fetch_add(unsent as u64, Relaxed);
    }
}

impl Stop {
    /// What the peer is told.
    fn close(&self) -> Close {
        match self {
            Self::Graceful(reason) => Close::new(CloseCode::Graceful, reason.clone()),
            Self::Superseded => Close::new(CloseCode::Superseded, "superseded by preferred connection"),
        }
    }
}

impl End {
    fn stopped(stop: &Stop) -> Self {
        let error = match stop {
            Stop::Graceful(reason) => ConnectError::Ended { reason: reason.clone() },
            Stop::Superseded => ConnectError::Superseded,
        };
        Self { error, superseded: false, unresponsive: false }
    }

    fn dial(error: DialError) -> Self {
        let unresponsive = matches!(error, DialError::Unreachable { .. } | DialError::WrongPeer { .. });
        Self { error: error.into(), superseded: false, unresponsive }
    }

    fn panicked() -> Self {
        Self { error: ConnectError::HandlerPanicked, superseded: false, unresponsive: false }
    }
}

/// Why there is no ready connection on a link, and what the peer is told.
struct Failure {
    end: End,
    tell: Option<Close>,
    refused_by_peer: bool,
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let tell = Some(error.close());
        let end = End { error: error.into(), superseded: false, unresponsive: false };
        Self { end, tell, refused_by_peer: false }
    }
}

impl From<PreflightError> for Failure {
    fn from(error: PreflightError) -> Self {
        let tell = Some(error.close());
        let unresponsive = error != PreflightError::HandlerPanicked;
        let end = End { error: error.into(), superseded: false, unresponsive };
        // The core has counted a refusal that came as a frame.
        Self { end, tell, refused_by_peer: false }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let mut refused_by_peer = false;
        let (error, superseded, tell) = match error {
            LinkError::Closed(Close { code: CloseCode::Superseded, .. }) => {
                (ConnectError::Superseded, true, None)
            }
            LinkError::Closed(close) if close.code == CloseCode::Failure && close.words().is_none() => {
                (ConnectError::Ended { reason: "the peer closed the connection".into() }, false, None)
            }
            LinkError::Closed(Close { reason, .. }) => {
                refused_by_peer = true;
                (ConnectError::Refused { by: Side::Remote, reason }, false, None)
            }
            LinkError::Broken { reason } => (ConnectError::Ended { reason }, false, None),
            LinkError::Violation(violation) => {
                let tell = Close::new(CloseCode::Violation, violation.to_string());
                (ConnectError::Violation(violation), false, Some(tell))
            }
        };
        let end = End { error, superseded, unresponsive: !superseded };
        Self { end, tell, refused_by_peer }
    }
}

/// The preflights: who dialed sends first, who was dialed answers when it accepted.
async fn handshake(
    inner: &Inner,
    peer: AuthenticatedPeer,
    direction: Direction,
    link: &mut Link,
    frames: &mut VecDeque<Bytes>,
) -> Result<Ready, Failure> {
    let awaiting = inner.hnd.open(peer, direction, inner.wall()).await?;
    awaiting.meter().set_direct(link.sink.is_direct());
    let preflight = awaiting.preflight().clone();
    let meter = awaiting.meter().clone();
    let overhead = link.overhead as u64;
    let size = preflight.len() as u64 + overhead;

    if direction == Direction::Outgoing {
        if let Err(error) = write(link, frames, preflight.clone()).await {
            return Err(lost(inner, awaiting, error));
        }
        meter.sent(1, size);
    }
    let frame = match first(link, frames).await {
        Ok(frame) => frame,
        Err(error) => return Err(lost(inner, awaiting, error)),
    };
    meter.received(0, overhead);
    let ready = awaiting.handle_preflight(frame).await?;
    if direction == Direction::Incoming {
        if let Err(error) = write(link, frames, preflight).await {
            let failure = Failure::from(error);
            ready.disconnect(&failure.end.error.to_string());
            return Err(failure);
        }
        meter.sent(1, size);
    }
    Ok(ready)
}

/// The link ended while the peer's preflight was awaited.
fn lost(inner: &Inner, awaiting: crate::AwaitingPreflight, error: LinkError) -> Failure {
    if let LinkError::Violation(violation) = &error {
        inner.hnd.count_violation(violation);
    }
    match &error {
        LinkError::Closed(close) => awaiting.disconnect(&close.reason),
        LinkError::Violation(violation) => awaiting.disconnect(&violation.to_string()),
        LinkError::Broken { .. } => drop(awaiting),
    }
    error.into()
}

async fn write(
    link: &mut Link,
    frames: &mut VecDeque<Bytes>,
    preflight: EncodedFrame,
) -> Result<(), LinkError> {
    let mut batch = VecDeque::from([preflight]);
    let Err(error) = link.sink.send(&mut batch).await else { return Ok(()) };
    // The peer may have said why before it stopped reading.
    match timeout(LAST_WORDS, link.source.recv(frames)).await {
        Ok(Err(words @ LinkError::Closed(_))) => Err(words),
        _ => Err(error),
    }
}

async fn first(link: &mut Link, frames: &mut VecDeque<Bytes>) -> Result<Bytes, LinkError> {
    loop {
        if let Some(frame) = frames.pop_front() {
            return Ok(frame);
        }
        link.source.recv(frames).await?;
    }
}

/// Waits for the order to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stop.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(stop)) => stop.clone(),
        // Nobody holds the other end any more.
        _ => Stop::Graceful(String::new()),
    }
}
