//! Bloom filters over message ids: the same bits as `@waku/sds` and nim-sds set, and the same bytes.
//!
//! The rule: a hit says "perhaps" and delays a resend, it never proves anything. What comes from others is checked before
//! it is read: its size, its number of hashes, and that its words are there.

pub(super) mod farmhash;
mod murmur3;
mod rolling;

use super::Dialect;
use bytes::Bytes;
use prost::Message;

pub use rolling::RollingFilter;

/// The most hashes per id that a filter of somebody else's may ask for.
const MAX_HASHES: u64 = 64;
/// The most bits of a filter of somebody else's: 1 MiB.
const MAX_BITS: u64 = 8 << 20;
/// The most hashes per id of our own filters: beyond them neither published implementation goes.
const MAX_OWN_HASHES: u64 = 12;
/// The most ids our own filters are made for.
const MAX_CAPACITY: u64 = 100_000;

/// How large a filter is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FilterConfig {
    /// For how many ids, 1 to 100,000. Default 10,000.
    pub capacity: u64,
    /// How often it may say "perhaps" wrongly when it holds that many, above 0 and below 1. Default 0.001.
    pub error_rate: f64,
}

impl Default for FilterConfig {
    /// What both published implementations use; such a filter has 18,752 bytes.
    fn default() -> Self {
        Self { capacity: 10_000, error_rate: 0.001 }
    }
}

impl FilterConfig {
    /// Whether a filter of this size can be made: at most 12 hashes per id.
    pub fn is_valid(&self) -> bool {
        let rate = self.error_rate;
        (1..=MAX_CAPACITY).contains(&self.capacity)
            && rate > 0.0
            && rate < 1.0
            && (1..=MAX_OWN_HASHES).contains(&self.hashes())
    }

    /// Bits per id.
    fn bits_each(&self) -> u64 {
        let ln2 = std::f64::consts::LN_2;
        (-self.error_rate.ln() / (ln2 * ln2)).ceil() as u64
    }

    /// Hashes per id.
    fn hashes(&self) -> u64 {
        (std::f64::consts::LN_2 * self.bits_each() as f64).round() as u64
    }

    fn bits(&self) -> u64 {
        self.capacity.saturating_mul(self.bits_each())
    }
}

/// Why bytes are no filter. Their sender's fault; the message that carries them is not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// Not the dialect's encoding.
    #[error("not a filter")]
    Undecodable,
    /// No hashes, or more than any honest filter needs.
    #[error("{0} hashes, between 1 and {MAX_HASHES} are read")]
    Hashes(u64),
    /// No bits, or too many.
    #[error("{0} bits, between 1 and {MAX_BITS} are read")]
    Bits(u64),
    /// Not as many bytes as it says, or as were agreed on.
    #[error("{len} bytes of words, {expected} were expected")]
    Length {
        /// How many there are.
        len: usize,
        /// How many there should be.
        expected: usize,
    },
}

/// What is hashed of an id: everything a filter of any size needs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub u64, pub u64);

impl Fingerprint {
    /// The fingerprint of an id in a dialect.
    pub fn of(dialect: Dialect, id: &str) -> Self {
        match dialect {
            Dialect::Lip => {
                // The published code reads the first UTF-16 unit of each character.
                let unit =
                    |character: char| character.encode_utf16(&mut [0; 2]).first().copied().unwrap_or(0);
                let mut units: Vec<u16> = id.chars().map(unit).collect();
                let first = signed_murmur(&units);
                units.extend([u16::from(b' '), u16::from(b'b')]);
                Self(first, signed_murmur(&units))
            }
            Dialect::Nim => {
                let magnitude = |bytes: &[u8]| farmhash::hash64(bytes).cast_signed().unsigned_abs();
                Self(magnitude(id.as_bytes()), magnitude(&[id.as_bytes(), b" b"].concat()))
            }
        }
    }

    /// The bits that it stands for, in a filter of `bits` bits with `hashes` hashes. `bits` is not 0.
    fn places(self, hashes: u64, bits: u64) -> impl Iterator<Item = u64> {
        let (first, step) = (self.0 % bits, self.1 % bits);
        (0..hashes).map(move |n| (first + n * step) % bits)
    }
}

fn signed_murmur(units: &[u16]) -> u64 {
    u64::from(murmur3::hash32(units).cast_signed().unsigned_abs())
}

/// A filter: the bits as they stand on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BloomFilter<Words = Vec<u8>> {
    dialect: Dialect,
    words: Words,
    hashes: u64,
    bits: u64,
}

impl BloomFilter {
    /// An empty filter. `config` must be valid.
    pub fn new(dialect: Dialect, config: FilterConfig) -> Self {
        let bits = config.bits().clamp(1, MAX_BITS);
        Self { dialect, words: vec![0; words_len(bits)], hashes: config.hashes(), bits }
    }

    /// Adds an id.
    pub fn insert(&mut self, id: Fingerprint) {
        for place in id.places(self.hashes, self.bits) {
            let (byte, bit) = position(self.dialect, place);
            if let Some(byte) = self.words.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// The filter as it travels.
    pub fn encode(&self, config: FilterConfig) -> Bytes {
        match self.dialect {
            Dialect::Lip => Bytes::copy_from_slice(&self.words),
            Dialect::Nim => NimFilter {
                words: Bytes::copy_from_slice(&self.words),
                capacity: config.capacity,
                error_rate: (config.error_rate * 1_000_000.0) as u64,
                hashes: self.hashes,
                bits: self.bits,
            }
            .encode_to_vec()
            .into(),
        }
    }
}

impl BloomFilter<Bytes> {
    /// Reads somebody else's filter. In the dialect `Lip` it says nothing of its size: it must be that of `config`.
    pub fn decode(dialect: Dialect, config: FilterConfig, bytes: Bytes) -> Result<Self, FilterError> {
        let (words, hashes, bits) = match dialect {
            Dialect::Lip => (bytes, config.hashes(), config.bits()),
            Dialect::Nim => {
                let read = NimFilter::decode(bytes).map_err(|_| FilterError::Undecodable)?;
                (read.words, read.hashes, read.bits)
            }
        };
        if !(1..=MAX_HASHES).contains(&hashes) {
            return Err(FilterError::Hashes(hashes));
        }
        if !(1..=MAX_BITS).contains(&bits) {
            return Err(FilterError::Bits(bits));
        }
        let expected = words_len(bits);
        if words.len() != expected {
            return Err(FilterError::Length { len: words.len(), expected });
        }
        Ok(Self { dialect, words, hashes, bits })
    }
}

impl<Words: AsRef<[u8]>> BloomFilter<Words> {
    /// Whether it perhaps holds an id; `false` is certain.
    pub fn contains(&self, id: Fingerprint) -> bool {
        let words = self.words.as_ref();
        id.places(self.hashes, self.bits).all(|place| {
            let (byte, bit) = position(self.dialect, place);
            words.get(byte).is_some_and(|byte| byte & bit != 0)
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct NimFilter {
    #[prost(bytes = "bytes", tag = "1")]
    words: Bytes,
    #[prost(uint64, tag = "2")]
    capacity: u64,
    /// In millionths.
    #[prost(uint64, tag = "3")]
    error_rate: u64,
    #[prost(uint64, tag = "4")]
    hashes: u64,
    #[prost(uint64, tag = "5")]
    bits: u64,
}

/// Bytes of the words of so many bits: both implementations have one word more than they need.
const fn words_len(bits: u64) -> usize {
    (bits as usize / 64 + 1) * 8
}

/// The byte and the bit in it of a bit's number: words of 64 bits, big-endian in one dialect and little-endian in
/// the other.
const fn position(dialect: Dialect, place: u64) -> (usize, u8) {
    let (word, bit) = ((place / 64) as usize * 8, place % 64);
    let byte = match dialect {
        Dialect::Lip => 7 - bit as usize / 8,
        Dialect::Nim => bit as usize / 8,
    };
    (word + byte, 1 << (bit % 8))
}

#[cfg(test)]
mod tests;
