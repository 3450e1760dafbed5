//! Headers of every fork, from bytes and from JSON.

use super::*;
use alloy_primitives::{b256, hex};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Mainnet's first block, whose hash everybody knows.
fn genesis() -> Value {
    json!({
        "parentHash": format!("0x{}", "0".repeat(64)),
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "miner": "0x0",
        "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
        "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
        "logsBloom": format!("0x{}", "0".repeat(512)),
        "difficulty": "0x400000000", "number": 0, "gasLimit": "0x1388", "gasUsed": "0x0", "timestamp": "0x0",
        "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
        "mixHash": format!("0x{}", "0".repeat(64)), "nonce": "0x0000000000000042",
    })
}

const GENESIS_HASH: B256 = b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");

fn read(block: &Value) -> Result<Header, Rejected> {
    Header::from_json(&Json::root(block))
}

#[test]
fn the_first_block_has_the_hash_that_everybody_knows() {
    let header = read(&genesis()).unwrap();
    assert_eq!(header.hash(), GENESIS_HASH);
    assert_eq!(Header::decode(&alloy_rlp::encode(&header)), Ok(header));
}

#[test]
fn seal_fields_stand_for_mix_hash_and_nonce_and_must_agree_with_them() {
    let mut block = genesis();
    let (mix, nonce) = (format!("0xa0{}", "0".repeat(64)), "0x880000000000000042");
    block["sealFields"] = json!([mix, nonce]);
    assert_eq!(read(&block).unwrap().hash(), GENESIS_HASH);
    for member in ["mixHash", "nonce"] {
        block.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(read(&block).unwrap().hash(), GENESIS_HASH);
    block["nonce"] = json!("0x0000000000000043");
    block["mixHash"] = json!("0x0");
    assert_eq!(read(&block).unwrap_err().path, "$.nonce");
    for broken in
        [json!([mix]), json!([mix, "0x"]), json!([mix, "0x88"]), json!([mix, "0x0101"]), json!("0x")]
    {
        block["sealFields"] = broken;
        assert!(read(&block).is_err());
    }
}

#[test]
fn seals_of_another_consensus_are_kept_as_they_are() {
    let mut block = genesis();
    for member in ["mixHash", "nonce"] {
        block.as_object_mut().unwrap().remove(member);
    }
    block["sealFields"] = json!(["0x8416b0c2d5", format!("0xb841{}", "5a".repeat(65))]);
    let header = read(&block).unwrap();
    assert!(matches!(&header.seal, Seal::Other([step, _]) if step[..] == hex!("8416b0c2d5")));
    assert_eq!(Header::decode(&alloy_rlp::encode(&header)), Ok(header));
}

#[test]
fn a_field_of_a_later_fork_needs_those_before_it() {
    let mut block = genesis();
    block["withdrawalsRoot"] = json!("0x1");
    let error = read(&block).unwrap_err();
    assert_eq!((error.path.as_str(), &error.reason), ("$.baseFeePerGas", &Reason::Missing));
    block["baseFeePerGas"] = json!(7);
    assert_ne!(read(&block).unwrap().hash(), GENESIS_HASH);
}

#[test]
fn an_unknown_fork_is_said_to_be_one() {
    let full = Header {
        base_fee_per_gas: Some(1),
        withdrawals_root: Some(B256::ZERO),
        blob_gas_used: Some(2),
        excess_blob_gas: Some(3),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(B256::ZERO),
        block_access_list_hash: Some(B256::ZERO),
        slot_number: Some(4),
        ..read(&genesis()).unwrap()
    };
    let bytes = alloy_rlp::encode(&full);
    assert_eq!(Header::decode(&bytes), Ok(full));
    let mut body = &bytes[..];
    let payload = RlpHeader::decode_bytes(&mut body, true).unwrap();
    let mut longer = Vec::new();
    RlpHeader { list: true, payload_length: payload.len() + 1 }.encode(&mut longer);
    longer.extend_from_slice(payload);
    longer.push(0x05);
    assert_eq!(Header::decode(&longer), Err(Reason::UnknownFork { fields: 24, known: MAX_FIELDS }));
}

proptest! {
    #[test]
    fn bytes_that_are_read_are_the_ones_that_are_written(mut bytes in Just(alloy_rlp::encode(read(&genesis()).unwrap())),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert_eq!(alloy_rlp::encode(&header), bytes);
        }
    }
}
