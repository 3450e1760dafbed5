//! `proof check`: recorded answers of nodes, judged offline.
//!
//! The rule: every case gets a verdict of its own, and only the exit code sums them up.

mod case;
mod nodes;

use crate::commands::drive;
use crate::exit::Failure;
use crate::output;
use case::{Case, Verdict};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Answers that carry their proof
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// Judge recorded cases: is the answer what its proof shows?
    ///
    /// A case is {"request": {"method", "params"}, "proof": "standard"|"full"|"none", "signers": [ADDRESS…], "chainId", "finality",
    /// "responses": [RESPONSE…]}. The verdicts are consistent, anchored, unproven and rejected.
    ///
    /// Exit codes: 0 every case was judged, 1 a verdict is not the expected one, 2 something is no case.
    Check(Check),
    /// Run Ethereum nodes with proofs on 127.0.0.1 until interrupted, faulty ones among them, to try things on
    ///
    /// What they know is a chain with real tries that is made from a seed; nothing in it is executed.
    Nodes(nodes::Nodes),
}

#[derive(Debug, Args)]
struct Check {
    /// A file with a case, or with an array of cases; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "jsonl", conflicts_with = "jsonl")]
    file: Option<PathBuf>,
    /// A file with a case on every line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// Fail unless every case is accepted (consistent or anchored), or none is
    #[arg(long, value_name = "VERDICT")]
    expect: Option<Expected>,
    /// One JSON object a case, one a line
    #[arg(long)]
    json: bool,
}

/// What every case is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expected {
    /// Consistent or anchored
    Accept,
    /// Unproven or rejected
    Reject,
}

/// Judges what there is, or runs nodes.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let check = match arguments.job {
        Job::Check(check) => check,
        Job::Nodes(arguments) => return drive(nodes::run(arguments)),
    };
    let mut tally = Tally { check: &check, cases: 0, unexpected: 0, broken: 0 };
    match (&check.jsonl, &check.file) {
        (Some(path), _) => lines(path, &mut tally)?,
        (None, Some(path)) => whole(path, &mut tally)?,
        (None, None) => {}
    }
    tally.end()
}

/// One case a line; empty lines are none. A line that cannot be read, such as one that is no UTF-8, is no case, and the next one is.
fn lines(path: &Path, tally: &mut Tally<'_>) -> Result<(), Failure> {
    let unreadable = |error| Failure::usage(format!("{}: {error}", path.display()));
    let mut reader = BufReader::new(open(path).map_err(unreadable)?);
    let (mut line, mut first) = (Vec::new(), true);
    while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
        let text = if std::mem::take(&mut first) { without_mark(&line) } else { &line };
        if !text.trim_ascii().is_empty() {
            tally.judge(serde_json::from_slice(text).map_err(|error| error.to_string()).as_ref());
        }
        line.clear();
    }
    Ok(())
}

/// Without the byte order mark that some editors write.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// One case, or an array of them.
fn whole(path: &Path, tally: &mut Tally<'_>) -> Result<(), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let mut text = Vec::new();
    open(path).and_then(|mut file| file.read_to_end(&mut text)).map_err(|error| unreadable(&error))?;
    match serde_json::from_slice(without_mark(&text)).map_err(|error| unreadable(&error))? {
        Value::Array(cases) => cases.iter().for_each(|case| tally.judge(Ok(case))),
        case => tally.judge(Ok(&case)),
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path == Path::new("-") { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(path)?)) }
}

/// What was judged so far.
struct Tally<'a> {
    check: &'a Check,
    cases: usize,
    unexpected: usize,
    broken: usize,
}

impl Tally<'_> {
    fn judge(&mut self, given: Result<&Value, &String>) {
        let number = self.cases;
        self.cases += 1;
        let verdict = match given.cloned() {
            Ok(given) => Case::judge(&given),
            Err(error) => Verdict::broken(error.clone()),
        };
        match verdict.accepted() {
            None => self.broken += 1,
            Some(accepted) => {
                let wanted = self.check.expect.map(|expected| expected == Expected::Accept);
                self.unexpected += usize::from(wanted.is_some_and(|wanted| wanted != accepted));
            }
        }
        if self.check.json {
            output::json(&verdict.to_json(number));
        } else {
            output::line(&output::tame_line(&verdict.to_line(number)));
        }
    }

    fn end(self) -> Result<(), Failure> {
        let Self { check, cases, unexpected, broken } = self;
        if cases == 0 {
            return Err(Failure::usage("there is no case"));
        }
        if broken > 0 {
            return Err(Failure::usage(format!("{broken} of {cases} cannot be judged")));
        }
        match check.expect {
            Some(Expected::Accept) if unexpected > 0 => {
                Err(Failure::failed(format!("{unexpected} of {cases} should have been accepted")))
            }
            Some(Expected::Reject) if unexpected > 0 => {
                Err(Failure::failed(format!("{unexpected} of {cases} should not have been accepted")))
            }
            _ => Ok(()),
        }
    }
}
