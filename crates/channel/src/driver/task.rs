//! The task of one channel: takes inputs, drains the machine, writes, and lets out what follows.
//!
//! The rule: dispatches, events and answers leave when all that was written before them is on disk, and a commit that fails
//! has not happened.

use super::OpenError;
use super::disk::Disk;
use super::intake::{Intake, Refused, Taken};
use crate::channel::{ReliableChannel, SendOptions};
use crate::cipher::Cipher;
use crate::durable::{EventSeq, LoggedEvent};
use crate::error::SendRefused;
use crate::ids::{DispatchId, RequestId};
use crate::messaging::Messaging;
use crate::output::{ChannelEvent, Dispatch, DispatchOutcome, Output};
use crate::request::SegmentState;
use crate::stats::ChannelStats;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use quorate_base::{Mono, StoreError, TokioClock};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Envelopes and commands that may wait for the task.
const QUEUE: usize = 4_096;
/// Events that may wait for the application before the intake stops.
const MAX_PENDING_EVENTS: usize = 256;
/// Inputs taken in at one go.
const BATCH: usize = 32;
/// The same where they share a transaction.
const BATCH_ON_STORE: usize = 1_024;

/// What a handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    Send { payload: Bytes, options: SendOptions, reply: oneshot::Sender<Result<RequestId, SendRefused>> },
    Rotate { cipher: Box<dyn Cipher>, grace: Duration, reply: oneshot::Sender<()> },
    States { request: RequestId, reply: oneshot::Sender<Option<Vec<SegmentState>>> },
    Stats { reply: oneshot::Sender<ChannelStats> },
    Confirm { upto: EventSeq, reply: oneshot::Sender<()> },
    Close { reply: oneshot::Sender<()> },
}

/// The task.
pub(super) struct Driver {
    channel: ReliableChannel,
    clock: TokioClock,
    messaging: Arc<dyn Messaging>,
    commands: mpsc::Receiver<Command>,
    envelopes: mpsc::Receiver<Taken>,
    events: mpsc::Sender<LoggedEvent>,
    refused: Arc<Refused>,
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

/// What a handle holds of its task.
pub(super) struct Ends {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) intake: Intake,
    pub(super) events: mpsc::Receiver<LoggedEvent>,
    pub(super) fault: Arc<OnceLock<OpenError>>,
}

impl Driver {
    /// Starts the task of `channel`. Needs a tokio runtime.
    pub(super) fn spawn(
        channel: ReliableChannel,
        clock: TokioClock,
        messaging: Arc<dyn Messaging>,
        disk: Option<Disk>,
    ) -> Ends {
        let (commands, command_queue) = mpsc::channel(QUEUE);
        let (event_sender, events) = mpsc::channel(MAX_PENDING_EVENTS);
        let (intake, envelopes, refused) = Intake::new(QUEUE);
        let fault = Arc::new(OnceLock::new());
        let driver = Self {
            channel,
            clock,
            messaging,
            commands: command_queue,
            envelopes,
            events: event_sender,
            refused,
            pending: VecDeque::new(),
            flights: FuturesUnordered::new(),
            released: Vec::new(),
            replies: Vec::new(),
            fault: fault.clone(),
            disk,
        };
        tokio::spawn(driver.run());
        Ends { commands, intake, events, fault }
    }

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
                self.refused.add_to(&mut stats);
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
