//! The fuzzer's program for `quorate_fuzz::versions`: version summaries from any JSON, and the choice.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| quorate_fuzz::versions(input));
