//! The crates that promise a core without runtime, clock or thread.
//!
//! The names are written down here, not discovered: a promise that vanishes with the file that
//! states it would be none. `lint`, `wasm` and `tidy` read this list.

use crate::out;
use crate::workspace::{Package, Workspace};

/// Whether a machine crate, a document or a dependency that is not in use yet is a skip, shown, instead of a failure.
///
/// True while the workspace grows; `false` makes every one of them an error.
pub(crate) const GROWING: bool = false;

/// A crate whose protocol logic is a machine.
pub(crate) struct Machine {
    /// The package.
    pub(crate) package: &'static str,
    /// Whether it must build for `wasm32-unknown-unknown` with default features off.
    pub(crate) wasm: bool,
}

/// All of them, from the bottom up.
pub(crate) const MACHINES: &[Machine] = &[
    Machine { package: "quorate-base", wasm: true },
    Machine { package: "quorate-wire", wasm: true },
    Machine { package: "quorate-versioning", wasm: true },
    Machine { package: "quorate-transport", wasm: false },
    Machine { package: "quorate-channel", wasm: true },
    Machine { package: "quorate-eth", wasm: true },
    Machine { package: "quorate-query", wasm: true },
];

/// The machine crates that are in the workspace; one that is not there is an error, or a visible skip while it grows.
pub(crate) fn present(workspace: &Workspace) -> Result<Vec<(&'static Machine, &Package)>, String> {
    let mut present = Vec::new();
    for machine in MACHINES {
        match workspace.package(machine.package) {
            Some(package) => present.push((machine, package)),
            None if GROWING => out::skipped(machine.package, "not in the workspace yet"),
            None => return Err(format!("the machine crate {} is not in the workspace", machine.package)),
        }
    }
    Ok(present)
}
