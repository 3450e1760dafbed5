//! The Ethereum verifier of the verified request machine: how questions are written, and what answers amount to.
//!
//! The rule: an answer that is refused is the node's lie, but for a signature that somebody else did not give.

use crate::answer::{Answer, Transaction, Transactions};
use crate::case::parse_body;
use crate::error::{Reason as Wrong, Rejected};
use crate::payment;
use crate::request::{Asked, EthRequest, What};
use crate::trust::{Trust, Verified};
use crate::verify::{Depth, Verdict, verify};
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use quorate_query::verified::{self, Context, Parts, Prepared, Verifier};
use quorate_query::{Call, Reason};
use serde_json::{Map, Value, json};

/// The version of IN3's protocol that is spoken.
const VERSION: &str = "2.1.0";

/// Verifies what Ethereum nodes with IN3's proofs answer.
#[derive(Debug, Clone, Default)]
pub struct EthVerifier {
    trust: Trust,
    depth: Depth,
    chain_id: Option<u64>,
    finality: Option<u64>,
    latest: Option<u64>,
    anchored_only: bool,
}

impl EthVerifier {
    /// Trusts as the caller says, and asks for what the protocol proves by default.
    pub fn new(trust: Trust) -> Self {
        Self { trust, ..Self::default() }
    }

    /// How much proof is asked for. Without any, nothing is ever verified.
    #[must_use]
    pub const fn with_depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Tells nodes which chain is meant, and takes no transaction that was signed for another.
    #[must_use]
    pub const fn with_chain_id(mut self, chain_id: u64) -> Self {
        self.chain_id = Some(chain_id);
        self
    }

    /// Tells nodes how many blocks have to follow one, in percent of the validators: for chains with proof of authority.
    #[must_use]
    pub const fn with_finality(mut self, finality: u64) -> Self {
        self.finality = Some(finality);
        self
    }

    /// Tells nodes to take a block so many before the latest for it: one that signers hold to be final.
    #[must_use]
    pub const fn with_latest_before(mut self, blocks: u64) -> Self {
        self.latest = Some(blocks);
        self
    }

    /// Takes no answer whose header nobody vouches for.
    #[must_use]
    pub const fn anchored_only(mut self) -> Self {
        self.anchored_only = true;
        self
    }

    /// Whom it trusts.
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The `in3` member of a request; none where no proof is asked for.
    fn section(&self, witnesses: &[bytes::Bytes]) -> Option<Value> {
        if self.depth == Depth::None {
            return None;
        }
        let mut section = Map::new();
        section.insert("verification".into(), json!("proof"));
        section.insert("version".into(), json!(VERSION));
        if let Some(chain) = self.chain_id {
            section.insert("chainId".into(), json!(format!("0x{chain:x}")));
        }
        if let Some(finality) = self.finality {
            section.insert("finality".into(), json!(finality));
        }
        if let Some(blocks) = self.latest {
            section.insert("latestBlock".into(), json!(blocks));
        }
        let signers: Vec<Address> = self.trust.signers.iter().copied().chain(addresses(witnesses)).collect();
        if !signers.is_empty() {
            section.insert("signers".into(), json!(signers));
        }
        if self.depth == Depth::Full {
            section.insert("useFullProof".into(), json!(true));
        }
        Some(Value::Object(section))
    }

    /// Judges one answer of a batch.
    fn judge(&self, asked: &Asked, answer: &[u8], trust: &Trust) -> Result<Verdict, Rejected> {
        let answer = parse_body(answer)?;
        let verdict = verify(&asked.question, &answer, trust, self.depth)?;
        match &verdict {
            Verdict::Verified(value) if !self.is_of_the_chain(value.claimed()) => Err(Rejected {
                path: "$.result".to_owned(),
                reason: Wrong::Differs { from: "a transaction of the chain that was asked for" },
            }),
            _ => Ok(verdict),
        }
    }

    /// Whether no transaction in it was signed for another chain. Old ones name none.
    fn is_of_the_chain(&self, answer: &Answer) -> bool {
        let fits = |transaction: &Transaction| {
            let named = transaction.envelope.chain_id();
            named.zip(self.chain_id).is_none_or(|(named, wanted)| named == wanted)
        };
        match answer {
            Answer::Transaction(transaction) => fits(transaction),
            Answer::Block(block) => match &block.transactions {
                Transactions::Full(all) => all.iter().all(fits),
                Transactions::Hashes(_) | Transactions::Open => true,
            },
            _ => true,
        }
    }
}

type Judged = verified::Verdict<EthRequest, Vec<Verified<Answer>>>;

impl Verifier for EthVerifier {
    type Request = EthRequest;
    /// One answer for each question, in the order of the questions.
    type Output = Vec<Verified<Answer>>;

    fn prepare(
        &self,
        request: &EthRequest,
        parts: Parts<'_, Self>,
    ) -> Prepared<EthRequest, Vec<Verified<Answer>>> {
        match &request.0 {
            What::Calls(_) => Prepared::Send,
            What::Pay(payment) => payment::prepare(payment, parts),
        }
    }

    fn encode(&self, request: &EthRequest, context: Context<'_, Self>) -> Result<Vec<Call>, Reason> {
        let What::Calls(calls) = &request.0 else { return Ok(Vec::new()) };
        let section = self.section(context.witnesses);
        let write = |asked: &Asked| {
            let params = if asked.params.is_null() { json!([]) } else { asked.params.clone() };
            let call = Call::plain(asked.method.as_str(), &params)?;
            section.as_ref().map_or(Ok(call.clone()), |section| call.with_member("in3", section))
        };
        calls.iter().map(write).collect::<Result<_, _>>().map_err(Reason::new)
    }

    fn verify(&self, request: &EthRequest, answers: &[bytes::Bytes], context: Context<'_, Self>) -> Judged {
        let What::Calls(calls) = &request.0 else { return Judged::Unproven(verified::Unproven::NotAsked) };
        let mut trust = self.trust.clone();
        trust.signers.extend(addresses(context.witnesses));
        let (mut proven, mut unproven, mut unusable) = (Vec::new(), None, None);
        for (asked, answer) in calls.iter().zip(answers) {
            match self.judge(asked, answer, &trust) {
                Ok(Verdict::Verified(value)) if self.anchored_only && value.is_merely_consistent() => {
                    let reason = Reason::new(NobodyVouches);
                    unusable = Some(Judged::Unusable { reason, absent: Vec::new() });
                }
                Ok(Verdict::Verified(value)) => proven.push(value),
                Ok(Verdict::Unproven(what)) => unproven = Some(Judged::Unproven(what)),
                Err(Rejected { reason: Wrong::NotSigned { signer }, path }) => {
                    let absent = vec![bytes::Bytes::copy_from_slice(signer.as_slice())];
                    let reason = Reason::new(Rejected { reason: Wrong::NotSigned { signer }, path });
                    unusable = Some(Judged::Unusable { reason, absent });
                }
                Err(young @ Rejected { reason: Wrong::NotFinal { .. }, .. }) => {
                    unusable = Some(Judged::Unusable { reason: Reason::new(young), absent: Vec::new() });
                }
                // Whoever passes a signature on did not make it.
                Err(signature) if signature.path.contains(".proof.signatures") => {
                    unusable = Some(Judged::Unusable { reason: Reason::new(signature), absent: Vec::new() });
                }
                // One lie is enough, whatever else the batch holds.
                Err(lie) => return Judged::Lie(Reason::new(lie)),
            }
        }
        match unusable.or(unproven) {
            Some(otherwise) => otherwise,
            None if proven.len() == calls.len() => Judged::Verified(proven),
            None => Judged::Unproven(verified::Unproven::Null),
        }
    }

    fn request(&self, call: &Call) -> Result<EthRequest, Reason> {
        let params = serde_json::from_str(call.params()).map_err(Reason::new)?;
        EthRequest::new(call.method(), &params).map_err(Reason::new)
    }

    fn show(&self, output: &Vec<Verified<Answer>>) -> bytes::Bytes {
        let answers: Vec<Value> = output.iter().map(|answer| answer.claimed().to_json()).collect();
        match <[Value; 1]>::try_from(answers) {
            Ok([answer]) => answer.to_string().into(),
            Err(answers) => Value::Array(answers).to_string().into(),
        }
    }

    fn name(&self, request: &EthRequest) -> String {
        match &request.0 {
            What::Calls(calls) => {
                calls.iter().map(|asked| asked.method.as_str()).collect::<Vec<_>>().join("+")
            }
            What::Pay(_) => "eth_sendTransaction".to_owned(),
        }
    }
}

/// The addresses of those whose keys are addresses.
fn addresses(keys: &[bytes::Bytes]) -> impl Iterator<Item = Address> + '_ {
    keys.iter().filter_map(|key| Address::try_from(&key[..]).ok())
}

#[derive(Debug, thiserror::Error)]
#[error("nobody vouches for its header")]
struct NobodyVouches;
