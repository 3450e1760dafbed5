//! The random numbers of a fault plan: a hash of what they are for.
//!
//! FNV-1a (64 bits) runs over the seed (8 bytes, little-endian), the attempt (4 bytes, little-endian), the
//! sender, the receiver, the message and the purpose, each text followed by one byte `ff`, which UTF-8 does not
//! contain. FNV alone leaves the high bits of similar inputs alike, so splitmix64 finishes it; the upper
//! 53 bits are a number in `0..1`.

use super::Link;

/// All numbers that belong to one attempt on one link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw(u64);

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Draw {
    pub(super) fn new(seed: u64, link: Link<'_>, message: &str, attempt: u32) -> Self {
        let hash = fnv1a(FNV_OFFSET, &seed.to_le_bytes());
        let hash = fnv1a(hash, &attempt.to_le_bytes());
        Self([link.from, link.to, message].into_iter().fold(hash, fnv1a_text))
    }

    /// A number in `0..1`, another one for each purpose.
    pub(super) fn unit(&self, purpose: &str) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        (splitmix64(fnv1a_text(self.0, purpose)) >> 11) as f64 * STEP
    }
}

fn fnv1a_text(hash: u64, text: &str) -> u64 {
    fnv1a(fnv1a(hash, text.as_bytes()), &[0xff])
}

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// One step of splitmix64 (Steele, Lea, Flood 2014).
const fn splitmix64(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_the_published_ones() {
        assert_eq!(fnv1a(FNV_OFFSET, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn where_one_name_ends_and_the_next_begins_matters() {
        let draw = |from, to| Draw::new(1, Link { from, to }, "m", 0).unit("loss");
        assert_ne!(draw("ab", "c"), draw("a", "bc"));
        assert_ne!(draw("a", ""), draw("", "a"));
    }
}
