//! The strategies by name, and how each makes the guardians' answers one value.
//!
//! The rule: a name has the meaning that the library and the publications give it. What a command cannot do is refused with what to use
//! instead, before anybody is asked.

use super::check::Check;
use crate::exit::Failure;
use crate::versions;
use clap::{Args, ValueEnum};
use quorate_query::query::Query;
use quorate_query::strategy::{
    AllOrDeadline, CurrentConsensus, Decoded, EventuallyConsistent, FilterMap, FilterMapThreshold,
    ThresholdAgreement, ThresholdConsensus, TrustAllPeers, UnionResponses, UnionResponsesSingle,
    VerifiableResponse,
};
use quorate_query::{
    AttemptsConfig, Call, ExactJson, Explained, Federation, PeerId, QueryError, QueryFailure, QueryStrategy,
};
use quorate_versioning::{ApiVersionSet, SupportedApiVersionsSummary, discover_common_api_versions};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

/// What makes the answers one value, and what it needs for that.
#[derive(Debug, Args)]
pub(super) struct Judging {
    /// What makes the answers one value
    #[arg(long, value_enum, default_value_t = Strategy::Threshold)]
    strategy: Strategy,
    /// With filter and verifiable, what an answer must hold: sha256=HEX (of the answer in one line: no white space, members by name), or
    /// federation=HEX (it is a client config, and its guardians are those of the federation with this id)
    #[arg(long, value_name = "CHECK")]
    check: Option<Check>,
    /// With discover, what the client needs: as for `quorate versions`
    #[arg(long, value_name = "JSON")]
    needs: Option<String>,
}

/// What makes the answers one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Strategy {
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
    #[value(alias = "UnionResponsesSingle")]
    Union,
    /// The lists of n - f guardians in one, without duplicates
    #[value(alias = "UnionResponses")]
    UnionLists,
    /// What each guardian of a quorum says
    #[value(alias = "FilterMapThreshold")]
    Each,
    /// What each guardian says until the time is up
    #[value(alias = "AllOrDeadline")]
    All,
    /// The first answer (unsafe where anybody may lie)
    #[value(alias = "TrustAllPeers")]
    First,
    /// The first answer that passes --check
    #[value(alias = "FilterMap")]
    Filter,
    /// The same as published in 2023: without the fallback, every guardian may fail
    #[value(alias = "VerifiableResponse")]
    Verifiable,
    /// Of the method version: what most of those can do who answer until the time is up (unsafe: published in 2023)
    #[value(alias = "DiscoverApiVersionSet")]
    Discover,
    /// A quorum's choice of versions: another command
    #[value(hide = true, name = "NegotiateVersions")]
    Negotiate,
    /// A step before another strategy: nothing for a command
    #[value(hide = true, name = "Decoded")]
    Decoded,
}

/// A strategy that has all that it needs.
#[derive(Debug)]
pub(super) enum Judge {
    Plain(Strategy),
    Filter(Check),
    Verifiable(Check),
    Discover(Option<SupportedApiVersionsSummary>),
}

/// How a question went whose value is JSON.
pub(super) type Answered = Explained<ExactJson>;

impl Judging {
    /// The strategy for `method`, if a command can have it judge that.
    pub(super) fn judge(self, method: &str) -> Result<Judge, Failure> {
        let refused = |why: &str| Err(Failure::usage(why));
        match (self.strategy, self.check, self.needs) {
            (Strategy::Negotiate, ..) => refused(
                "--strategy NegotiateVersions: `quorate versions` asks with it, and shows who holds what down",
            ),
            (Strategy::Decoded, ..) => {
                refused("--strategy Decoded is a step in a program: the command takes any JSON as it is")
            }
            (Strategy::Filter | Strategy::Verifiable, None, _) => refused(
                "the first answer that passes a check needs one: --check sha256=HEX or --check federation=HEX",
            ),
            (Strategy::Filter, Some(check), None) => Ok(Judge::Filter(check)),
            (Strategy::Verifiable, Some(check), None) => Ok(Judge::Verifiable(check)),
            (_, Some(_), _) => refused("--check is for --strategy filter and verifiable"),
            (Strategy::Discover, None, _) if method != "version" => {
                refused("--strategy discover judges the answers to the method version")
            }
            (Strategy::Discover, None, needs) => Ok(Judge::Discover(versions::needs(needs.as_deref())?)),
            (_, None, Some(_)) => refused("--needs is for --strategy discover"),
            (plain, None, None) => Ok(Judge::Plain(plain)),
        }
    }
}

impl Judge {
    /// Asks, and judges.
    pub(super) async fn ask(self, federation: &Federation, call: Call, config: AttemptsConfig) -> Answered {
        let n = federation.num_peers();
        let asked = Asked { federation, call, config };
        let strategy = match self {
            Self::Filter(check) => {
                return asked.with(FilterMap::new(move |value| check.pass(value)), |value| value).await;
            }
            Self::Verifiable(check) => {
                let holds = move |value: &ExactJson| check.holds(value).is_ok();
                return asked.with(VerifiableResponse::new(n.total(), false, holds), |value| value).await;
            }
            Self::Discover(needs) => return asked.discover(needs).await,
            Self::Plain(strategy) => strategy,
        };
        match strategy {
            Strategy::Full => asked.with(ThresholdConsensus::full_participation(n), |value| value).await,
            Strategy::Agreement => asked.agreement().await,
            Strategy::Current => asked.with(CurrentConsensus::new(n.one_honest()), |value| value).await,
            Strategy::Eventual => asked.with(EventuallyConsistent::new(n.one_honest()), |value| value).await,
            Strategy::Union => asked.with(UnionResponsesSingle::new(n.threshold()), ExactJson::Array).await,
            Strategy::UnionLists => {
                let joined = Decoded::new(UnionResponses::new(n.threshold()), items);
                asked.with(joined, ExactJson::Array).await
            }
            Strategy::Each => {
                let as_it_is = |_: &PeerId, value: ExactJson| Ok::<_, Infallible>(value);
                asked.with(FilterMapThreshold::new(n, as_it_is), by_peer).await
            }
            Strategy::All => {
                let all = AllOrDeadline::new(n.total(), config.deadline);
                by_anybody(asked.with(all, by_peer).await)
            }
            Strategy::First => asked.with(TrustAllPeers, |value| value).await,
            // The others have become a judge of their own, or were refused.
            _ => asked.with(ThresholdConsensus::overcome_evil(n), |value| value).await,
        }
    }
}

/// The answer is no list.
#[derive(Debug, thiserror::Error)]
#[error("it is no list")]
struct NoList;

fn items(answer: ExactJson) -> Result<Vec<ExactJson>, NoList> {
    match answer {
        ExactJson::Array(items) => Ok(items),
        _ => Err(NoList),
    }
}

fn by_peer(answers: BTreeMap<PeerId, ExactJson>) -> ExactJson {
    ExactJson::Object(answers.into_iter().map(|(peer, value)| (peer.to_string(), value)).collect())
}

/// The published strategy takes nothing for a value too; who asks at a command's line wants to know.
fn by_anybody(asked: Answered) -> Answered {
    let Explained { outcome, report } = asked;
    let outcome = match outcome {
        Ok(ExactJson::Object(answers)) if answers.is_empty() => {
            let failure = QueryFailure::TooFew { need: 1, have: 0 };
            Err(QueryError { failure, report: Box::new(report.clone()) })
        }
        outcome => outcome,
    };
    Explained { outcome, report }
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

    /// `DiscoverApiVersionSet`: all answers until the deadline, then the published choice. A client that needs nothing in particular is known when the
    /// answers are.
    async fn discover(self, needs: Option<SupportedApiVersionsSummary>) -> Answered {
        let n = self.federation.num_peers();
        let all = AllOrDeadline::new(n.total(), self.config.deadline);
        let query = Query::<_, SupportedApiVersionsSummary>::new(self.call, all).with_config(self.config);
        let Explained { outcome, report } = self.federation.explain(query).await;
        let outcome = outcome.and_then(|answers| {
            let needs = needs.or_else(|| versions::anything(&answers, n));
            let none = || QueryFailure::TooFew { need: 1, have: 0 };
            let chosen = needs.ok_or_else(none).and_then(|needs| {
                discover_common_api_versions(&needs, &answers)
                    .map_err(|none| QueryFailure::Strategy(Arc::new(none)))
            });
            let failed = |failure| QueryError { failure, report: Box::new(report.clone()) };
            chosen.map(|set| as_json(&set)).map_err(failed)
        });
        Explained { outcome, report }
    }
}

fn as_json(set: &ApiVersionSet) -> ExactJson {
    let text = serde_json::to_string(set).unwrap_or_default();
    // Plain data is always JSON.
    serde_json::from_str(&text).unwrap_or(ExactJson::Null)
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
