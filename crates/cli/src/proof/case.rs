//! One case and its verdict, for people and for programs.

use quorate_eth::answer::{AccountValue, Transactions};
use quorate_eth::case::{Case as Recorded, CaseError, Judgement};
use quorate_eth::{Anchor, Answer, QuestionError, Unproven, Verified};
use serde_json::{Value, json};

/// Cases are judged, not kept.
pub(super) struct Case;

/// What a case amounts to.
pub(super) struct Verdict {
    word: &'static str,
    /// Which response it is about.
    response: Option<usize>,
    /// Why it is not accepted, or who vouches for it.
    reason: Option<String>,
    /// The place that is at fault.
    path: Option<String>,
    /// What was verified, in short.
    value: Value,
}

impl Case {
    pub(super) fn judge(given: &Value) -> Verdict {
        match Recorded::parse(given) {
            Ok(case) => Verdict::of(case.judge()),
            // No proof could show it: the answer is no truth, and the node is not to blame.
            Err(CaseError::Question(error @ QuestionError::UnknownMethod { .. })) => {
                Verdict { reason: Some(error.to_string()), ..Verdict::new("unproven") }
            }
            Err(error) => Verdict::broken(error.to_string()),
        }
    }
}

impl Verdict {
    const fn new(word: &'static str) -> Self {
        Self { word, response: None, reason: None, path: None, value: Value::Null }
    }

    /// Something that is no case.
    pub(super) fn broken(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::new("broken") }
    }

    fn of(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Verified { response, verdict } => {
                let (word, reason) = match verdict.as_ref() {
                    Verified::Consistent(_) => ("consistent", None),
                    Verified::Anchored(anchored) => ("anchored", Some(anchor(anchored.anchor()))),
                };
                let value = told(verdict.claimed());
                Self { response: Some(response), reason, value, ..Self::new(word) }
            }
            Judgement::Unproven { response, what } => {
                Self { response: Some(response), reason: Some(unproven(&what)), ..Self::new("unproven") }
            }
            Judgement::Unanswered => {
                Self { reason: Some("there is no response".to_owned()), ..Self::new("unproven") }
            }
            Judgement::Rejected { response, why } => Self {
                response: Some(response),
                reason: Some(why.reason.to_string()),
                path: Some(why.path),
                ..Self::new("rejected")
            },
            _ => Self::broken("the judgement is not known".to_owned()),
        }
    }

    /// Whether it is to be believed; nothing where it cannot be judged.
    pub(super) fn accepted(&self) -> Option<bool> {
        (self.word != "broken").then_some(matches!(self.word, "consistent" | "anchored"))
    }

    pub(super) fn to_json(&self, number: usize) -> Value {
        json!({
            "case": number, "verdict": self.word, "response": self.response,
            "path": self.path, "reason": self.reason, "value": self.value,
        })
    }

    pub(super) fn to_line(&self, number: usize) -> String {
        let mut line = format!("{number}: {}", self.word);
        if let Some(path) = &self.path {
            line.push_str(&format!(" at {path}"));
        }
        if let Some(reason) = &self.reason {
            line.push_str(&format!(": {reason}"));
        }
        if !self.value.is_null() {
            line.push_str(&format!(": {}", self.value));
        }
        line
    }
}

fn anchor(anchor: &Anchor) -> String {
    match anchor {
        Anchor::Signers(signers) => format!("signed by {} who were named", signers.len()),
        Anchor::TrustedHash => "the block's hash is trusted".to_owned(),
        Anchor::Content => "it is the hash of what was sent".to_owned(),
        _ => "somebody who was named vouches for it".to_owned(),
    }
}

fn unproven(what: &Unproven) -> String {
    match what {
        Unproven::Null => "null, without a proof that there is nothing".to_owned(),
        Unproven::Refused { code, message } => format!("refused with code {code}: {message}"),
        Unproven::Empty => "an empty list, without a proof that nothing belongs into it".to_owned(),
        Unproven::NotAsked => "no proof was asked for".to_owned(),
        _ => "nothing is proven".to_owned(),
    }
}

/// What was verified, in short.
fn told(answer: &Answer) -> Value {
    match answer {
        Answer::Block(block) => {
            let transactions = match &block.transactions {
                Transactions::Full(all) => json!(all.len()),
                Transactions::Hashes(hashes) => json!(hashes.len()),
                Transactions::Open => Value::Null,
            };
            json!({ "block": block.hash.to_string(), "number": block.header.number, "transactions": transactions })
        }
        Answer::Count(count) => json!({ "count": count }),
        Answer::Account(value) => account(value),
        Answer::Transaction(transaction) => json!({
            "transaction": transaction.envelope.tx_hash().to_string(), "from": transaction.from.to_string(),
            "number": transaction.number, "index": transaction.index,
        }),
        Answer::NoTransaction => json!({ "transaction": null }),
        Answer::Receipt(receipt) => json!({
            "transaction": receipt.transaction.to_string(), "number": receipt.number, "index": receipt.index,
            "succeeded": receipt.succeeded, "logs": receipt.logs.len(),
        }),
        Answer::Logs(logs) => json!({ "logs": logs.logs.len(), "complete": logs.complete }),
        Answer::Sent(hash) => json!({ "transaction": hash.to_string() }),
        _ => Value::Null,
    }
}

fn account(value: &AccountValue) -> Value {
    match value {
        AccountValue::Balance(wei) => json!({ "balance": wei.to_string() }),
        AccountValue::Nonce(nonce) => json!({ "nonce": nonce }),
        AccountValue::Code(code) => json!({ "code": format!("{} bytes", code.len()) }),
        AccountValue::Storage(word) => json!({ "storage": format!("{word:#x}") }),
        _ => Value::Null,
    }
}
