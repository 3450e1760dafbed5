//! Vectors taken from Fedimint 0.13's own encoder, and what must be refused.

use super::*;
use crate::{
    ApiVersion, ApiVersionSet, CoreConsensusVersion, InvalidApiVersions, ModuleInstanceId, MultiApiVersion,
    SupportedApiVersionsSummary,
};
use std::fmt::Debug;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let nibble = |digit: u8| (digit as char).to_digit(16).expect("a hex digit") as u8;
    digits.chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

fn both_ways<T: ConsensusEncoding + PartialEq + Debug>(value: T, bytes: &str) {
    assert_eq!(value.to_consensus_bytes(), Ok(hex(bytes)), "{value:?}");
    assert_eq!(T::from_consensus_bytes(&hex(bytes)), Ok(value), "{bytes}");
}

fn fault<T: ConsensusEncoding + Debug>(bytes: &str) -> (usize, DecodeFault) {
    let error = T::from_consensus_bytes(&hex(bytes)).expect_err(bytes);
    (error.at, error.fault)
}

#[test]
fn integers_are_big_size() {
    both_ways(0u32, "00");
    both_ways(252u32, "fc");
    both_ways(253u32, "fd00fd");
    both_ways(65_535u32, "fdffff");
    both_ways(65_536u32, "fe00010000");
    both_ways(u32::MAX, "feffffffff");
    both_ways(u64::MAX, "ffffffffffffffffff");
    both_ways(0xffu8, "ff");
}

#[test]
fn versions_are_their_numbers() {
    both_ways(ApiVersion::new(1, 2), "0102");
    both_ways(ApiVersion::new(u32::MAX, 65_536), "feffffffff fe00010000");
    both_ways(CoreConsensusVersion::new(2, 1), "0201");
    let multi = MultiApiVersion::try_from_iter([ApiVersion::new(3, 1), ApiVersion::new(0, 5)]).unwrap();
    both_ways(multi, "0200050301");
}

#[test]
fn a_summary_is_core_and_modules() {
    let two: SupportedApiVersionsSummary =
        serde_json::from_str(include_str!("../../tests/vectors/two-modules.json")).unwrap();
    both_ways(two, "0201010009020002010300010003fd012c020102020200010100");
    let live: SupportedApiVersionsSummary =
        serde_json::from_str(include_str!("../../tests/vectors/live-0.13.json")).unwrap();
    both_ways(live, "0201010009040002010100010000010201000001000002020101000100020302010100010001");
}

#[test]
fn a_set_is_core_and_modules() {
    let modules = BTreeMap::from([(ModuleInstanceId(300), ApiVersion::new(1, 0))]);
    both_ways(ApiVersionSet { core: ApiVersion::new(0, 9), modules }, "0009 01 fd012c 0100");
}

#[test]
fn plain_values_round_trip() {
    both_ways("ws://test1/".to_owned(), "0b77733a2f2f74657374312f");
    both_ways(Some(true), "0101");
    both_ways(None::<u16>, "00");
    both_ways([1u8, 2, 3], "010203");
}

#[test]
fn what_fedimint_accepts_against_its_own_rule_is_refused() {
    let twice = InvalidApiVersions::Duplicate { major: 1 };
    assert_eq!(fault::<MultiApiVersion>("0201000102"), (0, DecodeFault::Versions(twice)));
    let unsorted = InvalidApiVersions::Unsorted { major: 0, after: 1 };
    assert_eq!(fault::<MultiApiVersion>("0201010002"), (0, DecodeFault::Versions(unsorted)));
}

#[test]
fn an_encoding_that_is_not_the_only_one_is_refused() {
    for long in ["fd00fc", "fe0000ffff", "ff00000000ffffffff"] {
        assert_eq!(fault::<u64>(long), (0, DecodeFault::NotShortest), "{long}");
    }
    assert_eq!(fault::<u16>("fe00010000"), (0, DecodeFault::OutOfRange { max: 65_535 }));
    assert_eq!(fault::<ApiVersion>("010203"), (2, DecodeFault::LeftOver { count: 1 }));
    assert_eq!(fault::<BTreeMap<u16, u16>>("0205000500"), (3, DecodeFault::KeysDoNotAscend));
    assert_eq!(fault::<bool>("02"), (0, DecodeFault::Tag { found: 2 }));
    assert_eq!(fault::<String>("01ff"), (0, DecodeFault::NotUtf8));
}

#[test]
fn a_length_that_is_only_announced_costs_nothing() {
    assert_eq!(fault::<String>("ffffffffffffffffff61"), (9, DecodeFault::Truncated));
    let too_many = InvalidApiVersions::TooMany { max: crate::MAX_MAJORS };
    assert_eq!(fault::<MultiApiVersion>("ffffffffffffffffff"), (0, DecodeFault::Versions(too_many)));
    assert_eq!(fault::<BTreeMap<u16, u16>>("ffffffffffffffffff"), (9, DecodeFault::Truncated));
}

#[test]
fn a_list_that_nobody_would_read_is_not_written() {
    let mut long = MultiApiVersion::new();
    for major in 0..=crate::MAX_MAJORS as u32 {
        long.try_insert(ApiVersion::new(major, 0)).unwrap();
    }
    let too_many = InvalidApiVersions::TooMany { max: crate::MAX_MAJORS };
    assert_eq!(long.to_consensus_bytes(), Err(EncodeError::Versions(too_many)));
}

#[test]
fn every_prefix_is_truncated() {
    let whole = hex("0201010009020002010300010003fd012c020102020200010100");
    for length in 0..whole.len() {
        let error =
            SupportedApiVersionsSummary::from_consensus_bytes(&whole[..length]).expect_err("a prefix");
        assert_eq!(error.fault, DecodeFault::Truncated, "{length} bytes");
    }
}
