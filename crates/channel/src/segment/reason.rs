//! Why a segment is not kept, and why a set is given up: the reasons of nim-segmentation, counted.
//!
//! The rule: a discarded segment costs its set nothing, and a set that is given up is counted once.

/// Why a segment was not kept. Its set lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discard {
    /// Neither layout's protobuf. The sender's fault.
    Undecodable,
    /// It decodes and cannot be: its hash, its counts or its index. The sender's fault.
    Invalid,
    /// Longer than any segment may be. The sender's fault.
    Oversized,
    /// It is there already. Nobody's fault.
    Duplicate,
    /// Other counts, another length or another hash than its siblings', and too many such claims already.
    CountMismatch,
    /// No room for it now. Nobody's fault; where it is to be acknowledged it comes again.
    CacheFull,
}

/// Why a set was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetDrop {
    /// No new segment came in time.
    Expired,
    /// It made room for another one (ephemeral payloads only).
    Evicted,
    /// It had enough segments, and no choice among them matched its hash until it expired.
    HashMismatch,
    /// It had enough segments, and they did not fit together until it expired.
    Malformed,
}

/// How often each of them happened, and how often parity helped. Every number only grows, and saturates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentCounts {
    /// Segments that did not decode.
    pub undecodable: u64,
    /// Segments that cannot be.
    pub invalid: u64,
    /// Segments that were too long.
    pub oversized: u64,
    /// Segments that were there already.
    pub duplicate: u64,
    /// Segments that contradicted their siblings.
    pub count_mismatch: u64,
    /// Segments for which there was no room.
    pub cache_full: u64,
    /// Sets that got no new segment in time.
    pub expired: u64,
    /// Sets that made room for others.
    pub evicted: u64,
    /// Sets whose hash matched no choice of their segments.
    pub hash_mismatch: u64,
    /// Sets whose segments did not fit together.
    pub malformed: u64,
    /// Payloads that were put together with the help of parity.
    pub recovered: u64,
    /// Payloads that were put together although a forged segment was among theirs.
    pub healed: u64,
}

impl SegmentCounts {
    pub(crate) fn discarded(&mut self, reason: Discard) {
        let count = match reason {
            Discard::Undecodable => &mut self.undecodable,
            Discard::Invalid => &mut self.invalid,
            Discard::Oversized => &mut self.oversized,
            Discard::Duplicate => &mut self.duplicate,
            Discard::CountMismatch => &mut self.count_mismatch,
            Discard::CacheFull => &mut self.cache_full,
        };
        *count = count.saturating_add(1);
    }

    pub(crate) fn dropped(&mut self, reason: SetDrop) {
        let count = match reason {
            SetDrop::Expired => &mut self.expired,
            SetDrop::Evicted => &mut self.evicted,
            SetDrop::HashMismatch => &mut self.hash_mismatch,
            SetDrop::Malformed => &mut self.malformed,
        };
        *count = count.saturating_add(1);
    }

    /// The sum of two counts, each on its own.
    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            undecodable: self.undecodable.saturating_add(other.undecodable),
            invalid: self.invalid.saturating_add(other.invalid),
            oversized: self.oversized.saturating_add(other.oversized),
            duplicate: self.duplicate.saturating_add(other.duplicate),
            count_mismatch: self.count_mismatch.saturating_add(other.count_mismatch),
            cache_full: self.cache_full.saturating_add(other.cache_full),
            expired: self.expired.saturating_add(other.expired),
            evicted: self.evicted.saturating_add(other.evicted),
            hash_mismatch: self.hash_mismatch.saturating_add(other.hash_mismatch),
            malformed: self.malformed.saturating_add(other.malformed),
            recovered: self.recovered.saturating_add(other.recovered),
            healed: self.healed.saturating_add(other.healed),
        }
    }
}
