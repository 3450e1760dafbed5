//! The task of a space: it dials, greets, and tells who is there.
//!
//! The rule: a dial or a greeting that hangs holds up nothing else.

use super::Members;
use super::membership::{Membership, Step};
use super::notice::Notice;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use quorate_base::TokioClock;
use quorate_transport::{SendError, Transport};
use quorate_wire::{PeerUrl, SpaceId};
use tokio::sync::{mpsc, watch};

/// What happens to a space.
#[derive(Debug)]
pub(super) enum Input {
    /// The application named an address.
    Meet(PeerUrl),
    /// The application knows an address that may still be a member's.
    Seek(PeerUrl),
    Connected(PeerUrl),
    Disconnected(PeerUrl, Option<String>),
    Notice(PeerUrl, Notice),
}

/// The membership machine with what drives it.
pub(super) struct Meeting {
    transport: Transport,
    space: SpaceId,
    membership: Membership,
    told: watch::Sender<Members>,
    clock: TokioClock,
    random: fastrand::Rng,
    dials: FuturesUnordered<BoxFuture<'static, Done>>,
}

enum Done {
    Dialed(PeerUrl, Result<(), SendError>),
    Greeted,
}

impl Meeting {
    pub(super) fn new(
        transport: Transport,
        space: SpaceId,
        membership: Membership,
        told: watch::Sender<Members>,
    ) -> Self {
        let seed = getrandom::u64().unwrap_or(0);
        Self {
            transport,
            space,
            membership,
            told,
            clock: TokioClock::new(),
            random: fastrand::Rng::with_seed(seed),
            dials: FuturesUnordered::new(),
        }
    }

    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        for peer in self.transport.connected_peers() {
            self.membership.handle_connected(peer);
        }
        loop {
            self.drain();
            let deadline = self.membership.poll_timeout();
            let at = deadline.map_or_else(tokio::time::Instant::now, |at| self.clock.instant(at));
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.handle(input),
                    None => return,
                },
                Some(done) = self.dials.next(), if !self.dials.is_empty() => self.handle_done(done),
                () = tokio::time::sleep_until(at), if deadline.is_some() => {
                    self.membership.handle_timeout(self.clock.now().mono);
                }
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let now = self.clock.now().mono;
        match input {
            Input::Meet(peer) => self.membership.handle_named(now, peer),
            Input::Seek(peer) => self.membership.handle_introduced(now, peer),
            Input::Connected(peer) => self.membership.handle_connected(peer),
            Input::Disconnected(peer, reason) => {
                self.membership.handle_disconnected(now, &peer, reason, self.random.f64());
            }
            Input::Notice(peer, notice) => self.membership.handle_notice(now, peer, notice),
        }
    }

    fn handle_done(&mut self, done: Done) {
        let Done::Dialed(peer, outcome) = done else { return };
        let outcome = outcome.map_err(|error| (error.to_string(), error.is_retryable()));
        self.membership.handle_dialed(self.clock.now().mono, &peer, outcome, self.random.f64());
    }

    fn drain(&mut self) {
        while let Some(step) = self.membership.poll_output() {
            let transport = self.transport.clone();
            let space = self.space.clone();
            self.dials.push(match step {
                Step::Dial(peer) => Box::pin(async move {
                    let outcome = transport.connect(&peer).await;
                    Done::Dialed(peer, outcome)
                }),
                Step::Greet(peer, notice) => Box::pin(async move {
                    if let Err(error) = transport.send_space_notify(&peer, &space, notice.write()).await {
                        tracing::debug!(%peer, %error, "a greeting was not sent");
                    }
                    Done::Greeted
                }),
            });
        }
        let members = self.membership.members();
        self.told.send_if_modified(|told| {
            let changed = *told != members;
            *told = members;
            changed
        });
    }
}
