//! Looks a key up in a Merkle Patricia trie of which only a proof is at hand.
//!
//! The rule: every byte of a proof counts. Each node is what its parent refers to, each is used, and none
//! is left over, so that a proof that was changed anywhere is refused. A key that the trie lacks is proven
//! too: the last node shows that the path ends elsewhere.
//!
//! Source: Yellow Paper, appendix D; hex-prefix encoding, appendix C.

mod node;

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use node::{Node, Reference};

/// Why a proof says nothing about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrieError {
    /// The proof ends before the key is found or shown to be absent.
    #[error("the proof ends early: node {index} is missing")]
    Truncated {
        /// The position of the node that should follow, from the root, which is 0.
        index: usize,
    },
    /// A node is not the one that its parent (the root: the header) refers to.
    #[error("node {index} is not the one that its parent refers to")]
    WrongNode {
        /// Its position.
        index: usize,
    },
    /// A node is no node: not the canonical encoding of a branch, an extension or a leaf.
    #[error("node {index} is malformed: {what}")]
    Malformed {
        /// Its position.
        index: usize,
        /// What does not hold.
        what: &'static str,
    },
    /// The proof goes on after the key was found or shown to be absent.
    #[error("node {index} and what follows it is not used")]
    Unused {
        /// The position of the first node too many.
        index: usize,
    },
}

/// The value at `key` in the trie with the given root, or `None` where the proof shows that there is none.
///
/// `key` is the path itself, at most 32 bytes: callers hash what the trie hashes. The nodes come from
/// the root down, embedded ones within their parents. The empty trie is proven by no node, or by the
/// empty one (`0x80`).
pub fn lookup<'a>(root: B256, key: &[u8], proof: &'a [Bytes]) -> Result<Option<&'a [u8]>, TrieError> {
    if root == EMPTY_ROOT_HASH {
        let spare = usize::from(proof.first().is_some_and(|node| node[..] == [0x80]));
        return if proof.len() > spare { Err(TrieError::Unused { index: spare }) } else { Ok(None) };
    }
    let mut walk = Walk { key, depth: 0 };
    let mut next = Reference::Hash(root);
    let mut used = 0;
    let found = loop {
        let bytes = match next {
            Reference::Embedded(bytes) => bytes,
            Reference::Hash(hash) => {
                let node = proof.get(used).ok_or(TrieError::Truncated { index: used })?;
                used += 1;
                if keccak256(node) != hash {
                    return Err(TrieError::WrongNode { index: used - 1 });
                }
                &node[..]
            }
        };
        let index = used.saturating_sub(1);
        let node = Node::decode(bytes).map_err(|what| TrieError::Malformed { index, what })?;
        match walk.step(node).map_err(|what| TrieError::Malformed { index, what })? {
            Step::Down(reference) => next = reference,
            Step::End(value) => break value,
        }
    };
    if proof.len() > used { Err(TrieError::Unused { index: used }) } else { Ok(found) }
}

/// The way down: which nibbles of the key are behind us.
///
/// Every step but the last takes at least one nibble, which bounds the depth.
struct Walk<'k> {
    key: &'k [u8],
    depth: usize,
}

enum Step<'a> {
    Down(Reference<'a>),
    End(Option<&'a [u8]>),
}

impl Walk<'_> {
    fn step<'a>(&mut self, node: Node<'a>) -> Result<Step<'a>, &'static str> {
        Ok(match node {
            Node::Branch(branch) => match self.nibble(0) {
                None => Step::End(branch.value()?),
                Some(nibble) => {
                    self.depth += 1;
                    branch.child(nibble)?.map_or(Step::End(None), Step::Down)
                }
            },
            Node::Extension { path, child } => {
                if self.follows(path.nibbles()) {
                    self.depth += path.len();
                    Step::Down(child)
                } else {
                    Step::End(None)
                }
            }
            Node::Leaf { path, value } => {
                let ours = self.follows(path.nibbles()) && self.left() == path.len();
                Step::End(ours.then_some(value))
            }
        })
    }

    fn nibble(&self, ahead: usize) -> Option<u8> {
        let at = self.depth + ahead;
        let byte = self.key.get(at / 2)?;
        Some(if at.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
    }

    fn left(&self) -> usize {
        2 * self.key.len() - self.depth
    }

    fn follows(&self, path: impl Iterator<Item = u8>) -> bool {
        path.enumerate().all(|(ahead, nibble)| self.nibble(ahead) == Some(nibble))
    }
}

#[cfg(test)]
mod tests;
