//! The driver: one task per channel, between the machine, the network and the application.
//!
//! The rule: the task never waits for the application while the network or a timer needs it. An
//! application that does not take its events stops the intake of envelopes, which are then dropped,
//! counted, and repeated by their senders; its own sends go on.
//!
//! A channel on a store: the task takes all inputs that are there, drains the machine, writes in one transaction what
//! changed, and only then lets dispatches, events and answers out. So many messages share one `fsync`.

mod disk;

pub use disk::OpenError;

use crate::channel::{Identity, ReliableChannel, SendOptions};
use crate::cipher::Cipher;
use crate::config::ChannelConfig;
use crate::durable::{EventLog, EventSeq, LoggedEvent, Recovery};
use crate::envelope::MessageEnvelope;
use crate::error::SendRefused;
use crate::ids::{ChannelId, DispatchId, RequestId};
use crate::messaging::Messaging;
use crate::output::{ChannelEvent, Dispatch, DispatchOutcome, Output};
use crate::request::SegmentState;
use crate::stats::ChannelStats;
use bytes::Bytes;
use disk::{Disk, StoreHandle};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use quorate_base::{Mono, Store, StoreError, TokioClock};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// The largest envelope payload that is taken in.
pub const MAX_ENVELOPE_BYTES: usize = 1 << 20;
/// Bytes of envelopes that may wait for the task.
const INTAKE_BYTES: usize = 64 << 20;
/// What an envelope costs beside its payload.
const ENVELOPE_COST: usize = 1 << 10;
/// Envelopes and commands that may wait for the task.
const QUEUE: usize = 4_096;
/// Events that may wait for the application before the intake stops.
const MAX_PENDING_EVENTS: usize = 256;
/// Inputs taken in at one go.
const BATCH: usize = 32;
/// The same where they share a transaction.
const BATCH_ON_STORE: usize = 1_024;

/// A handle on an open channel. Cheap to clone; dropping the last one closes the channel.
#[derive(Debug, Clone)]
pub struct Channel {
    identity: Arc<Identity>,
    commands: mpsc::Sender<Command>,
    intake: Intake,
    store: Option<StoreHandle>,
    fault: Arc<OnceLock<OpenError>>,
}

/// The channel's task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed")]
pub struct ChannelClosed;

/// What a channel has to tell its application.
#[derive(Debug)]
pub struct ChannelEvents {
    events: mpsc::Receiver<LoggedEvent>,
}

impl Channel {
    /// Starts the task of `channel`, which sends through `messaging`. Needs a tokio runtime.
    pub fn spawn(
        channel: ReliableChannel,
        clock: TokioClock,
        messaging: Arc<dyn Messaging>,
    ) -> (Self, ChannelEvents) {
        Self::start(channel, clock, messaging, None)
    }

    /// Opens a channel on a store: the same incarnation, going on where it was, or a new one where the store has none of
    /// its name. Needs a tokio runtime. One task at a time may have a channel of a store open.
    ///
    /// `cursor` is the last event that the application has dealt with, where it keeps that: it sees each event once.
    /// Without it, it sees those again that it has not [confirmed](Channel::confirm).
    ///
    /// # Errors
    /// [`OpenError`]; what is stored is as it was.
    pub async fn open(
        store: Arc<dyn Store>,
        cursor: Option<EventSeq>,
        identity: Identity,
        config: ChannelConfig,
        cipher: Box<dyn Cipher>,
        clock: TokioClock,
        messaging: Arc<dyn Messaging>,
    ) -> Result<(Self, ChannelEvents), OpenError> {
        let recovery = Self::recover(store.clone(), identity.channel.clone()).await?;
        let entropy = getrandom::u64().map_err(|_| OpenError::NoRandomness)?;
        let channel =
            ReliableChannel::open_durable(clock.now(), identity, config, cipher, entropy, recovery)?;
        Self::spawn_on(channel, store, cursor, clock, messaging)
    }

    /// What a store holds of a channel, for [`ReliableChannel::open_durable`].
    pub async fn recover(store: Arc<dyn Store>, channel: ChannelId) -> Result<Recovery, OpenError> {
        disk::load(StoreHandle(store), channel).await
    }

    /// Starts the task of a `channel` that was made of what `store` holds; the second half of [`Channel::open`], for those who
    /// set up the machine between the two (to sign, for instance).
    pub fn spawn_on(
        mut channel: ReliableChannel,
        store: Arc<dyn Store>,
        cursor: Option<EventSeq>,
        clock: TokioClock,
        messaging: Arc<dyn Messaging>,
    ) -> Result<(Self, ChannelEvents), OpenError> {
        let (confirmed, last) = channel.events();
        if let Some(cursor) = cursor {
            if cursor > last {
                return Err(OpenError::CursorAhead { cursor, last });
            }
            channel.handle_confirm(clock.now(), cursor);
        }
        let disk = Disk::new(store, &channel, cursor.unwrap_or(confirmed).max(confirmed));
        Ok(Self::start(channel, clock, messaging, Some(disk)))
    }

    fn start(
        channel: ReliableChannel,
        clock: TokioClock,
        messaging: Arc<dyn Messaging>,
        disk: Option<Disk>,
    ) -> (Self, ChannelEvents) {
        let (commands, command_queue) = mpsc::channel(QUEUE);
        let (envelopes, envelope_queue) = mpsc::channel(QUEUE);
        let (event_sender, events) = mpsc::channel(MAX_PENDING_EVENTS);
        let identity = Arc::new(channel.identity().clone());
        let store = disk.as_ref().map(|disk| disk.store().clone());
        let fault = Arc::new(OnceLock::new());
        let intake =
            Intake { envelopes, budget: Arc::new(Semaphore::new(INTAKE_BYTES)), dropped: Arc::default() };
        let driver = Driver {
            channel,
            clock,
            messaging,
            commands: command_queue,
            envelopes: envelope_queue,
            events: event_sender,
            dropped: intake.dropped.clone(),
            pending: VecDeque::new(),
            flights: FuturesUnordered::new(),
            released: Vec::new(),
            replies: Vec::new(),
            fault: fault.clone(),
            disk,
        };
        tokio::spawn(driver.run());
        (Self { identity, commands, intake, store, fault }, ChannelEvents { events })
    }

    /// Sends a payload of 1 byte to 26 MB. The outcomes come as events that bear the id returned.
    pub async fn send(&self, payload: Bytes, options: SendOptions) -> Result<RequestId, SendRefused> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Send { payload, options, reply };
        self.commands.send(command).await.map_err(|_| SendRefused::Closed)?;
        answer.await.map_err(|_| SendRefused::Closed)?
    }

    /// Takes an envelope from the network, without waiting. `false` when it was dropped: too large, no
    /// room now, or the channel is closed. Its sender repeats what is not acknowledged.
    pub fn handle_envelope(&self, envelope: MessageEnvelope) -> bool {
        self.intake.push(envelope)
    }

    /// From now on `cipher` seals; what the earlier one sealed opens for `grace` longer
    /// ([`ReliableChannel::handle_rotation`]).
    pub async fn rotate(&self, cipher: Box<dyn Cipher>, grace: Duration) -> Result<(), ChannelClosed> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Rotate { cipher, grace, reply };
        self.commands.send(command).await.map_err(|_| ChannelClosed)?;
        answer.await.map_err(|_| ChannelClosed)
    }

    /// Where each segment of a send stands; `None` once the send has its last outcome.
    pub async fn segment_states(
        &self,
        request: RequestId,
    ) -> Result<Option<Vec<SegmentState>>, ChannelClosed> {
        let (reply, answer) = oneshot::channel();
        let command = Command::States { request, reply };
        self.commands.send(command).await.map_err(|_| ChannelClosed)?;
        answer.await.map_err(|_| ChannelClosed)
    }

    /// What was counted so far; envelopes dropped for want of room count as refused.
    pub async fn stats(&self) -> Result<ChannelStats, ChannelClosed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Stats { reply }).await.map_err(|_| ChannelClosed)?;
        answer.await.map_err(|_| ChannelClosed)
    }

    /// The application has dealt with all events up to `upto`: they are kept no longer. On disk when it returns.
    pub async fn confirm(&self, upto: EventSeq) -> Result<(), ChannelClosed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Confirm { upto, reply }).await.map_err(|_| ChannelClosed)?;
        answer.await.map_err(|_| ChannelClosed)
    }

    /// The events after `cursor` that were not confirmed, as many as fit into `max_bytes` and at least one where there is
    /// any; none without a store.
    pub async fn events_after(
        &self,
        cursor: EventSeq,
        max_bytes: usize,
    ) -> Result<Vec<LoggedEvent>, OpenError> {
        match &self.store {
            Some(store) => {
                disk::read_events(store.clone(), EventLog::new(&self.identity.channel), cursor, max_bytes)
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    /// Why the channel was closed, where its store was the reason.
    pub fn fault(&self) -> Option<&OpenError> {
        self.fault.get()
    }

    /// Closes the channel and waits until its task has ended. Every open send gets its outcome first; on a store it is
    /// kept instead, and goes on when the channel is opened again.
    pub async fn shutdown(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Close { reply }).await.is_ok() {
            // The sender is dropped when the task ends; either way it has.
            let _ = answer.await;
        }
    }

    /// Who we are, and which channel this is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl ChannelEvents {
    /// The next event; `None` when the channel is closed and everything was told.
    pub async fn next(&mut self) -> Option<ChannelEvent> {
        self.next_logged().await.map(|told| told.event)
    }

    /// The next event with its number in the log, which is what an application keeps or
    /// [confirms](Channel::confirm).
    pub async fn next_logged(&mut self) -> Option<LoggedEvent> {
        self.events.recv().await
    }
}

/// The way from the network into the task: bounded in bytes, never waits.
#[derive(Debug, Clone)]
struct Intake {
    envelopes: mpsc::Sender<Taken>,
    budget: Arc<Semaphore>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Taken {
    envelope: MessageEnvelope,
    /// Gives the bytes back when the envelope was handled.
    _permit: OwnedSemaphorePermit,
}

impl Intake {
    fn push(&self, envelope: MessageEnvelope) -> bool {
        let taken = self.admit(envelope).is_some_and(|taken| self.envelopes.try_send(taken).is_ok());
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn admit(&self, envelope: MessageEnvelope) -> Option<Taken> {
        let len = envelope.payload.len();
        let cost = u32::try_from(len + ENVELOPE_COST).ok().filter(|_| len <= MAX_ENVELOPE_BYTES)?;
        let permit = self.budget.clone().try_acquire_many_owned(cost).ok()?;
        Some(Taken { envelope, _permit: permit })
    }
}

#[derive(Debug)]
enum Command {
    Send { payload: Bytes, options: SendOptions, reply: oneshot::Sender<Result<RequestId, SendRefused>> },
    Rotate { cipher: Box<dyn Cipher>, grace: Duration, reply: oneshot::Sender<()> },
    States { request: RequestId, reply: oneshot::Sender<Option<Vec<SegmentState>>> },
    Stats { reply: oneshot::Sender<ChannelStats> },
    Confirm { upto: EventSeq, reply: oneshot::Sender<()> },
    Close { reply: oneshot::Sender<()> },
}

struct Driver {
    channel: ReliableChannel,
    clock: TokioClock,
    messaging: Arc<dyn Messaging>,
    commands: mpsc::Receiver<Command>,
    envelopes: mpsc::Receiver<Taken>,
    events: mpsc::Sender<LoggedEvent>,
    dropped: Arc<AtomicU64>,
    pending: VecDeque<LoggedEvent>,
    flights: FuturesUnordered<BoxFuture<'static, (DispatchId, DispatchOutcome)>>,
    /// What the machine let out, and what is answered, as soon as all that was written before is on disk.
    released: Vec<Output>,
    replies: Vec<Reply>,
    fault: Arc<OnceLock<OpenError>>,
    disk: Option<Disk>,
}

/// An answer that waits for the disk.
#[derive(Debug)]
enum Reply {
    Send(oneshot::Sender<Result<RequestId, SendRefused>>, Result<RequestId, SendRefused>),
    Confirm(oneshot::Sender<()>, EventSeq),
}

impl Driver {
    async fn run(mut self) {
        let reply = loop {
            if let Err(fault) = self.settle().await {
                break self.fail(fault);
            }
            match self.next_input().await {
                Input::Command(Some(Command::Close { reply })) => break Some(reply),
                Input::Command(None) => break None,
                input => self.handle(input),
            }
            if let Some(reply) = self.take_what_is_there() {
                break Some(reply);
            }
        };
        self.close().await;
        drop(reply);
    }

    /// Waits for whatever comes first.
    async fn next_input(&mut self) -> Input {
        let write_by = self.disk.as_ref().and_then(Disk::write_by);
        let deadline = self.channel.poll_timeout().into_iter().chain(write_by).min();
        let room = self.has_room();
        tokio::select! {
            command = self.commands.recv() => Input::Command(command),
            Some(taken) = self.envelopes.recv(), if room => Input::Envelope(taken),
            Some((id, outcome)) = self.flights.next(), if !self.flights.is_empty() => Input::Landed(id, outcome),
            told = tell(&self.events, &mut self.pending), if !self.pending.is_empty() => Input::Told(told),
            () = sleep_until(self.clock, deadline), if deadline.is_some() => Input::Timeout,
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now();
        match input {
            Input::Command(Some(command)) => self.handle_command(command),
            Input::Command(None) => {}
            Input::Envelope(taken) => {
                if let Err(error) = self.channel.handle_envelope(now, taken.envelope) {
                    tracing::debug!(channel = %self.channel.identity().channel, %error, "envelope dropped");
                }
            }
            Input::Landed(id, outcome) => self.channel.handle_dispatched(now, id, outcome),
            // Nobody listens: the events are for nobody.
            Input::Told(false) => {
                self.pending.clear();
                self.disk.iter_mut().for_each(Disk::deafen);
            }
            Input::Told(true) => {}
            Input::Timeout => self.channel.handle_timeout(now),
        }
    }

    /// Takes the inputs that are there, up to a batch, so that they are written together. Yields who asked to close.
    fn take_what_is_there(&mut self) -> Option<oneshot::Sender<()>> {
        let most = if self.disk.is_some() { BATCH_ON_STORE } else { BATCH };
        let room = self.has_room();
        for _ in 0..most {
            let mut idle = true;
            if let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Close { reply } => return Some(reply),
                    command => self.handle_command(command),
                }
                idle = false;
            }
            if let Some(Some((id, outcome))) = self.flights.next().now_or_never() {
                self.handle(Input::Landed(id, outcome));
                idle = false;
            }
            if let Some(taken) = room.then(|| self.envelopes.try_recv().ok()).flatten() {
                self.handle(Input::Envelope(taken));
                idle = false;
            }
            if idle {
                break;
            }
        }
        None
    }

    /// Whether more envelopes are taken. A channel on a store reads its events from the log when the application is slow,
    /// and its machine says when the log is full.
    fn has_room(&self) -> bool {
        self.disk.is_some() || self.pending.len() < MAX_PENDING_EVENTS
    }

    /// Does what the machine asks for: writes first, then what follows from them.
    async fn settle(&mut self) -> Result<(), OpenError> {
        let now = self.clock.now().mono;
        while let Some(output) = self.channel.poll_output() {
            match (output, &mut self.disk) {
                (Output::Write(op), Some(disk)) => disk.push(now, op),
                (output, _) => self.released.push(output),
            }
        }
        let waits = !self.released.is_empty() || !self.replies.is_empty();
        if let Some(disk) = self.disk.as_mut().filter(|disk| disk.must_write(now, waits))
            && let Err(error) = disk.commit().await
        {
            return self.reload(error).await;
        }
        self.release();
        if let Some(disk) =
            self.disk.as_mut().filter(|disk| disk.is_behind && !disk.is_deaf() && self.pending.is_empty())
        {
            self.pending.extend(disk.next_events().await?);
        }
        Ok(())
    }

    /// Lets out what waited for the disk.
    fn release(&mut self) {
        for output in std::mem::take(&mut self.released) {
            match output {
                Output::Dispatch(dispatch) => {
                    self.flights.push(Box::pin(publish(self.messaging.clone(), dispatch)));
                }
                Output::Logged(seq, event) => self.tell_logged(seq, event),
                Output::Event(event) => {
                    // Who is behind reads the log first; what is not in it is of no use by then.
                    if self.disk.is_none() || self.pending.len() < MAX_PENDING_EVENTS {
                        self.pending.push_back(LoggedEvent { seq: None, event });
                    }
                }
                Output::Write(_) => {}
            }
        }
        for reply in std::mem::take(&mut self.replies) {
            // Whoever asked may have gone; what was done stands all the same.
            match reply {
                Reply::Send(reply, outcome) => drop(reply.send(outcome)),
                Reply::Confirm(reply, _) => drop(reply.send(())),
            }
        }
    }

    /// Tells an event of the log now, or leaves it there for later.
    fn tell_logged(&mut self, seq: EventSeq, event: ChannelEvent) {
        let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_deaf()) else { return };
        if disk.is_behind || self.pending.len() >= MAX_PENDING_EVENTS {
            disk.is_behind = true;
            return;
        }
        disk.told = seq;
        self.pending.push_back(LoggedEvent { seq: Some(seq), event });
    }

    /// A commit failed: nothing of it has happened, as far as anybody was told. The channel goes back to the disk.
    async fn reload(&mut self, error: StoreError) -> Result<(), OpenError> {
        tracing::error!(channel = %self.channel.identity().channel, %error, "the store failed; going back to it");
        self.released.clear();
        self.flights = FuturesUnordered::new();
        let mut confirms = Vec::new();
        for reply in std::mem::take(&mut self.replies) {
            match reply {
                Reply::Send(reply, outcome) => drop(reply.send(outcome.and(Err(SendRefused::Store)))),
                Reply::Confirm(reply, upto) => confirms.push((reply, upto)),
            }
        }
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let recovery = disk.reload(&self.channel.identity().channel).await?;
        let entropy = getrandom::u64().map_err(|_| OpenError::NoRandomness)?;
        self.channel.handle_reload(self.clock.now(), entropy, recovery)?;
        disk.is_behind = true;
        for (reply, upto) in confirms {
            self.channel.handle_confirm(self.clock.now(), upto);
            self.replies.push(Reply::Confirm(reply, upto));
        }
        Ok(())
    }

    fn fail(&mut self, fault: OpenError) -> Option<oneshot::Sender<()>> {
        tracing::error!(channel = %self.channel.identity().channel, error = %fault, "the channel is closed");
        let _ = self.fault.set(fault);
        self.disk = None;
        None
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Send { payload, options, reply } => {
                let outcome = self.channel.handle_send(self.clock.now(), payload, options);
                self.replies.push(Reply::Send(reply, outcome));
            }
            Command::Rotate { cipher, grace, reply } => {
                self.channel.handle_rotation(self.clock.now(), cipher, grace);
                let _ = reply.send(());
            }
            Command::States { request, reply } => {
                let _ = reply.send(self.channel.segment_states(request).map(<[_]>::to_vec));
            }
            Command::Stats { reply } => {
                let mut stats = self.channel.stats();
                stats.refused = stats.refused.saturating_add(self.dropped.load(Ordering::Relaxed));
                let _ = reply.send(stats);
            }
            Command::Confirm { upto, reply } => {
                self.channel.handle_confirm(self.clock.now(), upto);
                self.replies.push(Reply::Confirm(reply, upto));
            }
            Command::Close { .. } => {}
        }
    }

    /// Tells the last outcomes to whoever listens, then ends.
    async fn close(&mut self) {
        if self.fault.get().is_none() {
            self.channel.handle_close(self.clock.now());
            if let Some(disk) = &mut self.disk {
                disk.write_now();
            }
            if let Err(fault) = self.settle().await {
                self.fail(fault);
            }
        }
        for event in std::mem::take(&mut self.pending) {
            if self.events.try_send(event).is_err() {
                break;
            }
        }
    }
}

/// What the task waits for.
enum Input {
    Command(Option<Command>),
    Envelope(Taken),
    Landed(DispatchId, DispatchOutcome),
    /// An event was told; `false` when nobody listens.
    Told(bool),
    Timeout,
}

/// Tells the first pending event once there is room for it.
async fn tell(events: &mpsc::Sender<LoggedEvent>, pending: &mut VecDeque<LoggedEvent>) -> bool {
    let Ok(permit) = events.reserve().await else { return false };
    if let Some(event) = pending.pop_front() {
        permit.send(event);
    }
    true
}

async fn publish(messaging: Arc<dyn Messaging>, dispatch: Dispatch) -> (DispatchId, DispatchOutcome) {
    (dispatch.id, messaging.send(&dispatch).await.into())
}

async fn sleep_until(clock: TokioClock, deadline: Option<Mono>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(clock.instant(deadline)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
