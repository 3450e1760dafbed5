//! Recorded cases: a request, the answers that several nodes gave in turn, and what they amount to.
//!
//! A case is a JSON object
//! `{"request": {"method", "params"}, "proof": "standard"|"full"|"none", "signers": [ADDRESS…],
//! "chainId", "finality", "responses": [RESPONSE…]}`. A response is a JSON value, or a string that holds the
//! raw body; one that stands for itself is an array of one. `registryId` (what signers sign beside block and number) and
//! `trustedHashes` (an object from block number, decimal or hex, to hash) may be there. Other members are ignored.
//!
//! The rule: answers are heard in order, the first that can be verified counts, and one that proves nothing
//! never ends the matter.

use crate::error::{QuestionError, Reason, Rejected};
use crate::json::{Json, block_number};
use crate::question::Question;
use crate::trust::Trust;
use crate::verify::{Depth, Verdict, verify};
use quorate_query::verified::Unproven;
use serde_json::Value;

/// The most responses and signers of one case.
const MAX_ENTRIES: usize = 1_024;

/// A recorded case, understood.
#[derive(Debug, Clone)]
pub struct Case {
    question: Question,
    trust: Trust,
    depth: Depth,
    responses: Vec<Value>,
}

/// Why a case cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A member of the case is missing or malformed.
    #[error("the case: {0}")]
    Malformed(#[source] Rejected),
    /// The request cannot be verified.
    #[error("the request: {0}")]
    Question(#[from] QuestionError),
}

/// What a case amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judgement {
    /// A response was verified; its position tells which. Whether it is anchored is in the verdict.
    Verified {
        /// Its position among the responses.
        response: usize,
        /// What it says.
        verdict: Box<crate::Verified<crate::Answer>>,
    },
    /// No response proves anything, and at least one claims nothing that it could be convicted of.
    Unproven {
        /// Its position among the responses.
        response: usize,
        /// What it is instead of a proof.
        what: Unproven,
    },
    /// There is no response.
    Unanswered,
    /// All responses are refused.
    Rejected {
        /// The position of the last.
        response: usize,
        /// Why the last one is.
        why: Rejected,
    },
}

impl Case {
    /// Understands a case.
    pub fn parse(case: &Value) -> Result<Self, CaseError> {
        Self::read(&Json::root(case))
    }

    fn read(case: &Json<'_>) -> Result<Self, CaseError> {
        let malformed = CaseError::Malformed;
        let request = case.need("request").map_err(malformed)?;
        let method = request.need("method").and_then(|method| method.text()).map_err(malformed)?;
        let question = Question::parse(method, request.at("params").value())?;
        let responses = case.need("responses").map_err(malformed)?;
        let given = match responses.value() {
            Value::Array(several) => several.clone(),
            one => vec![one.clone()],
        };
        if given.len() > MAX_ENTRIES {
            return Err(malformed(responses.reject(Reason::TooMany { max: MAX_ENTRIES })));
        }
        let depth = depth(case).map_err(malformed)?;
        let trust = trust(case).map_err(malformed)?;
        Ok(Self { question, trust, depth, responses: given })
    }

    /// The question that was asked.
    pub const fn question(&self) -> &Question {
        &self.question
    }

    /// Hears the responses in turn.
    pub fn judge(&self) -> Judgement {
        let mut unproven = None;
        let mut rejected = None;
        for (response, given) in self.responses.iter().enumerate() {
            match self.hear(given) {
                Ok(Verdict::Verified(verdict)) => {
                    return Judgement::Verified { response, verdict: Box::new(verdict) };
                }
                Ok(Verdict::Unproven(what)) => {
                    unproven.get_or_insert(Judgement::Unproven { response, what });
                }
                Err(why) => rejected = Some(Judgement::Rejected { response, why }),
            }
        }
        unproven.or(rejected).unwrap_or(Judgement::Unanswered)
    }

    fn hear(&self, given: &Value) -> Result<Verdict, Rejected> {
        match given {
            Value::String(body) => {
                let answer = parse_body(body.as_bytes())?;
                verify(&self.question, &answer, &self.trust, self.depth)
            }
            answer => verify(&self.question, answer, &self.trust, self.depth),
        }
    }
}

/// The JSON of a node's raw answer. The binary form of IN3 is refused by name.
pub fn parse_body(body: &[u8]) -> Result<Value, Rejected> {
    let refuse = |expected| Rejected { path: "$".to_owned(), reason: Reason::Malformed { expected } };
    // A byte order mark says nothing that JSON does not.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[' | b'"') => {}
        _ if body.trim_ascii() == b"null" => {}
        Some(byte) if !byte.is_ascii() || byte.is_ascii_control() => {
            return Err(refuse("JSON (the binary form is not supported)"));
        }
        _ => return Err(refuse("JSON")),
    }
    serde_json::from_slice(body).map_err(|_| refuse("JSON"))
}

fn depth(case: &Json<'_>) -> Result<Depth, Rejected> {
    match case.find("proof") {
        None => Ok(Depth::Standard),
        Some(proof) => match proof.text()? {
            "none" => Ok(Depth::None),
            "standard" => Ok(Depth::Standard),
            "full" => Ok(Depth::Full),
            _ => Err(proof.malformed("none, standard or full")),
        },
    }
}

fn trust(case: &Json<'_>) -> Result<Trust, Rejected> {
    let mut trust = Trust::nobody();
    if let Some(signers) = case.find("signers") {
        let items = signers.items()?;
        if items.len() > MAX_ENTRIES {
            return Err(signers.reject(Reason::TooMany { max: MAX_ENTRIES }));
        }
        for signer in items {
            let address = signer.address()?;
            // Named twice is named.
            if !trust.signers.contains(&address) {
                trust.signers.push(address);
            }
        }
    }
    if let Some(registry) = case.find("registryId") {
        trust.registry = Some(registry.hash()?);
    }
    if let Some(hashes) = case.find("trustedHashes") {
        for (number, hash) in hashes.members()? {
            let number = block_number(number);
            let number = number.ok_or_else(|| hash.malformed("the hash of a block by its number"))?;
            let known = hash.hash()?;
            if trust.hashes.insert(number, known).is_some_and(|before| before != known) {
                return Err(hash.differs("the hash of the same block before"));
            }
        }
    }
    Ok(trust)
}
