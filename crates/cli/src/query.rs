//! `quorate query`: one question to a federation, and the value that enough of it agree on; or to nodes that prove it.

mod check;
mod strategy;
mod verified;

use crate::exit::Failure;
use crate::federation::{Patience, Whom, no_agreement, peers_json, table};
use crate::output;
use clap::Args;
use quorate_query::Call;
use serde_json::{Value, json};

/// Ask a federation, and print the value on which enough of its guardians agree; or nodes, and print what they prove
///
/// Exit codes: 0 agreed or proven, 1 neither (with a table of who answered what), 2 the options cannot be used.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    /// The method, such as session_count
    method: String,
    /// The parameters of a call with --verify, one after the other: JSON, or else taken as texts
    #[arg(value_name = "PARAM", requires = "verify", conflicts_with = "params")]
    positional: Vec<String>,
    /// The parameters, as JSON; with --verify an array
    #[arg(long, value_name = "JSON", default_value = "null")]
    params: String,
    /// Ask a module instance: the method becomes module_ID_METHOD
    #[arg(long, value_name = "ID")]
    module: Option<u16>,
    #[command(flatten)]
    judging: strategy::Judging,
    #[command(flatten)]
    patience: Patience,
    /// Show who answered what, on standard error
    #[arg(long)]
    explain: bool,
    /// Print one JSON object instead of the value alone
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    verification: verified::Verification,
}

/// Asks.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let params: Value = serde_json::from_str(&arguments.params)
        .map_err(|error| Failure::usage(format!("--params is not JSON: {error}")))?;
    if arguments.verification.is_wanted() {
        let positional = arguments.positional.iter().map(|text| verified::parameter(text));
        let params = if params.is_null() { positional.collect() } else { params };
        let timeout = arguments.patience.timeout()?;
        let (explain, json) = (arguments.explain, arguments.json);
        return arguments.verification.run(&arguments.method, &params, timeout, explain, json).await;
    }
    let call = Call::new(arguments.method.as_str(), &params)
        .map_err(|error| Failure::usage(format!("--params cannot be sent: {error}")))?;
    let call = match arguments.module {
        Some(id) => call.of_module(id.into()),
        None => call,
    };
    let judge = arguments.judging.judge(call.method())?;
    let config = arguments.patience.config()?;
    let federation = arguments.whom.federation(config).await?;
    let explained = judge.ask(&federation, call, config).await;
    federation.close().await;
    if arguments.explain && explained.outcome.is_ok() {
        output::say(&table(&explained.report));
    }
    let value = explained.outcome.map_err(|error| no_agreement(&error))?;
    if arguments.json {
        let mut told = json!({ "event": "answer", "peers": peers_json(&explained.report) }).to_string();
        // As the guardians wrote it: a number may have more digits than a program's numbers.
        told.insert_str(1, &format!(r#""value":{value},"#));
        output::line(&told);
    } else {
        output::line(&format!("{value:#}"));
    }
    Ok(())
}
