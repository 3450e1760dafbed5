//! What a node with proofs does with requests.

use serde_json::{Value, json};
use std::str::FromStr;
use std::time::Duration;

/// What a node does with requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ProofFault {
    /// Answers as it should.
    #[default]
    Honest,
    /// Changes one digit or number at this place of the answer, a JSON pointer such as `/result` or
    /// `/in3/proof/merkleProof/0`.
    Tampered(String),
    /// Answers as it should, after that long.
    Slow(Duration),
    /// Answers `null`.
    Null,
    /// Answers an empty list.
    Empty,
    /// Answers with this error code.
    Refuse(i64),
    /// Answers without a proof.
    NoProof,
    /// Says that its signers hold the block not to be final.
    NotFinal,
    /// Answers another question than was asked.
    WrongId,
    /// Takes requests and never answers.
    Hang,
    /// Closes the connection at every request.
    Drop,
    /// Answers with bytes that are no JSON.
    Garbage,
}

/// The word names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the faults are honest, tampered=POINTER, slow=MS, null, empty, refuse=CODE, no-proof, not-final, wrong-id, hang, drop \
     and garbage"
)]
pub struct UnknownProofFault;

impl FromStr for ProofFault {
    type Err = UnknownProofFault;

    fn from_str(text: &str) -> Result<Self, UnknownProofFault> {
        Ok(match text.split_once('=').unwrap_or((text, "")) {
            ("tampered", pointer) if pointer.starts_with('/') => Self::Tampered(pointer.to_owned()),
            ("slow", millis) => {
                Self::Slow(Duration::from_millis(millis.parse().map_err(|_| UnknownProofFault)?))
            }
            ("refuse", code) => Self::Refuse(code.parse().map_err(|_| UnknownProofFault)?),
            ("honest", "") => Self::Honest,
            ("null", "") => Self::Null,
            ("empty", "") => Self::Empty,
            ("no-proof", "") => Self::NoProof,
            ("not-final", "") => Self::NotFinal,
            ("wrong-id", "") => Self::WrongId,
            ("hang", "") => Self::Hang,
            ("drop", "") => Self::Drop,
            ("garbage", "") => Self::Garbage,
            _ => return Err(UnknownProofFault),
        })
    }
}

impl ProofFault {
    /// What it makes of an honest answer.
    pub(super) fn bend(&self, mut answer: Value) -> Value {
        match self {
            Self::Tampered(pointer) => {
                if let Some(value) = answer.pointer_mut(pointer) {
                    tamper(value);
                }
            }
            Self::Null => return bare(&answer, "result", Value::Null),
            Self::Empty => return bare(&answer, "result", json!([])),
            Self::Refuse(code) => {
                return bare(&answer, "error", json!({ "code": code, "message": "as scripted" }));
            }
            Self::NoProof => {
                answer.as_object_mut().map(|object| object.remove("in3"));
            }
            Self::NotFinal => {
                let block = answer.pointer("/in3/proof/signatures/0/block").cloned();
                if let Some(signatures) = answer.pointer_mut("/in3/proof/signatures") {
                    *signatures =
                        json!([{ "block": block, "error": { "code": -16_001, "message": "not final" } }]);
                }
            }
            Self::WrongId => answer["id"] = json!(4_242_424),
            Self::Honest | Self::Slow(_) | Self::Hang | Self::Drop | Self::Garbage => {}
        }
        answer
    }
}

/// An answer with nothing in it but this.
fn bare(answer: &Value, name: &str, value: Value) -> Value {
    json!({ "id": answer["id"], "jsonrpc": "2.0", name: value })
}

/// Changes the last hex digit of a text, adds one to a number, takes the last item out of a list.
fn tamper(value: &mut Value) {
    match value {
        Value::String(text) => {
            let last = if text.ends_with('0') { "1" } else { "0" };
            text.pop();
            text.push_str(last);
        }
        Value::Number(number) => *value = json!(number.as_u64().unwrap_or_default() + 1),
        Value::Array(items) => drop(items.pop()),
        Value::Bool(flag) => *flag = !*flag,
        Value::Object(members) => members.clear(),
        Value::Null => *value = json!("0x1"),
    }
}
