//! A value is anchored when everybody who was named vouches for its header, and not before.

use super::{ask, chain, check, verified};
use alloy_primitives::B256;
use quorate_eth::{Anchor, Depth, Reason, Trust};
use quorate_testkit::chain::{Proof, Signers, address, key};
use serde_json::json;

fn signed_by(numbers: &[u64]) -> Proof {
    let keys = numbers.iter().map(|number| key(*number)).collect();
    Proof { signers: Signers { keys, registry: None }, full: false }
}

fn trusting(numbers: &[u64]) -> Trust {
    Trust { signers: numbers.iter().map(|number| address(&key(*number))).collect(), ..Trust::nobody() }
}

fn balance(chain: &quorate_testkit::chain::Chain) -> super::Request {
    ("eth_getBalance", json!([chain.accounts(5)[0], "0x5"]))
}

#[test]
fn without_anybody_named_a_value_is_consistent_only() {
    let chain = chain();
    let answer = ask(&chain, &balance(&chain), &signed_by(&[1, 2]));
    let value = verified(check(&balance(&chain), &answer, &Trust::nobody(), Depth::Standard));
    assert!(value.anchored().is_err());
}

#[test]
fn all_signers_that_were_named_must_have_signed() {
    let chain = chain();
    let request = balance(&chain);
    let answer = ask(&chain, &request, &signed_by(&[1, 2]));
    let value = verified(check(&request, &answer, &trusting(&[1, 2]), Depth::Standard));
    let anchored = value.anchored().expect("both signed");
    assert!(matches!(anchored.anchor(), Anchor::Signers(signers) if signers.len() == 2));

    let error = check(&request, &answer, &trusting(&[1, 3]), Depth::Standard).unwrap_err();
    assert_eq!(error.reason, Reason::NotSigned { signer: address(&key(3)) });
}

#[test]
fn a_signature_over_another_block_does_not_count() {
    let chain = chain();
    let request = balance(&chain);
    let mut answer = ask(&chain, &request, &signed_by(&[1]));
    let other = ask(&chain, &("eth_getBalance", json!([chain.accounts(6)[0], "0x6"])), &signed_by(&[1]));
    answer["in3"]["proof"]["signatures"] = other["in3"]["proof"]["signatures"].clone();
    let error = check(&request, &answer, &trusting(&[1]), Depth::Standard).unwrap_err();
    assert_eq!(error.reason, Reason::NotSigned { signer: address(&key(1)) });
    // Neither does one that is renumbered to fit.
    answer["in3"]["proof"]["signatures"][0]["block"] = json!(5);
    assert!(check(&request, &answer, &trusting(&[1]), Depth::Standard).is_err());
}

#[test]
fn every_digit_of_a_signature_counts() {
    let chain = chain();
    let request = balance(&chain);
    let answer = ask(&chain, &request, &signed_by(&[1]));
    for member in ["r", "s", "blockHash", "msgHash", "address"] {
        let held = answer["in3"]["proof"]["signatures"][0][member].as_str().unwrap().to_owned();
        for at in 2..held.len() {
            let mut changed = held.clone().into_bytes();
            changed[at] = if changed[at] == b'3' { b'4' } else { b'3' };
            let mut other = answer.clone();
            other["in3"]["proof"]["signatures"][0][member] = json!(String::from_utf8(changed).unwrap());
            assert!(check(&request, &other, &trusting(&[1]), Depth::Standard).is_err(), "{member} at {at}");
        }
    }
}

#[test]
fn the_registry_is_part_of_what_is_signed() {
    let chain = chain();
    let request = balance(&chain);
    let registry = Some(B256::repeat_byte(9));
    let proof = Proof { signers: Signers { keys: vec![key(1)], registry }, full: false };
    let answer = ask(&chain, &request, &proof);
    let with = Trust { registry, ..trusting(&[1]) };
    assert!(verified(check(&request, &answer, &with, Depth::Standard)).anchored().is_ok());
    assert!(check(&request, &answer, &trusting(&[1]), Depth::Standard).is_err());
}

#[test]
fn a_known_hash_anchors_and_another_one_convicts() {
    let chain = chain();
    let request = balance(&chain);
    let answer = ask(&chain, &request, &Proof::default());
    let mut trust = Trust::nobody();
    trust.hashes.insert(5, chain.blocks()[5].hash);
    let value = verified(check(&request, &answer, &trust, Depth::Standard));
    assert_eq!(value.anchored().expect("the hash is known").anchor(), &Anchor::TrustedHash);
    trust.hashes.insert(5, chain.blocks()[6].hash);
    let error = check(&request, &answer, &trust, Depth::Standard).unwrap_err();
    assert!(matches!(error.reason, Reason::NotTrusted { number: 5, .. }));
}

#[test]
fn a_refusal_in_place_of_a_signature_is_a_missing_signature() {
    let chain = chain();
    let request = balance(&chain);
    let mut answer = ask(&chain, &request, &signed_by(&[1]));
    let signer = address(&key(1));
    for (code, reason) in [(-32603, Reason::NotSigned { signer }), (-16001, Reason::NotFinal { signer })] {
        answer["in3"]["proof"]["signatures"] =
            json!([{ "block": 5, "error": { "code": code, "message": "no" } }]);
        let error = check(&request, &answer, &trusting(&[1]), Depth::Standard).unwrap_err();
        assert_eq!(error.reason, reason);
    }
}
