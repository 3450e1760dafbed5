//! Roots and proofs, from the whole trie.

use alloy_primitives::{B256, Bytes};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles};
use std::collections::BTreeMap;

/// What a trie holds, by its keys.
pub(super) type Tries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The root, and the nodes from it down that prove what is at `key`, or that nothing is.
pub(super) fn proof_in(entries: &Tries, key: &[u8]) -> (B256, Vec<Bytes>) {
    if entries.is_empty() {
        return (EMPTY_ROOT_HASH, Vec::new());
    }
    let retainer = ProofRetainer::new(vec![Nibbles::unpack(key)]);
    let mut builder = HashBuilder::default().with_proof_retainer(retainer);
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    // An embedded node is in its parent, and no node of the proof.
    let nodes = nodes.into_iter().filter(|(path, node)| path.is_empty() || node.len() >= 32);
    (root, nodes.map(|(_, node)| node).collect())
}

/// The trie of a list, whose keys are the encoded places.
pub(super) fn indexed(values: impl Iterator<Item = Vec<u8>>) -> Tries {
    (0_u64..).zip(values).map(|(index, value)| (alloy_rlp::encode(index), value)).collect()
}
