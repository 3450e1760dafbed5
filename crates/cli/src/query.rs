//! `quorate query`: one question to a federation, and the value that enough of it agree on; or to nodes that prove it.

mod verified;

use crate::exit::Failure;
use crate::federation::{Patience, Whom, no_agreement, peers_json, table};
use crate::output;
use clap::{Args, ValueEnum};
use quorate_query::query::Query;
use quorate_query::strategy::{
    AllOrDeadline, CurrentConsensus, EventuallyConsistent, FilterMapThreshold, ThresholdAgreement,
    ThresholdConsensus, TrustAllPeers, UnionResponsesSingle,
};
use quorate_query::{
    AttemptsConfig, Call, ExactJson, Explained, Federation, PeerId, QueryError, QueryFailure, QueryStrategy,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Ask a federation, and print the value on which enough of its guardians agree; or nodes, and print what they prove
///
/// Exit codes: 0 agreed or proven, 1 neither (with a table of who answered what), 2 the options cannot be used.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    /// The method, such as session_count
    method: String,
    /// The parameters of a call with --verify, one after the other: JSON, or else taken as texts
    #[arg(value_name = "PARAM", requires = "verify", conflicts_with = "params")]
    positional: Vec<String>,
    /// The parameters, as JSON; with --verify an array
    #[arg(long, value_name = "JSON", default_value = "null")]
    params: String,
    /// Ask a module instance: the method becomes module_ID_METHOD
    #[arg(long, value_name = "ID")]
    module: Option<u16>,
    /// What makes the answers one value
    #[arg(long, value_enum, default_value_t = Strategy::Threshold)]
    strategy: Strategy,
    #[command(flatten)]
    patience: Patience,
    /// Show who answered what, on standard error
    #[arg(long)]
    explain: bool,
    /// Print one JSON object instead of the value alone
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    verification: verified::Verification,
}

/// What makes the answers one value.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Strategy {
    /// The value of n - f guardians; asked again while they differ
    #[value(alias = "ThresholdConsensus")]
    Threshold,
    /// The same, asked once
    #[value(alias = "ThresholdAgreement")]
    Agreement,
    /// The value of all guardians
    Full,
    /// The value that f + 1 guardians ever gave (unsafe: published in 2023)
    #[value(alias = "CurrentConsensus")]
    Current,
    /// The same, asked again after every f + 1 answers (unsafe: published in 2023)
    #[value(alias = "EventuallyConsistent")]
    Eventual,
    /// The different values of n - f guardians
    #[value(aliases = ["UnionResponsesSingle", "UnionResponses"])]
    Union,
    /// What each guardian of a quorum says
    #[value(alias = "FilterMapThreshold")]
    Each,
    /// What each guardian says until the time is up
    #[value(alias = "AllOrDeadline")]
    All,
    /// The first answer (unsafe where anybody may lie)
    #[value(alias = "TrustAllPeers")]
    First,
}

/// Asks.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let params: Value = serde_json::from_str(&arguments.params)
        .map_err(|error| Failure::usage(format!("--params is not JSON: {error}")))?;
    if arguments.verification.is_wanted() {
        let positional = arguments.positional.iter().map(|text| verified::parameter(text));
        let params = if params.is_null() { positional.collect() } else { params };
        let timeout = arguments.patience.timeout()?;
        let (explain, json) = (arguments.explain, arguments.json);
        return arguments.verification.run(&arguments.method, &params, timeout, explain, json).await;
    }
    let call = Call::new(arguments.method.as_str(), &params)
        .map_err(|error| Failure::usage(format!("--params cannot be sent: {error}")))?;
    let call = match arguments.module {
        Some(id) => call.of_module(id.into()),
        None => call,
    };
    let config = arguments.patience.config()?;
    let federation = arguments.whom.federation(config).await?;
    let explained = ask(&federation, arguments.strategy, call, config).await;
    if arguments.explain && explained.outcome.is_ok() {
        output::say(&table(&explained.report));
    }
    let value = explained.outcome.map_err(|error| no_agreement(&error))?;
    if arguments.json {
        let mut told = json!({ "event": "answer", "peers": peers_json(&explained.report) }).to_string();
        // As the guardians wrote it: a number may have more digits than a program's numbers.
        told.insert_str(1, &format!(r#""value":{value},"#));
        output::line(&told);
    } else {
        output::line(&format!("{value:#}"));
    }
    Ok(())
}

type Answered = Explained<ExactJson>;

async fn ask(federation: &Federation, strategy: Strategy, call: Call, config: AttemptsConfig) -> Answered {
    let n = federation.num_peers();
    let asked = Asked { federation, call, config };
    match strategy {
        Strategy::Threshold => asked.with(ThresholdConsensus::overcome_evil(n), |value| value).await,
        Strategy::Full => asked.with(ThresholdConsensus::full_participation(n), |value| value).await,
        Strategy::Agreement => asked.agreement().await,
        Strategy::Current => asked.with(CurrentConsensus::new(n.one_honest()), |value| value).await,
        Strategy::Eventual => asked.with(EventuallyConsistent::new(n.one_honest()), |value| value).await,
        Strategy::Union => asked.with(UnionResponsesSingle::new(n.threshold()), ExactJson::Array).await,
        Strategy::Each => {
            let as_it_is = |_: &PeerId, value: ExactJson| Ok::<_, Infallible>(value);
            asked.with(FilterMapThreshold::new(n, as_it_is), by_peer).await
        }
        Strategy::All => asked.with(AllOrDeadline::new(n.total(), config.deadline), by_peer).await,
        Strategy::First => asked.with(TrustAllPeers, |value| value).await,
    }
}

fn by_peer(answers: BTreeMap<PeerId, ExactJson>) -> ExactJson {
    ExactJson::Object(answers.into_iter().map(|(peer, value)| (peer.to_string(), value)).collect())
}

struct Asked<'a> {
    federation: &'a Federation,
    call: Call,
    config: AttemptsConfig,
}

impl Asked<'_> {
    async fn with<S>(self, strategy: S, into: impl FnOnce(S::Output) -> ExactJson) -> Answered
    where
        S: QueryStrategy<PeerId, ExactJson>,
    {
        let query = Query::<S, ExactJson>::new(self.call, strategy).with_config(self.config);
        let Explained { outcome, report } = self.federation.explain(query).await;
        Explained { outcome: outcome.map(into), report }
    }

    /// All answers side by side are no agreement.
    async fn agreement(self) -> Answered {
        let n = self.federation.num_peers();
        let query =
            Query::<_, ExactJson>::new(self.call, ThresholdAgreement::new(n)).with_config(self.config);
        let Explained { outcome, report } = self.federation.explain(query).await;
        let outcome = outcome.and_then(|agreed| {
            agreed.map_err(|answers| QueryError {
                failure: QueryFailure::Disagreement {
                    need: n.threshold(),
                    best: most_equal(&answers),
                    values: different(&answers),
                },
                report: Box::new(report.clone()),
            })
        });
        Explained { outcome, report }
    }
}

fn most_equal(answers: &BTreeMap<PeerId, ExactJson>) -> usize {
    let equal = |value: &ExactJson| answers.values().filter(|other| *other == value).count();
    answers.values().map(equal).max().unwrap_or(0)
}

fn different(answers: &BTreeMap<PeerId, ExactJson>) -> usize {
    let mut values: Vec<&ExactJson> = Vec::new();
    for value in answers.values() {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values.len()
}
