//! What can be asked for: one subcommand per job.

use crate::demo::{self, DemoArgs};
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
pub(crate) enum Command {
    /// Send a file through every layer over a network that loses, repeats and reorders, in one process
    Demo(DemoArgs),
}

/// Does it.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(error.to_string()))?;
    match command {
        Command::Demo(args) => runtime.block_on(demo::run(&args)),
    }
}
