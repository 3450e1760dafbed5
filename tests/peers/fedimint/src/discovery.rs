//! How long a discovery takes, and when the answer came that decides it.

use async_trait::async_trait;
use quorate_base::MemoryStore;
use quorate_query::client::client;
use quorate_query::{
    Answer, Call, ClientSettings, Discovery, DiscoveryConfig, Federation, PeerError, PeerId, Requester,
};
use quorate_testkit::guardians::LIVE_VERSION;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The medians of a number of discoveries, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    /// From the call to its return.
    pub whole: f64,
    /// From the call to the third answer.
    pub third: f64,
}

/// A client that notes when answers come.
struct Noted {
    inner: Arc<dyn Requester>,
    answers: Arc<Mutex<Vec<Instant>>>,
}

#[async_trait]
impl Requester for Noted {
    async fn request(&self, call: &Call) -> Result<Answer, PeerError> {
        let answer = self.inner.request(call).await?;
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        Ok(answer)
    }
}

/// Discovers `count` times at these guardians, each time on new connections and with nothing remembered.
///
/// # Panics
///
/// When one of the discoveries fails, or on a URL that is none.
pub async fn timed(urls: Vec<String>, count: usize) -> Timed {
    let (mut whole, mut third) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let urls = urls.clone();
        // On a worker of the runtime, as in a server.
        let (took, answered) = tokio::spawn(once(urls)).await.expect("no panic");
        whole.push(took);
        third.push(answered);
    }
    Timed { whole: median(whole), third: median(third) }
}

async fn once(urls: Vec<String>) -> (f64, f64) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    let settings = Arc::new(ClientSettings::new().expect("cryptography"));
    let peers = urls.iter().map(|url| {
        let inner = client(url.parse().expect("a URL"), settings.clone());
        Arc::new(Noted { inner, answers: answers.clone() }) as Arc<dyn Requester>
    });
    let federation = Federation::new((0..).map(PeerId).zip(peers)).expect("not empty");
    let needs = serde_json::from_str(LIVE_VERSION).expect("a guardian wrote it");
    let store = Arc::new(MemoryStore::new());
    let began = Instant::now();
    let found = Discovery::start(federation.clone(), needs, store, DiscoveryConfig::default()).await;
    let took = began.elapsed().as_secs_f64();
    drop(found.expect("a quorum"));
    let third = answers.lock().unwrap_or_else(PoisonError::into_inner)[2];
    federation.close().await;
    (took, (third - began).as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
