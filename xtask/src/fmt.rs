//! `cargo xtask fmt`: is everything formatted? With `--fix`, it is afterwards.
//!
//! The workspaces inside this one (fuzz targets, peers) are included.

use crate::process::Program;
use crate::{Outcome, only, workspace};

/// Checks, or formats with `--fix`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    only(arguments, &["--fix"])?;
    let mode = if arguments.is_empty() { "-- --check" } else { "" };
    Program::cargo().args("fmt --all").args(mode).run()?;
    for folder in workspace::nested()? {
        let manifest = folder.join("Cargo.toml").display().to_string();
        Program::cargo().args("fmt --manifest-path").arg(manifest).args(mode).run()?;
    }
    Ok(())
}
