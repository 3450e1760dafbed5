//! Proofs of real tries, and what becomes of them when they are changed.

use super::*;
use alloy_primitives::U256;
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The root of a trie, and the proof of a key that may not be in it.
fn proof_of(entries: &BTreeMap<Vec<u8>, Vec<u8>>, key: &[u8]) -> (B256, Vec<Bytes>) {
    let target = Nibbles::unpack(key);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    // An embedded node is in its parent, and no node of the proof.
    let nodes = nodes.into_iter().filter(|(path, node)| path.is_empty() || node.len() >= 32);
    (root, nodes.map(|(_, node)| node).collect())
}

/// Keys of one length whose tries are deep, with values short enough to be embedded, and longer ones.
fn entries() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u8>>> {
    let key = prop::collection::vec(prop_oneof![Just(0x00), Just(0x01), Just(0x10), any::<u8>()], 3);
    let value = prop::collection::vec(1..=255_u8, 1..40);
    prop::collection::btree_map(key, value, 1..40)
}

fn a_trie() -> (B256, Vec<u8>, Vec<Bytes>) {
    let entries: BTreeMap<_, _> = (0..200_u32)
        .map(|number| (keccak256(number.to_be_bytes()).to_vec(), U256::from(number + 1).to_be_bytes_vec()))
        .collect();
    let key = keccak256(77_u32.to_be_bytes()).to_vec();
    let (root, proof) = proof_of(&entries, &key);
    (root, key, proof)
}

proptest! {
    #[test]
    fn what_is_in_a_trie_is_found_and_what_is_not_is_shown_to_be_absent(
        entries in entries(), absent in prop::collection::vec(any::<u8>(), 3), pick in any::<prop::sample::Index>(),
    ) {
        let present = pick.get(&entries.keys().cloned().collect::<Vec<_>>()).clone();
        for key in [present, absent] {
            let (root, proof) = proof_of(&entries, &key);
            prop_assert_eq!(lookup(root, &key, &proof), Ok(entries.get(&key).map(Vec::as_slice)));
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused(entries in entries(), key in prop::collection::vec(any::<u8>(), 3)) {
        let (root, proof) = proof_of(&entries, &key);
        for node in 0..proof.len() {
            for bit in 0..proof[node].len() * 8 {
                let mut changed = proof.clone();
                let mut bytes = changed[node].to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                changed[node] = bytes.into();
                prop_assert_eq!(lookup(root, &key, &changed), Err(TrieError::WrongNode { index: node }));
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(nodes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4), key in any::<[u8; 4]>()) {
        let nodes: Vec<Bytes> = nodes.into_iter().map(Bytes::from).collect();
        let root = nodes.first().map_or(B256::ZERO, keccak256);
        let _ = lookup(root, &key, &nodes);
    }
}

#[test]
fn nodes_dropped_swapped_repeated_extended_or_cut_are_refused() {
    let (root, key, proof) = a_trie();
    assert!(lookup(root, &key, &proof).unwrap().is_some());
    for at in 0..proof.len() {
        let mut dropped = proof.clone();
        dropped.remove(at);
        assert!(lookup(root, &key, &dropped).is_err(), "node {at} dropped");
        let mut repeated = proof.clone();
        repeated.insert(at, proof[at].clone());
        assert!(lookup(root, &key, &repeated).is_err(), "node {at} repeated");
        for len in 0..proof[at].len() {
            let mut cut = proof.clone();
            cut[at] = proof[at].slice(..len);
            assert!(lookup(root, &key, &cut).is_err(), "node {at} cut to {len}");
        }
        let mut extended = proof.clone();
        extended[at] = [&proof[at][..], &[0]].concat().into();
        assert!(lookup(root, &key, &extended).is_err(), "node {at} extended");
        for other in 0..at {
            let mut swapped = proof.clone();
            swapped.swap(at, other);
            assert!(lookup(root, &key, &swapped).is_err(), "nodes {at} and {other} swapped");
        }
    }
}

#[test]
fn a_node_too_many_is_refused() {
    let (root, key, mut proof) = a_trie();
    let len = proof.len();
    proof.push(proof[0].clone());
    assert_eq!(lookup(root, &key, &proof), Err(TrieError::Unused { index: len }));
}

#[test]
fn a_proof_of_another_key_proves_nothing_about_this_one() {
    let (root, _, proof) = a_trie();
    let other = keccak256(78_u32.to_be_bytes());
    // Either it ends early, or it shows where the other key's path leaves it; never a value.
    assert!(!matches!(lookup(root, other.as_slice(), &proof), Ok(Some(_))));
}

#[test]
fn the_empty_trie_holds_nothing() {
    let key = [0x12; 32];
    assert_eq!(lookup(EMPTY_ROOT_HASH, &key, &[]), Ok(None));
    assert_eq!(lookup(EMPTY_ROOT_HASH, &key, &[Bytes::from_static(&[0x80])]), Ok(None));
    let (_, _, proof) = a_trie();
    assert_eq!(lookup(EMPTY_ROOT_HASH, &key, &proof), Err(TrieError::Unused { index: 0 }));
}

#[test]
fn a_root_of_fewer_than_32_bytes_is_a_root() {
    let entries = BTreeMap::from([(vec![0x80], vec![7])]);
    let (root, proof) = proof_of(&entries, &[0x80]);
    assert!(proof[0].len() < 32);
    assert_eq!(lookup(root, &[0x80], &proof), Ok(Some(&[7][..])));
}
