//! Version discovery: an answer as soon as a quorum gives one, better ones as they come, old ones when nobody answers.
//!
//! The rules: a discovery returns with the answer that decides it, and asks the rest in the background, with growing pauses and a
//! bounded number of times. Every peer's last answer is kept in the store with its date. With the federation down, the last
//! answers of a quorum are used, and it is said that they are old. A federation that cannot work with the client is an error with
//! reasons, never a loop.

mod book;

pub use book::{Known, VersionBook};

use crate::attempts::AttemptsConfig;
use crate::call::Call;
use crate::federation::Federation;
use crate::peer::PeerId;
use crate::query::api;
use crate::report::QueryError;
use fastrand::Rng;
use quorate_base::{Backoff, Store, StoreError};
use quorate_versioning::{
    ApiVersionSet, Component, ModuleInstanceId, Negotiation, Party, Standing, SupportedApiVersionsSummary,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How a discovery asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscoveryConfig {
    /// How patient the first question is.
    pub patience: AttemptsConfig,
    /// The pauses before those are asked again, in the background, who have not answered.
    pub backoff: Backoff,
    /// How often.
    pub refinements: u32,
}

impl Default for DiscoveryConfig {
    /// The default patience, then 1 s to 10 min between up to 32 refinements: about four hours.
    fn default() -> Self {
        Self {
            patience: AttemptsConfig::default(),
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(600)),
            refinements: 32,
        }
    }
}

/// What a federation can do with the client, kept up to date.
///
/// Dropping it ends the background work.
#[derive(Debug)]
pub struct Discovery {
    versions: watch::Receiver<Discovered>,
    refining: AbortHandle,
}

/// The versions to use, and what they rest on.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The versions to use.
    pub set: ApiVersionSet,
    /// Who supports them, who holds them down, who is silent.
    pub negotiation: Negotiation<PeerId, ModuleInstanceId>,
    /// The age of the oldest answer that counts, when any is from the store and not from now.
    pub oldest: Option<Duration>,
}

/// Why there are no versions to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// A component that the client needs has no version, and no missing answer can give it one.
    #[error("the federation and this client are incompatible: {}", Reasons(.0))]
    Incompatible(Box<Negotiation<PeerId, ModuleInstanceId>>),
    /// The core has no version yet: too few have answered, now or before.
    #[error(transparent)]
    Query(#[from] QueryError<PeerId>),
    /// A quorum has answered, and the core's version hangs on those who are silent.
    #[error("the core has no version yet: {}", Reasons(.0))]
    Undecided(Box<Negotiation<PeerId, ModuleInstanceId>>),
    /// The last answers cannot be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Discovery {
    /// Finds out what the federation can do with a client that needs `client`. `store` keeps the peers' last answers; it is asked and
    /// written on a thread where that may block.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError`], by the deadline of the config's patience.
    pub async fn start(
        federation: Federation,
        client: SupportedApiVersionsSummary,
        store: Arc<dyn Store>,
        config: DiscoveryConfig,
    ) -> Result<Self, DiscoveryError> {
        let peers: Vec<PeerId> = federation.peers().collect();
        let loading = store.clone();
        let count = federation.num_peers();
        let named = peers.clone();
        let mut book = blocking(move || VersionBook::load(client, count, named, loading.as_ref())).await?;
        let query = api::version(book.client().clone(), count, peers).with_config(config.patience);
        let asked = federation.explain(query).await;
        let wall = federation.clock().now().wall;
        for peer in &asked.report.peers {
            if let crate::report::PeerState::Answered { answer, .. } = &peer.state
                && let Ok(summary) = crate::call::Answer(answer.clone()).decode()
            {
                book.learn(peer.peer, summary, wall);
            }
        }
        let book = save(book, &store).await?;
        let discovered = match book.discovered(wall) {
            Ok(discovered) => discovered,
            Err(negotiation) if negotiation.is_incompatible() => {
                return Err(DiscoveryError::Incompatible(negotiation));
            }
            Err(negotiation) => match asked.outcome {
                Err(error) => return Err(error.into()),
                Ok(_) => return Err(DiscoveryError::Undecided(negotiation)),
            },
        };
        let (tell, versions) = watch::channel(discovered);
        let refining = tokio::spawn(refine(federation, book, store, config, tell)).abort_handle();
        Ok(Self { versions, refining })
    }

    /// What is known now.
    pub fn current(&self) -> Discovered {
        self.versions.borrow().clone()
    }

    /// Waits for something better, or other, than what was last seen here. `None` when nothing more will come: everybody has answered,
    /// or has been asked often enough.
    pub async fn changed(&mut self) -> Option<Discovered> {
        self.versions.changed().await.ok()?;
        Some(self.versions.borrow_and_update().clone())
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.refining.abort();
    }
}

/// Asks those who have not answered, with growing pauses, until all have or the number of rounds is used up.
async fn refine(
    federation: Federation,
    mut book: VersionBook,
    store: Arc<dyn Store>,
    config: DiscoveryConfig,
    tell: watch::Sender<Discovered>,
) {
    let call = Call::bare("version");
    let mut rng = Rng::with_seed(getrandom::u64().unwrap_or(0));
    for round in 0..config.refinements {
        let missing: Vec<PeerId> = book.not_fresh().collect();
        if missing.is_empty() {
            return;
        }
        // The first round follows at once: the answers may be on their way.
        if round > 0 {
            tokio::time::sleep(config.backoff.delay(round - 1, rng.f64())).await;
        }
        let asking = missing.into_iter().map(|peer| {
            let (federation, call) = (&federation, &call);
            async move { (peer, federation.ask(peer, call, config.patience.attempt_timeout).await) }
        });
        let mut answers = asking.collect::<futures::stream::FuturesUnordered<_>>();
        while let Some((peer, answer)) = futures::StreamExt::next(&mut answers).await {
            let Ok(summary) = answer else { continue };
            let wall = federation.clock().now().wall;
            book.learn(peer, summary, wall);
            // What cannot be kept is still known until the end of this process.
            match save(book.clone(), &store).await {
                Ok(saved) => book = saved,
                Err(error) => tracing::debug!(%error, "an answer could not be kept"),
            }
            if let Ok(discovered) = book.discovered(wall) {
                tell.send_replace(discovered);
            }
        }
    }
}

async fn save(mut book: VersionBook, store: &Arc<dyn Store>) -> Result<VersionBook, StoreError> {
    let store = store.clone();
    blocking(move || book.save(store.as_ref()).map(|()| book)).await
}

async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(job).await.unwrap_or_else(|error| Err(StoreError::Io(Box::new(error))))
}

/// The components without a version, each with the peers' reasons.
struct Reasons<'a>(&'a Negotiation<PeerId, ModuleInstanceId>);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut joint = "";
        for (component, choice) in self.0.components() {
            let Err(none) = &choice.outcome else { continue };
            let name = match component {
                Component::Core => "core".to_owned(),
                Component::Module(id) => format!("module {id}"),
            };
            write!(f, "{joint}{name}: {none}")?;
            for (peer, standing) in &choice.standings {
                match standing {
                    Standing::Incompatible(reason) => {
                        write!(f, "; peer {peer}: {}", reason.worded(Party::We, Party::They))?;
                    }
                    Standing::Silent => write!(f, "; peer {peer} is silent")?,
                    Standing::Supports(_) | Standing::Behind(_) => {}
                }
            }
            joint = "; ";
        }
        Ok(())
    }
}
