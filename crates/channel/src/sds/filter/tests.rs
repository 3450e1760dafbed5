//! The filters against those that the published implementations made.

use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::Value;

const DIALECTS: [(Dialect, &str); 2] = [(Dialect::Lip, "lip"), (Dialect::Nim, "nim")];

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/sds_filters.json")).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_filters_of_others_are_made_bit_by_bit_and_read() {
    let all = vectors();
    for (dialect, name) in DIALECTS {
        assert_eq!(all[name].as_array().unwrap().len(), 4);
        for vector in all[name].as_array().unwrap() {
            let config = FilterConfig {
                capacity: vector["capacity"].as_u64().unwrap(),
                error_rate: vector["errorRate"].as_f64().unwrap(),
            };
            assert!(config.is_valid());
            assert_eq!(
                (config.hashes(), config.bits()),
                (vector["kHashes"].as_u64().unwrap(), vector["mBits"].as_u64().unwrap())
            );
            let wire = Bytes::from(HEXLOWER.decode(vector["hex"].as_str().unwrap().as_bytes()).unwrap());
            let mut filter = BloomFilter::new(dialect, config);
            let inserted = texts(&vector["inserted"]);
            inserted.iter().for_each(|id| filter.insert(Fingerprint::of(dialect, id)));
            assert_eq!(filter.encode(config), wire, "{name} {}", vector["capacity"]);
            let read = BloomFilter::decode(dialect, config, wire).unwrap();
            assert!(inserted.iter().all(|id| read.contains(Fingerprint::of(dialect, id))));
            let wrong = texts(&vector["falsePositives"]);
            for absent in texts(&vector["absent"]) {
                assert_eq!(
                    read.contains(Fingerprint::of(dialect, &absent)),
                    wrong.contains(&absent),
                    "{absent}"
                );
            }
        }
    }
}

#[test]
fn the_hashes_of_the_spec_come_out_as_waku_sds_has_them() {
    let all: Value = serde_json::from_str(include_str!("../../../tests/vectors/sds_hashes.json")).unwrap();
    for vector in all["hash_n"].as_array().unwrap() {
        let (item, n) = (vector["item"].as_str().unwrap(), vector["n"].as_u64().unwrap());
        let places = Fingerprint::of(Dialect::Lip, item).places(n + 1, vector["maxValue"].as_u64().unwrap());
        assert_eq!(places.last(), vector["js"].as_u64(), "{vector}");
    }
}

#[test]
fn what_needs_too_many_hashes_or_cannot_be_is_invalid() {
    let valid = |capacity, error_rate| FilterConfig { capacity, error_rate }.is_valid();
    assert!(valid(1, 0.5) && valid(100_000, 0.001) && valid(10, 0.000_25));
    for (capacity, rate) in [(0, 0.01), (100_001, 0.01), (10, 0.0), (10, 1.0), (10, f64::NAN), (10, 0.000_01)]
    {
        assert!(!valid(capacity, rate), "{capacity} {rate}");
    }
}

#[test]
fn hostile_filters_are_refused_each_for_its_reason() {
    let config = FilterConfig::default();
    let nim = |words: usize, hashes, bits| {
        let filter = NimFilter {
            words: vec![0xff; words * 8].into(),
            capacity: 10_000,
            error_rate: 1_000,
            hashes,
            bits,
        };
        BloomFilter::decode(Dialect::Nim, config, filter.encode_to_vec().into()).map(drop)
    };
    assert_eq!(nim(2_344, 10, 150_000), Ok(()));
    // One word of data behind a header of 150,000 bits ends a nim-sds process.
    assert_eq!(nim(1, 10, 150_000), Err(FilterError::Length { len: 8, expected: 18_752 }));
    assert_eq!(nim(3, 65, 150), Err(FilterError::Hashes(65)));
    assert_eq!(nim(3, 0, 150), Err(FilterError::Hashes(0)));
    assert_eq!(nim(1, 1, 0), Err(FilterError::Bits(0)));
    assert_eq!(nim(1, 1, u64::MAX), Err(FilterError::Bits(u64::MAX)));
    let lip = |len: usize| BloomFilter::decode(Dialect::Lip, config, vec![0; len].into()).map(drop);
    assert_eq!(lip(18_752), Ok(()));
    for len in [0, 1, 18_751, 18_753] {
        assert_eq!(lip(len), Err(FilterError::Length { len, expected: 18_752 }));
    }
    let noise = BloomFilter::decode(Dialect::Nim, config, Bytes::from_static(&[0xff; 9]));
    assert_eq!(noise, Err(FilterError::Undecodable));
}

#[test]
fn it_errs_about_as_often_as_it_may() {
    for (dialect, name) in DIALECTS {
        let config = FilterConfig { capacity: 2_000, error_rate: 0.01 };
        let mut filter = BloomFilter::new(dialect, config);
        (0..2_000).for_each(|n| filter.insert(Fingerprint::of(dialect, &format!("message {n}"))));
        let strangers = 0..10_000;
        let wrong =
            strangers.filter(|n| filter.contains(Fingerprint::of(dialect, &format!("stranger {n}")))).count();
        assert!(wrong < 300, "{name}: {wrong} of 10,000");
    }
}

#[test]
fn a_rolling_filter_forgets_the_oldest_and_keeps_its_size() {
    for (dialect, _) in DIALECTS {
        let config = FilterConfig { capacity: 100, error_rate: 0.001 };
        let mut rolling = RollingFilter::new(dialect, config);
        let size = rolling.encode().len();
        for n in 0..10_000_u64 {
            rolling.insert(&format!("message {n}"));
            assert!(rolling.len() <= 120 && rolling.contains(&format!("message {n}")));
            let since = n.saturating_sub(79);
            assert!((since..n).all(|n| rolling.contains(&format!("message {n}"))), "the newest 80 are there");
        }
        let old = (0..9_800).filter(|n| rolling.contains(&format!("message {n}"))).count();
        assert!(old < 100, "{old} of 9,800 forgotten ones");
        assert_eq!(rolling.encode().len(), size);
        let again = RollingFilter::restored(dialect, config, rolling.recent());
        assert_eq!(again.encode(), rolling.encode());
    }
}

proptest! {
    #[test]
    fn what_was_added_is_always_found(ids in prop::collection::vec("\\PC{0,70}", 0..50)) {
        for (dialect, _) in DIALECTS {
            let config = FilterConfig { capacity: 20, error_rate: 0.1 };
            let mut filter = BloomFilter::new(dialect, config);
            ids.iter().for_each(|id| filter.insert(Fingerprint::of(dialect, id)));
            let read = BloomFilter::decode(dialect, config, filter.encode(config)).unwrap();
            prop_assert!(ids.iter().all(|id| read.contains(Fingerprint::of(dialect, id))));
        }
    }

    #[test]
    fn any_bytes_are_a_filter_or_an_error(bytes: Vec<u8>, id in "\\PC{0,70}") {
        for (dialect, _) in DIALECTS {
            let config = FilterConfig { capacity: 4, error_rate: 0.1 };
            if let Ok(filter) = BloomFilter::decode(dialect, config, bytes.clone().into()) {
                filter.contains(Fingerprint::of(dialect, &id));
            }
        }
    }
}
