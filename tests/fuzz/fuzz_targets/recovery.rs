//! The fuzzer's program for `quorate_fuzz::recovery`: a channel from any records.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::recovery(input));
