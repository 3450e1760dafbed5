//! The driver: one task per channel, between the machine, the network and the application.
//!
//! The rule: the task never waits for the application while the network or a timer needs it. An
//! application that does not take its events stops the intake of envelopes, which are then dropped,
//! counted, and repeated by their senders; its own sends go on.

use crate::channel::{Identity, ReliableChannel, SendOptions};
use crate::cipher::Cipher;
use crate::envelope::MessageEnvelope;
use crate::error::SendRefused;
use crate::ids::{DispatchId, RequestId};
use crate::messaging::Messaging;
use crate::output::{ChannelEvent, Dispatch, DispatchOutcome, Output};
use crate::request::SegmentState;
use crate::stats::ChannelStats;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use quorate_base::{Mono, TokioClock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
/// Envelopes taken in at one go.
const BATCH: usize = 32;

/// A handle on an open channel. Cheap to clone; dropping the last one closes the channel.
#[derive(Debug, Clone)]
pub struct Channel {
    identity: Arc<Identity>,
    commands: mpsc::Sender<Command>,
    intake: Intake,
}

/// The channel's task has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed")]
pub struct ChannelClosed;

/// What a channel has to tell its application.
#[derive(Debug)]
pub struct ChannelEvents {
    events: mpsc::Receiver<ChannelEvent>,
}

impl Channel {
    /// Starts the task of `channel`, which sends through `messaging`. Needs a tokio runtime.
    pub fn spawn(
        channel: ReliableChannel,
        clock: TokioClock,
        messaging: Arc<dyn Messaging>,
    ) -> (Self, ChannelEvents) {
        let (commands, command_queue) = mpsc::channel(QUEUE);
        let (envelopes, envelope_queue) = mpsc::channel(QUEUE);
        let (event_sender, events) = mpsc::channel(MAX_PENDING_EVENTS);
        let identity = Arc::new(channel.identity().clone());
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
        };
        tokio::spawn(driver.run());
        (Self { identity, commands, intake }, ChannelEvents { events })
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

    /// Closes the channel and waits until its task has ended. Every open send gets its outcome first.
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
    Close { reply: oneshot::Sender<()> },
}

struct Driver {
    channel: ReliableChannel,
    clock: TokioClock,
    messaging: Arc<dyn Messaging>,
    commands: mpsc::Receiver<Command>,
    envelopes: mpsc::Receiver<Taken>,
    events: mpsc::Sender<ChannelEvent>,
    dropped: Arc<AtomicU64>,
    pending: VecDeque<ChannelEvent>,
    flights: FuturesUnordered<BoxFuture<'static, (DispatchId, DispatchOutcome)>>,
}

impl Driver {
    async fn run(mut self) {
        let reply = loop {
            self.drain();
            match self.next_input().await {
                Input::Command(Some(Command::Close { reply })) => break Some(reply),
                Input::Command(None) => break None,
                Input::Command(Some(command)) => self.handle_command(command),
                Input::Envelope(taken) => self.handle_envelopes(taken),
                Input::Landed(id, outcome) => self.channel.handle_dispatched(self.clock.now(), id, outcome),
                // Nobody listens: the events are for nobody.
                Input::Told(false) => self.pending.clear(),
                Input::Told(true) => {}
                Input::Timeout => self.channel.handle_timeout(self.clock.now()),
            }
        };
        self.close();
        drop(reply);
    }

    /// Waits for whatever comes first.
    async fn next_input(&mut self) -> Input {
        let deadline = self.channel.poll_timeout();
        let room = self.pending.len() < MAX_PENDING_EVENTS;
        tokio::select! {
            command = self.commands.recv() => Input::Command(command),
            Some(taken) = self.envelopes.recv(), if room => Input::Envelope(taken),
            Some((id, outcome)) = self.flights.next(), if !self.flights.is_empty() => Input::Landed(id, outcome),
            told = tell(&self.events, &mut self.pending), if !self.pending.is_empty() => Input::Told(told),
            () = sleep_until(self.clock, deadline), if deadline.is_some() => Input::Timeout,
        }
    }

    /// Does what the machine asks for.
    fn drain(&mut self) {
        while let Some(output) = self.channel.poll_output() {
            match output {
                Output::Dispatch(dispatch) => {
                    self.flights.push(Box::pin(publish(self.messaging.clone(), dispatch)));
                }
                Output::Event(event) => self.pending.push_back(event),
            }
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Send { payload, options, reply } => {
                // Whoever asked may have gone; the send stands all the same.
                let _ = reply.send(self.channel.handle_send(self.clock.now(), payload, options));
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
            Command::Close { .. } => {}
        }
    }

    /// Takes in what is there, up to a batch; the machine counts what it drops.
    fn handle_envelopes(&mut self, first: Taken) {
        let mut next = Some(first);
        let mut left = BATCH;
        while let Some(taken) = next {
            if let Err(error) = self.channel.handle_envelope(self.clock.now(), taken.envelope) {
                tracing::debug!(channel = %self.channel.identity().channel, %error, "envelope dropped");
            }
            self.drain();
            left -= 1;
            let more = left > 0 && self.pending.len() < MAX_PENDING_EVENTS;
            next = more.then(|| self.envelopes.try_recv().ok()).flatten();
        }
    }

    /// Tells the last outcomes to whoever listens, then ends.
    fn close(&mut self) {
        self.channel.handle_close(self.clock.now());
        self.drain();
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
async fn tell(events: &mpsc::Sender<ChannelEvent>, pending: &mut VecDeque<ChannelEvent>) -> bool {
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
