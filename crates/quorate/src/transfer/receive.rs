//! Receives files into a folder for as long as the channel is open.

use crate::files::message::Message;
use crate::files::{Inbox, InboxEvent, InboxOutput, PeerName, Sink};
use bytes::Bytes;
use quorate_base::{Now, TokioClock};
use quorate_channel::{Channel, ChannelEvent, ChannelEvents, SendOptions, SendRefused};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::Instant;

/// Why receiving ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The channel was closed.
    #[error("the channel is closed")]
    Closed,
    /// The runtime shut down while the disk was busy.
    #[error("the runtime shut down")]
    Shutdown,
}

/// Receives files with `inbox` until `tell`, which hears what happens, breaks.
///
/// # Errors
///
/// See [`ReceiveError`]. What was received stays on disk; a new inbox on the same folder goes on from
/// there.
pub async fn receive_files<S: Sink + Send + 'static>(
    channel: &Channel,
    events: &mut ChannelEvents,
    inbox: Inbox<S>,
    mut tell: impl FnMut(&InboxEvent) -> ControlFlow<()>,
) -> Result<Inbox<S>, ReceiveError> {
    let mut receiver = Receiver { clock: TokioClock::new(), inbox: Some(inbox) };
    loop {
        if receiver.drain(channel, &mut tell).await?.is_break() {
            return receiver.inbox.ok_or(ReceiveError::Shutdown);
        }
        tokio::select! {
            event = events.next() => match event {
                Some(ChannelEvent::Received { sender, payload, .. }) => {
                    receiver.handle_message(sender.as_str(), payload).await?;
                }
                Some(_) => {}
                None => return Err(ReceiveError::Closed),
            },
            () = tokio::time::sleep_until(receiver.next_timeout()) => {
                receiver.on_disk(|inbox, now| inbox.handle_timeout(now)).await?;
            }
        }
    }
}

struct Receiver<S> {
    clock: TokioClock,
    /// In the hands of a blocking task while the disk is touched.
    inbox: Option<Inbox<S>>,
}

impl<S: Sink + Send + 'static> Receiver<S> {
    async fn drain(
        &mut self,
        channel: &Channel,
        tell: &mut impl FnMut(&InboxEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReceiveError> {
        while let Some(output) = self.inbox.as_mut().and_then(Inbox::poll_output) {
            match output {
                InboxOutput::Send(message) => {
                    match channel.send(message.encode(), SendOptions::default()).await {
                        // The sender asks again for what it was not told.
                        Ok(_) | Err(SendRefused::Full { .. }) => {}
                        Err(_) => return Err(ReceiveError::Closed),
                    }
                }
                InboxOutput::Event(event) => {
                    if tell(&event).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn handle_message(&mut self, from: &str, payload: Bytes) -> Result<(), ReceiveError> {
        let message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%from, %error, "not a message about files");
                return Ok(());
            }
        };
        let from = PeerName::from(from);
        self.on_disk(move |inbox, now| {
            if let Err(error) = inbox.handle_message(now, &from, message) {
                tracing::debug!(%from, %error, "a message about files was dropped");
            }
        })
        .await
    }

    /// Runs a step of the machine where it may wait for the disk.
    async fn on_disk(
        &mut self,
        step: impl FnOnce(&mut Inbox<S>, Now) + Send + 'static,
    ) -> Result<(), ReceiveError> {
        let mut inbox = self.inbox.take().ok_or(ReceiveError::Shutdown)?;
        let now = self.clock.now();
        let task = tokio::task::spawn_blocking(move || {
            step(&mut inbox, now);
            inbox
        });
        self.inbox = Some(task.await.map_err(|_| ReceiveError::Shutdown)?);
        Ok(())
    }

    fn next_timeout(&self) -> Instant {
        const IDLE: Duration = Duration::from_secs(3_600);
        let due = self.inbox.as_ref().and_then(Inbox::poll_timeout);
        due.map_or_else(|| Instant::now() + IDLE, |at| self.clock.instant(at))
    }
}
