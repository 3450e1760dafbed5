//! The driver: one task per channel, between the machine, the network and the application.
//!
//! The rule: the task never waits for the application while the network or a timer needs it. An
//! application that does not take its events stops the intake of envelopes, which are then dropped,
//! counted, and repeated by their senders; its own sends go on.
//!
//! A channel on a store: the task takes all inputs that are there, drains the machine, writes in one transaction what
//! changed, and only then lets dispatches, events and answers out. So many messages share one `fsync`.

mod disk;
mod intake;
mod task;

pub use disk::OpenError;

use crate::channel::{Identity, ReliableChannel, SendOptions};
use crate::cipher::Cipher;
use crate::config::ChannelConfig;
use crate::durable::{EventLog, EventSeq, LoggedEvent, Recovery};
use crate::envelope::MessageEnvelope;
use crate::error::SendRefused;
use crate::ids::{ChannelId, RequestId};
use crate::messaging::Messaging;
use crate::output::ChannelEvent;
use crate::request::SegmentState;
use crate::stats::ChannelStats;
use bytes::Bytes;
use disk::{Disk, StoreHandle};
use intake::Intake;
use quorate_base::{Store, TokioClock};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use task::{Command, Driver, Ends};
use tokio::sync::{mpsc, oneshot};

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
        let identity = Arc::new(channel.identity().clone());
        let store = disk.as_ref().map(|disk| disk.store().clone());
        let Ends { commands, intake, events, fault } = Driver::spawn(channel, clock, messaging, disk);
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

#[cfg(test)]
mod tests;
