//! What can be wrong with encoded bytes, and where.

use crate::InvalidApiVersions;

/// Bytes that are not the encoding of a value; whoever wrote them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {fault}")]
pub struct DecodeError {
    /// The offset of the value that could not be read.
    pub at: usize,
    /// What is wrong with it.
    pub fault: DecodeFault,
}

/// What is wrong with encoded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// The input ends in the middle of a value.
    #[error("the input ends in the middle of a value")]
    Truncated,
    /// An integer is written in more bytes than it needs.
    #[error("an integer is not in its shortest form")]
    NotShortest,
    /// An integer is larger than its field.
    #[error("an integer is larger than {max}")]
    OutOfRange {
        /// The largest that fits.
        max: u64,
    },
    /// Neither 0 nor 1 where there can be nothing else.
    #[error("{found} stands where only 0 or 1 can")]
    Tag {
        /// The byte that stands there.
        found: u8,
    },
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A map's keys do not ascend strictly.
    #[error("a map's keys do not ascend")]
    KeysDoNotAscend,
    /// A list of API versions breaks its rule.
    #[error("{0}")]
    Versions(InvalidApiVersions),
    /// Bytes are left when the value is complete.
    #[error("{count} bytes are left over")]
    LeftOver {
        /// How many.
        count: usize,
    },
    /// The input is longer than any value may be.
    #[error("more than {max} bytes")]
    TooLong {
        /// How many are allowed: [`MAX_ENCODED_BYTES`](super::MAX_ENCODED_BYTES).
        max: usize,
    },
}

/// A value whose encoding nobody would read. Nothing about it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A list of API versions is longer than a reader takes.
    #[error("{0}")]
    Versions(InvalidApiVersions),
}
