//! What is to be sent, in order for each peer.
//!
//! The rule: a peer that does not answer holds up what is meant for it and nothing else; there is a bound on
//! how much waits, and on how many peers.

use super::event::Event;
use bytes::Bytes;
use quorate::transport::{ConnectError, SendError, SendOutcome, Transport};
use quorate::wire::{ModuleId, PeerUrl, SpaceId};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Bytes that wait for one peer.
const PEER_BYTES: usize = 64 << 20;
/// Bytes that wait for all of them.
const TOTAL_BYTES: usize = 256 << 20;
/// What a job costs beyond its payload.
const JOB_COST: usize = 256;
/// Peers with a queue.
const MAX_PEERS: usize = 1_024;

/// Something to do with a peer.
#[derive(Debug)]
pub(super) enum Job {
    Connect,
    Send { space: SpaceId, module: Option<ModuleId>, data: Bytes },
    Disconnect { reason: Option<String> },
}

/// The queues.
pub(super) struct Outgoing {
    transport: Transport,
    told: mpsc::Sender<Event>,
    queues: HashMap<PeerUrl, Queue>,
    room: Arc<Semaphore>,
    workers: JoinSet<()>,
}

/// What waits for one peer. The channel is bounded by the room that its jobs hold.
struct Queue {
    jobs: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
}

/// A job, and the room that it takes until it is done.
struct Waiting {
    job: Job,
    _room: [OwnedSemaphorePermit; 2],
}

impl Outgoing {
    pub(super) fn new(transport: Transport, told: mpsc::Sender<Event>) -> Self {
        let (room, workers) = (Arc::new(Semaphore::new(TOTAL_BYTES)), JoinSet::new());
        Self { transport, told, queues: HashMap::new(), room, workers }
    }

    /// Does it in its turn. What cannot be done is told as an event.
    pub(super) fn push(&mut self, peer: PeerUrl, job: Job) {
        if let Err(reason) = self.try_push(&peer, job) {
            tell(&self.told, &peer, reason);
        }
    }

    fn try_push(&mut self, peer: &PeerUrl, job: Job) -> Result<(), &'static str> {
        while self.workers.try_join_next().is_some() {}
        if self.queues.len() >= MAX_PEERS && !self.queues.contains_key(peer) {
            self.queues.retain(|_, queue| !queue.is_idle());
            if self.queues.len() >= MAX_PEERS {
                return Err("too many peers are waited for");
            }
        }
        let queue = self.queues.entry(peer.clone()).or_insert_with(|| {
            let (jobs, waiting) = mpsc::unbounded_channel();
            self.workers.spawn(work(self.transport.clone(), peer.clone(), waiting, self.told.clone()));
            Queue { jobs, room: Arc::new(Semaphore::new(PEER_BYTES)) }
        });
        let cost = u32::try_from(job.cost()).unwrap_or(u32::MAX);
        let own = Arc::clone(&queue.room).try_acquire_many_owned(cost);
        let own = own.map_err(|_| "too much waits for this peer")?;
        let total = Arc::clone(&self.room).try_acquire_many_owned(cost);
        let total = total.map_err(|_| "too much waits to be sent")?;
        queue.jobs.send(Waiting { job, _room: [own, total] }).map_err(|_| "the node is ending")
    }

    /// Takes no more jobs. What it returns ends when those that wait are done.
    pub(super) fn finish(&mut self) -> JoinSet<()> {
        self.queues.clear();
        std::mem::take(&mut self.workers)
    }
}

impl Queue {
    /// Whether nothing waits and nothing is being done.
    fn is_idle(&self) -> bool {
        self.room.available_permits() == PEER_BYTES
    }
}

impl Job {
    fn cost(&self) -> usize {
        match self {
            Self::Connect => JOB_COST,
            Self::Send { data, .. } => JOB_COST + data.len(),
            Self::Disconnect { reason } => JOB_COST + reason.as_ref().map_or(0, String::len),
        }
    }
}

async fn work(
    transport: Transport,
    peer: PeerUrl,
    mut waiting: mpsc::UnboundedReceiver<Waiting>,
    told: mpsc::Sender<Event>,
) {
    while let Some(Waiting { job, _room }) = waiting.recv().await {
        let Err(error) = perform(&transport, &peer, job).await else { continue };
        tell(&told, &peer, &error.to_string());
        if matches!(error, SendError::Connect(ConnectError::Dial(_))) {
            // What waited for this dial shares its fate: the next dial is for what comes from now on.
            for _ in 0..waiting.len() {
                let Some(Waiting { job, _room }) = waiting.recv().await else { return };
                match job {
                    Job::Disconnect { .. } => drop(perform(&transport, &peer, job).await),
                    Job::Connect | Job::Send { .. } => tell(&told, &peer, &error.to_string()),
                }
            }
        }
    }
}

async fn perform(transport: &Transport, peer: &PeerUrl, job: Job) -> Result<(), SendError> {
    match job {
        Job::Connect => transport.connect(peer).await,
        Job::Send { space, module: None, data } => {
            // That it is blocked, the space's handler has told.
            transport.send_space_notify(peer, &space, data).await.map(|_: SendOutcome| ())
        }
        Job::Send { space, module: Some(module), data } => {
            transport.send_module(peer, &space, &module, data).await.map(|_: SendOutcome| ())
        }
        Job::Disconnect { reason } => {
            transport.disconnect(peer, reason.as_deref()).await;
            Ok(())
        }
    }
}

fn tell(told: &mpsc::Sender<Event>, peer: &PeerUrl, reason: &str) {
    // Where nobody keeps up with the events, one more would not help.
    let _ = told.try_send(Event::Error { peer: Some(peer.clone()), reason: reason.to_owned() });
}
