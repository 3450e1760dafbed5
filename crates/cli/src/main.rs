//! The command `quorate`: what people use who do not write Rust.
//!
//! The rule: results go to standard output and everything else to standard error; the exit code says
//! whether all that was asked for was done.

mod commands;
mod demo;
mod exit;
mod federation;
mod group;
mod guardians;
mod inspect;
mod invite;
mod node;
mod output;
mod progress;
mod proof;
mod query;
mod recv;
mod sds;
mod send;
mod signal;
mod versions;

use clap::Parser;
use commands::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.verbose {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    match commands::run(options.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.exit().into()
        }
    }
}
