//! The demo's last act: four guardians, one lying and one dead, asked for a value and for their versions.
//!
//! The rule: what is shown is what the query's own report says. Of four guardians a federation bears one that is faulty; with
//! two it must say that it cannot know, so the liar turns honest between the two questions, on the table too.

use crate::exit::{Failure, chain};
use comfy_table::{Table, presets};
use quorate_base::MemoryStore;
use quorate_query::query::api;
use quorate_query::{
    AttemptsConfig, ClientSettings, Discovered, Discovery, DiscoveryConfig, Explained, Federation, PeerId,
    PeerReport, PeerState,
};
use quorate_testkit::guardians::{Fault, Guardians, LIVE_VERSION};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The guardian that lies for a while, and the one that is dead.
const LIAR: usize = 1;
const DEAD: usize = 2;

/// What became of the last act.
pub(crate) struct Federated {
    /// With both faults: the query has to end without a value.
    both: Explained<u64>,
    /// With the dead one alone: the value.
    one: Explained<u64>,
    versions: Discovered,
    discovered: Duration,
}

/// Starts the guardians, asks, and ends them.
pub(crate) async fn run() -> Result<Federated, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| Failure::failed(chain(error));
    let guardians = Guardians::start(4).await.map_err(|error| failed(&error))?;
    let urls = guardians.urls().into_iter().map(|url| url.parse());
    let endpoints = urls.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
    let settings = ClientSettings::new().map_err(|error| failed(&error))?;
    let federation = Federation::at((0..).map(PeerId).zip(endpoints), settings);
    let federation = federation.map_err(|error| failed(&error))?;

    guardians.guardian(LIAR).set_fault(Fault::Liar).await;
    guardians.guardian(DEAD).set_fault(Fault::Refuse).await;
    let both = federation.explain(question(&federation)).await;
    guardians.guardian(LIAR).set_fault(Fault::Honest).await;
    let one = federation.explain(question(&federation)).await;

    let began = Instant::now();
    let needs = serde_json::from_str(LIVE_VERSION).map_err(|error| failed(&error))?;
    let store = Arc::new(MemoryStore::new());
    let discovery = Discovery::start(federation.clone(), needs, store, DiscoveryConfig::default()).await;
    let (versions, discovered) = (discovery.map_err(|error| failed(&error))?.current(), began.elapsed());
    federation.close().await;
    Ok(Federated { both, one, versions, discovered })
}

fn question(federation: &Federation) -> api::Agreed<u64> {
    let config = AttemptsConfig { rounds: 2, ..AttemptsConfig::default() };
    api::session_count(federation.num_peers()).with_config(config.within(Duration::from_secs(5)))
}

impl Federated {
    /// Whether both questions came out as they must.
    pub(crate) fn is_right(&self) -> bool {
        self.both.outcome.is_err() && matches!(self.one.outcome, Ok(42))
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        let header = ["four guardians", "one lies, one is dead", "one is dead"];
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
        for (both, one) in self.both.report.peers.iter().zip(&self.one.report.peers) {
            table.add_row([format!("guardian {}", both.peer), told(both), told(one)]);
        }
        table.add_row(["session_count".to_owned(), outcome(&self.both), outcome(&self.one)]);
        let versions = format!(
            "versions with one guardian silent, in {:.1} ms: {}",
            self.discovered.as_secs_f64() * 1_000.0,
            self.versions.set
        );
        format!("{table}\n{versions}")
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let question = |explained: &Explained<u64>| {
            let (value, reason) = match &explained.outcome {
                Ok(value) => (Some(*value), None),
                Err(error) => (None, Some(error.failure.to_string())),
            };
            json!({
                "value": value,
                "reason": reason,
                "ms": explained.report.elapsed.as_secs_f64() * 1_000.0,
                "requests": explained.report.peers.iter().map(|peer| peer.asked).sum::<u32>(),
                "peers": explained.report.peers.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        };
        json!({
            "guardians": 4,
            "one_lies_one_is_dead": question(&self.both),
            "one_is_dead": question(&self.one),
            "versions": self.versions.set,
            "discovered_ms": self.discovered.as_secs_f64() * 1_000.0,
        })
    }
}

fn told(peer: &PeerReport<PeerId>) -> String {
    match &peer.state {
        PeerState::Answered { answer, .. } => format!("answered {}", String::from_utf8_lossy(answer)),
        PeerState::Failed { error, .. } => format!("failed: {error}"),
        PeerState::Silent => "silent".to_owned(),
    }
}

fn outcome(explained: &Explained<u64>) -> String {
    let millis = explained.report.elapsed.as_secs_f64() * 1_000.0;
    match &explained.outcome {
        Ok(value) => format!("{value} in {millis:.1} ms"),
        Err(_) => format!("no agreement, said after {millis:.0} ms"),
    }
}
