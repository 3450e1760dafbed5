//! How a payment comes about: nonce and fee in parallel, then the signature, then the transaction is sent.

use crate::answer::{AccountValue, Answer};
use crate::question::Question;
use crate::request::{Asked, EthRequest, Payment, What, misplaced};
use crate::trust::Verified;
use crate::verifier::EthVerifier;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Bytes, Signature, TxKind};
use quorate_query::Reason;
use quorate_query::signer::{SignKind, SignRequest};
use quorate_query::verified::{Parts, Prepared, SubRequest};
use serde_json::json;

type Step = Prepared<EthRequest, Vec<Verified<Answer>>>;

/// What a payment needs next, or what it came to.
pub(crate) fn prepare(payment: &Payment, parts: Parts<'_, EthVerifier>) -> Step {
    step(payment, parts).unwrap_or_else(|step| step)
}

/// The step to take, as the error where it is not the last one.
fn step(payment: &Payment, parts: Parts<'_, EthVerifier>) -> Result<Step, Step> {
    let refuse = |expected| Prepared::Refuse(Reason::new(misplaced(expected)));
    let latest = ask("eth_getBlockByNumber", json!(["latest", false])).map_err(&refuse)?;
    let count = ask("eth_getTransactionCount", json!([payment.from, "latest"])).map_err(&refuse)?;
    let worth = |answer: &&Verified<Answer>| payment.accept_consistent || !answer.is_merely_consistent();
    let first = |request: &EthRequest| parts.value(request).and_then(|answers| answers.first());
    let fetched = [first(&latest), first(&count)];
    if fetched.iter().flatten().any(|answer| !worth(answer)) {
        return Err(refuse("a nonce and a base fee that somebody vouches for"));
    }
    if payment.max_fee.is_some_and(|fee| fee < payment.tip) {
        return Err(refuse("a fee that is at least the tip"));
    }

    let fee = payment.max_fee.or_else(|| match first(&latest)?.claimed() {
        Answer::Block(block) => {
            let base = u128::from(block.header.base_fee_per_gas.unwrap_or_default());
            Some(base.saturating_mul(2).saturating_add(payment.tip))
        }
        _ => None,
    });
    let nonce = payment.nonce.or_else(|| match first(&count)?.claimed() {
        Answer::Account(AccountValue::Nonce(nonce)) => Some(*nonce),
        _ => None,
    });
    let (Some(fee), Some(nonce)) = (fee, nonce) else {
        let missing = [(fee.is_none(), latest), (nonce.is_none(), count)].into_iter();
        let missing = missing.filter(|(missing, _)| *missing).map(|(_, request)| SubRequest::Query(request));
        return Err(Prepared::Need(missing.collect()));
    };

    let transaction = TxEip1559 {
        chain_id: payment.chain_id,
        nonce,
        gas_limit: payment.gas_limit,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: payment.tip,
        to: payment.to.map_or(TxKind::Create, TxKind::Call),
        value: payment.value,
        access_list: Default::default(),
        input: payment.input.clone(),
    };
    let request = SignRequest {
        account: bytes::Bytes::copy_from_slice(payment.from.as_slice()),
        message: transaction.encoded_for_signing().into(),
        kind: SignKind::Hash,
    };
    let Some(signed) = parts.signature(&request) else {
        return Err(Prepared::Need(vec![SubRequest::Sign(request)]));
    };
    // What a signer made of the transaction is another transaction; only one that it left as it was can be put together here.
    if signed.message != request.message {
        return Err(refuse("the transaction that was to be signed"));
    }
    let signature = signature(&signed.bytes).ok_or_else(|| refuse("a signature of 65 bytes"))?;
    let mut raw = Vec::new();
    transaction.into_signed(signature).eip2718_encode(&mut raw);
    let send = ask("eth_sendRawTransaction", json!([Bytes::from(raw)])).map_err(&refuse)?;
    match parts.value(&send) {
        Some(answers) => Ok(Prepared::Local(answers.clone())),
        None => Err(Prepared::Need(vec![SubRequest::Query(send)])),
    }
}

/// `r`, `s`, and the parity as 0 or 1, or as 27 or 28.
fn signature(bytes: &[u8]) -> Option<Signature> {
    if bytes.len() != 65 { None } else { Signature::try_from(bytes).ok() }
}

fn ask(method: &str, params: serde_json::Value) -> Result<EthRequest, &'static str> {
    let question = Question::parse(method, &params).map_err(|_| "a payment whose parts can be asked for")?;
    Ok(EthRequest(What::Calls(vec![Asked { method: method.to_owned(), params, question }])))
}
