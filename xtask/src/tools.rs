//! The cargo tools that the commands need, installed where they are missing.
//!
//! A tool that the user has comes first, whatever its version. Otherwise one pinned version is
//! built into `target/tools` (or where `XTASK_TOOLS` says), without optimisation and debug info:
//! they run for seconds, so what counts is the time that building them takes.

use std::path::PathBuf;

use crate::process::Program;
use crate::{Outcome, out};

/// A cargo subcommand that crates.io has.
pub(crate) struct Tool {
    /// As in `cargo NAME`; the package is called `cargo-NAME`.
    pub(crate) name: &'static str,
    version: &'static str,
}

/// Checks licences, bans and sources.
pub(crate) const DENY: Tool = Tool { name: "deny", version: "0.20.2" };
/// Builds and runs fuzz targets.
pub(crate) const FUZZ: Tool = Tool { name: "fuzz", version: "0.13.2" };

/// Makes `cargo NAME` work; installs the tool where it is missing.
pub(crate) fn ensure(tool: &Tool) -> Outcome {
    let package = format!("cargo-{}", tool.name);
    if Program::new(&package).arg("--version").succeeds() {
        return Ok(());
    }
    out::line(&format!("{package} is not on this machine: installing it into {}", folder().display()));
    Program::cargo()
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
        .args("install --quiet --locked --debug --version")
        .args(&format!("{} --root {} {package}", tool.version, folder().display()))
        .run()
        .map_err(|reason| format!("{package} could not be installed (is the registry reachable?): {reason}"))
}

/// Where the tools are installed.
pub(crate) fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("XTASK_TOOLS") {
        return PathBuf::from(folder);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    std::path::absolute(target.join("tools")).unwrap_or(target)
}

/// Whether rustup has a toolchain whose name starts with `name`, without trying to install it.
pub(crate) fn has_toolchain(name: &str) -> bool {
    Program::new("rustup")
        .args("toolchain list")
        .output()
        .is_ok_and(|list| list.lines().any(|line| line.starts_with(name)))
}
