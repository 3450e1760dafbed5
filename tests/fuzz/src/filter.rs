//! A Bloom filter of somebody else's from any bytes, in both dialects.

use bytes::Bytes;
use quorate_channel::sds::{BloomFilter, Dialect, FilterConfig, Fingerprint};

/// Any bytes are a filter or an error, and any filter answers.
pub fn filter(input: &[u8]) {
    let (Some(capacity), id) = (input.first(), String::from_utf8_lossy(input)) else { return };
    let config = FilterConfig { capacity: u64::from(*capacity).max(1), error_rate: 0.01 };
    for dialect in [Dialect::Lip, Dialect::Nim] {
        let id = Fingerprint::of(dialect, &id);
        if let Ok(filter) = BloomFilter::decode(dialect, config, Bytes::copy_from_slice(input)) {
            filter.contains(id);
        }
        let mut own = BloomFilter::new(dialect, config);
        own.insert(id);
        let read = BloomFilter::decode(dialect, config, own.encode(config)).expect("our own can be read");
        assert!(read.contains(id), "what was added is found");
    }
}
