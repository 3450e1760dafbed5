//! Whether two nodes can work together, judged by what each told the other.
//!
//! The rule: both sides come to the same verdict, because it depends on the two preflights alone.
//! The core must fit in both directions. Where modules are needed, at least one of them must fit
//! in at least one direction; the others are reported, and the connection stands.

use std::fmt;

use quorate_versioning::{ChosenApi, Incompatible, MutualChoice, PairwiseChoice, Party, Problem, mutual};

use super::NodeVersions;

/// The longest text of a refusal, in bytes: it fits a QUIC close frame.
pub const MAX_REASON_BYTES: usize = 900;

/// Kept free for "; and 256 more".
const REMAINDER_BYTES: usize = 24;

/// Whether the node of `ours` and the node of `theirs` can work together.
///
/// # Errors
///
/// [`IncompatiblePeer`] when the core does not fit, or modules are needed and none can be used.
pub fn judge(ours: &NodeVersions, theirs: &NodeVersions) -> Result<Agreement, IncompatiblePeer> {
    let choice = mutual(&ours.needs, &ours.offers, &theirs.needs, &theirs.offers);
    let directions = [&choice.ours, &choice.theirs];
    let core = directions.iter().all(|direction| direction.core.is_ok());
    let mut modules = directions.iter().flat_map(|direction| direction.modules.values()).peekable();
    if core && (modules.peek().is_none() || modules.any(|module| module.is_ok())) {
        Ok(Agreement { choice })
    } else {
        Err(IncompatiblePeer { choice: Box::new(choice) })
    }
}

/// Two nodes can work together: what each can use of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    choice: MutualChoice<String>,
}

impl Agreement {
    /// The API of a module of theirs that we can use; `None` when we cannot, or do not need it.
    pub fn of_theirs(&self, module: &str) -> Option<&ChosenApi> {
        self.choice.ours.module(module)
    }

    /// The API of a module of ours that they can use; `None` when they cannot, or do not need it.
    pub fn of_ours(&self, module: &str) -> Option<&ChosenApi> {
        self.choice.theirs.module(module)
    }

    /// Everything that was compared.
    pub const fn choice(&self) -> &MutualChoice<String> {
        &self.choice
    }

    /// What we need and cannot use, in words for our side. Empty when nothing is amiss.
    pub fn problems_for_us(&self) -> Vec<String> {
        self.choice.ours.problems().map(|problem| problem.to_string()).collect()
    }
}

/// Two nodes cannot work together. Neither is at fault; one may be older.
///
/// `Display` is for our side, [`IncompatiblePeer::for_them`] for the other. Either text is at most
/// [`MAX_REASON_BYTES`] long, however much does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompatiblePeer {
    choice: Box<MutualChoice<String>>,
}

impl IncompatiblePeer {
    /// Everything that was compared.
    pub fn choice(&self) -> &MutualChoice<String> {
        &self.choice
    }

    /// The refusal as it is sent to the other side: "core: you speak consensus 3, we need 2".
    pub fn for_them(&self) -> String {
        self.worded(Party::You)
    }

    fn worded(&self, other: Party) -> String {
        let mut reason = Reason::default();
        for problem in self.choice.ours.problems() {
            reason.push(&problem.worded(Party::We, other).to_string());
        }
        for problem in self.choice.theirs.problems() {
            if !is_mirrored(problem, &self.choice.ours) {
                reason.push(&problem.worded(other, Party::We).to_string());
            }
        }
        reason.finish()
    }
}

impl fmt::Display for IncompatiblePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.worded(Party::They))
    }
}

impl std::error::Error for IncompatiblePeer {}

/// Whether the other direction says the same: two consensus versions that differ, differ both ways.
fn is_mirrored(problem: Problem<'_, String>, other: &PairwiseChoice<String>) -> bool {
    other.problems().filter(|candidate| candidate.component == problem.component).any(|candidate| {
        match (problem.reason, candidate.reason) {
            (
                Incompatible::CoreConsensus { needed: a, offered: b },
                Incompatible::CoreConsensus { needed: c, offered: d },
            )
            | (
                Incompatible::ModuleCoreConsensus { needed: a, offered: b },
                Incompatible::ModuleCoreConsensus { needed: c, offered: d },
            ) => a.major == d.major && b.major == c.major,
            (
                Incompatible::ModuleConsensus { needed: a, offered: b },
                Incompatible::ModuleConsensus { needed: c, offered: d },
            ) => a.major == d.major && b.major == c.major,
            _ => false,
        }
    })
}

/// Problems in one line, as many as fit.
#[derive(Default)]
struct Reason {
    text: String,
    left_out: usize,
}

impl Reason {
    fn push(&mut self, problem: &str) {
        let joint = if self.text.is_empty() { "" } else { "; " };
        let fits = self.text.len() + joint.len() + problem.len() + REMAINDER_BYTES <= MAX_REASON_BYTES;
        if self.left_out == 0 && fits {
            self.text.push_str(joint);
            self.text.push_str(problem);
        } else {
            self.left_out += 1;
        }
    }

    fn finish(mut self) -> String {
        if self.left_out > 0 {
            self.text.push_str(&format!("; and {} more", self.left_out));
        }
        self.text
    }
}
