//! What can be asked for: one subcommand per job.

use crate::exit::Failure;
use clap::{Parser, Subcommand};

/// Files to a group, over an encrypted channel that repairs what the network loses.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, about, arg_required_else_help = true)]
pub(crate) struct Options {
    /// Show warnings, and what went wrong on the way, on standard error
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A job.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {}

/// Does it.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {}
}
