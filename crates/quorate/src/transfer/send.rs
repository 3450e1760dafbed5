//! Sends files until every receiver has them, or nothing moves any more.

use crate::files::message::Message;
use crate::files::send::{OutboxStats, ReceiverState};
use crate::files::{
    Outbox, OutboxConfig, OutboxEvent, OutboxOutput, PeerName, SendToken, Source, SourceError,
};
use bytes::Bytes;
use quorate_base::{Now, TokioClock};
use quorate_channel::{Channel, ChannelEvent, ChannelEvents, RequestId, SendOptions, SendRefused};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How files are sent.
#[derive(Debug, Clone)]
pub struct SendConfig {
    /// The transfer's window and timers.
    pub outbox: OutboxConfig,
    /// Who has to have the files; empty for "everybody who answers, and at least one".
    pub receivers: BTreeSet<PeerName>,
    /// The receivers that are there, and every change of it, where the application knows: each is
    /// waited for until it answers or is gone. Who has answered is waited for until it has all.
    pub present: Option<watch::Receiver<BTreeSet<PeerName>>>,
    /// How long to stay when all is done, for receivers that come just then. Default 0.
    pub settle: Duration,
    /// How long nothing may move before the transfer is given up. Default 60 s.
    pub patience: Duration,
}

impl Default for SendConfig {
    fn default() -> Self {
        Self {
            outbox: OutboxConfig::default(),
            receivers: BTreeSet::new(),
            present: None,
            settle: Duration::ZERO,
            patience: Duration::from_secs(60),
        }
    }
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendReport {
    /// Every receiver that answered.
    pub receivers: Vec<ReceiverReport>,
    /// Receivers that should have answered, and did not.
    pub silent: BTreeSet<PeerName>,
    /// Bytes of all files.
    pub total: u64,
    /// What the sender counted.
    pub stats: OutboxStats,
    /// How long it took until the last of what moved.
    pub elapsed: Duration,
}

/// One receiver at the end of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverReport {
    /// Its name.
    pub name: PeerName,
    /// How far it came.
    pub state: ReceiverState,
    /// Bytes it said it has.
    pub held: u64,
}

/// Why files were not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendFilesError {
    /// A file cannot be read, or changed while it was sent.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Nothing moved for as long as was allowed.
    #[error("nothing moved for {} s", patience.as_secs())]
    NoProgress {
        /// How far everybody is.
        report: Box<SendReport>,
        /// How long was allowed.
        patience: Duration,
    },
    /// The channel was closed, or does not take what a transfer sends.
    #[error("the channel took no more: {0}")]
    Channel(#[from] SendRefused),
}

/// Sends `source` over `channel` to whoever receives there, telling `tell` what happens.
///
/// Ends when everybody named in `config.receivers` (or everybody who answered) has every file or
/// refused it; the report says which.
///
/// # Errors
///
/// See [`SendFilesError`]. What receivers have stays with them; sending the same files again goes on
/// from there.
pub async fn send_files(
    channel: &Channel,
    events: &mut ChannelEvents,
    source: Source,
    config: SendConfig,
    mut tell: impl FnMut(&OutboxEvent),
) -> Result<SendReport, SendFilesError> {
    let mut present = config.present.clone();
    let mut sender = Sender::new(channel, source, config);
    sender.handle_present(present.as_mut());
    loop {
        sender.drain(&mut tell).await?;
        let give_up = sender.end_at();
        if sender.is_done() && give_up <= Instant::now() {
            return Ok(sender.report());
        }
        tokio::select! {
            event = events.next() => match event {
                Some(event) => sender.handle_event(event),
                None => return Err(SendRefused::Closed.into()),
            },
            known = changed(present.as_mut()) => match known {
                true => sender.handle_present(present.as_mut()),
                false => present = None,
            },
            () = tokio::time::sleep_until(sender.next_timeout()) => sender.handle_timeout(),
            () = tokio::time::sleep_until(give_up) => if !sender.is_done() {
                let patience = sender.config.patience;
                return Err(SendFilesError::NoProgress { report: Box::new(sender.report()), patience });
            }
        }
    }
}

/// Waits for another list of who is there; `false` when none will come.
async fn changed(present: Option<&mut watch::Receiver<BTreeSet<PeerName>>>) -> bool {
    match present {
        Some(present) => present.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}

struct Sender<'a> {
    channel: &'a Channel,
    config: SendConfig,
    clock: TokioClock,
    outbox: Outbox,
    /// In the hands of a blocking task while a chunk is read.
    source: Option<Source>,
    tokens: BTreeMap<RequestId, SendToken>,
    present: BTreeSet<PeerName>,
    started: Instant,
    /// When a receiver came nearer to having all. A delivery is none: with several receivers it says
    /// that one of them has the chunk, and not which.
    moved_at: Instant,
    /// When it last changed who is there.
    met_at: Instant,
}

impl<'a> Sender<'a> {
    fn new(channel: &'a Channel, source: Source, config: SendConfig) -> Self {
        let clock = TokioClock::new();
        let expected = config.receivers.len().max(config.outbox.expected);
        let outbox_config = OutboxConfig { expected, ..config.outbox.clone() };
        let outbox = Outbox::new(clock.now(), source.manifest().clone(), outbox_config);
        let started = Instant::now();
        Self {
            channel,
            config,
            clock,
            outbox,
            source: Some(source),
            tokens: BTreeMap::new(),
            present: BTreeSet::new(),
            started,
            moved_at: started,
            met_at: started,
        }
    }

    /// Does what the machine asks for.
    async fn drain(&mut self, tell: &mut impl FnMut(&OutboxEvent)) -> Result<(), SendFilesError> {
        while let Some(output) = self.outbox.poll_output() {
            match output {
                OutboxOutput::Send { token, message } => self.submit(token, message.encode()).await?,
                OutboxOutput::SendChunk { token, file, chunk } => {
                    let message = self.read(file, chunk).await?;
                    self.submit(token, message).await?;
                }
                OutboxOutput::Event(event) => {
                    self.moved_at = Instant::now();
                    tell(&event);
                }
            }
        }
        Ok(())
    }

    async fn read(&mut self, file: u32, chunk: u32) -> Result<Bytes, SendFilesError> {
        let missing = SourceError::NoSuchChunk { file, chunk };
        let Some(mut source) = self.source.take() else { return Err(missing.into()) };
        let task = tokio::task::spawn_blocking(move || {
            let read = source.chunk(file, chunk).map(|chunk| Message::Chunk(chunk).encode());
            (source, read)
        });
        // The task ends early only when the runtime does, and then nobody waits for the answer.
        let Ok((source, read)) = task.await else { return Err(missing.into()) };
        self.source = Some(source);
        Ok(read?)
    }

    async fn submit(&mut self, token: SendToken, message: Bytes) -> Result<(), SendFilesError> {
        match self.channel.send(message, SendOptions::default()).await {
            Ok(request) => drop(self.tokens.insert(request, token)),
            Err(refused) if refused.is_retryable() => self.outbox.handle_failed(self.clock.now(), token),
            Err(refused) => return Err(refused.into()),
        }
        Ok(())
    }

    fn handle_event(&mut self, event: ChannelEvent) {
        let now = self.clock.now();
        match event {
            ChannelEvent::Delivered { request } => {
                if let Some(token) = self.tokens.remove(&request) {
                    self.outbox.handle_delivered(now, token);
                }
            }
            ChannelEvent::SendError { request, .. } | ChannelEvent::DeliveryError { request, .. } => {
                if let Some(token) = self.tokens.remove(&request) {
                    self.outbox.handle_failed(now, token);
                }
            }
            ChannelEvent::Received { sender, payload, .. } => {
                self.handle_message(now, sender.as_str(), payload)
            }
            _ => {}
        }
    }

    fn handle_message(&mut self, now: Now, from: &str, payload: Bytes) {
        match Message::decode(payload) {
            Ok(message) => self.outbox.handle_message(now, &PeerName::from(from), &message),
            Err(error) => tracing::debug!(%from, %error, "not a message about files"),
        }
    }

    fn handle_present(&mut self, present: Option<&mut watch::Receiver<BTreeSet<PeerName>>>) {
        let Some(present) = present.map(|present| present.borrow_and_update().clone()) else { return };
        let now = self.clock.now();
        for came in present.difference(&self.present) {
            self.met_at = Instant::now();
            self.outbox.handle_present(now, came);
        }
        for gone in self.present.difference(&present) {
            self.outbox.handle_gone(gone);
        }
        self.present = present;
    }

    fn handle_timeout(&mut self) {
        self.outbox.handle_timeout(self.clock.now());
    }

    fn next_timeout(&self) -> Instant {
        const IDLE: Duration = Duration::from_secs(3_600);
        self.outbox.poll_timeout().map_or_else(|| Instant::now() + IDLE, |at| self.clock.instant(at))
    }

    fn is_done(&self) -> bool {
        let settled = |name: &PeerName| {
            let known = self.outbox.receivers().find(|receiver| receiver.name == name);
            let open =
                |state: &ReceiverState| matches!(state, ReceiverState::Silent | ReceiverState::Receiving);
            known.is_some_and(|receiver| !open(receiver.state))
        };
        self.outbox.is_settled() && self.config.receivers.iter().all(settled)
    }

    /// When to stop: when all is done and nobody came since, or when nothing moves any more.
    fn end_at(&self) -> Instant {
        if self.is_done() {
            self.moved_at.max(self.met_at) + self.config.settle
        } else {
            self.moved_at + self.config.patience
        }
    }

    fn report(&self) -> SendReport {
        let silent = self.outbox.receivers().filter(|receiver| *receiver.state == ReceiverState::Silent);
        let mut silent: BTreeSet<PeerName> = silent.map(|receiver| receiver.name.clone()).collect();
        let receivers: Vec<_> = self
            .outbox
            .receivers()
            .filter(|receiver| *receiver.state != ReceiverState::Silent)
            .map(|receiver| ReceiverReport {
                name: receiver.name.clone(),
                state: receiver.state.clone(),
                held: receiver.held,
            })
            .collect();
        let answered = |name: &&PeerName| receivers.iter().any(|receiver| receiver.name == **name);
        silent.extend(self.config.receivers.iter().filter(|name| !answered(name)).cloned());
        SendReport {
            silent,
            total: self.outbox.manifest().total_bytes(),
            stats: self.outbox.stats(),
            elapsed: if self.is_done() { self.moved_at - self.started } else { self.started.elapsed() },
            receivers,
        }
    }
}

impl SendReport {
    /// Whether everybody who should has every file.
    pub fn is_complete(&self) -> bool {
        let complete = |receiver: &ReceiverReport| receiver.state == ReceiverState::Complete;
        self.silent.is_empty() && !self.receivers.is_empty() && self.receivers.iter().all(complete)
    }
}
