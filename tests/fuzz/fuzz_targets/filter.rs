//! The fuzzer's program for `quorate_fuzz::filter`: a Bloom filter from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::filter(input));
