//! `quorate inspect`: what bytes are, field by field, or where they stop being it.
//!
//! The rule: it says what it took the bytes for. Where they are nothing that it knows, it points at the byte.

mod input;
mod kind;
mod layers;
mod protobuf;
mod show;
mod stream;

use crate::exit::Failure;
use crate::output;
use bytes::Bytes;
use kind::Kind;
use serde_json::{Value, json};

/// Say what bytes are: a frame, stream frames, an SDS message, an envelope
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bytes: as hexadecimal digits, in a file, or - for standard input
    #[arg(value_name = "HEX | FILE | -", default_value = "-")]
    bytes: String,
    /// Take them for this, where they could be several things
    #[arg(long = "as", value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    /// Write one JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where bytes stop being what they were taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// The offset of the byte, from 0; the length of the bytes where something is missing.
    offset: usize,
    reason: String,
}

/// Bytes that are something.
#[derive(Debug)]
struct Found {
    kind: Kind,
    fields: Value,
    /// What else they could be.
    also: Vec<Kind>,
}

/// Reads, decodes, shows.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let bytes = input::read(&arguments.bytes)?;
    match find(arguments.kind, &bytes) {
        Ok(found) => {
            show(arguments.json, &found, bytes.len());
            Ok(())
        }
        Err(faults) => Err(failure(&faults, &bytes)),
    }
}

/// What the bytes are, or why they are none of what they could be.
fn find(kind: Option<Kind>, bytes: &Bytes) -> Result<Found, Vec<(Kind, Fault)>> {
    if let Some(kind) = kind {
        let fields = kind.decode(bytes).map_err(|fault| vec![(kind, fault)])?;
        return Ok(Found { kind, fields, also: Vec::new() });
    }
    let mut faults = Vec::new();
    let mut found: Option<Found> = None;
    for kind in Kind::ALL {
        match kind.decode(bytes) {
            Ok(fields) if kind.is_plausible(bytes, &fields) => match &mut found {
                None => found = Some(Found { kind, fields, also: Vec::new() }),
                Some(found) => found.also.push(kind),
            },
            Ok(_) => {}
            Err(fault) => faults.push((kind, fault)),
        }
    }
    found.ok_or(faults)
}

fn show(json: bool, found: &Found, len: usize) {
    let also: Vec<_> = found.also.iter().map(|kind| kind.name()).collect();
    if json {
        output::json(&json!({ "as": found.kind.name(), "also": also, "bytes": len, "fields": found.fields }));
        return;
    }
    let others =
        if also.is_empty() { String::new() } else { format!(" (could also be: {})", also.join(", ")) };
    output::line(&format!("{}, {len} bytes{others}", found.kind.describe()));
    show::fields(&found.fields, 1).iter().for_each(|line| output::line(line));
}

/// The failure that points at a byte, for each thing that the bytes could have been.
fn failure(faults: &[(Kind, Fault)], bytes: &Bytes) -> Failure {
    let lines = faults.iter().map(|(kind, Fault { offset, reason })| {
        let at = match bytes.get(*offset) {
            Some(byte) => format!("byte {offset} ({byte:#04x})"),
            None => format!("byte {offset} (the end)"),
        };
        format!("{}: {at}: {reason}", kind.describe())
    });
    let text = match faults {
        [] => "nothing that is known; --as says what to take it for".to_owned(),
        [_] => format!("no {}", lines.collect::<String>()),
        _ => format!("nothing that is known\n  no {}", lines.collect::<Vec<_>>().join("\n  no ")),
    };
    let details = faults
        .iter()
        .map(|(kind, fault)| json!({ "as": kind.name(), "offset": fault.offset, "reason": fault.reason }));
    Failure::usage(text).with_details(json!({ "faults": details.collect::<Vec<_>>() }))
}

#[cfg(test)]
mod tests;
