//! `quorate versions`: what a federation can do, component by component, and who holds it down.

use crate::exit::Failure;
use crate::federation::{Patience, Whom, no_agreement};
use crate::output;
use clap::Args;
use comfy_table::{Table, presets};
use quorate_query::query::Query;
use quorate_query::strategy::FilterMapThreshold;
use quorate_query::{AttemptsConfig, Call, Federation, PeerId};
use quorate_versioning::{
    ApiVersion, Component, ComponentChoice, ModuleInstanceId, MultiApiVersion, Negotiation, NumPeers, Party,
    Standing, SupportedApiVersionsSummary, SupportedCoreApiVersions, SupportedModuleApiVersions, negotiate,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Ask a federation for its versions, and print what a client can use and who holds it down
///
/// Exit codes: 0 every component has a version, 1 one has none, 2 the options cannot be used.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    /// What the client needs: a JSON summary like a guardian's answer to `version`; without it, anything that at least one honest guardian offers
    #[arg(long, value_name = "JSON")]
    needs: Option<String>,
    #[command(flatten)]
    patience: Patience,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// How long those are waited for who were not needed for a quorum, at least.
const SOON: Duration = Duration::from_millis(500);

/// Who answered what.
pub(crate) type Answers = BTreeMap<PeerId, SupportedApiVersionsSummary>;
type Negotiated = Negotiation<PeerId, ModuleInstanceId>;

/// Asks.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let needs = needs(arguments.needs.as_deref())?;
    let config = arguments.patience.config()?;
    let federation = arguments.whom.federation(config).await?;
    let answers = answers(&federation, config).await;
    federation.close().await;
    let answers = answers?;
    let needs = needs
        .or_else(|| anything(&answers, federation.num_peers()))
        .ok_or_else(|| Failure::failed("nobody has answered"))?;
    let named = federation.peers().map(|peer| (peer, answers.get(&peer).cloned())).collect();
    let negotiation = negotiate(&needs, &named, federation.num_peers());
    if arguments.json {
        output::json(&to_json(&negotiation));
    } else {
        output::line(&table(&negotiation));
    }
    match negotiation.is_complete() {
        true => Ok(()),
        false => Err(Failure::failed(reason(&negotiation))),
    }
}

/// What `--needs` says.
pub(crate) fn needs(text: Option<&str>) -> Result<Option<SupportedApiVersionsSummary>, Failure> {
    let needs = text.map(serde_json::from_str).transpose();
    needs.map_err(|error| Failure::usage(format!("--needs is no summary of versions: {error}")))
}

/// What a quorum answers, and whoever else does soon after: no guardian is left out that is merely not the first.
async fn answers(federation: &Federation, config: AttemptsConfig) -> Result<Answers, Failure> {
    let as_it_is = |_: &PeerId, summary: SupportedApiVersionsSummary| Ok::<_, Infallible>(summary);
    let each = FilterMapThreshold::new(federation.num_peers(), as_it_is);
    let began = Instant::now();
    let query = Query::<_, SupportedApiVersionsSummary>::new(Call::bare("version"), each).with_config(config);
    let mut answers: Answers = federation.run(query).await.map_err(|error| no_agreement(&error))?;
    let soon = (began.elapsed() * 3).max(SOON).min(config.deadline);
    let mut rest = JoinSet::new();
    for peer in federation.peers().filter(|peer| !answers.contains_key(peer)) {
        let federation = federation.clone();
        rest.spawn(async move { (peer, federation.ask(peer, &Call::bare("version"), soon).await) });
    }
    while let Some(asked) = rest.join_next().await {
        // Who is silent is shown as that.
        if let Ok((peer, Ok(summary))) = asked {
            answers.insert(peer, summary);
        }
    }
    Ok(answers)
}

/// A client that takes anything: the consensus that most guardians run, every API major that any of them has, and the modules of at least one honest
/// guardian: f liars neither add one nor take one away. `None` without an answer.
pub(crate) fn anything(answers: &Answers, count: NumPeers) -> Option<SupportedApiVersionsSummary> {
    let cores: Vec<&SupportedCoreApiVersions> = answers.values().map(|summary| &summary.core).collect();
    let mut core = most_common(&cores, |core| core.core_consensus.major)?.clone();
    core.api = every_major(cores.iter().map(|core| &core.api));
    let mut needs = SupportedApiVersionsSummary::new(core);
    let named: BTreeSet<ModuleInstanceId> =
        answers.values().flat_map(|summary| summary.modules.keys().copied()).collect();
    for key in named {
        let listed: Vec<&SupportedModuleApiVersions> =
            answers.values().filter_map(|summary| summary.modules.get(&key)).collect();
        let consensus = |module: &SupportedModuleApiVersions| {
            (module.core_consensus.major, module.module_consensus.major)
        };
        if listed.len() >= count.one_honest()
            && let Some(typical) = most_common(&listed, consensus)
        {
            let api = every_major(listed.iter().map(|module| &module.api));
            needs.modules.insert(key, SupportedModuleApiVersions { api, ..typical.clone() });
        }
    }
    Some(needs)
}

/// One of those that most are like.
fn most_common<'a, T, K: PartialEq>(all: &[&'a T], like: impl Fn(&T) -> K) -> Option<&'a T> {
    all.iter().max_by_key(|one| all.iter().filter(|other| like(other) == like(one)).count()).copied()
}

/// Every major of these lists, from its first minor on.
fn every_major<'a>(lists: impl Iterator<Item = &'a MultiApiVersion>) -> MultiApiVersion {
    let mut all = MultiApiVersion::new();
    for version in lists.flat_map(|list| list.iter()) {
        // One that is there already is there from its first minor on.
        let _ = all.try_insert(ApiVersion::new(version.major, 0));
    }
    all
}

fn table(negotiation: &Negotiated) -> String {
    let peers: Vec<PeerId> = negotiation.core.standings.keys().copied().collect();
    let mut table = Table::new();
    let header = ["component", "use", "held down"].map(str::to_owned);
    let header = header.into_iter().chain(peers.iter().map(|peer| format!("peer {peer}")));
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    for (component, choice) in negotiation.components() {
        let standings = choice.standings.values().map(standing);
        table.add_row([name(component), usable(choice), held_down(choice)].into_iter().chain(standings));
    }
    table.to_string()
}

fn name(component: Component<&ModuleInstanceId>) -> String {
    component.to_string()
}

fn usable(choice: &ComponentChoice<PeerId>) -> String {
    match &choice.outcome {
        Ok(chosen) => chosen.api.version.to_string(),
        Err(_) => "none".to_owned(),
    }
}

fn held_down(choice: &ComponentChoice<PeerId>) -> String {
    let held = choice.outcome.as_ref().ok().and_then(|chosen| chosen.held_down.as_ref());
    held.map_or_else(String::new, |held| {
        let by: Vec<String> = held.by.iter().map(ToString::to_string).collect();
        format!("from {} by {}", held.better, by.join(", "))
    })
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Supports(version) => version.to_string(),
        Standing::Behind(version) => format!("behind: {version}"),
        Standing::Incompatible(reason) => reason.worded(Party::We, Party::They).to_string(),
        Standing::Silent => "silent".to_owned(),
    }
}

fn reason(negotiation: &Negotiated) -> String {
    let without = negotiation.components().filter_map(|(component, choice)| {
        let none = choice.outcome.as_ref().err()?;
        Some(format!("{component}: {none}"))
    });
    without.collect::<Vec<_>>().join("; ")
}

fn to_json(negotiation: &Negotiated) -> Value {
    let component = |(component, choice): (Component<&ModuleInstanceId>, &ComponentChoice<PeerId>)| {
        let (version, held, none) = match &choice.outcome {
            Ok(chosen) => (Some(chosen.api.version.to_string()), chosen.held_down.as_ref(), None),
            Err(none) => (None, None, Some(none.to_string())),
        };
        let held = held.map(|held| json!({ "better": held.better.to_string(), "by": held.by }));
        let peers = choice.standings.iter().map(|(peer, stands)| (peer.to_string(), standing(stands).into()));
        json!({
            "component": name(component),
            "version": version,
            "held_down": held,
            "reason": none,
            "peers": peers.collect::<serde_json::Map<String, Value>>(),
        })
    };
    json!({
        "event": "versions",
        "complete": negotiation.is_complete(),
        "components": negotiation.components().map(component).collect::<Value>(),
    })
}
