//! Version discovery against scripted guardians: it ends with the answer that decides it, refines, remembers, and says
//! why where nothing fits.

use async_trait::async_trait;
use quorate_base::{MemoryStore, Store};
use quorate_query::{
    Answer, AttemptsConfig, Call, ClientSettings, Discovery, DiscoveryConfig, DiscoveryError, Federation,
    PeerError, PeerId, Requester, RpcError,
};
use quorate_testkit::guardians::{Fault, Guardians, LIVE_VERSION};
use quorate_versioning::{ApiVersion, Standing, SupportedApiVersionsSummary};
use serde_json::Value;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

fn live() -> SupportedApiVersionsSummary {
    serde_json::from_str(LIVE_VERSION).expect("a guardian wrote it")
}

fn needs(core: u32) -> SupportedApiVersionsSummary {
    let mut needs = live();
    needs.core.api = ApiVersion::new(0, core).into();
    needs
}

fn old() -> Value {
    let mut old = live();
    old.core.api = ApiVersion::new(0, 4).into();
    serde_json::to_value(old).expect("plain data")
}

async fn four() -> (Guardians, Federation, Arc<dyn Store>) {
    let guardians = Guardians::start(4).await.expect("loopback ports");
    let endpoints =
        (0..).map(PeerId).zip(guardians.urls().into_iter().map(|url| url.parse().expect("a URL")));
    let federation = Federation::at(endpoints, ClientSettings::new().expect("cryptography")).expect("four");
    (guardians, federation, Arc::new(MemoryStore::new()))
}

fn config() -> DiscoveryConfig {
    let patience =
        AttemptsConfig { attempt_timeout: Duration::from_millis(500), ..AttemptsConfig::default() };
    let backoff = quorate_base::Backoff::new(Duration::from_millis(20), Duration::from_millis(100));
    DiscoveryConfig { patience: patience.within(Duration::from_secs(3)), backoff, refinements: 50 }
}

#[tokio::test]
async fn a_dead_guardian_is_not_waited_for_and_comes_in_later() {
    let (guardians, federation, store) = four().await;
    for guardian in &guardians {
        guardian.set_answer("version", old());
    }
    guardians.guardian(0).set_fault(Fault::Hang).await;
    for peer in 1..4 {
        guardians.guardian(peer).set_answer("version", serde_json::to_value(live()).expect("plain data"));
    }
    let mut discovery = Discovery::start(federation, needs(3), store, config()).await.expect("a quorum");
    let first = discovery.current();
    assert_eq!((first.set.core, first.oldest), (ApiVersion::new(0, 9), None));
    assert_eq!(first.negotiation.core.standings[&PeerId(0)], Standing::Silent);

    guardians.guardian(0).set_fault(Fault::Honest).await;
    let better = discovery.changed().await.expect("the fourth answers");
    assert_eq!(better.negotiation.core.standings[&PeerId(0)], Standing::Behind(ApiVersion::new(0, 4)));
    assert_eq!(better.set.core, ApiVersion::new(0, 9), "an old one of four holds nothing down");
    assert!(discovery.changed().await.is_none(), "everybody has answered");
}

/// A peer in virtual time.
#[derive(Clone)]
enum Timed {
    /// Answers after that long, and notes when.
    Answers(u64, Arc<Mutex<Vec<Instant>>>),
    /// Fails after that long, each time it is asked.
    Fails(u64, PeerError),
    /// Neither.
    Hangs,
}

#[async_trait]
impl Requester for Timed {
    async fn request(&self, _call: &Call) -> Result<Answer, PeerError> {
        match self {
            Self::Answers(millis, answered) => {
                sleep(Duration::from_millis(*millis)).await;
                answered.lock().expect("not poisoned").push(Instant::now());
                Ok(Answer(LIVE_VERSION.into()))
            }
            Self::Fails(millis, error) => {
                sleep(Duration::from_millis(*millis)).await;
                Err(error.clone())
            }
            Self::Hangs => pending().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_one_dead_guardian_it_takes_the_time_of_the_third_answer() {
    for dead in [
        Timed::Hangs,
        Timed::Fails(0, PeerError::Closed),
        Timed::Fails(15, PeerError::Closed),
        Timed::Fails(65, RpcError::new(500, "internal error").into()),
    ] {
        let answered = Arc::new(Mutex::new(Vec::new()));
        let timed = |millis| Timed::Answers(millis, answered.clone());
        let peers = [timed(70), dead, timed(10), timed(20)];
        let peers = (0..).map(PeerId).zip(peers.map(|peer| Arc::new(peer) as Arc<dyn Requester>));
        let federation = Federation::new(peers).expect("four");
        let discovery = Discovery::start(federation, needs(3), Arc::new(MemoryStore::new()), config()).await;
        let found = Instant::now();
        assert_eq!(discovery.expect("a quorum").current().set.core, ApiVersion::new(0, 9));
        // To the tick of the clock, which stands still where nobody waits for it.
        assert_eq!(*answered.lock().expect("not poisoned").last().expect("three"), found);
        assert_eq!(answered.lock().expect("not poisoned").len(), 3);
    }
}

#[tokio::test]
async fn last_answers_are_used_when_the_federation_is_down() {
    let (guardians, federation, store) = four().await;
    let discovery =
        Discovery::start(federation.clone(), needs(3), store.clone(), config()).await.expect("all answer");
    drop(discovery);
    for guardian in &guardians {
        guardian.set_fault(Fault::Refuse).await;
    }
    let empty: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let error =
        Discovery::start(federation.clone(), needs(3), empty, config()).await.expect_err("nobody, ever");
    assert!(matches!(error, DiscoveryError::Query(_)), "{error}");

    let discovery = Discovery::start(federation, needs(3), store, config()).await.expect("from the store");
    let known = discovery.current();
    assert_eq!(known.set.core, ApiVersion::new(0, 9));
    assert!(known.oldest.is_some(), "it is said that they are old");
}

#[tokio::test]
async fn an_incompatible_federation_is_an_error_with_reasons_at_once() {
    let (guardians, federation, store) = four().await;
    let error = Discovery::start(federation, needs(12), store, config()).await.expect_err("they have 0.9");
    assert!(matches!(error, DiscoveryError::Incompatible(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("we need API 0.12 or newer of major 0, they offer 0.9"), "{text}");
    assert!(guardians.requests() <= 4, "{} requests, no loop", guardians.requests());
}

#[tokio::test]
async fn one_liar_neither_raises_nor_lowers_what_is_found() {
    for lie in [
        r#"{"core":{"core_consensus":{"major":2,"minor":1},"api":[{"major":0,"minor":99},{"major":7,"minor":0}]},"modules":{}}"#,
        r#"{"core":{"core_consensus":{"major":2,"minor":1},"api":[{"major":0,"minor":3}]},"modules":{}}"#,
    ] {
        let (guardians, federation, store) = four().await;
        guardians.guardian(2).set_answer("version", serde_json::from_str(lie).expect("JSON"));
        let discovery = Discovery::start(federation, needs(3), store, config()).await.expect("a quorum");
        assert_eq!(discovery.current().set.core, ApiVersion::new(0, 9));
        assert_eq!(discovery.current().set.modules.len(), 4);
    }
}
