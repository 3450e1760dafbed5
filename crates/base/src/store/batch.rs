//! A list of idempotent operations that a store applies as one.

use bytes::Bytes;

/// One operation on a [`Store`](crate::Store).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Sets the value at a key, replacing what was there.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Removes the entry at a key; nothing happens where there is none.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// Operations that a store applies in order, all or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<Op>,
}

impl Batch {
    /// A batch without operations.
    pub const fn new() -> Self {
        Self { ops: Vec::new() }
    }

    /// Appends a [`Op::Put`].
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) -> &mut Self {
        self.push(Op::Put { key: key.into(), value: value.into() })
    }

    /// Appends a [`Op::Delete`].
    pub fn delete(&mut self, key: impl Into<Bytes>) -> &mut Self {
        self.push(Op::Delete { key: key.into() })
    }

    /// Appends an operation.
    pub fn push(&mut self, op: Op) -> &mut Self {
        self.ops.push(op);
        self
    }

    /// The operations, in the order in which they are applied.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

impl IntoIterator for Batch {
    type Item = Op;
    type IntoIter = std::vec::IntoIter<Op>;

    fn into_iter(self) -> Self::IntoIter {
        self.ops.into_iter()
    }
}

impl FromIterator<Op> for Batch {
    fn from_iter<T: IntoIterator<Item = Op>>(ops: T) -> Self {
        Self { ops: ops.into_iter().collect() }
    }
}
