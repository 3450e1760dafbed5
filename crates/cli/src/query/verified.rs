//! `quorate query --verify eth`: one question to nodes that prove their answers.
//!
//! The rule: what is printed as the value was verified. Whether somebody vouches for it is said beside it, on standard error.

use crate::exit::{Failure, chain};
use crate::output;
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use quorate_eth::{Anchor, Answer, Depth, EthRequest, EthVerifier, Trust, Verified};
use quorate_query::pool::{Node, Pool, PoolConfig};
use quorate_query::verified::{
    Clients, QuestionReport, VerifiedBuilder, VerifiedConfig, VerifiedError, VerifiedReport,
};
use quorate_query::{ClientSettings, Endpoint};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::time::Duration;

/// What carries the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// Ethereum, with the proofs of IN3
    Eth,
}

/// How much proof is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Proof {
    /// What the protocol proves by default
    Standard,
    /// All that can be proven
    Full,
}

/// Whom to ask for an answer with proof, and whom to trust.
#[derive(Debug, Args)]
#[command(next_help_heading = "Answers with proof")]
pub(super) struct Verification {
    /// Ask nodes for an answer with its proof, and verify it
    #[arg(long, value_enum, value_name = "PROTOCOL", requires = "nodes", conflicts_with = "Whom")]
    verify: Option<Protocol>,
    /// The nodes' URLs: http, https, ws or wss
    #[arg(long, value_name = "URL,URL…", value_delimiter = ',', requires = "verify")]
    nodes: Vec<String>,
    /// Who has to vouch for the block, all of them
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',', requires = "verify")]
    signers: Vec<String>,
    /// The hash of a block that is known: its number, a colon, and the hash
    #[arg(long, value_name = "NUMBER:HASH,…", value_delimiter = ',', requires = "verify")]
    trusted: Vec<String>,
    /// The registry in which the signers are entered, where it is part of what they sign
    #[arg(long, value_name = "HASH", requires = "signers")]
    registry: Option<String>,
    /// Take nothing that nobody vouches for
    #[arg(long, requires = "verify")]
    anchored: bool,
    /// How many nodes are asked at a time
    #[arg(long, value_name = "N", default_value = "2", requires = "verify")]
    race: NonZeroUsize,
    /// How much proof is asked for
    #[arg(long, value_enum, default_value_t = Proof::Standard, requires = "verify")]
    proof: Proof,
    /// The chain's id
    #[arg(long, value_name = "ID", requires = "verify", value_parser = number)]
    chain_id: Option<u64>,
}

impl Verification {
    pub(super) const fn is_wanted(&self) -> bool {
        self.verify.is_some()
    }

    /// Asks.
    pub(super) async fn run(
        &self,
        method: &str,
        params: &Value,
        timeout: Duration,
        explain: bool,
        as_json: bool,
    ) -> Result<(), Failure> {
        let request =
            EthRequest::new(method, params).map_err(|error| Failure::usage(format!("{method}: {error}")))?;
        let settings = ClientSettings::new().map_err(|fault| Failure::failed(chain(&fault)))?;
        let config = VerifiedConfig { race: self.race, ..VerifiedConfig::default() }.within(timeout);
        let builder = VerifiedBuilder::new(self.verifier()?, self.pool()?).with_config(config);
        let client = builder.client(Clients::new(settings));
        let success = client.ask(request).await.map_err(|error| no_proof(method, &error))?;
        let Some(answer) = success.value.first() else {
            return Err(Failure::failed(format!("{method}: the answer is empty")));
        };
        let value = answer.claimed().to_json();
        let trust = trust(answer);
        if explain && !as_json {
            output::say(&table(&success.report));
        }
        if as_json {
            output::json(&json!({
                "event": "answer", "value": value, "trust": trust.word, "because": trust.because,
                "questions": questions_json(&success.report),
            }));
        } else {
            output::line(&format!("{value:#}"));
            output::say(&format!("{}: {}", trust.word, trust.because));
        }
        Ok(())
    }

    fn verifier(&self) -> Result<EthVerifier, Failure> {
        let mut trust = Trust::nobody();
        for signer in &self.signers {
            let address = signer.to_ascii_lowercase().parse();
            let address =
                address.map_err(|_| Failure::usage(format!("--signers {signer}: not an address")))?;
            if trust.signers.contains(&address) {
                return Err(Failure::usage(format!("--signers {signer}: named twice")));
            }
            trust.signers.push(address);
        }
        for pair in &self.trusted {
            let wrong =
                || Failure::usage(format!("--trusted {pair}: not the number and the hash of a block"));
            let (number, hash) = pair.split_once(':').ok_or_else(wrong)?;
            // Hashes are copied from anywhere, in either case.
            let hash = hash.to_ascii_lowercase().parse().map_err(|_| wrong())?;
            let before = trust.hashes.insert(self::number(number).map_err(|_| wrong())?, hash);
            if before.is_some_and(|before| before != hash) {
                return Err(Failure::usage(format!(
                    "--trusted {pair}: the same block has another hash before"
                )));
            }
        }
        if let Some(registry) = &self.registry {
            let hash = registry.to_ascii_lowercase().parse();
            trust.registry =
                Some(hash.map_err(|_| Failure::usage(format!("--registry {registry}: not a hash")))?);
        }
        if self.anchored && trust.signers.is_empty() && trust.hashes.is_empty() {
            return Err(Failure::usage("--anchored needs somebody who vouches: --signers or --trusted"));
        }
        let mut verifier = EthVerifier::new(trust).with_depth(match self.proof {
            Proof::Standard => Depth::Standard,
            Proof::Full => Depth::Full,
        });
        if let Some(chain_id) = self.chain_id {
            verifier = verifier.with_chain_id(chain_id);
        }
        Ok(if self.anchored { verifier.anchored_only() } else { verifier })
    }

    fn pool(&self) -> Result<Pool, Failure> {
        let mut pool = Pool::new(PoolConfig::default());
        for (number, url) in (1..).zip(&self.nodes) {
            let endpoint = url.parse::<Endpoint>();
            // Not the URL itself: there may be a password in it.
            let wrong = |error| Failure::usage(format!("--nodes, the URL at place {number}: {error}"));
            let endpoint = endpoint.map_err(wrong)?;
            pool.insert(Node::at(endpoint)).map_err(|error| Failure::usage(error.to_string()))?;
        }
        Ok(pool)
    }
}

/// A number in decimal, or in hex as nodes write it.
fn number(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

/// A parameter as it is written on a command line: JSON, or else a text.
pub(super) fn parameter(text: &str) -> Value {
    // A bare word of digits is a number, as in JSON; addresses and hashes are no JSON, and so texts.
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// What a verified answer is worth.
struct Worth {
    word: &'static str,
    because: String,
}

fn trust(answer: &Verified<Answer>) -> Worth {
    match answer {
        Verified::Consistent(_) => Worth {
            word: "consistent",
            because: "its proof holds for a block that the node chose; nobody who was named vouches for it"
                .to_owned(),
        },
        Verified::Anchored(anchored) => Worth {
            word: "anchored",
            because: match anchored.anchor() {
                Anchor::Signers(signers) => {
                    let signers: Vec<_> = signers.iter().map(ToString::to_string).collect();
                    format!("its block is signed by {}", signers.join(", "))
                }
                Anchor::TrustedHash => "its block has the trusted hash".to_owned(),
                Anchor::Content => "it is the hash of what was sent".to_owned(),
                _ => "somebody who was named vouches for it".to_owned(),
            },
        },
    }
}

/// No verified answer: the reason, and below it who did what.
fn no_proof(method: &str, error: &VerifiedError) -> Failure {
    let message = format!("{method}: {}\n{}", error.failure, table(&error.report));
    Failure::failed(message).with_details(json!({
        "method": method,
        "reason": error.failure.to_string(),
        "retryable": error.failure.is_retryable(),
        "questions": questions_json(&error.report),
    }))
}

fn table(report: &VerifiedReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["node", "round", "after", "what came"]);
    for question in &report.questions {
        let after = format!("{:.1} ms", (question.after + question.took).as_secs_f64() * 1_000.0);
        let round = (question.round + 1).to_string();
        table.add_row([question.url.to_string(), round, after, question.end.to_string()]);
    }
    table.to_string()
}

fn questions_json(report: &VerifiedReport) -> Value {
    let question = |question: &QuestionReport| {
        json!({
            "node": &*question.url, "request": &*question.request, "round": question.round + 1,
            "after_ms": (question.after + question.took).as_secs_f64() * 1_000.0,
            "end": question.end.word(), "told": question.end.to_string(),
        })
    };
    report.questions.iter().map(question).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_json_or_texts() {
        let texts = ["0x00ff", "latest", "true", "7", r#"{"fromBlock":"0x1"}"#, r#""0x1""#];
        let values: Vec<Value> = texts.into_iter().map(parameter).collect();
        let expected = [
            json!("0x00ff"),
            json!("latest"),
            json!(true),
            json!(7),
            json!({ "fromBlock": "0x1" }),
            json!("0x1"),
        ];
        assert_eq!(values, expected);
    }
}
