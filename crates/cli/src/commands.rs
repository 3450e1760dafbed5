//! What can be asked for: one subcommand per job.

use crate::demo::{self, DemoArgs};
use crate::exit::Failure;
use crate::{guardians, inspect, invite, node, output, proof, query, recv, sds, send, versions};
use clap::{Parser, Subcommand};
use std::time::Duration;

/// How long tasks that are left may take when all is said.
const WIND_UP: Duration = Duration::from_millis(500);

/// Files to a group, over an encrypted channel that repairs what the network loses; and what a peer says, by hand.
///
/// Exit codes: 0 all was done, 1 a delivery failed, 2 the options or what they name cannot be used.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, arg_required_else_help = true)]
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
    Guardians(guardians::Arguments),
    Invite(invite::Arguments),
    Proof(proof::Arguments),
    Query(query::Arguments),
    Recv(recv::Arguments),
    Sds(sds::SdsArgs),
    Send(send::Arguments),
    Node(node::Arguments),
    Inspect(inspect::Arguments),
    Versions(versions::Arguments),
}

/// Does it.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => drive(demo::run(&args)),
        Command::Guardians(arguments) => told(arguments.json, drive(guardians::run(arguments))),
        Command::Invite(arguments) => invite::run(arguments),
        Command::Proof(arguments) => proof::run(arguments),
        Command::Query(arguments) => told(arguments.json, drive(query::run(arguments))),
        Command::Recv(arguments) => told(arguments.json, drive(recv::run(arguments))),
        Command::Sds(args) => drive(sds::run(args)),
        Command::Send(arguments) => told(arguments.json, drive(send::run(arguments))),
        Command::Node(arguments) => told(arguments.json, drive(node::run(arguments))),
        Command::Inspect(arguments) => told(arguments.json, inspect::run(&arguments)),
        Command::Versions(arguments) => told(arguments.json, drive(versions::run(arguments))),
    }
}

/// Runs a job that needs a runtime.
pub(crate) fn drive(job: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::usage(format!("the runtime did not start: {error}")))?;
    let outcome = runtime.block_on(job);
    runtime.shutdown_timeout(WIND_UP);
    outcome
}

/// Tells a failure to programs too.
fn told(json: bool, outcome: Result<(), Failure>) -> Result<(), Failure> {
    if json && let Err(failure) = &outcome {
        output::json(&failure.to_json());
    }
    outcome
}
