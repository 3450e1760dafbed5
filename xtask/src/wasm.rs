//! `cargo xtask wasm`: the machine crates build for `wasm32-unknown-unknown`.
//!
//! That target has no clock, no thread and no socket, and each crate is checked alone with default
//! features off, so a dependency that brings one in is found here.

use crate::process::Program;
use crate::workspace::Workspace;
use crate::{Outcome, machines, only, out};

const TARGET: &str = "wasm32-unknown-unknown";

/// Checks one crate after the other.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &[])?;
    ensure_target()?;
    let workspace = Workspace::load()?;
    for (machine, package) in machines::present(&workspace)? {
        if machine.wasm {
            Program::cargo()
                .args(&format!(
                    "check --lib --no-default-features --target {TARGET} --package {}",
                    package.name
                ))
                .run()?;
        }
    }
    Ok(())
}

/// Installs the target where rustup says that it is missing; without rustup, cargo will tell.
fn ensure_target() -> Outcome {
    let installed = Program::new("rustup").args("target list --installed").output();
    match installed {
        Ok(list) if list.lines().any(|line| line.trim() == TARGET) => Ok(()),
        Ok(_) => Program::new("rustup").args("target add").arg(TARGET).run(),
        Err(reason) => {
            out::warning(&format!("whether {TARGET} is installed cannot be told: {reason}"));
            Ok(())
        }
    }
}
