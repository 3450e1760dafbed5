//! A payment: nonce and fee are fetched in parallel, then it is signed, then sent.

use super::*;
use alloy_primitives::{Address, Bytes, U256};
use async_trait::async_trait;
use quorate_eth::{LocalSigner, Payment};
use quorate_query::signer::{Fetched, SignError, SignRequest, Signed, Signer};
use quorate_query::verified::VerifiedFailure;
use quorate_query::{Call, Reason};
use std::sync::Mutex;

fn payment(from: Address) -> Payment {
    Payment {
        from,
        to: Some(Address::repeat_byte(9)),
        value: U256::from(1_000),
        input: Bytes::new(),
        gas_limit: 21_000,
        chain_id: 1,
        nonce: None,
        tip: 2,
        max_fee: None,
        accept_consistent: true,
    }
}

fn signer() -> (LocalSigner, Address) {
    let mut signer = LocalSigner::new();
    let from = signer.insert(key(77).to_bytes().as_slice()).expect("a key");
    (signer, from)
}

#[tokio::test]
async fn a_payment_is_made_signed_and_sent() {
    let nodes = Nodes::start(&[ProofFault::Honest, ProofFault::Honest]).await;
    let (signer, from) = signer();
    let client = nodes.builder(standard(), all_at_once(1)).with_signer(signer).client(clients());
    let success = client.ask(EthRequest::pay(payment(from))).await.expect("honest nodes");
    assert!(matches!(success.value[0].claimed(), Answer::Sent(_)));
    let asked: Vec<_> = success.report.questions.iter().map(|question| &*question.request).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[2], "eth_sendRawTransaction");
    // Both were sent before either was answered.
    let first_two = &success.report.questions;
    assert_eq!(first_two[0].after, first_two[1].after, "they were sent together");
}

#[tokio::test]
async fn what_nobody_vouches_for_is_not_signed_unless_the_caller_takes_it() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let (signer, from) = signer();
    let careful = Payment { accept_consistent: false, ..payment(from) };
    let client = nodes.builder(standard(), all_at_once(1)).with_signer(signer.clone()).client(clients());
    let error = client.ask(EthRequest::pay(careful.clone())).await.expect_err("nobody vouches");
    assert!(error.to_string().contains("somebody vouches for"), "{error}");
    let verifier = EthVerifier::new(super::signers()).anchored_only();
    let client = nodes.builder(verifier, all_at_once(1)).with_signer(signer).client(clients());
    let success = client.ask(EthRequest::pay(careful)).await.expect("both signers vouch");
    assert!(!success.value[0].is_merely_consistent());
    let error = client.ask(EthRequest::pay(Payment { max_fee: Some(1), ..payment(from) })).await;
    assert!(error.expect_err("less than the tip").to_string().contains("at least the tip"));
}

#[tokio::test]
async fn without_a_signer_or_with_another_account_it_says_so() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let client = nodes.client(standard(), all_at_once(1));
    let error = client.ask(EthRequest::pay(payment(Address::ZERO))).await.expect_err("nobody signs");
    assert!(error.to_string().contains("there is no signer"), "{error}");
    let client = nodes.builder(standard(), all_at_once(1)).with_signer(signer().0).client(clients());
    let error = client.ask(EthRequest::pay(payment(Address::ZERO))).await.expect_err("another account");
    assert!(matches!(&error.failure, VerifiedFailure::Part { name, .. } if &**name == "sign"), "{error}");
    assert!(error.to_string().contains("does not know the account"), "{error}");
}

/// Signs only when the account can pay, which it has fetched first.
struct Careful {
    inner: LocalSigner,
    seen: Mutex<Vec<String>>,
}

#[async_trait]
impl Signer for Careful {
    async fn sign(&self, request: &SignRequest, fetched: &[Fetched]) -> Result<Signed, SignError> {
        let Some((_, balance)) = fetched.first() else {
            let account = Address::try_from(&request.account[..]).map_err(|_| SignError::UnknownAccount)?;
            let call = Call::plain("eth_getBalance", &json!([account, "0x5"]));
            return Ok(Signed::Needs(vec![call.map_err(|error| SignError::Failed(Reason::new(error)))?]));
        };
        self.seen.lock().expect("no panic").push(String::from_utf8_lossy(balance).into_owned());
        self.inner.sign(request, fetched).await
    }
}

#[tokio::test]
async fn a_signer_has_something_fetched_before_it_signs() {
    let nodes = Nodes::start(&[ProofFault::Honest]).await;
    let (inner, from) = signer();
    let careful = Careful { inner, seen: Mutex::default() };
    let client = nodes.builder(standard(), all_at_once(1)).with_signer(careful).client(clients());
    let success = client.ask(EthRequest::pay(payment(from))).await.expect("an honest node");
    let asked = success.report.questions.iter().filter(|question| &*question.request == "eth_getBalance");
    assert_eq!(asked.count(), 1);
}
