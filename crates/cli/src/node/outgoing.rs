//! What is to be sent, in order for each peer.
//!
//! The rule: a peer that does not answer holds up what is meant for it and nothing else; there is a bound on
//! how much waits, and on how many peers.

use super::event::Event;
use bytes::Bytes;
use quorate::transport::{SendError, SendOutcome, Transport};
use quorate::wire::{ModuleId, PeerUrl, SpaceId};
use std::collections::HashMap;
use tokio::sync::mpsc;

/// Jobs that wait for one peer.
const JOBS: usize = 256;
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
    queues: HashMap<PeerUrl, mpsc::Sender<Job>>,
}

impl Outgoing {
    pub(super) fn new(transport: Transport, told: mpsc::Sender<Event>) -> Self {
        Self { transport, told, queues: HashMap::new() }
    }

    /// Does it in its turn. What cannot be done is told as an event.
    pub(super) fn push(&mut self, peer: PeerUrl, job: Job) {
        if self.queues.len() >= MAX_PEERS && !self.queues.contains_key(&peer) {
            return tell(&self.told, &peer, "too many peers are waited for");
        }
        let queue = self.queues.entry(peer.clone()).or_insert_with(|| {
            let (queue, jobs) = mpsc::channel(JOBS);
            tokio::spawn(work(self.transport.clone(), peer.clone(), jobs, self.told.clone()));
            queue
        });
        if queue.try_send(job).is_err() {
            tell(&self.told, &peer, "too much waits for this peer");
        }
    }
}

async fn work(transport: Transport, peer: PeerUrl, mut jobs: mpsc::Receiver<Job>, told: mpsc::Sender<Event>) {
    while let Some(job) = jobs.recv().await {
        if let Err(error) = perform(&transport, &peer, job).await {
            tell(&told, &peer, &error.to_string());
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
