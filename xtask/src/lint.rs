//! `cargo xtask lint`: clippy, warnings are errors.
//!
//! First the whole workspace with all targets and features in one build. That build unifies the
//! features of shared dependencies, so a crate that forgot to ask for a feature passes because its
//! neighbour asks. So each package with a library is linted alone too, as a user gets it: with its default
//! features, and without them. Only what a package changes in its dependencies is built again.

use crate::process::Program;
use crate::workspace::Workspace;
use crate::{Outcome, machines, only};

/// Lints everything.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    clippy("--workspace --all-targets --all-features")?;
    let workspace = Workspace::load()?;
    for package in workspace.packages.iter().filter(|package| package.has_library()) {
        let name = &package.name;
        clippy(&format!("--package {name} --lib --no-deps"))?;
        if package.features.iter().any(|feature| feature == "default") {
            clippy(&format!("--package {name} --lib --no-deps --no-default-features"))?;
        }
    }
    // The second of these is what a machine promises to build with: all of them must have been among the above.
    machines::present(&workspace).map(drop)
}

fn clippy(selection: &str) -> Outcome {
    Program::cargo().args("clippy --quiet").args(selection).args("-- -D warnings").run()
}
