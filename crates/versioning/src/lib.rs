//! Consensus and API versions: what one side needs, what the other offers, what they can use.
//!
//! **What it is.** The version types of a Fedimint federation, with the JSON its servers speak and its
//! binary [`encoding`], the choice between two parties, and the choice between a client and a federation
//! of many. A *component* is the core or one of the modules. It runs in
//! exactly one consensus version, and on top of that it lists API versions, one minor per major:
//! in a list of *needs* the minor is the **least** that will do, in a list of *offers* it is the
//! **most** there is. [`choose`] compares one party's needs with the other's offers;
//! [`mutual`] does it in both directions, for two peers that call one another. [`negotiate`] compares a
//! client's needs with the answers of many peers, of whom some may lie, and chooses what a quorum has.
//!
//! **The rule.** Consensus versions match by major; the minors are reported and decide nothing. An
//! API major is usable when the needed minor is lower than or equal to the offered **minor**, and
//! the highest usable major wins. (Fedimint's own text says "the client's `minor` is lower or equal
//! the server's `major`"; minor is what it means and what its code does.) A component that cannot be
//! used is an [`Incompatible`] with its reason, never an entry that is missing.
//!
//! **What it does not do.** It sends nothing and asks nobody: summaries come in as values, choices
//! go out as values. Asking a federation is the work of `quorate-query`.
//!
//! ```
//! use quorate_versioning::{ApiVersion, Component, SupportedApiVersionsSummary, choose};
//!
//! let needs: SupportedApiVersionsSummary = serde_json::from_str(
//!     r#"{"core":{"core_consensus":{"major":2,"minor":0},"api":[{"major":0,"minor":3}]},
//!         "modules":{"7":{"core_consensus":{"major":2,"minor":0},
//!                         "module_consensus":{"major":1,"minor":0},
//!                         "api":[{"major":2,"minor":4}]}}}"#,
//! )?;
//! let offers: SupportedApiVersionsSummary = serde_json::from_str(
//!     r#"{"core":{"core_consensus":{"major":2,"minor":1},"api":[{"major":0,"minor":9}]},
//!         "modules":{"7":{"core_consensus":{"major":2,"minor":1},
//!                         "module_consensus":{"major":1,"minor":0},
//!                         "api":[{"major":2,"minor":1}]}}}"#,
//! )?;
//!
//! let choice = choose(&needs, &offers);
//! assert_eq!(choice.core.as_ref().map(|core| core.version), Ok(ApiVersion::new(0, 9)));
//! let problems: Vec<_> = choice.problems().map(|problem| problem.to_string()).collect();
//! assert_eq!(problems, ["module 7: we need API 2.4 or newer of major 2, they offer 2.1"]);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! **Bounds.** A list that is read has at most [`MAX_MAJORS`] majors, a summary at most
//! [`MAX_MODULES`] modules; both are checked while reading, before the rest is stored.
//!
//! **Features.** None. The layer's page is `docs/versioning.md`.

mod api;
mod choice;
mod consensus;
pub mod encoding;
mod incompatible;
mod multi;
mod negotiate;
mod num_peers;
mod published;
mod set;
mod summary;

pub use api::ApiVersion;
pub use choice::{ChosenApi, ConsensusMatch, MutualChoice, PairwiseChoice, choose, mutual};
pub use consensus::{CoreConsensusVersion, ModuleConsensusVersion};
pub use incompatible::{Component, Incompatible, Party, Problem};
pub use multi::{InvalidApiVersions, MAX_MAJORS, MultiApiVersion, MultiApiVersionIter};
pub use negotiate::{ComponentChoice, HeldDown, Negotiation, NoQuorum, QuorumApi, Standing, negotiate};
pub use num_peers::NumPeers;
pub use published::{NoCommonCore, discover_common_api_versions};
pub use set::ApiVersionSet;
pub use summary::{
    MAX_MODULES, ModuleInstanceId, SupportedApiVersionsSummary, SupportedCoreApiVersions,
    SupportedModuleApiVersions,
};

/// The layer's page, so that its examples run with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/versioning.md")]
struct LayerPage;
