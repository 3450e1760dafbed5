//! Proofs from any bytes: what is found is in the proof, and one node more is one too many.

use quorate_eth::trie::lookup;

/// A key of up to 32 bytes with its length before it, then nodes with theirs.
pub fn trie(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0xff);
    let (key, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let key = &key[..key.len().min(32)];
    let mut nodes = Vec::new();
    let mut rest = rest;
    while let [len, tail @ ..] = rest {
        let (node, after) = tail.split_at(tail.len().min(usize::from(*len)));
        nodes.push(alloy_primitives::Bytes::copy_from_slice(node));
        rest = after;
    }
    // The root is that of the first node: whatever follows is held against it.
    let root = nodes.first().map(alloy_primitives::keccak256).unwrap_or_default();
    if let Ok(found) = lookup(root, key, &nodes) {
        let last = nodes.last().expect("without nodes only the empty root is proven");
        assert!(found.is_none_or(|value| last.windows(value.len()).any(|window| window == value)));
        nodes.push(last.clone());
        assert!(lookup(root, key, &nodes).is_err(), "a node too many is refused");
    }
}
